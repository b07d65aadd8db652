"""Firmware: which one a device should run, as far as this registry says, and which one it says that it runs."""

import msgspec

from core import lifecycle
from core.audit import Audit
from core.authenticate import Authenticate
from core.configuration import ETAG_BYTES
from core.crypto.vault import Vault
from core.errors import Conflict, Reason, Refusal, registry_busy
from core.issuer import Issuer
from core.messages import ANY_ETAG, AskFirmware, Context, FirmwareAnswer, FirmwareReported, Identity, ReportFirmware
from core.model import EventKind, Firmware
from core.ports import Changes, Repository
from core.queries import ConfigQuery
from core.report import prove_device, read_device

ATTEMPTS = 3
VERSION_CHARACTERS = 255


class TellFirmware(msgspec.Struct, frozen=True):
    """The use case: what a device says of itself comes before its configuration, and that before its profile."""

    repository: Repository
    issuer: Issuer
    authenticate: Authenticate

    async def __call__(self, question: AskFirmware, context: Context) -> FirmwareAnswer:
        """Return what a device should run: nothing where that is what it runs.

        Raises `Refusal` as `prove_device` does, and UNAUTHENTICATED for a device that is gone.
        """
        identity = await prove_device(question.who, self.authenticate, context)
        found = await read_device(identity, self.repository)
        wanted = found.device.firmware or await self._configured(identity) or found.profile.firmware
        firmware = None if wanted is None or wanted.version == question.running else wanted
        etag = firmware_etag(firmware, self.issuer.vault)
        return FirmwareAnswer(
            identity=identity,
            profile=found.profile.id,
            firmware=firmware,
            etag=etag,
            unchanged=etag in question.held or ANY_ETAG in question.held,
        )

    async def _configured(self, identity: Identity) -> Firmware | None:
        found = await self.repository.read(ConfigQuery(identity.tenant, identity.device))
        return found.config.firmware if found else None


class NoteFirmware(msgspec.Struct, frozen=True):
    """The use case: the version that a device says it runs is written where it is another one than before."""

    repository: Repository
    issuer: Issuer
    audit: Audit
    authenticate: Authenticate

    async def __call__(self, report: ReportFirmware, context: Context) -> FirmwareReported:
        """Return what is known from now on. Raises `Refusal` as `TellFirmware` does, MALFORMED for what is no version."""
        identity = await prove_device(report.who, self.authenticate, context)
        version = require_version(report.version)
        for _ in range(ATTEMPTS):
            try:
                await self._write(identity, version, context)
            except Conflict:
                continue  # the device is not as it was read
            return FirmwareReported(identity, version)
        raise registry_busy()

    async def _write(self, identity: Identity, version: str, context: Context) -> None:
        device = (await read_device(identity, self.repository)).device
        if device.runs == version:
            return
        changed = msgspec.structs.replace(lifecycle.renew(device, self.issuer.clock.now()), runs=version)
        event = self.audit.device_event(EventKind.FIRMWARE_REPORTED, context, changed, version)
        await self.repository.commit(Changes(replace=(changed,), events=(event,)))


def require_version(text: str) -> str:
    """Return a version without the white space around it. Raises `Refusal` MALFORMED."""
    version = text.strip()
    if not 1 <= len(version) <= VERSION_CHARACTERS or not version.isprintable():
        detail = f"version: 1 to {VERSION_CHARACTERS} printable characters are needed"
        raise Refusal(Reason.MALFORMED, detail, check="firmware.version")
    return version


def firmware_etag(firmware: Firmware | None, vault: Vault) -> str:
    """Return 16 hex digits that change with what a device is told."""
    return vault.digest("firmware", msgspec.json.encode(firmware))[:ETAG_BYTES].hex()
