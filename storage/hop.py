"""A database connection whose thread carries out whole pieces of work, so that each costs one change of thread."""

import functools
import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, cast

import aiosqlite

R = TypeVar("R")

_STATEMENTS = 400
"""Prepared statements kept by each connection: every `Grouped` text, and what pages come in."""


class _Errand(Generic[R]):
    def __init__(self, work: Callable[[sqlite3.Connection], R]) -> None:
        self._work = work
        self.result: R | None = None

    def run(self, connection: sqlite3.Connection) -> None:
        self.result = self._work(connection)


class _ErrandConnection(sqlite3.Connection):
    """A connection that runs the next errand where aiosqlite, on the connection's thread, calls `commit`.

    aiosqlite has a method for each of sqlite3's and a change of thread for each call; it has none for a function of one's own.
    `factory` is sqlite3's documented way to put one in. The connection is in autocommit mode, so `commit` has no other work.
    """

    def __init__(self, errands: "deque[_Errand[Any]]", *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._errands = errands

    def commit(self) -> None:
        """Run the errand that has waited longest."""
        self._errands.popleft().run(self)


class Hop:
    """One connection. Pieces of work are carried out one after the other, in the order of the calls."""

    def __init__(self, connection: aiosqlite.Connection, errands: "deque[_Errand[Any]]") -> None:
        self._connection = connection
        self._errands = errands

    @classmethod
    async def open(cls, path: Path, busy_seconds: float) -> Self:
        """Connect to the database file."""
        errands: deque[_Errand[Any]] = deque()
        factory = functools.partial(_ErrandConnection, errands)
        connection = await aiosqlite.connect(
            path, factory=factory, isolation_level=None, timeout=busy_seconds, cached_statements=_STATEMENTS
        )
        return cls(connection, errands)

    async def run(self, work: Callable[[sqlite3.Connection], R]) -> R:
        """Carry out work on the connection's thread and return its result; raises what it raises."""
        errand = _Errand(work)
        self._errands.append(errand)
        await self._connection.commit()
        return cast("R", errand.result)

    async def close(self) -> None:
        """Carry out what was asked before, then close the connection and end its thread."""
        await self._connection.close()
