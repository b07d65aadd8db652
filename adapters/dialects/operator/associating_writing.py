"""From the core's offers, associations and firmware to what operators get: one function each."""

from adapters.dialects.moments import rfc3339
from adapters.dialects.operator import associating_objects as objects
from adapters.dialects.operator import writing
from adapters.dialects.operator.objects import Device, Firmware
from core.operate.associating import Associated, Offered
from core.operate.updating import FirmwareOverview, FirmwareSet


def offer(result: Offered) -> objects.Offer:
    """Show a code."""
    device = result.device
    return objects.Offer(device=device.id, name=device.name, code=result.code, expires_at=rfc3339(result.expires_at))


def associated(result: Associated) -> Device:
    """Show the device that has its owner."""
    return writing.device(result.device)


def firmware(result: FirmwareSet) -> Firmware | None:
    """Show what is to run."""
    return writing.firmware(result.firmware)


def overview(result: FirmwareOverview) -> objects.FirmwareOverview:
    """Show who runs what."""
    lines = (
        objects.FirmwareLine(profile=each.profile, profile_name=each.profile_name, version=each.version, devices=each.devices)
        for each in result.lines
    )
    return objects.FirmwareOverview(tuple(lines), result.complete)
