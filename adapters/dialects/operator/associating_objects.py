"""What operators get about associations and firmware: the JSON objects of the answers, as they are on the wire."""

import msgspec

from adapters.dialects.operator.objects import Time
from core.model import Secret


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A code that associates a device once, until it ends; `device` is the device's id."""

    device: str
    name: str
    code: Secret
    expires_at: Time


class FirmwareLine(msgspec.Struct, frozen=True, kw_only=True):
    """How many devices of a profile said that they run a version; empty: they never said anything."""

    profile: str
    profile_name: str
    version: str
    devices: int


class FirmwareOverview(msgspec.Struct, frozen=True):
    """Who runs what; where it is not complete, name a profile to see more."""

    items: tuple[FirmwareLine, ...]
    complete: bool
