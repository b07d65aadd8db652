"""What replicas have in common in the database, part by part: two of them on one database, each with its own connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from core.errors import Refusal
from core.model import DeviceId
from core.notices import EVENTS, EVERYTHING, read, session_key, write
from core.replicas import Shelved
from storage.postgres import commons as commoning
from storage.postgres import gossip as gossiping
from storage.postgres import leadership, notices
from storage.postgres.asking import Asking
from storage.postgres.commons import Commons, open_commons
from storage.postgres.connections import Connection, connect
from tests.postgres_server import PostgresServer
from tests.replicas.gateways import DEADLINE, comes_true, until

NAME = "replica under test"


@pytest.fixture(scope="module")
def reused(postgres: PostgresServer) -> str:
    """A database for all of these tests, one after the other: to make one takes longer than most of them."""
    return postgres.make_database("whole")


@pytest.fixture
def database(reused: str, postgres: PostgresServer) -> str:
    """Its URL, with nothing in it that replicas share."""
    postgres.sql(reused, "TRUNCATE notice, spent, epoch, kept_answer, office")
    return postgres.url(reused)


@contextlib.asynccontextmanager
async def commons(url: str) -> AsyncIterator[Commons]:
    async def opened() -> Connection:
        return await connect(url, name=NAME)

    async with open_commons(opened) as made:
        await until(lambda: made.replicas.figures()["replicas.up"])
        yield made


@contextlib.asynccontextmanager
async def pair(url: str) -> AsyncIterator[tuple[Commons, Commons]]:
    async with commons(url) as one, commons(url) as other:
        yield one, other


async def commit(connection: Connection, by: Commons, names: frozenset[str]) -> None:
    """Do what the registry does within a commit."""
    await connection.execute("INSERT INTO notice (origin, names) VALUES ($1, $2)", by.replicas.id, write(names))


@contextlib.asynccontextmanager
async def hand(url: str) -> AsyncIterator[Connection]:
    connection = await connect(url, name="by hand")
    try:
        yield connection
    finally:
        await connection.close()


def heard(by: Commons) -> list[frozenset[str]]:
    told: list[frozenset[str]] = []
    by.replicas.notifier.listen(told.append)
    return told


D1, D2 = DeviceId("d1"), DeviceId("d2")


@pytest.mark.parametrize(
    "names",
    [frozenset[str](), frozenset({EVENTS}), frozenset({D1, session_key(D1), session_key(D2), "any channel", EVENTS, "x y"})],
    ids=["none", "events", "many"],
)
def test_names_come_back_as_they_were_written(names: frozenset[str]) -> None:
    assert read(write(names)) == names


def test_a_device_and_its_session_are_one_line() -> None:
    assert write(frozenset({D1, session_key(D1)})) == "*d1"


def test_lines_of_a_newer_version_are_left_out() -> None:
    assert read("?what\n.d1\n\n*") == {"d1", "", "session "}


async def test_what_one_commits_the_others_are_told_and_it_is_not(database: str) -> None:
    async with pair(database) as (one, other), hand(database) as connection:
        mine, theirs = heard(one), heard(other)
        await commit(connection, one, frozenset({D1, EVENTS}))
        one.told()
        await until(lambda: theirs)
        await commit(connection, other, frozenset({D2}))
        other.told()
        await until(lambda: mine)
        assert (mine, theirs) == ([frozenset({D2})], [frozenset({D1, EVENTS})])


async def test_without_a_notification_it_is_found_by_looking(database: str) -> None:
    async with pair(database) as (one, other), hand(database) as connection:
        theirs = heard(other)
        await commit(connection, one, frozenset({D1}))
        await until(lambda: theirs)
        assert theirs == [frozenset({D1})]
        assert other.replicas.figures()["replicas.notices_polled"] == 1


async def test_a_transaction_that_ends_late_is_told_all_the_same_and_others_once(database: str) -> None:
    async with pair(database) as (one, other), hand(database) as slow, hand(database) as quick:
        theirs = heard(other)
        late = slow.transaction()
        await late.start()
        await commit(slow, one, frozenset({D1}))
        for number in range(3):
            await commit(quick, one, frozenset({f"quick {number}"}))
            one.told()
            await until(lambda: len(theirs) > number)  # noqa: B023 - it is asked now
        await late.commit()
        one.told()
        await until(lambda: frozenset({D1}) in theirs)
        assert len(theirs) == 4


async def test_a_lost_connection_loses_no_notice(database: str, postgres: PostgresServer) -> None:
    async with pair(database) as (one, other), hand(database) as connection:
        theirs = heard(other)
        await cut(connection)
        await commit(connection, one, frozenset({D1}))
        await until(lambda: theirs)
        assert theirs == [frozenset({D1})]
        await until(lambda: other.replicas.figures()["replicas.up"])
        assert other.replicas.figures()["replicas.everything_changed"] == 0


async def cut(connection: Connection) -> None:
    """End the sessions of all replicas."""
    await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", NAME)


async def test_more_than_can_be_read_at_once_counts_as_everything_and_once_more_later(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "AGAIN_SECONDS", 0.1)
    async with hand(database) as connection, commons(database) as one:
        mine = notices.Notices("reader", lambda: None, most=3)
        told: list[frozenset[str]] = []
        stop = mine.listen(told.append)
        await mine.begin(connection, 0.0)
        for number in range(5):
            await commit(connection, one, frozenset({f"name {number}"}))
        assert await mine.read(connection, 1.0) == 3
        assert told == [frozenset({EVERYTHING})]
        assert await mine.read(connection, 2.0) == 0
        assert told == [frozenset({EVERYTHING})] * 2
        await commit(connection, one, frozenset({D1}))
        assert await mine.read(connection, 3.0) == 1
        stop()
        await commit(connection, one, frozenset({D2}))
        assert await mine.read(connection, 4.0) == 1
        assert told[2:] == [frozenset({D1})]
        assert mine.everything == 2


async def test_after_an_absence_longer_than_rows_are_kept_everything_counts_as_changed(database: str) -> None:
    async with hand(database) as connection:
        mine = notices.Notices("reader", lambda: None)
        told: list[frozenset[str]] = []
        mine.listen(told.append)
        await mine.begin(connection, 0.0)
        await mine.begin(connection, notices.KEPT_SECONDS / 2)
        assert not told
        await mine.begin(connection, 2 * notices.KEPT_SECONDS)
        assert told == [frozenset({EVERYTHING})]


async def test_old_rows_are_pruned_and_new_ones_stay(database: str) -> None:
    async with hand(database) as connection, commons(database) as one:
        await commit(connection, one, frozenset({D1}))
        await connection.execute("INSERT INTO notice (at, origin, names) VALUES (now() - interval '11 minutes', 'x', '.old')")
        await notices.Notices("reader", lambda: None).prune(connection)
        assert [row["names"] for row in await connection.fetch("SELECT names FROM notice")] == [".d1"]


async def test_messages_of_any_size_reach_the_others_whole_and_nobody_else(database: str) -> None:
    async with pair(database) as (one, other):
        got: list[bytes] = []
        echo: list[bytes] = []
        stop = other.replicas.gossip.hear("talk", got.append)
        other.replicas.gossip.hear("silence", echo.append)
        one.replicas.gossip.hear("talk", echo.append)
        sent = [b"", b"\x00\xff", b"x" * 7_999, bytes(range(256)) * 900]
        for message in sent:
            one.replicas.gossip.spread("talk", message)
        one.replicas.gossip.spread("talk", b"\x00\xff")
        await until(lambda: len(got) == 5)
        assert got == [*sent, b"\x00\xff"]
        assert echo == []
        stop()


def test_gossip_is_bounded_and_takes_no_nonsense() -> None:
    wakes: list[None] = []
    mine, theirs = (gossiping.NotifiedGossip(name, lambda: wakes.append(None)) for name in "ab")
    got: list[bytes] = []
    theirs.hear("t", got.append)
    mine.spread("t", b"too early")
    mine.up(True)
    mine.spread("t", bytes(gossiping.MOST_BYTES + 1))
    for _ in range(gossiping.QUEUED + 1):
        mine.spread("t", b"x")
    assert mine.dropped == 3
    assert len(wakes) == gossiping.QUEUED
    mine.up(False)
    assert not mine.is_waiting
    for payload in ("", "a t 1 0 1", "a t 1 x 1 eA==", "a t 1 0 1 !", "a t 1 1 1 eA==", "a t 1 -1 1 eA==", "a t 1 0 9999 eA=="):
        theirs.receive(payload)
    for message in range(200):
        theirs.receive(f"a t {message} 0 2 eA==")
    assert got == []
    theirs.receive("a t 199 1 2 eQ==")
    theirs.receive("a t 0 1 2 eQ==")  # whose beginning is forgotten
    assert got == [b"xy"]


async def test_what_one_spent_no_other_can_spend(database: str) -> None:
    async with pair(database) as (one, other):
        first, second = one.replicas.single_use, other.replicas.single_use
        assert first.epoch == second.epoch != b""
        assert abs(first.now() - second.now()) < DEADLINE
        spending = [each.spend(b"challenge", first.now() + 60) for each in (first, second) * 5]
        assert sorted(await asyncio.gather(*spending)) == [False] * 9 + [True]


async def test_a_database_that_forgot_what_was_spent_is_another_epoch(database: str) -> None:
    async with pair(database) as (one, other), hand(database) as connection:
        before = one.replicas.single_use.epoch
        await connection.execute("TRUNCATE spent, epoch")  # as a crash does
        assert not await one.replicas.single_use.spend(b"challenge", 1e10)
        assert not await other.replicas.single_use.spend(b"challenge", 1e10)
        assert one.replicas.single_use.epoch == other.replicas.single_use.epoch != before
        assert await other.replicas.single_use.spend(b"challenge", 1e10)


async def test_what_was_spent_is_kept_longer_than_it_was_good(database: str) -> None:
    async with commons(database) as one, hand(database) as connection:
        single_use = one.replicas.single_use
        for identity, age in ((b"new", -60), (b"over", 60), (b"old", 7_200)):
            assert await single_use.spend(identity, single_use.now() - age)
        await single_use.prune(connection)  # type: ignore[attr-defined] # the port does not say how it forgets
        left = {row[0] for row in await connection.fetch("SELECT identity FROM spent")}
        assert left == {b"new", b"over"}


async def test_a_place_is_taken_once_and_its_answer_given_to_all(database: str) -> None:
    mine = Shelved(name=b"n", print=b"p")
    async with pair(database) as (one, other):
        shelves = (one.replicas.answers, other.replicas.answers)
        assert not await shelves[1].knows(b"n")
        taken = await asyncio.gather(*(shelf.begin(b"s", mine, 60.0) for shelf in shelves * 4))
        assert taken.count(None) == 1
        assert {each for each in taken if each} == {mine}
        assert await shelves[1].knows(b"n")
        await shelves[0].keep(b"s", b"answer", 60.0)
        await shelves[1].drop(b"s")  # too late: there is an answer
        assert await shelves[1].begin(b"s", mine, 60.0) == Shelved(name=b"n", print=b"p", answer=b"answer")


async def test_a_place_whose_time_is_over_is_anybodys(database: str) -> None:
    async with pair(database) as (one, other), hand(database) as connection:
        mine, theirs = Shelved(name=b"n", print=b"p"), Shelved(name=b"m", print=b"q")
        assert await one.replicas.answers.begin(b"s", mine, 0.0) is None
        assert not await one.replicas.answers.knows(b"n")
        assert await other.replicas.answers.begin(b"s", theirs, 60.0) is None
        await other.replicas.answers.drop(b"s")
        assert await one.replicas.answers.begin(b"s", mine, 0.0) is None
        await one.replicas.answers.prune(connection)  # type: ignore[attr-defined] # the port does not say how it forgets
        assert await connection.fetchval("SELECT count(*) FROM kept_answer") == 0


async def test_while_the_database_is_away_every_question_is_refused(postgres: PostgresServer) -> None:
    name = postgres.make_database("whole")
    async with commons(postgres.url(name)) as one:
        postgres.sql("postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        async with hand(postgres.url("postgres")) as connection:
            await cut(connection)
        await until(lambda: not one.replicas.figures()["replicas.up"])
        for asking in (one.replicas.single_use.spend(b"x", 0.0), one.replicas.answers.knows(b"n")):
            with pytest.raises(Refusal) as refused:
                await asking
            assert refused.value.retry_after is not None
        postgres.sql("postgres", f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await until(lambda: one.replicas.figures()["replicas.up"])
        assert not await one.replicas.answers.knows(b"n")


class Leader:
    """Work that tells whether it is being done."""

    def __init__(self, by: Commons) -> None:
        self.at_work = False
        self.begun = 0
        self.task = asyncio.ensure_future(by.replicas.leadership.lead("office", self._work))

    async def _work(self) -> None:
        self.at_work, self.begun = True, self.begun + 1
        try:
            await asyncio.Event().wait()
        finally:
            self.at_work = False

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


@contextlib.asynccontextmanager
async def leaders(url: str) -> AsyncIterator[tuple[Leader, Leader]]:
    async with pair(url) as (one, other):
        first = Leader(one)
        await until(lambda: first.at_work)
        assert one.replicas.figures()["replicas.offices"] == 1
        second = Leader(other)
        try:
            yield first, second
        finally:
            await first.stop()
            await second.stop()


async def test_one_leads_and_the_next_when_it_leaves(database: str) -> None:
    async with leaders(database) as (first, second):
        await asyncio.sleep(0.3)
        assert (first.at_work, second.at_work) == (True, False)
        await first.stop()
        assert not first.at_work
        await until(lambda: second.at_work)


async def test_who_loses_its_connection_stops_before_another_begins(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "TERM_SECONDS", 2.0)
    async with leaders(database) as (first, second), hand(database) as connection:
        both = 0
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = $1",
            leadership._CLASS,
        )
        async with asyncio.timeout(DEADLINE):
            while not second.at_work and first.begun < 2:
                both += first.at_work and second.at_work
                await asyncio.sleep(0.005)
        assert both == 0
        assert first.begun + second.begun == 2


async def test_who_was_replaced_stops(database: str) -> None:
    async with leaders(database) as (first, _), hand(database) as connection:
        await connection.execute("UPDATE office SET holder = 'somebody', until = now() + interval '1 hour'")
        await until(lambda: not first.at_work)


async def test_work_that_fails_is_begun_again(database: str) -> None:
    async with commons(database) as one:
        begun: list[None] = []

        async def work() -> None:
            begun.append(None)
            raise RuntimeError("a mistake")

        leading = asyncio.ensure_future(one.replicas.leadership.lead("office", work))
        await until(lambda: len(begun) > 1)
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)


async def test_who_takes_an_office_waits_for_the_term_of_one_that_was_not_heard_of(database: str) -> None:
    async with commons(database) as one, hand(database) as connection:
        await connection.execute("INSERT INTO office VALUES ('office', 'one that died', now() + interval '1 second')")
        leader = Leader(one)
        await until(lambda: leader.at_work)
        assert await connection.fetchval("SELECT holder FROM office") == one.replicas.id
        await leader.stop()
        assert await connection.fetchval("SELECT count(*) FROM office") == 0


async def test_what_is_over_is_pruned_whatever_fails(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commoning, "PRUNE_SECONDS", 0.05)
    async with hand(database) as connection:
        await connection.execute("INSERT INTO spent VALUES ('x', now() - interval '2 hours')")
        await connection.execute("INSERT INTO kept_answer VALUES ('s', 'n', 'p', NULL, now() - interval '1 second')")
        await connection.execute("INSERT INTO notice (at, origin, names) VALUES (now() - interval '11 minutes', 'x', '.old')")
        await connection.execute("ALTER TABLE kept_answer RENAME TO elsewhere")
        async with commons(database):
            await asyncio.sleep(0.2)
            await connection.execute("ALTER TABLE elsewhere RENAME TO kept_answer")
            counting = (
                "SELECT (SELECT count(*) FROM spent) + (SELECT count(*) FROM kept_answer) + (SELECT count(*) FROM notice)"
            )

            async def is_empty() -> bool:
                return not await connection.fetchval(counting)

            await comes_true(is_empty)


async def test_no_more_wait_for_the_database_than_may(database: str) -> None:
    async def opened() -> Connection:
        return await connect(database, name=NAME)

    asking = Asking(opened, at_once=1, queue=2)
    asks = [asyncio.ensure_future(asking.ask("SELECT pg_sleep(0.2)")) for _ in range(3)]
    results = await asyncio.gather(*asks, return_exceptions=True)
    assert [type(each) for each in results] == [list, list, Refusal]
    (connection,) = asking._idle
    connection.terminate()
    assert await asking.ask("SELECT 1")  # over a new connection
    with pytest.raises(Refusal):
        await asking.ask("SELECT no_such_column")
    assert not asking._idle
    late = asyncio.ensure_future(asking.ask("SELECT pg_sleep(0.1)"))
    await asyncio.sleep(0.05)
    await asking.close()
    assert await late
    assert not asking._idle


async def test_a_mistake_does_not_end_what_is_heard_of_the_others(database: str) -> None:
    async with pair(database) as (one, other), hand(database) as connection:
        told = heard(other)
        stop = other.replicas.notifier.listen(mistaken())
        await commit(connection, one, frozenset({D1}))
        one.told()
        await until(lambda: told)
        stop()
        await until(lambda: other.replicas.figures()["replicas.up"])
        await commit(connection, one, frozenset({D2}))
        one.told()
        await until(lambda: frozenset({D2}) in told)
        assert other.replicas.figures()["replicas.silence_seconds"] < DEADLINE


def mistaken() -> Callable[[frozenset[str]], None]:
    def failing(_: frozenset[str]) -> None:
        raise RuntimeError("a mistake")

    return failing
