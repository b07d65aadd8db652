"""Work that one replica does at a time: who does it, and who when that one is no more."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from storage.postgres import leadership
from storage.postgres.commons import Commons
from tests.replicas.gateways import DEADLINE, until
from tests.replicas.parts import commons, hand, pair


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


async def test_one_leads_and_the_next_when_it_leaves(emptied: str) -> None:
    async with leaders(emptied) as (first, second):
        await asyncio.sleep(0.3)
        assert (first.at_work, second.at_work) == (True, False)
        await first.stop()
        assert not first.at_work
        await until(lambda: second.at_work)


async def test_who_loses_its_connection_stops_before_another_begins(emptied: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leadership, "TERM_SECONDS", 2.0)
    async with leaders(emptied) as (first, second), hand(emptied) as connection:
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


async def test_who_was_replaced_stops(emptied: str) -> None:
    async with leaders(emptied) as (first, _), hand(emptied) as connection:
        await connection.execute("UPDATE office SET holder = 'somebody', until = now() + interval '1 hour'")
        await until(lambda: not first.at_work)


async def test_work_that_fails_is_begun_again(emptied: str) -> None:
    async with commons(emptied) as one:
        begun: list[None] = []

        async def work() -> None:
            begun.append(None)
            raise RuntimeError("a mistake")

        leading = asyncio.ensure_future(one.replicas.leadership.lead("office", work))
        await until(lambda: len(begun) > 1)
        leading.cancel()
        await asyncio.gather(leading, return_exceptions=True)


async def test_who_takes_an_office_waits_for_the_term_of_one_that_was_not_heard_of(emptied: str) -> None:
    async with commons(emptied) as one, hand(emptied) as connection:
        await connection.execute("INSERT INTO office VALUES ('office', 'one that died', now() + interval '1 second')")
        leader = Leader(one)
        await until(lambda: leader.at_work)
        assert await connection.fetchval("SELECT holder FROM office") == one.replicas.id
        await leader.stop()
        assert await connection.fetchval("SELECT count(*) FROM office") == 0
