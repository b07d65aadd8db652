"""What replicas have in common, where connections fail at first, or half: nothing is missed, and nothing ends for ever."""

import asyncio

import asyncpg
import pytest

from core.errors import Refusal
from core.model import DeviceId
from storage.postgres import commons as commoning
from storage.postgres.asking import Asking
from storage.postgres.commons import open_commons
from storage.postgres.connections import Connection, connect
from tests.replicas.gateways import DEADLINE, comes_true, until
from tests.replicas.parts import NAME, commit, commons, hand, heard

D1 = DeviceId("d1")


class Way:
    """Connections to a database, which fail while there is a `fault`."""

    def __init__(self, url: str) -> None:
        self.fault: Exception | None = None
        self.failed = 0
        self.opened: list[Connection] = []
        self._url = url

    async def __call__(self) -> Connection:
        """Open one."""
        if self.fault is not None:
            self.failed += 1
            raise self.fault
        self.opened.append(await connect(self._url, name=NAME))
        return self.opened[-1]


async def test_what_is_committed_before_the_wire_is_there_is_heard_all_the_same(emptied: str) -> None:
    way = Way(emptied)
    async with hand(emptied) as connection, commons(emptied) as other, open_commons(way) as one:
        assert not one.replicas.figures()["replicas.up"]
        way.fault = ConnectionError("not yet")
        told = heard(one)
        await commit(connection, other, frozenset({D1}))
        await until(lambda: way.failed)
        way.fault = None
        await until(lambda: told)
        assert told == [frozenset({D1})]


async def test_a_mistake_does_not_end_the_pruning(
    emptied: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(commoning, "PRUNE_SECONDS", 0.05)
    way = Way(emptied)
    async with hand(emptied) as connection, open_commons(way) as one:
        await until(lambda: one.replicas.figures()["replicas.up"])
        way.fault = RuntimeError("a mistake")
        await until(lambda: way.failed)
        way.fault = None
        await connection.execute("INSERT INTO spent VALUES ('x', now() - interval '2 hours')")

        async def is_empty() -> bool:
            return not await connection.fetchval("SELECT count(*) FROM spent")

        await comes_true(is_empty)
    assert "could not be pruned" in caplog.text


async def test_a_connection_that_fails_before_its_first_question_is_ended_and_nobody_else_waits_for_one(emptied: str) -> None:
    busy: list[asyncio.Future[str]] = []
    way = Way(emptied)

    async def opened() -> Connection:
        connection = await way()
        busy.append(asyncio.ensure_future(connection.execute("SELECT pg_sleep(60)")))
        await asyncio.sleep(0)
        return connection

    asking = Asking(opened)
    for _ in range(3):
        with pytest.raises(Refusal):
            await asking.ask("SELECT 1")
    assert [connection.is_closed() for connection in way.opened] == [True]
    await asyncio.wait(busy, timeout=DEADLINE)
    assert [type(each.exception()) for each in busy] == [asyncpg.ConnectionDoesNotExistError]
