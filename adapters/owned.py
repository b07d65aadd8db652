"""Work that outlives whoever asked for it: a sender that hangs up must not stop a request half-way."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class OwnedWork:
    """Runs coroutines in tasks of its own; the one who waits may be cancelled, or told after `seconds` that it takes too long.

    One timer serves all of them: as each is given the same time, the one that started first is due first.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._running: set[asyncio.Task[Any]] = set()
        self._waiting: dict[asyncio.Task[Any], tuple[float, asyncio.Future[Any]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.draining = False

    def __len__(self) -> int:
        return len(self._running)

    async def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the work's result. Raises what it raises, and `TimeoutError` while the work goes on."""
        loop = asyncio.get_running_loop()
        task = loop.create_task(work)
        answer: asyncio.Future[T] = loop.create_future()
        self._running.add(task)
        self._waiting[task] = (loop.time() + self._seconds, answer)
        task.add_done_callback(self._finished)
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._give_up)
        return await answer

    async def drain(self, seconds: float) -> int:
        """Set `draining`, and wait until everything has finished, so many seconds at most; returns how much has not."""
        self.draining = True
        if self._running:
            await asyncio.wait(self._running, timeout=seconds)
        return len(self._running)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        _, answer = self._waiting.pop(task, (0.0, None))
        error = None if task.cancelled() else task.exception()
        if answer is None or answer.done():
            return  # nobody waits any more
        if task.cancelled():
            answer.cancel()
        elif error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(task.result())

    def _give_up(self) -> None:
        """Tell those who have waited long enough, and come back for the next one."""
        loop = asyncio.get_running_loop()
        self._timer = None
        while self._waiting:
            task, (due, answer) = next(iter(self._waiting.items()))
            if due > loop.time():
                self._timer = loop.call_at(due, self._give_up)
                return
            del self._waiting[task]
            if not answer.done():
                answer.set_exception(TimeoutError())
