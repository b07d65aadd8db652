"""What crosses the operator API for the hook of a profile, as the command line reads or writes it."""

import msgspec
from msgspec import UNSET, UnsetType


class HookRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Who is asked before a device is let in; what is left out the gateway chooses, or leaves as it is."""

    url: str | UnsetType = UNSET
    secret: str | UnsetType = UNSET
    seconds: int | UnsetType = UNSET


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked before a device of a profile is let in; the secret is there once."""

    url: str
    seconds: int
    secret: str | None = None
