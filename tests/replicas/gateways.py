"""Several whole gateways over one PostgreSQL, each with its own connections, in this process."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from adapters.app import Running
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator

DEADLINE = 20.0


async def until(holds: Callable[[], object], seconds: float = DEADLINE) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(seconds):
        while True:
            if holds():
                return
            await asyncio.sleep(0.01)


async def comes_true(holds: Callable[[], Awaitable[object]], seconds: float = DEADLINE) -> None:
    """Wait until something that has to be asked for holds."""
    async with asyncio.timeout(seconds):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)


class Replica:
    """One gateway and its administrator."""

    def __init__(self, running: Running, operator: Operator) -> None:
        self.running = running
        self.operator = operator

    @property
    def seen(self) -> int:
        """How many others it knows of."""
        assert self.running.company is not None
        return len(self.running.company.peers)

    def figure(self, name: str) -> float:
        """Return a figure of how it reaches the others."""
        assert self.running.company is not None
        return self.running.company.replicas.figures()[name]


@contextlib.asynccontextmanager
async def replica(url: str, folder: Path, **settings: str | None) -> AsyncIterator[Replica]:
    """Run a gateway over a database."""
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    async with (
        opened(folder, DATABASE=url, **settings) as running,
        Operator(running.listening.http[0], ADMIN_TOKEN) as operator,
    ):
        yield Replica(running, operator)


@contextlib.asynccontextmanager
async def replicas(url: str, folder: Path, **settings: str | None) -> AsyncIterator[list[Replica]]:
    """Run two that know of each other."""
    async with contextlib.AsyncExitStack() as stack:
        made = [await stack.enter_async_context(replica(url, folder / str(n), **settings)) for n in range(2)]
        await until(lambda: all(each.seen == 1 for each in made))
        yield made
