"""What crosses the operator API about claim keys and devices that do not come back, as the command line reads or writes it."""

import msgspec
from msgspec import UNSET, UnsetType


class ClaimRate(msgspec.Struct, frozen=True):
    """Devices that are let in per minute, and how many at once after a pause."""

    per_minute: int
    burst: int


class ClaimRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How far a claim key reaches; what is left out the gateway chooses, or leaves as it is."""

    budget: int | UnsetType | None = UNSET
    opens_at: str | UnsetType | None = UNSET
    closes_at: str | UnsetType | None = UNSET
    names: tuple[str, ...] | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    rate: ClaimRate | UnsetType | None = UNSET
    source_rate: ClaimRate | UnsetType | None = UNSET
    tombstones: bool | UnsetType = UNSET


class Claims(msgspec.Struct, frozen=True, kw_only=True):
    """How far a profile's claim key reaches, and what it has made."""

    budget: int | None = None
    made: int = 0
    opens_at: str | None = None
    closes_at: str | None = None
    names: tuple[str, ...] = ()
    pattern: str = ""
    rate: ClaimRate | None = None
    source_rate: ClaimRate | None = None
    tombstones: bool = True
    burned_at: str | None = None


class Leave(msgspec.Struct, frozen=True, omit_defaults=True):
    """For how long a device may come back; None: as long as the gateway likes."""

    seconds: int | UnsetType = UNSET


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """A device that does not come back by a claim key."""

    id: str
    name: str
    serial: str = ""
    profile: str = ""
    departure: str
    left_at: str
    leave_until: str | None = None
