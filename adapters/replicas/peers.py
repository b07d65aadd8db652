"""Which other replicas run at this moment: each says every few seconds that it does."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Final

from core.replicas import Gossip

TOPIC: Final = "here"
SECONDS: Final = 2.0
FORGOTTEN_SECONDS: Final = 7.0
_MOST: Final = 1_000
_LEAVING: Final = b"-"


class Peers:
    """The others, as far as they were heard of lately. `me` tells this replica from them."""

    def __init__(self, gossip: Gossip, me: str) -> None:
        self._gossip = gossip
        self._me = me.encode()
        self._heard_at: dict[bytes, float] = {}
        self._greeters: list[Callable[[], None]] = []
        gossip.hear(TOPIC, self._heard)

    def __len__(self) -> int:
        oldest = time.monotonic() - FORGOTTEN_SECONDS
        self._heard_at = {name: at for name, at in self._heard_at.items() if at > oldest}
        return len(self._heard_at)

    def is_here(self, replica: str) -> bool:
        """Tell whether another one runs, as far as is known."""
        return self._heard_at.get(replica.encode(), float("-inf")) > time.monotonic() - FORGOTTEN_SECONDS

    def greet(self, greeter: Callable[[], None]) -> None:
        """Call this whenever one is heard of that was not known."""
        self._greeters.append(greeter)

    async def run(self) -> None:
        """Say that this one runs until cancelled, and then that it does no longer."""
        try:
            while True:
                self._gossip.spread(TOPIC, self._me)
                await asyncio.sleep(SECONDS)
        finally:
            with contextlib.suppress(RuntimeError):  # the loop may be closing
                self._gossip.spread(TOPIC, _LEAVING + self._me)

    def _heard(self, message: bytes) -> None:
        if message.startswith(_LEAVING):
            self._heard_at.pop(message.removeprefix(_LEAVING), None)
            return
        is_new = message not in self._heard_at
        if is_new and len(self._heard_at) >= _MOST:
            return
        self._heard_at[message] = time.monotonic()
        if is_new:
            self._gossip.spread(TOPIC, self._me)  # so that one that has just begun need not wait to hear of us
            for greeter in self._greeters:
                greeter()
