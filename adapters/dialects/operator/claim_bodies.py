"""What operators send and get about how far a claim key reaches: parts of bodies and answers, as they are on the wire."""

import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from adapters.dialects.moments import rfc3339
from adapters.dialects.operator.body import Body
from core import model
from core.model import Profile
from core.operate import claim_rules
from core.operate.claim_keys import MOST_DEVICES, MOST_PER_MINUTE, NAMES, RANGES

_MILLISECOND = datetime.timedelta(milliseconds=1)
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

Moment = Annotated[datetime.datetime, Meta(tz=True)]
Time = Annotated[str, Meta(description="RFC 3339, UTC, with milliseconds.", extra_json_schema={"format": "date-time"})]
Count = Annotated[int, Meta(description=f"1 to {MOST_PER_MINUTE}.")]


class ClaimRate(Body, frozen=True):
    """Devices that are let in per minute in the long run, and how many at once after a pause."""

    per_minute: Count
    burst: Count


class ClaimRules(Body, frozen=True):
    """How far the claim key reaches; what is left out is chosen, or stays as it is, and null limits nothing."""

    budget: Annotated[
        int | UnsetType | None,
        Meta(
            description=f"How many devices the key may make in all, 0 to {MOST_DEVICES}. When limits are first set, the devices"
            " that the profile has count as made."
        ),
    ] = UNSET
    opens_at: Annotated[Moment | UnsetType | None, Meta(description="From when on the key is good (RFC 3339).")] = UNSET
    closes_at: Annotated[Moment | UnsetType | None, Meta(description="From when on it is not any more.")] = UNSET
    names: Annotated[
        list[str] | UnsetType,
        Meta(
            description=f"For whom the key is: at most {NAMES} device names (serials where they sign), {RANGES} of which may be"
            " ranges such as meter-0001..meter-5000. Empty: for all, unless there is a pattern."
        ),
    ] = UNSET
    pattern: Annotated[
        str | UnsetType, Meta(description="A regular expression for further names, of which it has to match all.")
    ] = UNSET
    rate: Annotated[ClaimRate | UnsetType | None, Meta(description="How many devices are let in at a time.")] = UNSET
    source_rate: Annotated[ClaimRate | UnsetType | None, Meta(description="The same, from one address.")] = UNSET
    tombstones: Annotated[
        bool | UnsetType,
        Meta(description="Devices that were deleted or revoked come back by an operator's leave alone. Left out: true."),
    ] = UNSET


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Devices that are let in per minute in the long run, and how many at once after a pause."""

    per_minute: int
    burst: int


class ClaimPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How far the claim key reaches; `made` is how many devices it has made, `burned_at` since when it is dead, for good."""

    budget: int | None
    made: int
    opens_at: Time | None
    closes_at: Time | None
    names: tuple[str, ...]
    pattern: str
    rate: Rate | None
    source_rate: Rate | None
    tombstones: bool
    burned_at: Time | None


def rules(body: ClaimRules | None) -> claim_rules.ClaimRules | None:
    """Return what a body says of a claim key's reach, None for no limits."""
    if body is None:
        return None
    return claim_rules.ClaimRules(
        budget=body.budget,
        opens_at=_milliseconds(body.opens_at),
        closes_at=_milliseconds(body.closes_at),
        names=UNSET if isinstance(body.names, UnsetType) else tuple(body.names),
        pattern=body.pattern,
        rate=_rate(body.rate),
        source_rate=_rate(body.source_rate),
        tombstones=body.tombstones,
    )


def policy(profile: Profile) -> ClaimPolicy | None:
    """Show how far a profile's claim key reaches, nothing where it has no limits."""
    claims = profile.claims
    if claims is None:
        return None
    return ClaimPolicy(
        budget=claims.budget,
        made=profile.made or 0,
        opens_at=_moment(claims.opens_at),
        closes_at=_moment(claims.closes_at),
        names=(*claims.ranges, *claims.names.splitlines()),
        pattern=claims.pattern,
        rate=_shown(claims.rate),
        source_rate=_shown(claims.source_rate),
        tombstones=claims.tombstones,
        burned_at=_moment(claims.burned_at),
    )


def _milliseconds(given: datetime.datetime | UnsetType | None) -> int | UnsetType | None:
    return (given - _EPOCH) // _MILLISECOND if isinstance(given, datetime.datetime) else given


def _rate(given: ClaimRate | UnsetType | None) -> model.ClaimRate | UnsetType | None:
    return model.ClaimRate(given.per_minute, given.burst) if isinstance(given, ClaimRate) else given


def _shown(rate: model.ClaimRate | None) -> Rate | None:
    return None if rate is None else Rate(per_minute=rate.per_minute, burst=rate.burst)


def _moment(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else rfc3339(milliseconds)
