"""Waiting for something to become true, with a deadline that fails the test instead of letting it hang."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

PATIENCE_SECONDS = 20.0


async def until(happened: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not happened():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


async def until_so(happens: Callable[[], Awaitable[object]]) -> None:
    """Wait until a question is answered with yes."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await happens():  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator["asyncio.Task[None]"]:
    """Run something for ever beside a test, and cancel it at the end; its own failure is the test's."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
