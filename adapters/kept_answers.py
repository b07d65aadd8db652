"""Answers that are kept for a while, by what was asked: what keeps them, and that which does so in this process."""

from collections import Counter, OrderedDict
from typing import Any, Protocol

import msgspec

from core.ports import Clock

_ENTRY_BYTES = 1_024  # what an answer is reckoned to cost beside its texts


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """An answer: the core's result or a `Refusal`.

    `name` and `print` are digests, of the key and of all that was asked. Credentials are in here as they are: they are the
    answer, and they are gone with the window, or with the process.
    """

    name: bytes
    print: bytes
    answer: Any
    secure: bool
    size: int
    until: float = 0.0


class UnderWay(msgspec.Struct, frozen=True):
    """A request that is being answered by somebody else at this moment; `print` is the digest of all that it asks."""

    print: bytes


class Answers(Protocol):
    """Keeps answers by scope. A request whose answer is not found is performed, as it is without a key."""

    async def begin(self, scope: bytes, name: bytes, print_: bytes) -> Kept | UnderWay | None:
        """Return what was answered there, or that it is being answered; None: the caller does it, then keeps or drops.

        Raises `Refusal` UNAVAILABLE.
        """
        ...

    async def keep(self, scope: bytes, kept: Kept) -> bool:
        """Keep an answer; False: there is not room enough for all. Never raises for the store's sake."""
        ...

    async def drop(self, scope: bytes) -> None:
        """Take note that there is no answer to be kept. Never raises for the store's sake."""
        ...

    async def knows(self, name: bytes) -> bool:
        """Tell whether anything was answered under this name, whatever the scope. Raises `Refusal` UNAVAILABLE."""
        ...


class OwnAnswers:
    """Those of this process alone, which knows itself what is under way. Satisfies `Answers`."""

    def __init__(self, kept: "KeptAnswers", clock: Clock) -> None:
        self._kept = kept
        self._clock = clock

    async def begin(self, scope: bytes, name: bytes, print_: bytes) -> Kept | None:
        """Return what was answered there."""
        return self._kept.find(scope, self._clock.monotonic())

    async def keep(self, scope: bytes, kept: Kept) -> bool:
        """Keep an answer; False: another that was not old yet had to go for it, or itself."""
        return self._kept.keep(scope, kept, self._clock.monotonic())

    async def drop(self, scope: bytes) -> None:
        """Do nothing: nothing was put down for a request under way."""

    async def knows(self, name: bytes) -> bool:
        """Tell whether anything was answered under this name."""
        return self._kept.knows(name, self._clock.monotonic())


class KeptAnswers:
    """The answers of the last `seconds`, so many and so many bytes at most; the oldest goes first."""

    def __init__(self, seconds: float, entries: int, size: int) -> None:
        self._seconds = seconds
        self._entries = entries
        self._size = size
        self._kept: OrderedDict[bytes, Kept] = OrderedDict()
        self._names: Counter[bytes] = Counter()
        self.held_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def find(self, scope: bytes, now: float) -> Kept | None:
        """Return what was answered there, at a monotonic time in seconds."""
        self._forget_old(now)
        return self._kept.get(scope)

    def knows(self, name: bytes, now: float) -> bool:
        """Tell whether anything was answered under this name."""
        self._forget_old(now)
        return name in self._names

    def keep(self, scope: bytes, kept: Kept, now: float) -> bool:
        """Keep an answer, unless there is one; False: another that was not old yet had to go for it, or itself."""
        self._forget_old(now)
        if not self._seconds or scope in self._kept:
            return True
        self._kept[scope] = msgspec.structs.replace(kept, until=now + self._seconds)
        self._names[kept.name] += 1
        self.held_bytes += kept.size + _ENTRY_BYTES
        fits = True
        while len(self._kept) > self._entries or self.held_bytes > self._size:
            self._forget_oldest()
            fits = False
        return fits

    def _forget_old(self, now: float) -> None:
        while self._kept and next(iter(self._kept.values())).until <= now:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, kept = self._kept.popitem(last=False)
        self.held_bytes -= kept.size + _ENTRY_BYTES
        self._names[kept.name] -= 1
        if not self._names[kept.name]:
            del self._names[kept.name]
