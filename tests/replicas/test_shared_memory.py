"""What replicas remember together in the database: what was used, what was answered, and for how long."""

import asyncio
import contextlib

import pytest

from core.errors import Refusal
from core.replicas import Shelved
from storage.postgres import commons as commoning
from storage.postgres.asking import Asking
from storage.postgres.connections import Connection, connect
from tests.postgres_server import PostgresServer
from tests.replicas.gateways import DEADLINE, comes_true, until
from tests.replicas.parts import NAME, commons, cut, hand, pair


async def test_what_one_spent_no_other_can_spend(emptied: str) -> None:
    async with pair(emptied) as (one, other):
        first, second = one.replicas.single_use, other.replicas.single_use
        assert first.epoch == second.epoch != b""
        assert abs(first.now() - second.now()) < DEADLINE
        spending = [each.spend(b"challenge", first.now() + 60) for each in (first, second) * 5]
        assert sorted(await asyncio.gather(*spending)) == [False] * 9 + [True]


async def test_a_database_that_forgot_what_was_spent_is_another_epoch(emptied: str) -> None:
    async with pair(emptied) as (one, other), hand(emptied) as connection:
        before = one.replicas.single_use.epoch
        await connection.execute("TRUNCATE spent, epoch")  # as a crash does
        assert not await one.replicas.single_use.spend(b"challenge", 1e10)
        assert not await other.replicas.single_use.spend(b"challenge", 1e10)
        assert one.replicas.single_use.epoch == other.replicas.single_use.epoch != before
        assert await other.replicas.single_use.spend(b"challenge", 1e10)


async def test_what_was_spent_is_kept_longer_than_it_was_good(emptied: str) -> None:
    async with commons(emptied) as one, hand(emptied) as connection:
        single_use = one.replicas.single_use
        for identity, age in ((b"new", -60), (b"over", 60), (b"old", 7_200)):
            assert await single_use.spend(identity, single_use.now() - age)
        await single_use.prune(connection)  # type: ignore[attr-defined] # the port does not say how it forgets
        left = {row[0] for row in await connection.fetch("SELECT identity FROM spent")}
        assert left == {b"new", b"over"}


async def test_a_place_is_taken_once_and_its_answer_given_to_all(emptied: str) -> None:
    mine = Shelved(name=b"n", print=b"p")
    async with pair(emptied) as (one, other):
        shelves = (one.replicas.answers, other.replicas.answers)
        assert not await shelves[1].knows(b"n")
        taken = await asyncio.gather(*(shelf.begin(b"s", mine, 60.0) for shelf in shelves * 4))
        assert taken.count(None) == 1
        assert {each for each in taken if each} == {mine}
        assert await shelves[1].knows(b"n")
        first = taken.index(None)
        await shelves[first % 2].keep(b"s", b"answer", 60.0)
        for shelf in shelves:
            await shelf.drop(b"s")  # too late: there is an answer
        assert await shelves[1].begin(b"s", mine, 60.0) == Shelved(name=b"n", print=b"p", answer=b"answer")


async def test_a_place_whose_time_is_over_is_anybodys(emptied: str) -> None:
    async with pair(emptied) as (one, other), hand(emptied) as connection:
        mine, theirs = Shelved(name=b"n", print=b"p"), Shelved(name=b"m", print=b"q")
        assert await one.replicas.answers.begin(b"s", mine, 0.0) is None
        assert not await one.replicas.answers.knows(b"n")
        assert await other.replicas.answers.begin(b"s", theirs, 60.0) is None
        await other.replicas.answers.drop(b"s")
        assert await one.replicas.answers.begin(b"s", mine, 0.0) is None
        await one.replicas.answers.prune(connection)  # type: ignore[attr-defined] # the port does not say how it forgets
        assert await connection.fetchval("SELECT count(*) FROM kept_answer") == 0


async def test_while_the_database_is_away_every_question_is_refused(postgres: PostgresServer, empty_registry: str) -> None:
    name = postgres.make_database(empty_registry)
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

        async def is_there() -> bool:
            with contextlib.suppress(Refusal):
                return not await one.replicas.answers.knows(b"n")
            return False

        await comes_true(is_there)
        await until(lambda: one.replicas.figures()["replicas.up"])


async def test_what_is_over_is_pruned_whatever_fails(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commoning, "PRUNE_SECONDS", 0.05)
    async with hand(emptied) as connection:
        await connection.execute("INSERT INTO spent VALUES ('x', now() - interval '2 hours')")
        await connection.execute("INSERT INTO kept_answer VALUES ('s', 'n', 'p', NULL, now() - interval '1 second')")
        await connection.execute("INSERT INTO notice (at, origin, names) VALUES (now() - interval '11 minutes', 'x', '.old')")
        await connection.execute("ALTER TABLE kept_answer RENAME TO elsewhere")
        async with commons(emptied):
            await asyncio.sleep(0.2)
            await connection.execute("ALTER TABLE elsewhere RENAME TO kept_answer")
            counting = (
                "SELECT (SELECT count(*) FROM spent) + (SELECT count(*) FROM kept_answer) + (SELECT count(*) FROM notice)"
            )

            async def is_empty() -> bool:
                return not await connection.fetchval(counting)

            await comes_true(is_empty)


async def test_no_more_wait_for_the_database_than_may(emptied: str) -> None:
    async def opened() -> Connection:
        return await connect(emptied, name=NAME)

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


async def test_nobody_waits_for_a_database_that_others_waited_for_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[None] = []

    async def silent() -> Connection:
        tries.append(None)
        await asyncio.sleep(0.05)
        raise TimeoutError

    asking = Asking(silent, at_once=2)
    for _ in range(2):
        results = await asyncio.gather(*(asking.ask("SELECT 1") for _ in range(20)), return_exceptions=True)
        assert {type(each) for each in results} == {Refusal}
        assert len(tries) == 2
    monkeypatch.setattr(asking, "_away_until", 0.0)
    with pytest.raises(Refusal):
        await asking.ask("SELECT 1")
    assert len(tries) == 3
