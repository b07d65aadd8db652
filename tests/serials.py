"""Groups whose devices sign, and devices of them, put into a registry for tests."""

from typing import Any

import msgspec

from core.attestation import secret_row
from core.crypto.tokens import new_id
from core.issuer import Issuer
from core.messages import Triple
from core.model import (
    DEFAULT_TENANT,
    Credential,
    Device,
    DeviceState,
    Profile,
    ProfileId,
    Secret,
    SignedPolicy,
    Strategy,
    TenantId,
)
from core.ports import Changes, Repository
from core.queries import DeviceNamesQuery, DeviceSnapshot

PASSWORD = "Pa55word of a group"
PRODUCT_KEY = "pk000001"


async def add_group(
    repository: Repository, issuer: Issuer, key: str = "QK7M2A", *, tenant: TenantId = DEFAULT_TENANT, **policy: Any
) -> Profile:
    """Add a group, named after its key."""
    now = issuer.clock.now()
    identity = ProfileId(new_id(now, issuer.entropy))
    profile = Profile(
        id=identity,
        tenant=tenant,
        name=f"group {key}",
        strategy=Strategy.SIGNED,
        provision_key=key,
        provision_secret=issuer.vault.seal(Secret(PASSWORD), secret_row(identity)),
        signed=SignedPolicy(**{"product_key": PRODUCT_KEY} | policy),
        created_at=now,
        updated_at=now,
    )
    await repository.commit(Changes(insert=(profile,)))
    return profile


async def known(repository: Repository, name: str, tenant: TenantId = DEFAULT_TENANT) -> DeviceSnapshot:
    """Return a device by name that must be there."""
    (found,) = await repository.read(DeviceNamesQuery(tenant, (name,)))
    assert found is not None, name
    return found


async def is_known(repository: Repository, name: str, tenant: TenantId = DEFAULT_TENANT) -> bool:
    """Tell whether there is a device of this name."""
    (found,) = await repository.read(DeviceNamesQuery(tenant, (name,)))
    return found is not None


async def alter(repository: Repository, device: Device, **fields: Any) -> Device:
    """Replace fields of a device."""
    changed = msgspec.structs.replace(device, version=device.version + 1, **fields)
    await repository.commit(Changes(replace=(changed,)))
    return changed


async def issue(repository: Repository, issuer: Issuer, device: Device, expires_at: int | None = None) -> Credential:
    """Give a device a triple, whatever its state."""
    credential = await issuer.issue(issuer.new_triple(PRODUCT_KEY), device.id, keep=True, expires_at=expires_at)
    await repository.commit(Changes(insert=(credential,)))
    return credential


def triples(issuer: Issuer, found: DeviceSnapshot) -> list[Triple]:
    """Return the triples of a device, oldest first."""
    values = [issuer.reveal(credential) for credential in found.credentials]
    return [value for value in values if isinstance(value, Triple)]


ALL_STATES = tuple(DeviceState)
