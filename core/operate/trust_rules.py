"""What operators say of the trust in a profile's devices: chains that let them in, and certificates that they may have."""

import msgspec
from msgspec import UNSET, UnsetType


class ChainRules(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator says of a `ChainPolicy`; what is left out is chosen, or stays as it is.

    `certificate` is one or several as PEM (RFC 7468), and cannot be chosen.
    """

    certificate: str | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    create: bool | UnsetType = UNSET
    lax: bool | UnsetType = UNSET


class IssuingRules(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator says of an `IssuingPolicy`; what is left out is chosen, or stays as it is."""

    lifetime_days: int | UnsetType = UNSET
    key_pairs: bool | UnsetType = UNSET
