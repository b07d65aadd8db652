"""What one client may do at the broker, asked again whenever that may have changed."""

import asyncio
from collections.abc import Callable

import structlog

from adapters.exchange import Exchange, who
from adapters.mqtt.front.crossing import Crossing
from core.errors import Refusal
from core.messages import Identity

log = structlog.get_logger("firstlight")

_RETRY_SECONDS = 5.0


class Rights:
    """Keeps the grants of a crossing true, and calls `permitted` whenever these are new.

    They are asked about by one at a time, so that no older answer comes last.
    """

    __slots__ = (
        "_asking",
        "_crossing",
        "_exchange",
        "_identity",
        "_over",
        "_parts",
        "_permitted",
        "_stale",
        "_task",
        "_told",
        "_unwatch",
    )

    def __init__(self, identity: Identity, exchange: Exchange, crossing: Crossing, permitted: Callable[[], None]) -> None:
        self._identity = identity
        self._exchange = exchange
        self._crossing = crossing
        self._permitted = permitted
        self._parts = ""
        self._unwatch: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._asking = False
        self._stale = False
        self._over = False
        self._told = False  # of a fault, since the last answer

    async def ask(self) -> None:
        """Ask, and once more where something changed meanwhile. Raises `Refusal` UNAVAILABLE.

        What the answer was read from is watched before it counts.
        """
        self._asking = True
        try:
            if not self._parts:
                self._watch(self._identity.device)
            self._stale = True
            while self._stale and not self._over:
                self._stale = False
                grants = await self._exchange.permit(self._identity)
                self._crossing.permit(grants)
                self._permitted()
                parts = "\n".join(grants.parts)
                if parts and parts != self._parts and not self._over:
                    self._watch(parts)
                    self._stale = True  # something may have changed in between
        finally:
            self._asking = False

    def forget(self) -> None:
        """Be told nothing more."""
        self._over = True
        self._permitted = _nothing  # whoever it was knows this: nobody else can, so nothing is left to collect
        if self._unwatch is not None:
            self._unwatch()
        if self._task is not None:
            self._task.cancel()

    def _watch(self, parts: str) -> None:
        if self._unwatch is not None:
            self._unwatch()
        self._parts = parts
        self._unwatch = self._exchange.watch(parts, self._changed)

    def _changed(self) -> None:
        self._stale = True
        if not self._asking and self._task is None and not self._over:
            self._task = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        """Ask again; while there is no answer, what was true before is."""
        try:
            await self.ask()
            self._told = False
        except Exception as error:
            if not self._told:
                self._told = True
                self._tell(error)
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._changed)
        finally:
            self._task = None

    def _tell(self, error: Exception) -> None:
        text = "what a client may do could not be looked up, until that works it keeps what it had"
        if isinstance(error, Refusal):
            log.warning(text, **who(self._identity), detail=error.detail)
        else:
            log.error(text, **who(self._identity), exc_info=error)


def _nothing() -> None:
    """Tell nobody."""
