"""What a profile's claim key is good for, whoever has it: when, for which names, how often and for how many devices.

What a device is told: outside its time, or burned, a key is not known any more, as a wrong one is; a name that it does not let
in is refused as one that nobody expects, and where it has made all it may, as in a tenant that is full.
"""

import re

from core.errors import Reason, Refusal
from core.limits import Buckets, Rate, require
from core.messages import Context
from core.model import ClaimPolicy, ClaimRate, Profile

KEY_CHARACTERS = 255  # no profile's key is longer, so no two of them share a bucket
SUSPICION = Rate(1 / 60, 10.0)
"""For how long a source is remembered that was wrong about a claim key: a minute for each guess, ten at most."""

_APART = KEY_CHARACTERS + 1
_SECONDS = 60
_RANGE = re.compile(r"(?P<stem>.*?)(?P<low>[0-9]{1,18})\.\.(?P=stem)(?P<high>[0-9]{1,18})", re.DOTALL | re.ASCII)


def is_burned(profile: Profile) -> bool:
    """Tell whether a profile's claim key is dead, for good."""
    return profile.claims is not None and profile.claims.burned_at is not None


def why_shut(profile: Profile, now: int) -> str:
    """Return the check by which a claim key is good for nothing at a time in milliseconds, empty where it is good."""
    policy = profile.claims
    if policy is None:
        return ""
    if policy.burned_at is not None:
        return "claim.burned"
    if policy.opens_at is not None and now < policy.opens_at:
        return "claim.early"
    return "claim.over" if policy.closes_at is not None and now >= policy.closes_at else ""


def require_name(profile: Profile, name: str) -> None:
    """Check that a claim key is for a device of this name, or serial where they sign. Raises `Refusal` FORBIDDEN."""
    if profile.claims is not None and not takes_name(profile.claims, name):
        raise Refusal(Reason.FORBIDDEN, "no device of this name is expected", check="claim.name")


def takes_name(policy: ClaimPolicy, name: str) -> bool:
    """Tell whether a claim key is for devices of this name; where any names are listed, none is none of them."""
    if not (policy.names or policy.ranges or policy.pattern):
        return True
    if not name or "\n" in name:
        return False
    if f"\n{name}\n" in f"\n{policy.names}\n" or any(_is_within(name, each) for each in policy.ranges):
        return True
    return bool(policy.pattern) and re.fullmatch(policy.pattern, name) is not None


def read_range(text: str) -> tuple[str, str, str] | None:
    """Return what the names of a range have in common, and its first and last number as they are written.

    None for what is no range: two names that differ in the number at their end, the lower one first. Numbers of one length have
    that length throughout, others have no zeros in front.
    """
    found = _RANGE.fullmatch(text)
    if found is None:
        return None
    stem, low, high = found["stem"], found["low"], found["high"]
    is_plain = not low.startswith("0") or low == "0"
    return (stem, low, high) if int(low) <= int(high) and (len(low) == len(high) or is_plain) else None


def require_budget(profile: Profile) -> None:
    """Check that a claim key may make another device. Raises `Refusal` FORBIDDEN."""
    allowance = profile.claims.allowance if profile.claims is not None else None
    if allowance is not None and (profile.made or 0) >= allowance:
        raise Refusal(Reason.FORBIDDEN, "the profile has made all the devices it may make", check="claim.budget")


class Passage:
    """One request's way past the rates of a claim key, which counts once, however often it is decided.

    A `limited` one is held to the rate of `buckets`, too, which is that of every claim key.
    """

    __slots__ = ("_buckets", "_context", "_limited", "_passed")

    def __init__(self, buckets: Buckets, context: Context, *, limited: bool = False) -> None:
        self._buckets = buckets
        self._context = context
        self._limited = limited
        self._passed = False

    def require(self, profile: Profile, now: float) -> None:
        """Count a device whose evidence is right, at a monotonic time. Raises `Refusal` TOO_MANY."""
        if self._passed:
            return
        self._passed = True
        key = profile.id.rjust(_APART)  # longer than what guesses are counted by, so that no device can name this bucket
        if self._limited:
            require(self._buckets.take(f"{key} all", now), "limit.claim_key")
        policy = profile.claims
        if policy is None:
            return
        if policy.source_rate is not None:
            own = f"{key} {self._context.stranger}"
            require(self._buckets.take(own, now, _rate(policy.source_rate)), "claim.source_rate")
        if policy.rate is not None:
            require(self._buckets.take(key, now, _rate(policy.rate)), "claim.rate")


def _rate(rate: ClaimRate) -> Rate:
    return Rate(rate.per_minute / _SECONDS, float(rate.burst))


def _is_within(name: str, text: str) -> bool:
    bounds = read_range(text)
    if bounds is None:
        return False
    stem, low, high = bounds
    number = name.removeprefix(stem)
    if not name.startswith(stem) or not (number.isascii() and number.isdigit()) or len(number) > len(high):
        return False
    written_so = len(number) == len(low) if len(low) == len(high) else number == str(int(number))
    return written_so and int(low) <= int(number) <= int(high)
