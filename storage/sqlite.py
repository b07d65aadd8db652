"""The registry in an SQLite file: one writer and readers beside it, each serving whole groups of requests."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar, cast

import msgspec

from core.ports import Changes
from core.queries import Query
from storage import copying_mark, database_file, migration, reading, refusals, writing
from storage.bounds import GROUP, PRUNED_AT_ONCE, QUEUE
from storage.grouping import Group
from storage.hop import Hop

S = TypeVar("S")

# FULL: a commit is on the disk when it returns (https://www.sqlite.org/pragma.html#pragma_synchronous).
_WRITER = """
    PRAGMA synchronous = FULL;
    PRAGMA foreign_keys = ON;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -32768;
    PRAGMA wal_autocheckpoint = 4000;
"""
_READER = "PRAGMA query_only = ON; PRAGMA cache_size = -16384;"


class SqliteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a database file is used.

    `queue` and `group` bound what waits and what is served at once, `max_pages` the file (pages of 4 KiB; None: the disk),
    `busy_seconds` the wait for another program that holds the file, such as a backup.
    """

    queue: int = QUEUE
    group: int = GROUP
    max_pages: int | None = None
    busy_seconds: float = 2.0


class SqliteRepository:
    """A `core.ports.Repository` on three connections to one file.

    What devices ask has a reader of its own, so that an operator's long page does not keep them waiting.
    """

    def __init__(self, writer: Hop, device_reader: Hop, operator_reader: Hop, settings: SqliteSettings) -> None:
        self._writer = writer
        self._device_reader = device_reader
        self._operator_reader = operator_reader
        self._closed = False
        self._commits = Group(self._write, size=settings.group, queue=settings.queue)
        self._checks = Group(self._prove, size=settings.group, queue=settings.queue)
        self._together = Group(self._answer_together, size=settings.group, queue=settings.queue)
        self._each = Group(self._answer_each, size=1, queue=settings.queue)

    async def read(self, query: Query[S]) -> S:
        """Answer a query from committed state. Raises `Refusal` UNAVAILABLE."""
        readers = self._together if type(query) in reading.TOGETHER else self._each
        return cast("S", await readers.ask(query))

    async def commit(self, changes: Changes) -> None:
        """Write all of the changes or none, durable when this returns. Raises `Conflict` and `Refusal` UNAVAILABLE."""
        await self._commits.ask(changes)

    async def prune_events(self, keep: int) -> int:
        """Forget the oldest events beyond the newest `keep`, and expired certificates; returns how many events went.

        Raises `Refusal` UNAVAILABLE.
        """
        if self._closed:
            raise refusals.closed()
        try:
            return await self._writer.run(lambda connection: writing.prune(connection, keep, PRUNED_AT_ONCE))
        except sqlite3.Error as error:
            raise refusals.failed(error) from error

    async def check(self) -> None:
        """Write to the file and wait until the disk has it. Raises `Refusal` UNAVAILABLE where that does not work."""
        await self._checks.ask(None)

    async def close(self) -> None:
        """Serve what was asked before and refuse the rest. The connections are left open."""
        self._closed = True
        await asyncio.gather(*(group.close() for group in (self._together, self._each, self._checks, self._commits)))

    async def _write(self, group: list[Changes]) -> Sequence[Exception | None]:
        return await self._writer.run(lambda connection: writing.write(connection, group))

    async def _prove(self, group: list[None]) -> Sequence[Exception | None]:
        try:
            await self._writer.run(writing.prove)
        except sqlite3.Error as error:
            return [refusals.failed(error) for _ in group]
        return group

    async def _answer_together(self, group: list[Query[Any]]) -> Sequence[Any]:
        return await self._device_reader.run(lambda connection: reading.answer_together(connection, group))

    async def _answer_each(self, group: list[Query[Any]]) -> Sequence[Any]:
        return await self._operator_reader.run(lambda connection: reading.answer_each(connection, group))


@asynccontextmanager
async def open_sqlite(path: Path, settings: SqliteSettings | None = None) -> AsyncIterator[SqliteRepository]:
    """Open the registry in a file, which is made where it is missing.

    On the way out what was asked is served and the file left in one piece, its log written back. Raises `Refusal` UNAVAILABLE
    where the file cannot be used: in use, not ours, of a newer version, out of reach.
    """
    chosen = settings if settings is not None else SqliteSettings()
    async with AsyncExitStack() as stack:
        try:
            repository = await _assemble(path, chosen, stack)
        except (OSError, sqlite3.Error) as error:
            raise refusals.unopened(str(path), error) from error
        stack.push_async_callback(repository.close)
        yield repository


async def _assemble(path: Path, settings: SqliteSettings, stack: AsyncExitStack) -> SqliteRepository:
    real = database_file.prepare(path)
    stack.enter_context(database_file.FileLock(real))
    writer = await _connect(real, settings, stack)
    await writer.run(lambda connection: _set_up(connection, settings))
    device_reader = await _connect(real, settings, stack)
    operator_reader = await _connect(real, settings, stack)
    for reader in (device_reader, operator_reader):
        await reader.run(lambda connection: connection.executescript(_READER))
    return SqliteRepository(writer, device_reader, operator_reader, settings)


async def _connect(path: Path, settings: SqliteSettings, stack: AsyncExitStack) -> Hop:
    hop = await Hop.open(path, settings.busy_seconds)
    stack.push_async_callback(hop.close)
    return hop


def _set_up(connection: sqlite3.Connection, settings: SqliteSettings) -> None:
    steps = migration.steps()
    migration.require_ours(connection, len(steps))
    if copying_mark.unfinished(connection):
        raise copying_mark.refusal()
    migration.use_log(connection)
    connection.executescript(_WRITER)
    if settings.max_pages is not None:
        connection.execute(f"PRAGMA max_page_count = {settings.max_pages:d}")
    migration.migrate(connection, steps)
    writing.transact(connection, lambda: migration.found(connection))
