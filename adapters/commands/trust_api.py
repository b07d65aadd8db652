"""What crosses the operator API for chains and for certificates that are made here, as the command line reads or writes it."""

import msgspec
from msgspec import UNSET, UnsetType


class ChainRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How devices are let in by a chain; what is left out the gateway chooses, or leaves as it is."""

    certificate: str | UnsetType = UNSET
    pattern: str | UnsetType = UNSET
    create: bool | UnsetType = UNSET
    lax: bool | UnsetType = UNSET


class IssuingRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What certificates devices may have; what is left out the gateway chooses, or leaves as it is."""

    lifetime_days: int | UnsetType = UNSET
    key_pairs: bool | UnsetType = UNSET


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """How devices of a profile are let in by a chain."""

    anchor: str
    pattern: str
    create: bool
    lax: bool


class Issuing(msgspec.Struct, frozen=True, kw_only=True):
    """What certificates devices of a profile may have."""

    lifetime_days: int
    key_pairs: bool
