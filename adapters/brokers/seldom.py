"""Says what strangers can cause at will, once in a while and with how often it happened."""

import time
from collections.abc import Callable
from typing import Any

SECONDS = 60.0


class Seldom:
    """One line of a log, at most once in so many seconds; `count` is how often it was to be said since the last time."""

    def __init__(
        self, say: Callable[..., Any], event: str, seconds: float = SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._say = say
        self._event = event
        self._seconds = seconds
        self._clock = clock
        self._next = float("-inf")
        self._count = 0

    def __call__(self, **fields: str) -> None:
        """Say it now, or count it for the next time."""
        self._count += 1
        now = self._clock()
        if now < self._next:
            return
        self._say(self._event, count=self._count, **fields)
        self._next = now + self._seconds
        self._count = 0
