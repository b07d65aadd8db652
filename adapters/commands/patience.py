"""Coming again when the gateway is busy, as long work must: 503, 429 and, once it has answered, a lost connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from adapters.commands.client import Busy, Unreachable

T = TypeVar("T")

ATTEMPTS = 8
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 60.0


class Patience:
    """Repeats a request that is safe to repeat. A gateway that never answered is not waited for."""

    def __init__(self) -> None:
        self._answered = False

    async def __call__(self, request: Callable[[], Awaitable[T]]) -> T:
        """Return the request's answer. Raises what it raised at the last attempt."""
        for attempt in range(1, ATTEMPTS):
            try:
                return self._note(await request())
            except Busy as busy:
                await asyncio.sleep(_pause(attempt, busy.retry_after))
            except Unreachable:
                if not self._answered:
                    raise
                await asyncio.sleep(_pause(attempt, None))
        return self._note(await request())

    def _note(self, answer: T) -> T:
        self._answered = True
        return answer


def _pause(attempt: int, asked: float | None) -> float:
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) if asked is None else asked)
