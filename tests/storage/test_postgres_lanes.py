"""Lanes: what becomes of their connection, whatever becomes of the work."""

import asyncio

import pytest

from core.errors import Refusal
from storage.postgres import texts
from storage.postgres.connections import Connection, connect
from storage.postgres.lanes import Lane

DEADLINE = 60


async def number(connection: Connection) -> int:
    found: int = await connection.fetchval("SELECT 1")
    return found


async def work_again(lane: Lane) -> None:
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                assert await lane.run(number) == 1
            except Refusal:
                await asyncio.sleep(0.01)
            else:
                return


async def test_a_lane_that_was_never_opened_opens_by_itself(postgres_url: str) -> None:
    lane = Lane("lane", lambda: connect(postgres_url, name="lane"))
    with pytest.raises(Refusal, match="cannot be used now"):
        await lane.run(number)
    await work_again(lane)
    await lane.close()
    await lane.close()
    with pytest.raises(Refusal):
        await lane.run(number)


async def test_work_that_is_cancelled_takes_its_connection_along(postgres_url: str) -> None:
    lane = Lane("lane", lambda: connect(postgres_url, name="lane"))
    await lane.open()

    async def slow(connection: Connection) -> None:
        await connection.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(lane.run(slow))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await work_again(lane)
    await lane.close()


async def test_a_lane_tries_until_it_is_closed(postgres_url: str) -> None:
    tries = 0

    async def away() -> Connection:
        nonlocal tries
        tries += 1
        if tries > 1:
            raise ConnectionRefusedError
        return await connect(postgres_url, name="lane")

    lane = Lane("lane", away)
    await lane.open()
    kept: list[Connection] = []

    async def end(connection: Connection) -> None:
        kept.append(connection)
        await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(Exception, match="terminating"):
        await lane.run(end)
    async with asyncio.timeout(DEADLINE):
        while tries < 4:
            with pytest.raises(Refusal):
                await lane.run(number)
            await asyncio.sleep(0.01)
    lane.lose(kept[0], ConnectionError("an old one"))
    await lane.close()


async def test_an_error_of_the_work_leaves_the_connection_as_it_is(postgres_url: str) -> None:
    opened = 0

    async def once() -> Connection:
        nonlocal opened
        opened += 1
        return await connect(postgres_url, name="lane")

    lane = Lane("lane", once)
    await lane.open()

    async def fail(connection: Connection) -> None:
        raise KeyError

    with pytest.raises(KeyError):
        await lane.run(fail)
    assert await lane.run(number) == 1
    assert opened == 1
    await lane.close()


async def test_any_text_comes_back_as_it_went(postgres_url: str) -> None:
    connection = await connect(postgres_url, name="texts")
    wild = ["", "a", "\x00", "\x01", "\x02", "\x00\x01", "\x01\x00", "\x01\x01", "\x01\x02", "a\x00\x01\x02z", "ß本\U0001f600"]
    for text in wild:
        assert texts.unescaped(texts.escaped(text)) == text
        assert await connection.fetchval("SELECT $1::text", text) == text
    rows = await connection.fetch("SELECT * FROM unnest($1::text[]) AS given (text)", [*wild, None])
    assert [row[0] for row in rows] == [*wild, None]
    rows = await connection.fetch('SELECT given.text FROM unnest($1::text[]) AS given (text) ORDER BY text COLLATE "C"', wild)
    assert [row[0] for row in rows] == sorted(wild)
    assert await connection.fetchval("SELECT $1::bigint[]", [1, 2]) == [1, 2]
    await connection.close()
