"""The two clocks of a handshake: when its last flight is due again (RFC 6347, section 4.2.4), and when it has failed."""

import asyncio
from collections.abc import Callable


def _nothing() -> None: ...


class Timers:
    """Calls `late` after some seconds, and `due` whenever a flight that waits for an answer is due again; until stopped."""

    __slots__ = ("_deadline", "_due", "_flight")

    def __init__(self, seconds: float, late: Callable[[], None], due: Callable[[], None]) -> None:
        self._deadline = asyncio.get_running_loop().call_later(seconds, late)
        self._due = due
        self._flight: asyncio.TimerHandle | None = None

    def await_answer(self, seconds: float | None) -> None:
        """Wait this long for an answer to the last flight; None: there is nothing to wait for."""
        if self._flight is not None:
            self._flight.cancel()
        self._flight = None if seconds is None else asyncio.get_running_loop().call_later(seconds, self._due)

    def stop(self) -> None:
        """Call nothing any more."""
        self._deadline.cancel()
        self.await_answer(None)
        self._due = _nothing
