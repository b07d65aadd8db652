"""What operators may ask for about the firmware of devices: commands and results."""

import enum

import msgspec

from core.model import Firmware


class Holder(enum.Enum):
    """What says which firmware devices should run: of what a device, its configuration and its profile say the first counts."""

    DEVICE = "device"
    CONFIG = "config"
    PROFILE = "profile"


class SetFirmware(msgspec.Struct, frozen=True, kw_only=True):
    """Say which firmware is to run, None: nothing is said any more. A `FirmwareSet`.

    `ref` is an id or name; that of a configuration is its device's.
    """

    holder: Holder
    ref: str
    firmware: Firmware | None


class ListFirmware(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs what: a `FirmwareOverview`, of one profile (id or name) or of all."""

    profile: str | None = None


class FirmwareSet(msgspec.Struct, frozen=True):
    """What a holder says now."""

    holder: Holder
    id: str
    firmware: Firmware | None


class FirmwareLine(msgspec.Struct, frozen=True):
    """How many devices of a profile said that they run a version; empty: they never said anything."""

    profile: str
    profile_name: str
    version: str
    devices: int


class FirmwareOverview(msgspec.Struct, frozen=True):
    """Who runs what, in the order of profiles and versions; `complete` is False where there were more lines than are shown."""

    lines: tuple[FirmwareLine, ...]
    complete: bool


UpdatingCommand = SetFirmware | ListFirmware
