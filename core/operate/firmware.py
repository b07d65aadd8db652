"""What operators do with the firmware that devices should run: say which it is, and see who runs what."""

import re
from functools import partial

import msgspec

from core import lifecycle
from core.errors import Reason, Refusal
from core.model import EventKind, Firmware
from core.operate import values
from core.operate.registry import WRITERS, Registry, Scope
from core.operate.updating import FirmwareLine, FirmwareOverview, FirmwareSet, Holder, ListFirmware, SetFirmware
from core.ports import Changes
from core.queries import ConfigQuery, FirmwareCountsQuery

URL_CHARACTERS = 2_048
SCHEMES = ("http", "https", "coap", "coaps", "coap+tcp", "coaps+tcp", "mqtt", "mqtts", "ftp", "ftps", "sftp", "tftp")
MOST_BYTES = 2**53  # what every reader of JSON counts to exactly (RFC 8259, section 6)
LINES = 10_000
_SHA256 = re.compile(r"[0-9a-f]{64}")
_URL = re.compile(
    r"(?P<scheme>[A-Za-z+]+)://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~%!$&'()*+,;=-]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?:[/?#][A-Za-z0-9._~%!$&'()*+,;=:@/?#-]*)?"
)


class FirmwareDesk(msgspec.Struct, frozen=True):
    """Says which firmware devices should run, and lists which they run."""

    registry: Registry

    async def set(self, command: SetFirmware, scope: Scope) -> FirmwareSet:
        """Write or clear what a holder says. Raises `Refusal` MALFORMED, NOT_FOUND or CONFLICT."""
        if command.firmware is not None:
            require_firmware(command.firmware)
        return await self.registry.settle(partial(self._set, command, scope), attempts=WRITERS)

    async def list(self, command: ListFirmware, scope: Scope) -> FirmwareOverview:
        """Return who runs what. Raises `Refusal` NOT_FOUND for a profile that does not exist."""
        profile = None if command.profile is None else (await self.registry.profile(command.profile, scope)).id
        counts = await self.registry.repository.read(FirmwareCountsQuery(scope.tenant, profile))
        shown = counts[:LINES]
        names = {each.profile: "" for each in shown}
        for identity in names:
            found = await self.registry.find_profile(identity, scope)
            names[identity] = found.name if found else ""
        lines = tuple(FirmwareLine(each.profile, names[each.profile], each.version, each.devices) for each in shown)
        return FirmwareOverview(lines, len(counts) <= LINES)

    async def _set(self, command: SetFirmware, scope: Scope) -> FirmwareSet:
        write = {Holder.DEVICE: self._set_device, Holder.CONFIG: self._set_config, Holder.PROFILE: self._set_profile}
        return FirmwareSet(command.holder, await write[command.holder](command, scope), command.firmware)

    async def _set_device(self, command: SetFirmware, scope: Scope) -> str:
        device = (await self.registry.device(command.ref, scope)).device
        if device.firmware != command.firmware:
            changed = msgspec.structs.replace(lifecycle.renew(device, self._now), firmware=command.firmware)
            event = self.registry.device_event(EventKind.DEVICE_CHANGED, changed, scope, _told(command))
            await self.registry.commit(event, Changes(replace=(changed,)))
        return device.id

    async def _set_config(self, command: SetFirmware, scope: Scope) -> str:
        device = (await self.registry.device(command.ref, scope)).device
        found = await self.registry.repository.read(ConfigQuery(scope.tenant, device.id))
        if found is None:
            raise Refusal(Reason.NOT_FOUND, "the device has no configuration", check="config.unknown")
        config = found.config
        if config.firmware != command.firmware:
            changed = msgspec.structs.replace(
                config, firmware=command.firmware, updated_at=self._now, version=config.version + 1
            )
            event = self.registry.config_event(EventKind.CONFIG_CHANGED, changed, device, scope, _told(command))
            await self.registry.commit(event, Changes(replace=(changed,)))
        return config.id

    async def _set_profile(self, command: SetFirmware, scope: Scope) -> str:
        profile = await self.registry.profile(command.ref, scope)
        if profile.firmware != command.firmware:
            changed = msgspec.structs.replace(
                profile, firmware=command.firmware, updated_at=self._now, version=profile.version + 1
            )
            event = self.registry.profile_event(EventKind.PROFILE_CHANGED, changed, scope, _told(command))
            await self.registry.commit(event, Changes(replace=(changed,)))
        return profile.id

    @property
    def _now(self) -> int:
        return self.registry.issuer.clock.now()


def require_firmware(firmware: Firmware) -> None:
    """Check what is said of an image. Raises `Refusal` MALFORMED."""
    values.require_text(firmware.version, "version", of="firmware")
    if not is_address(firmware.url):
        sentence = f"url: an absolute address of at most {URL_CHARACTERS} characters, without user and password, is needed"
        raise values.malformed(f"{sentence}; its scheme is one of {', '.join(SCHEMES)}", "firmware.url")
    if not 0 <= firmware.size <= MOST_BYTES:
        raise values.malformed(f"size: 0 to {MOST_BYTES} bytes are possible", "firmware.size")
    if _SHA256.fullmatch(firmware.sha256) is None:
        raise values.malformed("sha256: 64 lower-case hex digits are needed", "firmware.sha256")


def is_address(url: str) -> bool:
    """Tell whether devices can be sent to an address (RFC 3986): all of them see it, so it must hold no password."""
    found = _URL.fullmatch(url) if len(url) <= URL_CHARACTERS else None
    return found is not None and found["scheme"].lower() in SCHEMES and 0 < int(found["port"] or 1) < 2**16


def _told(command: SetFirmware) -> str:
    return f"firmware {command.firmware.version}" if command.firmware else "no firmware"
