"""Requests that come together are served together: a group forms by itself while the one before it is under way."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from storage import refusals

Q = TypeVar("Q")
A = TypeVar("A")

_CALM_TURNS = 24
_CALM_SECONDS = 50e-6
_PATIENCE_SECONDS = 1e-2


class Group(Generic[Q, A]):
    """Gathers what callers ask and serves it in groups of at most `size`; beyond `queue` waiting ones it refuses.

    `serve` answers a group in order; an answer that is an exception is raised to the one who asked. A caller that is
    cancelled gives up its answer and nothing else.
    """

    def __init__(self, serve: Callable[[list[Q]], Awaitable[Sequence[A | Exception]]], *, size: int, queue: int) -> None:
        self._serve = serve
        self._size = size
        self._queue = queue
        self._waiting: deque[tuple[Q, asyncio.Future[A]]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def ask(self, question: Q) -> A:
        """Return the answer to a question. Raises `Refusal` UNAVAILABLE where too many wait, or after `close`."""
        if self._closed:
            raise refusals.closed()
        if len(self._waiting) >= self._queue:
            raise refusals.queue_full()
        future: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._waiting.append((question, future))
        if self._task is None:
            self._task = asyncio.create_task(self._serve_all())
        return await future

    async def close(self) -> None:
        """Refuse what is asked from now on; return when all that was asked before is answered."""
        self._closed = True
        if self._task is not None:
            await self._task

    async def _serve_all(self) -> None:
        try:
            while self._waiting:
                if self._size > 1:
                    await _calm()
                count = min(self._size, len(self._waiting))
                await self._serve_group([self._waiting.popleft() for _ in range(count)])
        finally:
            self._task = None

    async def _serve_group(self, group: list[tuple[Q, "asyncio.Future[A]"]]) -> None:
        answers: Sequence[A | Exception]
        try:
            answers = await self._serve([question for question, _ in group])
        except Exception as error:
            answers = [error] * len(group)
        for (_, future), answer in zip(group, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)


async def _calm() -> None:
    """Wait until the loop has had nothing else to do for some turns in a row, a few milliseconds at most.

    What arrives together is to be served together, and it takes some turns from a readable socket to here. An idle loop turns
    within microseconds, so a lone request hardly waits. A busy one gains more than it waits: a larger group costs less for
    each of its requests, and the two threads no longer take the interpreter's lock from each other at every statement
    (measured: a quarter of the processor time of a provision).
    """
    turned = time.perf_counter()
    patience = turned + _PATIENCE_SECONDS
    calm = 0
    while calm < _CALM_TURNS and turned < patience:
        await asyncio.sleep(0)
        now = time.perf_counter()
        calm = calm + 1 if now - turned < _CALM_SECONDS else 0
        turned = now
