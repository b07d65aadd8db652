"""Who a broker let in on this gateway's word: attended to as connections of our own are, until they are to be let go."""

import asyncio
from collections.abc import Callable, Collection
from typing import Final, Protocol

from adapters.exchange import Meter, Peer
from core.errors import Refusal
from core.messages import Identity
from core.notices import session_key
from core.topic_spaces import Grants

MOST: Final = 100_000
RETRY_SECONDS: Final = 5.0
LISTED_SECONDS: Final = 30.0
"""Whoever was let in so long ago is on every list that a broker gives of its connections, if it is connected still."""

Key = tuple[str, str]
"""User name and client id."""


class Attention(Protocol):
    """What of `adapters.exchange.Exchange` is needed here."""

    async def permit(self, identity: Identity) -> Grants:
        """Return what somebody may use at a broker. Raises `Refusal` UNAVAILABLE."""
        ...

    def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        """Call `ended`, once, when what somebody proved is true no longer; returns what ends the watch."""
        ...

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed` whenever something behind one of the names of `key` changed; returns what ends the watch."""
        ...


class Elsewhere(Protocol):
    """What other gateways over the same registry have let in at the same broker."""

    def note(self, username: str, client_id: str) -> None:
        """Have the others know that somebody was let in here."""
        ...

    def knows(self, username: str, client_id: str) -> bool:
        """Tell whether another one attends to somebody with these names."""
        ...


class Admission:
    """One connection that a broker let in.

    `over` is called once, when its login holds no longer or a topic that it could use was taken from it.
    """

    def __init__(self, identity: Identity, peer: Peer, attention: Attention, over: Callable[[], None]) -> None:
        self._identity = identity
        self._attention = attention
        self._over = over
        self._ended = False
        self._again = False
        self._grants: Grants | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.since = asyncio.get_running_loop().time()
        self._stops = {
            "login": attention.attend(identity, peer, self.end),
            identity.device: attention.watch(identity.device, self._changed),
        }
        self._changed()

    def end_at_a_change(self) -> None:
        """End it as soon as anything about its device changes: what it proved once is not known any more."""
        self._stops["device"] = self._attention.watch(session_key(self._identity.device), self.end)

    def end(self) -> None:
        """Attend to it no longer, and say that it is over."""
        if not self._ended:
            self.leave()
            self._over()

    def leave(self) -> None:
        """Attend to it no longer."""
        self._ended = True
        for stop in self._stops.values():
            stop()
        if self._timer is not None:
            self._timer.cancel()

    def _changed(self) -> None:
        self._again = True
        if self._task is None and not self._ended:
            self._task = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        """Ask what it may do now, and once more where something changed meanwhile."""
        try:
            while self._again and not self._ended:
                self._again = False
                self._compare(await self._attention.permit(self._identity))
        except Refusal:
            if not self._ended:
                self._timer = asyncio.get_running_loop().call_later(RETRY_SECONDS, self._changed)
        finally:
            self._task = None

    def _compare(self, grants: Grants) -> None:
        before, self._grants = self._grants, grants
        if self._ended:
            return
        if before is not None and not set(before.grants) <= set(grants.grants):
            self.end()
        elif before is None or before.parts != grants.parts:
            # Beside its device it is the channels that count, and what changed in them before this watch was told to nobody.
            self._stops.pop("parts", _nothing)()
            self._stops["parts"] = self._attention.watch("\n".join(grants.parts), self._changed)
            self._again = True


class Admissions:
    """Whom a broker let in, at most `most` of them: beyond that the oldest is attended to no longer.

    `attention` is called for whoever attends, not before somebody is let in. `over` is called with the key of whoever is to
    be let go, and with how long ago it came, in seconds.
    """

    def __init__(
        self,
        attention: Callable[[], Attention],
        meter: Meter,
        name: str,
        over: Callable[[Key, float], None],
        *,
        most: int = MOST,
    ) -> None:
        self._attention = attention
        self._meter = meter
        self._name = name
        self._over = over
        self._most = most
        self._admitted: dict[Key, Admission] = {}
        self._adopted: set[Key] = set()

    def __contains__(self, key: Key) -> bool:
        return key in self._admitted

    def __len__(self) -> int:
        return len(self._admitted)

    def add(self, identity: Identity, key: Key) -> None:
        """Attend to somebody that the broker is told to let in; who came with the same key before is thrown out by it."""
        self._forget(key)
        if len(self._admitted) >= self._most:
            self._meter.bound(f"{self._name}.admissions")
            self._forget(next(iter(self._admitted)))
        self._admit(identity, key)

    def adopt(self, identity: Identity, key: Key) -> None:
        """Attend to somebody who was let in before this gateway knew of it, as far as there is room.

        With what it proved itself is not known, so it is let go at the first change of its device and has to come again.
        """
        if len(self._admitted) < self._most:
            self._admit(identity, key).end_at_a_change()
            self._adopted.add(key)

    def release(self, key: Key) -> None:
        """Attend no longer to somebody who was adopted: there is somebody who knows better."""
        if key in self._adopted:
            self._forget(key)

    def keep(self, present: Collection[Key]) -> None:
        """Forget those who left by themselves: who is not among `present`, and is not too new to be."""
        latest = asyncio.get_running_loop().time() - LISTED_SECONDS
        for key in [key for key, each in self._admitted.items() if each.since < latest and key not in present]:
            self._forget(key)

    def leave(self) -> None:
        """Attend to nobody any more."""
        for key in tuple(self._admitted):
            self._forget(key)

    def _admit(self, identity: Identity, key: Key) -> Admission:
        admission = Admission(identity, Peer(self._name), self._attention(), lambda: self._ended(key, admission))
        self._admitted[key] = admission
        self._count()
        return admission

    def _ended(self, key: Key, admission: Admission) -> None:
        self._admitted.pop(key, None)
        self._adopted.discard(key)
        self._count()
        self._over(key, asyncio.get_running_loop().time() - admission.since)

    def _forget(self, key: Key) -> None:
        admission = self._admitted.pop(key, None)
        self._adopted.discard(key)
        if admission is not None:
            admission.leave()
            self._count()

    def _count(self) -> None:
        self._meter.level(f"{self._name}.admissions", len(self._admitted))


def _nothing() -> None:
    """Stop what was never begun."""
