"""The one rule for wrong secrets: who has to wait before trying again, and who has not because of others."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from core.limits import Buckets, Ledger, Rate

CHECK: Final = "lockout.identity"
"""What an alarm is called, as the check of its event and as a metric."""

_REMEMBERED: Final = 50_000
_ALARM_SECONDS: Final = 3_600.0
_SHARE: Final = 10.0


class LockoutLedgers(Protocol):
    """Who carries what one replica counts to the others. Each part of a rule has a word of its own."""

    def ledger(self, part: str) -> Ledger:
        """Return where to note what is taken of some buckets."""
        ...

    def learned(self, name: str) -> None:
        """Take note of a name that got in."""
        ...

    def listen(self, learned: Callable[[str], None]) -> None:
        """Call `learned` with the names that got in elsewhere."""
        ...


class Lockout:
    """Counts wrong tries; right ones count nowhere, so a fleet may share an address.

    A wrong try counts against its source, and against the identity it named as named from that source: the pair. Then

    - a pair beyond its limit has to wait;
    - a source beyond its limit has to wait, but not for identities that got in from there before: a guesser behind the address
      of a fleet stops none of those that came in already, as long as it does not name them itself;
    - nobody waits for what was tried elsewhere: strangers cannot lock an owner out by naming it.

    Guesses at one identity from ever so many sources are counted together all the same. They raise an alarm, once an hour at
    most, and as long as it lasts the pairs that did not get in before have a tenth of their limit. A secret that names nobody
    beside itself (a token) has no pair to count: what it is known by is all of it, once it was right.

    Names are kept as hashes, and nothing outlives the process. The tables are bounded: what is forgotten mostly forgives; a
    device that is forgotten waits for its source once more. With `ledgers` replicas count together: what one counts the others
    know a moment later, and what gets lost on its way forgives, as does the moment.
    """

    def __init__(
        self, source: Rate, pair: Rate | None = None, *, entries: int = _REMEMBERED, ledgers: LockoutLedgers | None = None
    ) -> None:
        pair = source if pair is None else pair
        tight = Rate(pair.per_second / _SHARE, max(pair.burst / _SHARE, 1.0))
        self._ledgers = ledgers
        self._known: OrderedDict[str, None] = OrderedDict()
        self._entries = entries
        self._names = None if ledgers is None else ledgers.ledger("known")
        self.sources = self._buckets("sources", source)
        self._pairs = self._buckets("pairs", pair)
        self._tight = self._buckets("tight", tight)
        self._identities = self._buckets("identities", Rate(pair.per_second, pair.burst * _SHARE))
        self._alarms = self._buckets("alarms", Rate(1 / _ALARM_SECONDS, 1.0))
        if ledgers is not None:
            ledgers.listen(self._learn)

    def _buckets(self, part: str, rate: Rate) -> Buckets:
        return Buckets(rate, self._entries, None if self._ledgers is None else self._ledgers.ledger(part))

    def wait(self, source: str, identity: str, now: float) -> float:
        """Return the seconds until the next try, 0 for now, at a monotonic time in seconds; an empty identity names nobody."""
        wait = self.sources.wait(source, now)
        if not identity:
            return wait
        pair = self._digest(source, identity)
        return self._pair_wait(pair, identity, now) if pair in self._known else max(wait, self._pair_wait(pair, identity, now))

    def wait_pair(self, source: str, identity: str, now: float) -> float:
        """Return the same where the source's own limit does not count.

        That is where each identity has a secret of its own: one that is wrong for ever keeps no other behind its address out.
        """
        return self._pair_wait(self._digest(source, identity), identity, now)

    def wrong(self, source: str, identity: str, now: float) -> bool:
        """Count a wrong try; tells whether it raises the alarm for this identity."""
        self.sources.take(source, now)
        return self.wrong_pair(source, identity, now)

    def wrong_pair(self, source: str, identity: str, now: float) -> bool:
        """Count a wrong try, though not against its source; tells whether it raises the alarm."""
        if not identity:
            return False
        pair, name = self._digest(source, identity), self._digest("", identity)
        self._pairs.take(pair, now)
        self._tight.take(pair, now)
        return self._identities.take(name, now) > 0 and not self._alarms.take(name, now)

    def right(self, source: str, identity: str) -> None:
        """Remember who got in, and from where."""
        if not identity:
            return
        pair = self._digest(source, identity)
        if self._ledgers is not None and pair not in self._known:
            self._ledgers.learned(pair)
        self._learn(pair)

    def _learn(self, pair: str) -> None:
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > self._entries:
            self._known.popitem(last=False)

    def _pair_wait(self, pair: str, identity: str, now: float) -> float:
        tightened = len(self._alarms) > 0 and pair not in self._known and self._alarms.wait(self._digest("", identity), now) > 0
        return (self._tight if tightened else self._pairs).wait(pair, now)

    def _digest(self, source: str, identity: str) -> str:
        """Return a short name, whatever strangers call themselves; secrets among them are not kept as they are.

        Python's hash of a text has a key of this process, which is enough for its own limits: a tenth of the time of any other
        digest.
        """
        if self._names is None:
            return str(hash((source, identity)))
        return self._names.name(f"{source}\0{identity}")
