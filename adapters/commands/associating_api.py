"""What crosses the operator API about associations and firmware, as far as the command line reads or writes it."""

import msgspec

from adapters.commands.api import Firmware


class NewOffer(msgspec.Struct, frozen=True, omit_defaults=True):
    """A code to draw; None: it is good for as long as the gateway likes."""

    seconds: int | None = None


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A code that associates a device once."""

    device: str
    name: str
    code: str
    expires_at: str


class NewAssociation(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A code, and the id of who is to own its device."""

    code: str
    organization: str = ""
    user: str = ""


class FirmwareHolder(msgspec.Struct, frozen=True):
    """A device, configuration or profile, as far as it says which firmware is to run."""

    firmware: Firmware | None = None


class FirmwareLine(msgspec.Struct, frozen=True, kw_only=True):
    """How many devices of a profile run a version."""

    profile: str
    profile_name: str = ""
    version: str = ""
    devices: int


class FirmwareOverview(msgspec.Struct, frozen=True):
    """Who runs what."""

    items: tuple[FirmwareLine, ...]
    complete: bool = True
