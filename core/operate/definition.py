"""What an operator says about a device that does not exist yet, checked and made into one."""

from typing import Any

import msgspec

from core.crypto.tokens import new_id
from core.issuer import Issuer
from core.messages import CredentialValue
from core.model import Credential, Device, DeviceId, Lookup, Profile
from core.operate import kinds, values
from core.operate.messages import DefineDevice, ImportRow


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A device to be made; every value in it is right by itself."""

    name: str
    value: CredentialValue
    lookup: Lookup
    metadata: dict[str, Any]


def define(command: DefineDevice | ImportRow, profile: Profile, issuer: Issuer) -> Definition:
    """Check what can be checked without the registry, and draw what was left out. Raises as `values.complete` does."""
    name = values.require_device_name(command.name)
    values.require_metadata(command.metadata)
    value = values.complete(command.credential or kinds.drawn(kinds.usual(profile)), profile, issuer)
    return Definition(name=name, value=value, lookup=issuer.lookup(value), metadata=command.metadata)


async def make(definition: Definition, profile: Profile, issuer: Issuer) -> tuple[Device, Credential]:
    """Make the device with its credential, sealed so that the factory can fetch it.

    Raises `Refusal` UNAVAILABLE when too many passwords are being stretched.
    """
    now = issuer.clock.now()
    device = Device(
        id=DeviceId(new_id(now, issuer.entropy)),
        tenant=profile.tenant,
        profile=profile.id,
        name=definition.name,
        metadata=definition.metadata,
        created_at=now,
        updated_at=now,
    )
    return device, await issuer.issue(definition.value, device.id, keep=True)
