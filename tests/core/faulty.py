"""Repositories that fail, or let somebody else go first, in the ways a store can, around one that works."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from core.errors import Conflict, Reason, Refusal
from core.ports import Changes, Repository
from core.queries import Query
from storage.memory import MemoryRepository

S = TypeVar("S")


class FaultyRepository:
    """A repository whose commits fail as `fault` says; returning None lets one through.

    Unlike the memory store it lets other tasks run at every call, as a store on disk does.
    """

    def __init__(self, fault: Callable[[Changes], Exception | None]) -> None:
        self.inner: Repository = MemoryRepository()
        self.fault = fault
        self.reads = 0

    async def read(self, query: Query[S]) -> S:
        """Answer from the repository inside."""
        self.reads += 1
        await asyncio.sleep(0)
        return await self.inner.read(query)

    async def commit(self, changes: Changes) -> None:
        """Fail or commit."""
        await asyncio.sleep(0)
        error = self.fault(changes)
        if error is not None:
            raise error
        await self.inner.commit(changes)

    async def prune_events(self, keep: int) -> int:
        """Prune the repository inside."""
        return await self.inner.prune_events(keep)

    async def check(self) -> None:
        """Check the repository inside."""
        await self.inner.check()


class RacedRepository(FaultyRepository):
    """Commits a rival's changes just before the first of ours, in the moment between reading and writing."""

    def __init__(self) -> None:
        super().__init__(no_fault)
        self.rival: Changes | None = None

    async def commit(self, changes: Changes) -> None:
        """Let the rival go first, once."""
        rival, self.rival = self.rival, None
        if rival is not None:
            await self.inner.commit(rival)
        await super().commit(changes)


def no_fault(_changes: Changes) -> Exception | None:
    """Let everything through."""
    return None


def unavailable(_changes: Changes) -> Exception | None:
    """Fail as a store does that is down."""
    return Refusal(Reason.UNAVAILABLE, "the registry cannot be used now", check="storage.failed", retry_after=5)


class Conflicting:
    """A fault that turns the first so many commits of entities into conflicts."""

    def __init__(self, conflict: Conflict, times: int) -> None:
        self._conflict = conflict
        self.left = times

    def __call__(self, changes: Changes) -> Exception | None:
        """Return the conflict while there are some left."""
        if not self.left or not (changes.insert or changes.replace or changes.delete):
            return None
        self.left -= 1
        return self._conflict
