"""What operators say of how far a claim key reaches, and of devices that are not to come back by one: commands."""

import msgspec
from msgspec import UNSET, UnsetType

from core.model import ClaimRate

LEAVE_SECONDS = 86_400
PAGE = 100


class ClaimRules(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator says of a `ClaimPolicy`; what is left out is chosen, or stays as it is. None limits nothing any more.

    `names` are names and ranges. A limit that is set first counts the devices that the profile has as made.
    """

    budget: int | UnsetType | None = UNSET
    opens_at: int | UnsetType | None = UNSET
    closes_at: int | UnsetType | None = UNSET
    names: tuple[str, ...] | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    rate: ClaimRate | UnsetType | None = UNSET
    source_rate: ClaimRate | UnsetType | None = UNSET
    tombstones: bool | UnsetType = UNSET


class BurnProfile(msgspec.Struct, frozen=True):
    """Make a profile's claim key worthless, for good: a `Profile`. The devices that it let in go on as they are."""

    ref: str


class GiveLeave(msgspec.Struct, frozen=True):
    """Let a device come back by its claim key, once, within `seconds`: a `Tombstone`.

    `ref` is the name that the device had, the id of its tombstone, or what names a device whose credentials are revoked.
    """

    ref: str
    seconds: int = LEAVE_SECONDS


class ListTombstones(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the devices that do not come back by a claim key."""

    after: str | None = None
    limit: int = PAGE


ClaimKeyCommand = BurnProfile | GiveLeave | ListTombstones
