"""Queries by key, answered by the memory store."""

from typing import cast

from core.model import BootstrapConfig, Channel, Credential, Device, Lookup, OperatorToken, Profile, TenantId
from core.queries import (
    BootstrapQuery,
    BootstrapSnapshot,
    ChannelsQuery,
    ClaimQuery,
    ClaimSnapshot,
    ConfigQuery,
    DeviceNamesQuery,
    DeviceQuery,
    DeviceSnapshot,
    ExternalKeyQuery,
    KeySnapshot,
    LoginQuery,
    LoginSnapshot,
    ProfileQuery,
    TokenQuery,
)
from storage.shelves import Shelves
from storage.uniques import Unique


def claim(shelves: Shelves, query: ClaimQuery) -> ClaimSnapshot:
    """Answer a claim."""
    taken = query.lookup is not None and shelves.holder(Unique("credential_lookup", query.lookup)) is not None
    profile = shelves.profile(shelves.holder(Unique("profile_key", query.provision_key)))
    if profile is None:
        return ClaimSnapshot(lookup_taken=taken)
    device = named(shelves, profile.tenant, query.device_name) if query.device_name else None
    return ClaimSnapshot(
        tenant=shelves.tenant(profile.tenant),
        profile=profile,
        device=device,
        credentials=shelves.credentials(device.id) if device is not None else (),
        lookup_taken=taken,
        tombstone=shelves.tombstone(shelves.holder(Unique("tombstone_name", (profile.tenant, query.device_name)))),
    )


def logins(shelves: Shelves, query: LoginQuery) -> tuple[LoginSnapshot | None, ...]:
    """Answer a login."""
    return tuple(_login(shelves, lookup) for lookup in query.lookups)


def _login(shelves: Shelves, lookup: Lookup) -> LoginSnapshot | None:
    credential = shelves.entity((Credential, shelves.holder(Unique("credential_lookup", lookup)) or ""))
    if not isinstance(credential, Credential):
        return None
    found = snapshot(shelves, shelves.device(credential.device))
    return LoginSnapshot(credential=credential, device=found.device, profile=found.profile) if found is not None else None


def external_key(shelves: Shelves, query: ExternalKeyQuery) -> KeySnapshot | None:
    """Answer for the external key of an external id."""
    config = shelves.config(shelves.holder(Unique("config_external_id", query.external_id)))
    device = shelves.device(config.id) if config is not None else None
    return None if config is None or device is None else KeySnapshot(device=device, external_key=config.external_key)


def bootstrap(shelves: Shelves, query: BootstrapQuery) -> BootstrapSnapshot | None:
    """Answer for the configuration of an external id."""
    return configuration(shelves, shelves.config(shelves.holder(Unique("config_external_id", query.external_id))))


def device(shelves: Shelves, query: DeviceQuery) -> DeviceSnapshot | None:
    """Answer for one device."""
    found = shelves.device(query.id)
    return snapshot(shelves, found) if found is not None and found.tenant == query.tenant else None


def devices_named(shelves: Shelves, query: DeviceNamesQuery) -> tuple[DeviceSnapshot | None, ...]:
    """Answer for devices by name, in the order of the names."""
    return tuple(snapshot(shelves, named(shelves, query.tenant, name)) for name in query.names)


def config(shelves: Shelves, query: ConfigQuery) -> BootstrapSnapshot | None:
    """Answer for the configuration of one device."""
    found = shelves.config(query.id)
    return configuration(shelves, found) if found is not None and found.tenant == query.tenant else None


def channels(shelves: Shelves, query: ChannelsQuery) -> tuple[Channel | None, ...]:
    """Answer for channels by id, in the order of the ids."""
    found = map(shelves.channel, query.ids)
    return tuple(channel if channel is not None and channel.tenant == query.tenant else None for channel in found)


def profile(shelves: Shelves, query: ProfileQuery) -> Profile | None:
    """Answer for one profile: by id, else by name."""
    by_id = shelves.profile(query.id_or_name)
    if by_id is not None and by_id.tenant == query.tenant:
        return by_id
    return shelves.profile(shelves.holder(Unique("profile_name", (query.tenant, query.id_or_name))))


def token(shelves: Shelves, query: TokenQuery) -> OperatorToken | None:
    """Answer for one operator token."""
    holder = shelves.holder(Unique("token_lookup", query.lookup))
    return cast("OperatorToken | None", shelves.entity((OperatorToken, holder or "")))


def snapshot(shelves: Shelves, device: Device | None) -> DeviceSnapshot | None:
    """Return a device with its profile and credentials."""
    profile = shelves.profile(device.profile) if device is not None else None
    if device is None or profile is None:
        return None
    return DeviceSnapshot(device=device, profile=profile, credentials=shelves.credentials(device.id))


def configuration(shelves: Shelves, config: BootstrapConfig | None) -> BootstrapSnapshot | None:
    """Return a configuration with its device, credentials and channels."""
    device = shelves.device(config.id) if config is not None else None
    if config is None or device is None:
        return None
    listed = [shelves.channel(channel) for channel in config.channels]
    return BootstrapSnapshot(
        config=config,
        device=device,
        credentials=shelves.credentials(device.id),
        channels=tuple(channel for channel in listed if channel is not None),
    )


def named(shelves: Shelves, tenant: TenantId, name: str) -> Device | None:
    """Return the device of a name."""
    return shelves.device(shelves.holder(Unique("device_name", (tenant, name))))
