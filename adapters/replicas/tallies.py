"""Limits that replicas count together: what one takes of a bucket is taken of the same bucket at the others a moment later.

Nobody waits for anybody: for that moment, and for what gets lost on its way, a limit is that of each replica. Keys travel as
digests under a key that the replicas have in common, with another one for each set of buckets.
"""

import asyncio
import hashlib
from collections.abc import Callable
from typing import Final

import msgspec
import structlog

from adapters.exchange import Meter
from core.limits import Buckets, Rate
from core.lockout import Lockout
from core.ports import Clock
from core.replicas import Gossip

TOPIC: Final = "tallies"
SPREAD_SECONDS: Final = 0.2
MOST: Final = 1_000
"""How many keys, and how many that got in, are told of at a time; what is counted beyond them is this replica's own."""

BOUND: Final = "replicas.tallies"
_NAME_BYTES: Final = 12
_COUNT: Final = 10_000

log = structlog.get_logger("firstlight")

Key = tuple[str, str, float, float]
"""The word of a set, a name in it, and its own rate; twice 0 where that of the set counts."""


class Told(msgspec.Struct, frozen=True):
    """What was taken, and who got in, since the last time: `names` of the sets that are known by their words."""

    taken: list[tuple[str, bytes, int, float, float]] = msgspec.field(default_factory=list)
    learned: list[tuple[str, bytes]] = msgspec.field(default_factory=list)


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Told)


class Tally:
    """One set of buckets. Satisfies `core.limits.Ledger`."""

    def __init__(self, tallies: "Tallies", word: str, key: bytes) -> None:
        self._tallies = tallies
        self._word = word
        self._hash = hashlib.blake2b(word.encode(), digest_size=_NAME_BYTES, key=key)
        self._buckets: Buckets | None = None

    def name(self, key: str) -> str:
        """Return the digest of a key."""
        digest = self._hash.copy()
        digest.update(key.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()

    def took(self, name: str, rate: Rate | None) -> None:
        """Take note of one token."""
        self._tallies.count((self._word, name, *((rate.per_second, rate.burst) if rate else (0.0, 0.0))))

    def attach(self, buckets: Buckets) -> None:
        """Have what others take taken of these."""
        self._buckets = buckets

    def taken(self, name: str, count: int, rate: Rate | None, now: float) -> None:
        """Take what another replica took."""
        if self._buckets is not None:
            self._buckets.taken(name, count, now, rate)


class LockoutTallies:
    """The sets of one rule for wrong secrets. Satisfies `core.lockout.LockoutLedgers`."""

    def __init__(self, tallies: "Tallies", word: str) -> None:
        self._tallies = tallies
        self._word = word

    def ledger(self, part: str) -> Tally:
        """Return the set of a part."""
        return self._tallies.ledger(f"{self._word}.{part}")

    def learned(self, name: str) -> None:
        """Tell that somebody got in."""
        self._tallies.learn(self._word, name)

    def listen(self, learned: Callable[[str], None]) -> None:
        """Call `learned` with the names that got in elsewhere."""
        self._tallies.listeners[self._word] = learned


class Tallies:
    """All sets of a replica; `key` is what all replicas have in common. They are told of by words that no two of them share."""

    def __init__(self, gossip: Gossip, key: bytes, clock: Clock, meter: Meter) -> None:
        self.listeners: dict[str, Callable[[str], None]] = {}
        self._gossip = gossip
        self._key = key
        self._clock = clock
        self._meter = meter
        self._sets: dict[str, Tally] = {}
        self._taken: dict[Key, int] = {}
        self._learned: dict[tuple[str, str], None] = {}
        self._timer: asyncio.TimerHandle | None = None
        gossip.hear(TOPIC, self._heard)

    def ledger(self, word: str) -> Tally:
        """Return a new set."""
        if word in self._sets:
            raise ValueError(f"{word} is counted already")
        made = self._sets[word] = Tally(self, word, self._key)
        return made

    def buckets(self, word: str, rate: Rate) -> Buckets:
        """Return buckets that are counted together."""
        return Buckets(rate, ledger=self.ledger(word))

    def lockout(self, word: str, source: Rate, pair: Rate) -> Lockout:
        """Return a rule that counts together."""
        return Lockout(source, pair, ledgers=LockoutTallies(self, word))

    def count(self, key: Key) -> None:
        """Have the others take one token of this, soon."""
        if key in self._taken or self._has_room(len(self._taken)):
            self._taken[key] = self._taken.get(key, 0) + 1
            self._hurry()

    def learn(self, word: str, name: str) -> None:
        """Have the others know, soon, who got in."""
        if self._has_room(len(self._learned)):
            self._learned[word, name] = None
            self._hurry()

    def _has_room(self, waiting: int) -> bool:
        has_room = waiting < MOST
        if not has_room:
            self._meter.bound(BOUND)
        return has_room

    def _hurry(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(SPREAD_SECONDS, self._spread)

    def _spread(self) -> None:
        self._timer = None
        taken = [
            (word, bytes.fromhex(name), count, per_second, burst)
            for (word, name, per_second, burst), count in self._taken.items()
        ]
        told = Told(taken, [(word, bytes.fromhex(name)) for word, name in self._learned])
        self._taken, self._learned = {}, {}
        self._gossip.spread(TOPIC, _ENCODER.encode(told))

    def _heard(self, message: bytes) -> None:
        try:
            told = _DECODER.decode(message)
        except msgspec.MsgspecError:
            log.warning("a replica counts in another way: is it of another version?")
            return
        now = self._clock.monotonic()
        for word, name, count, per_second, burst in told.taken:
            tally = self._sets.get(word)
            if tally is not None:
                tally.taken(name.hex(), min(max(count, 0), _COUNT), Rate(per_second, burst) if per_second else None, now)
        for word, name in told.learned:
            listener = self.listeners.get(word)
            if listener is not None:
                listener(name.hex())
