"""How often one source or one claim key may try: token buckets in a table of bounded size."""

import ipaddress
from collections import OrderedDict
from typing import Protocol

import msgspec

from core.errors import Reason, Refusal

APPROVALS = 10_000
"""How many devices of a tenant may wait for an operator's approval, or for the end of one that they have."""

APPROVALS_OF_SOURCE = 100
"""How many of them may have asked from one source."""

_AWAY_SECONDS = 2.0


def source_of(address: str) -> str:
    """Return what counts as one stranger: an IPv4 address, or the first 64 bits of an IPv6 address, in which one host may roam.

    Link-local addresses are taken whole, as all devices of a link share their 64 bits; so is what is no address.
    """
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return (parsed.packed if parsed.is_link_local else parsed.packed[:8]).hex()


class Rate(msgspec.Struct, frozen=True):
    """Attempts per second in the long run, and how many at once after a pause. Zero per second: no limit."""

    per_second: float
    burst: float


class Ledger(Protocol):
    """Who wants to know what is taken of some buckets, to have it taken elsewhere, too."""

    def name(self, key: str) -> str:
        """Return what a key is called here and elsewhere, which shows nothing of it."""
        ...

    def took(self, name: str, rate: Rate | None) -> None:
        """Take note of one token, of what has a rate of its own or not."""
        ...

    def attach(self, buckets: "Buckets") -> None:
        """Have what is taken elsewhere taken of these buckets."""
        ...


class Buckets:
    """A token bucket for each key; beyond `entries` keys the longest unused is forgotten, which only ever forgives.

    With a `ledger` they are one set with those that others have: each tells what it took, and is told (`taken`).
    """

    def __init__(self, rate: Rate, entries: int = 50_000, ledger: Ledger | None = None) -> None:
        self._rate = rate
        self._entries = entries
        self._ledger = ledger
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        if ledger is not None:
            ledger.attach(self)

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float, rate: Rate | None = None) -> float:
        """Take one token at a monotonic time in seconds; returns 0 or the seconds to wait until there is one.

        `rate` is that of a key that has one of its own, always the same.
        """
        rate = rate or self._rate
        if not rate.per_second:
            return 0.0
        if self._ledger is not None:
            key = self._ledger.name(key)
        tokens = self._tokens(key, now, rate)
        wait = _wait(tokens, rate)
        self._buckets[key] = (tokens if wait else tokens - 1, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._entries:
            self._buckets.popitem(last=False)
        if self._ledger is not None and not wait:
            self._ledger.took(key, None if rate is self._rate else rate)
        return wait

    def taken(self, name: str, count: int, now: float, rate: Rate | None = None) -> None:
        """Take what was taken elsewhere under a name of the ledger, though less be there: those were too many."""
        rate = rate or self._rate
        if not rate.per_second:
            return
        self._buckets[name] = (max(self._tokens(name, now, rate) - count, -rate.burst), now)
        self._buckets.move_to_end(name)
        if len(self._buckets) > self._entries:
            self._buckets.popitem(last=False)

    def wait(self, key: str, now: float) -> float:
        """Return what `take` would, and take nothing."""
        return _wait(self._tokens(self._named(key), now, self._rate), self._rate) if self._rate.per_second else 0.0

    def is_full(self, key: str, now: float, rate: Rate) -> bool:
        """Tell whether nothing was taken lately of what has a rate of its own."""
        return self._tokens(self._named(key), now, rate) >= rate.burst

    def _named(self, key: str) -> str:
        return key if self._ledger is None else self._ledger.name(key)

    def _tokens(self, name: str, now: float, rate: Rate) -> float:
        tokens, then = self._buckets.get(name, (rate.burst, now))
        return min(rate.burst, tokens + (now - then) * rate.per_second)


def _wait(tokens: float, rate: Rate) -> float:
    return 0.0 if tokens >= 1 else (1 - tokens) / rate.per_second


def require(wait: float, check: str) -> None:
    """Raise `Refusal` TOO_MANY with the seconds to wait, unless there are none."""
    if wait:
        raise too_many(wait, check)


def too_many(wait: float, check: str) -> Refusal:
    """Make the refusal of one attempt too many, with the seconds to wait."""
    return Refusal(Reason.TOO_MANY, "too many attempts, try again later", check=check, retry_after=wait)


class AtOnce:
    """Lets so many go on at once; whoever comes beyond them is sent away for a while. A context manager."""

    def __init__(self, most: int, check: str) -> None:
        self._most = most
        self._check = check
        self._now = 0

    def __enter__(self) -> None:
        """Begin. Raises `Refusal` UNAVAILABLE where enough are at it."""
        if self._now >= self._most:
            detail = "too many of these requests are under way, try again"
            raise Refusal(Reason.UNAVAILABLE, detail, check=self._check, retry_after=_AWAY_SECONDS)
        self._now += 1

    def __exit__(self, *error: object) -> None:
        """End, however it went."""
        self._now -= 1
