"""Answers that are kept for a while, by what was asked: in this process, and behind one small class."""

from collections import Counter, OrderedDict
from typing import Any

import msgspec

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


class KeptAnswers:
    """The answers of the last `seconds`, so many and so many bytes at most; the oldest goes first.

    Replicas do not share them: a store that they share takes the place of this class. A request whose answer is not found is
    performed, as it is without a key.
    """

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
