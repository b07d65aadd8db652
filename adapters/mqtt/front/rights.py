"""What one client may do at the broker, asked again whenever that may have changed."""

import asyncio
from collections.abc import Callable

from adapters.exchange import Exchange
from adapters.mqtt.front.crossing import Crossing
from core.errors import Refusal
from core.messages import Identity

_RETRY_SECONDS = 5.0


class Rights:
    """Keeps the grants of a crossing true."""

    __slots__ = ("_crossing", "_exchange", "_identity", "_over", "_parts", "_stale", "_task", "_unwatch")

    def __init__(self, identity: Identity, exchange: Exchange, crossing: Crossing) -> None:
        self._identity = identity
        self._exchange = exchange
        self._crossing = crossing
        self._parts = ""
        self._unwatch: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._stale = False
        self._over = False

    async def ask(self) -> None:
        """Ask, having made sure to be told of changes from before that on. Raises `Refusal` UNAVAILABLE."""
        if not self._parts:
            self._watch(self._identity.device)
        grants = await self._exchange.permit(self._identity)
        parts = "\n".join(grants.parts)
        if parts and parts != self._parts and not self._over:
            self._watch(parts)
            grants = await self._exchange.permit(self._identity)  # something may have changed in between
        self._crossing.permit(grants)

    def forget(self) -> None:
        """Be told nothing more."""
        self._over = True
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
        if self._task is None and not self._over:
            self._task = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        """Ask again; while there is no answer, what was true before is."""
        try:
            while self._stale and not self._over:
                self._stale = False
                await self.ask()
        except Refusal:
            asyncio.get_running_loop().call_later(_RETRY_SECONDS, self._changed)
        finally:
            self._task = None
