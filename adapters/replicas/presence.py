"""Who is connected at this moment: to this replica, which knows it, or to another one, which is asked."""

import asyncio
import contextlib
from collections.abc import Collection
from typing import Final

import msgspec

from adapters.replicas.peers import Peers
from adapters.watching import Watches
from core.model import DeviceId
from core.notices import session_key
from core.replicas import Gossip

ASK, ANSWER = "who-is-connected", "connected"
WAIT_SECONDS: Final = 0.25
"""For how long the others are waited for; those who do not answer in time are taken not to know."""

_AT_ONCE: Final = 500
_DEVICES: Final = 2_000


class OwnPresence(msgspec.Struct, frozen=True):
    """Knows who is connected by who is watched over. Satisfies `core.ports.Presence`."""

    watches: Watches

    async def connected(self, devices: Collection[DeviceId]) -> frozenset[DeviceId]:
        """Return those that have an open connection here on which they proved themselves."""
        return frozenset(device for device in devices if self.watches.is_watched(session_key(device)))


class _Question(msgspec.Struct, frozen=True):
    asker: str
    number: int
    devices: tuple[DeviceId, ...]


class _Waiting:
    """A question that was asked, and what was answered until now."""

    def __init__(self, answers: int) -> None:
        self.missing = answers
        self.found: set[DeviceId] = set()
        self.done = asyncio.Event()


class SharedPresence:
    """Asks the others about devices that are not connected here. Satisfies `core.ports.Presence`."""

    def __init__(self, own: OwnPresence, gossip: Gossip, peers: Peers, me: str) -> None:
        self._own = own
        self._gossip = gossip
        self._peers = peers
        self._me = me
        self._last = 0
        self._waiting: dict[int, _Waiting] = {}
        self._questions = msgspec.msgpack.Decoder(_Question)
        gossip.hear(ASK, self._asked)
        gossip.hear(ANSWER, self._answered)

    async def connected(self, devices: Collection[DeviceId]) -> frozenset[DeviceId]:
        """Return those that have an open connection here, or at another replica as far as that answers in time."""
        here = await self._own.connected(devices)
        others = tuple(device for device in devices if device not in here)
        peers = len(self._peers)
        if not others or not peers or len(self._waiting) >= _AT_ONCE:
            return here
        return here | await self._elsewhere(others[:_DEVICES], peers)

    async def _elsewhere(self, devices: tuple[DeviceId, ...], peers: int) -> frozenset[DeviceId]:
        self._last += 1
        number = self._last
        waiting = self._waiting[number] = _Waiting(peers)
        self._gossip.spread(ASK, msgspec.msgpack.encode(_Question(self._me, number, devices)))
        try:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WAIT_SECONDS):
                    await waiting.done.wait()
        finally:
            del self._waiting[number]
        return frozenset(waiting.found.intersection(devices))

    def _asked(self, message: bytes) -> None:
        question = self._read(message)
        if question is None:
            return
        there = tuple(device for device in question.devices if self._own.watches.is_watched(session_key(device)))
        answer = _Question(question.asker, question.number, there)
        self._gossip.spread(ANSWER, msgspec.msgpack.encode(answer))

    def _answered(self, message: bytes) -> None:
        answer = self._read(message)
        waiting = self._waiting.get(answer.number) if answer is not None and answer.asker == self._me else None
        if answer is None or waiting is None:
            return
        waiting.found.update(answer.devices)
        waiting.missing -= 1
        if not waiting.missing:
            waiting.done.set()

    def _read(self, message: bytes) -> _Question | None:
        try:
            return self._questions.decode(message)
        except msgspec.MsgspecError:
            return None  # of another version
