"""Values that one entity at most may hold, and the guard that each of them is kept by."""

from collections.abc import Callable
from typing import Any, NamedTuple

from core.errors import Guard
from core.model import (
    Approval,
    BootstrapConfig,
    Credential,
    Device,
    DirectoryEntry,
    EntryKind,
    IssuedCertificate,
    OperatorToken,
    OscoreState,
    PendingClaim,
    Profile,
    Tenant,
    Tombstone,
)
from core.ports import Entity


class Unique(NamedTuple):
    """A value that one entity at most may hold: what it is unique as, and the value."""

    trait: str
    value: tuple[str, ...] | str | bytes


GUARDS = {
    "device_name": Guard.DEVICE_NAME,
    "device_serial": Guard.DEVICE_SERIAL,
    "credential_lookup": Guard.CREDENTIAL_LOOKUP,
    "claim_lookup": Guard.CLAIM_LOOKUP,
    "entry_login": Guard.ENTRY_LOGIN,
    "entry_name": Guard.ENTRY_NAME,
    "profile_name": Guard.PROFILE_NAME,
    "profile_key": Guard.PROVISION_KEY,
    "token_name": Guard.TOKEN_NAME,
    "approval_name": Guard.APPROVAL_NAME,
    # No guards of their own: these lookups are keyed digests of drawn secrets, as a credential's is.
    "token_lookup": Guard.CREDENTIAL_LOOKUP,
    "entry_lookup": Guard.CREDENTIAL_LOOKUP,
    # These are ids, but not drawn ones: a tenant's may be chosen, a claim's and a configuration's are their device's, an OSCORE
    # state's is its credential's, and a certificate's is its serial number.
    "tenant_id": Guard.TENANT_ID,
    "oscore_credential": Guard.OSCORE_CONTEXT,
    "certificate_serial": Guard.CERTIFICATE_SERIAL,
    "claim_device": Guard.CLAIM_DEVICE,
    "config_device": Guard.CONFIG_DEVICE,
    "config_external_id": Guard.EXTERNAL_ID,
    "config_name": Guard.CONFIG_NAME,
}


OF_PROFILES = (EntryKind.DEVICE_FIELD, EntryKind.CHANNEL_TEMPLATE)
"""The kinds of entries that have names of their own within a profile, or among those of all profiles."""


def uniques(entity: Entity) -> tuple[Unique, ...]:
    """Return the unique values that an entity holds, in the order in which their guards are to be named."""
    held = _HELD.get(type(entity))
    return () if held is None else held(entity)


def marks(tombstone: Tombstone) -> tuple[Unique, ...]:
    """Return what one tombstone at most has. No guard keeps it: a new one takes the place of those that have it."""
    name = Unique("tombstone_name", (tombstone.tenant, tombstone.name))
    return (name, Unique("tombstone_serial", (tombstone.profile, tombstone.serial))) if tombstone.serial else (name,)


def _of_tenant(tenant: Tenant) -> tuple[Unique, ...]:
    return (Unique("tenant_id", tenant.id),)


def _of_profile(profile: Profile) -> tuple[Unique, ...]:
    return (Unique("profile_name", (profile.tenant, profile.name)), Unique("profile_key", profile.provision_key))


def _of_device(device: Device) -> tuple[Unique, ...]:
    name = Unique("device_name", (device.tenant, device.name))
    if device.unique_serial and device.serial:
        return (name, Unique("device_serial", (device.profile, device.serial)))
    return (name,)


def _of_credential(credential: Credential) -> tuple[Unique, ...]:
    return (Unique("credential_lookup", credential.lookup),)


def _of_oscore_state(state: OscoreState) -> tuple[Unique, ...]:
    return (Unique("oscore_credential", state.id),)


def _of_certificate(certificate: IssuedCertificate) -> tuple[Unique, ...]:
    return (Unique("certificate_serial", certificate.id),)


def _of_claim(claim: PendingClaim) -> tuple[Unique, ...]:
    return (Unique("claim_device", claim.id), Unique("claim_lookup", claim.lookup))


def _of_approval(approval: Approval) -> tuple[Unique, ...]:
    return (Unique("approval_name", (approval.profile, approval.name)),)


def _of_token(token: OperatorToken) -> tuple[Unique, ...]:
    return (Unique("token_name", (token.tenant, token.name)), Unique("token_lookup", token.lookup))


def _of_entry(entry: DirectoryEntry) -> tuple[Unique, ...]:
    held = [Unique("entry_login", (entry.tenant, entry.login))] if entry.login else []
    if entry.kind in OF_PROFILES:
        held.append(Unique("entry_name", (entry.tenant, entry.kind.value, entry.parent, entry.name)))
    if entry.lookup is not None:
        held.append(Unique("entry_lookup", entry.lookup))
    return tuple(held)


def _of_config(config: BootstrapConfig) -> tuple[Unique, ...]:
    held = (Unique("config_device", config.id), Unique("config_external_id", config.external_id))
    if config.unique_name and config.name:
        return (*held, Unique("config_name", (config.tenant, config.name)))
    return held


_HELD: dict[type[Entity], Callable[[Any], tuple[Unique, ...]]] = {
    Tenant: _of_tenant,
    Profile: _of_profile,
    Device: _of_device,
    Credential: _of_credential,
    OscoreState: _of_oscore_state,
    IssuedCertificate: _of_certificate,
    PendingClaim: _of_claim,
    Approval: _of_approval,
    BootstrapConfig: _of_config,
    DirectoryEntry: _of_entry,
    OperatorToken: _of_token,
}
"""What entities of each kind hold; the others hold nothing."""
