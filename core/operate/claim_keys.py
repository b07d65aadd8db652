"""The rules for how far a claim key reaches, and what it takes to end one for good."""

from functools import partial

import msgspec
from msgspec import UNSET

from core.claim_policy import is_burned, read_range
from core.errors import Reason, Refusal
from core.model import ClaimPolicy, ClaimRate, EventKind, Profile
from core.operate import patterns, values
from core.operate.claim_rules import BurnProfile, ClaimRules
from core.operate.registry import Registry, Scope
from core.ports import Changes

NAMES = 5_000
NAMES_CHARACTERS = 131_072
RANGES = 100
MOST_DEVICES = 10**12
MOST_MS = 253_402_300_799_999  # the end of the year 9999, beyond which times are not written
MOST_PER_MINUTE = 1_000_000

_FIELDS = ("budget", "opens_at", "closes_at", "rate", "source_rate", "tombstones")


def revised(before: ClaimPolicy | None, rules: ClaimRules | None) -> ClaimPolicy | None:
    """Return a policy with what the rules say of it, None without rules. A key that is burned stays so.

    Raises `Refusal` MALFORMED.
    """
    burned_at = before.burned_at if before is not None else None
    if rules is None:
        return None if burned_at is None else ClaimPolicy(burned_at=burned_at)
    said = {field: value for field in _FIELDS if (value := getattr(rules, field)) is not UNSET}
    if rules.names is not UNSET:
        said["ranges"], said["names"] = _names(rules.names)
    if rules.pattern is not UNSET:
        said["pattern"] = patterns.require_name_pattern(rules.pattern)
    after = msgspec.structs.replace(before or ClaimPolicy(), **said)
    _require_numbers(after)
    return after


class ClaimKeys(msgspec.Struct, frozen=True):
    """Ends claim keys."""

    registry: Registry

    async def burn(self, command: BurnProfile, scope: Scope) -> Profile:
        """Make a profile's claim key worthless, for good. Raises `Refusal` NOT_FOUND or CONFLICT."""
        return await self.registry.settle(partial(self._burn, command, scope))

    async def _burn(self, command: BurnProfile, scope: Scope) -> Profile:
        profile = await self.registry.profile(command.ref, scope)
        if is_burned(profile):
            return profile
        now = self.registry.issuer.clock.now()
        burned = msgspec.structs.replace(
            profile,
            claims=msgspec.structs.replace(profile.claims or ClaimPolicy(), burned_at=now),
            previous_secret=None,
            previous_until=None,
            updated_at=now,
            version=profile.version + 1,
        )
        event = self.registry.profile_event(EventKind.PROFILE_BURNED, burned, scope, burned.name)
        await self.registry.commit(event, Changes(replace=(burned,)))
        return await self.registry.profile(burned.id, scope)


def require_unburned(profile: Profile) -> None:
    """Check that a profile's claim key may have another secret. Raises `Refusal` UNPROCESSABLE."""
    if is_burned(profile):
        detail = "the profile's claim key is burned for good: make another profile"
        raise Refusal(Reason.UNPROCESSABLE, detail, check="profile.burned")


def _names(given: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """Return the ranges among some names, and the others, one a line. Raises `Refusal` MALFORMED."""
    names = tuple(dict.fromkeys(values.require_device_name(each) for each in given))
    ranges = tuple(each for each in names if read_range(each) is not None)
    listed = "\n".join(each for each in names if each not in set(ranges))
    if len(names) > NAMES or len(ranges) > RANGES or len(listed) > NAMES_CHARACTERS:
        detail = f"claims.names: at most {NAMES} names of {NAMES_CHARACTERS} characters together, and {RANGES} ranges"
        raise values.malformed(detail, "profile.claim_names")
    return ranges, listed


def _require_numbers(policy: ClaimPolicy) -> None:
    if policy.budget is not None and not 0 <= policy.budget <= MOST_DEVICES:
        raise values.malformed(f"claims.budget: 0 to {MOST_DEVICES} devices are possible", "profile.claim_budget")
    opens, closes = policy.opens_at or 0, MOST_MS if policy.closes_at is None else policy.closes_at
    if not 0 <= opens < closes <= MOST_MS:
        detail = "claims: opens_at has to be before closes_at, both from 1970 to 9999"
        raise values.malformed(detail, "profile.claim_window")
    for rate in (policy.rate, policy.source_rate):
        if rate is not None and not _is_possible(rate):
            detail = f"claims.rate: 1 to {MOST_PER_MINUTE} devices a minute and at once are possible"
            raise values.malformed(detail, "profile.claim_rate")


def _is_possible(rate: ClaimRate) -> bool:
    return 1 <= rate.per_minute <= MOST_PER_MINUTE and 1 <= rate.burst <= MOST_PER_MINUTE
