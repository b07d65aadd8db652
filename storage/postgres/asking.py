"""Short questions beside the registry's own: a statement each, over a few connections that are opened when they are needed."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import asyncpg

from storage import refusals
from storage.postgres.connections import AWAY, Connection
from storage.postgres.wire import Connect

AT_ONCE = 4
QUEUE = 2_000
AWAY_SECONDS = 1.0
"""For so long everybody is refused after a connection could not be had: nobody waits for what others waited for in vain."""


class Asking:
    """Each statement is a transaction of its own. At most `at_once` are asked side by side, and `queue` wait."""

    def __init__(self, connect: Connect, at_once: int = AT_ONCE, queue: int = QUEUE) -> None:
        self._connect = connect
        self._room = asyncio.Semaphore(at_once)
        self._queue = queue
        self._waiting = 0
        self._idle: list[Connection] = []
        self._is_closed = False
        self._away_until = float("-inf")

    async def ask(self, statement: str, *parameters: Any) -> list[asyncpg.Record]:
        """Return the rows of a statement. Raises `Refusal` UNAVAILABLE; then it is not known whether anything was done."""
        try:
            self._require_there()
            async with self._turn(), self._connection() as connection:
                return await connection.fetch(statement, *parameters)
        except AWAY as error:
            raise refusals.failed(error) from error

    async def close(self) -> None:
        """Close what is open, and what is in use as soon as it is not."""
        self._is_closed = True
        while self._idle:
            self._idle.pop().terminate()

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= self._queue:
            raise refusals.queue_full()
        self._waiting += 1
        try:
            async with self._room:
                yield
        finally:
            self._waiting -= 1

    @contextlib.asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        """Lend a connection; one on which something failed, or was given up, is used no more."""
        connection = await self._open()
        try:
            yield connection
        except BaseException:
            connection.terminate()
            raise
        if self._is_closed:
            connection.terminate()
        else:
            self._idle.append(connection)

    async def _open(self) -> Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        self._require_there()
        try:
            return await self._opened()
        except AWAY:
            self._away_until = time.monotonic() + AWAY_SECONDS
            raise

    async def _opened(self) -> Connection:
        connection = await self._connect()
        try:
            await connection.execute("SET synchronous_commit = off")  # nothing that is asked here has to outlive a crash
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _require_there(self) -> None:
        if time.monotonic() < self._away_until:
            raise ConnectionError("the database could not be reached a moment ago")
