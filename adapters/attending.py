"""Whether what connections proved at their login is true still: asked again when their device changes."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from adapters.exchange import Peer, who
from adapters.watching import Watches
from core.errors import Refusal
from core.messages import Identity, Standing
from core.notices import session_key

log = structlog.get_logger("firstlight")

Holds = Callable[[Identity], Awaitable[Standing]]

# What changed between a login and its watch was told to nobody, so it is asked about once more, when the connection has lasted.
FIRST_LOOK_SECONDS = 1.0
RETRY_SECONDS = 5.0
FAR_SECONDS = 86_400.0
_AFTER_SECONDS = 0.01  # a millisecond counts as whole


class Attendance:
    """One connection's proof. `ended` is called once, when it holds no longer, unless `leave` was called before."""

    __slots__ = ("_again", "_ended", "_holds", "_identity", "_over", "_peer", "_stop", "_task", "_timer")

    def __init__(self, identity: Identity, peer: Peer, holds: Holds, ended: Callable[[], None], watches: Watches) -> None:
        self._identity = identity
        self._peer = peer
        self._holds = holds
        self._ended = ended
        self._again = False
        self._over = False
        self._task: asyncio.Task[None] | None = None
        self._stop = watches.watch(session_key(identity.device), self._changed)
        self._timer: asyncio.TimerHandle | None = None
        self._look_in(FIRST_LOOK_SECONDS)
        if identity.until is not None and _seconds_to(identity.until) < FIRST_LOOK_SECONDS:
            self._look_at(identity.until)  # the look there is as good as the first

    def leave(self) -> None:
        """Attend to it no longer."""
        self._over = True
        self._stop()
        self._set(None)

    def _set(self, timer: asyncio.TimerHandle | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    def _look_in(self, seconds: float) -> None:
        if not self._over:
            self._set(asyncio.get_running_loop().call_later(seconds, self._due))

    def _look_at(self, until: int) -> None:
        """Look again when the time of a credential is over; a timer that is too far off looks once on its way."""
        self._look_in(min(_seconds_to(until) + _AFTER_SECONDS, FAR_SECONDS))

    def _due(self) -> None:
        self._timer = None
        self._changed()

    def _changed(self) -> None:
        self._again = True
        if self._task is None and not self._over:
            self._task = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        """Ask, and ask once more where something changed meanwhile. Where there is no answer now, it is asked later."""
        try:
            while self._again and not self._over:
                self._again = False
                standing = await self._holds(self._identity)
                if not standing.holds:
                    self._end()
                elif standing.until is not None:
                    self._look_at(standing.until)
        except Exception as error:
            if not isinstance(error, Refusal):
                log.exception("session could not be checked", **who(self._identity))
            self._look_in(RETRY_SECONDS)
        finally:
            self._task = None

    def _end(self) -> None:
        if self._over:
            return
        self.leave()
        log.info("session ended, its login holds no longer", **who(self._identity), source=self._peer.address)
        self._ended()


def _seconds_to(moment: int) -> float:
    return max(moment / 1000 - time.time(), 0.0)
