"""What replicas tell each other over the database: notices, of which none is lost, and gossip, of which any may be."""

from collections.abc import Callable

import pytest

from core.model import DeviceId
from core.notices import EVENTS, EVERYTHING, read, session_key, write
from storage.postgres import gossip as gossiping
from storage.postgres import notices
from storage.postgres.connections import Connection
from tests.postgres_server import PostgresServer
from tests.replicas.gateways import DEADLINE, until
from tests.replicas.parts import commit, commons, cut, hand, heard, pair

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


async def test_what_one_commits_the_others_are_told_and_it_is_not(emptied: str) -> None:
    async with pair(emptied) as (one, other), hand(emptied) as connection:
        mine, theirs = heard(one), heard(other)
        await commit(connection, one, frozenset({D1, EVENTS}))
        one.told()
        await until(lambda: theirs)
        await commit(connection, other, frozenset({D2}))
        other.told()
        await until(lambda: mine)
        assert (mine, theirs) == ([frozenset({D2})], [frozenset({D1, EVENTS})])


async def test_without_a_notification_it_is_found_by_looking(emptied: str) -> None:
    async with pair(emptied) as (one, other), hand(emptied) as connection:
        theirs = heard(other)
        await commit(connection, one, frozenset({D1}))
        await until(lambda: theirs)
        assert theirs == [frozenset({D1})]
        assert other.replicas.figures()["replicas.notices_polled"] == 1


async def test_a_transaction_that_ends_late_is_told_all_the_same_and_others_once(emptied: str) -> None:
    async with pair(emptied) as (one, other), hand(emptied) as slow, hand(emptied) as quick:
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


async def test_a_lost_connection_loses_no_notice(emptied: str, postgres: PostgresServer) -> None:
    async with pair(emptied) as (one, other), hand(emptied) as connection:
        theirs = heard(other)
        await cut(connection)
        await commit(connection, one, frozenset({D1}))
        await until(lambda: theirs)
        assert theirs == [frozenset({D1})]
        await until(lambda: other.replicas.figures()["replicas.up"])
        assert other.replicas.figures()["replicas.everything_changed"] == 0


async def test_more_than_can_be_read_at_once_counts_as_everything_and_once_more_later(
    emptied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "AGAIN_SECONDS", 0.1)
    async with hand(emptied) as connection, commons(emptied) as one:
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


async def test_rows_that_were_left_out_are_not_met_again_while_a_transaction_takes_long(
    emptied: str, postgres: PostgresServer
) -> None:
    async with hand(emptied) as connection, commons(emptied) as one, hand(postgres.url("postgres")) as elsewhere:
        async with elsewhere.transaction():
            await elsewhere.execute("SELECT pg_current_xact_id()")
            mine, told = await reader(connection)
            for number in range(5):
                await commit(connection, one, frozenset({f"name {number}"}))
            assert [await mine.read(connection, now) for now in (1.0, 2.0, 3.0, 4.0)] == [3, 0, 0, 0]
            await commit(connection, one, frozenset({D1}))
            assert [await mine.read(connection, now) for now in (5.0, 6.0)] == [1, 0]
        await commit(connection, one, frozenset({D2}))
        assert await mine.read(connection, 7.0) == 1
        assert told == [frozenset({EVERYTHING}), frozenset({D1}), frozenset({D2})]


async def test_whatever_is_left_out_again_puts_off_nothing_and_is_told_later_too(emptied: str) -> None:
    async with hand(emptied) as connection, commons(emptied) as one:
        mine, told = await reader(connection)
        for now in (0.0, notices.AGAIN_SECONDS - 10.0):
            for number in range(5):
                await commit(connection, one, frozenset({f"name {number}"}))
            await mine.read(connection, now)
        tellings = []
        for now in (1.0, 11.0, 19.0, 21.0, 100.0):
            await mine.read(connection, notices.AGAIN_SECONDS + now)
            tellings.append(len(told) - 2)
        assert tellings == [1, 1, 1, 2, 2]
        assert mine.everything == 4


async def test_another_server_is_read_from_its_own_beginning(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with hand(emptied) as connection, commons(emptied) as one:
        mine, told = await reader(connection)
        monkeypatch.setattr(mine, "_floor", 10**15)  # of one that had counted further
        monkeypatch.setattr(mine, "_server", ("then", "there"))
        await mine.begin(connection, 1.0)
        for name in (D1, D2):
            await commit(connection, one, frozenset({name}))
            assert await mine.read(connection, 2.0) == 1
        assert told == [frozenset({EVERYTHING}), frozenset({D1}), frozenset({D2})]


async def reader(connection: Connection) -> tuple[notices.Notices, list[frozenset[str]]]:
    """Return one that reads three rows at once, and what it tells."""
    mine = notices.Notices("reader", lambda: None, most=3)
    told: list[frozenset[str]] = []
    mine.listen(told.append)
    await mine.begin(connection, 0.0)
    return mine, told


async def test_after_an_absence_longer_than_rows_are_kept_everything_counts_as_changed(emptied: str) -> None:
    async with hand(emptied) as connection:
        mine = notices.Notices("reader", lambda: None)
        told: list[frozenset[str]] = []
        mine.listen(told.append)
        await mine.begin(connection, 0.0)
        await mine.begin(connection, notices.KEPT_SECONDS / 2)
        assert not told
        await mine.begin(connection, 2 * notices.KEPT_SECONDS)
        assert told == [frozenset({EVERYTHING})]


async def test_old_rows_are_pruned_and_new_ones_stay(emptied: str) -> None:
    async with hand(emptied) as connection, commons(emptied) as one:
        await commit(connection, one, frozenset({D1}))
        await connection.execute("INSERT INTO notice (at, origin, names) VALUES (now() - interval '11 minutes', 'x', '.old')")
        await notices.Notices("reader", lambda: None).prune(connection)
        assert [row["names"] for row in await connection.fetch("SELECT names FROM notice")] == [".d1"]


async def test_a_mistake_does_not_end_what_is_heard_of_the_others(emptied: str) -> None:
    async with pair(emptied) as (one, other), hand(emptied) as connection:
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


async def test_messages_of_any_size_reach_the_others_whole_and_nobody_else(emptied: str) -> None:
    async with pair(emptied) as (one, other):
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
