"""Queries by key: all waiting ones of a kind by one statement."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from core.model import (
    Credential,
    Device,
    DeviceId,
    Lookup,
    OperatorToken,
    Profile,
    ProfileId,
    Tenant,
    TenantId,
    Tombstone,
)
from core.queries import (
    AnyDeviceQuery,
    ClaimQuery,
    ClaimSnapshot,
    DeviceNamesQuery,
    DeviceQuery,
    DeviceSnapshot,
    LoginQuery,
    LoginSnapshot,
    ProfileQuery,
    TenantQuery,
    TokenQuery,
)
from storage import profile_rows, rows, tombstones
from storage.statements import Grouped, Statement
from storage.steps import Steps

# CROSS JOIN keeps the order of the tables: left to itself the planner may walk through a whole table instead.
PROFILES_BY_KEY = Grouped(
    f"""WITH asked (provision_key) AS (VALUES {{rows}})
    SELECT {profile_rows.PROFILE}, {rows.TENANT}, {tombstones.STANDS} FROM asked
    CROSS JOIN profile ON profile.provision_key = asked.provision_key CROSS JOIN tenant ON tenant.id = profile.tenant""",
    width=1,
)
PROFILES_BY_ID = Grouped(
    f"""WITH asked (id) AS (VALUES {{rows}}) SELECT {profile_rows.PROFILE} FROM asked
    CROSS JOIN profile ON profile.id = asked.id""",
    width=1,
)
DEVICES_BY_NAME = Grouped(
    f"""WITH asked (tenant, name) AS (VALUES {{rows}}) SELECT {rows.DEVICE} FROM asked
    CROSS JOIN device ON device.tenant = asked.tenant AND device.name = asked.name""",
    width=2,
)
NAMES_TAKEN = Grouped(
    """WITH asked (tenant, name) AS (VALUES {rows}) SELECT device.tenant, device.name, device.id FROM asked
    CROSS JOIN device ON device.tenant = asked.tenant AND device.name = asked.name""",
    width=2,
)
CREDENTIALS_BY_DEVICE = Grouped(
    f"""WITH asked (device) AS (VALUES {{rows}}) SELECT {rows.CREDENTIAL} FROM asked
    CROSS JOIN credential ON credential.device = asked.device""",
    width=1,
)
LOOKUPS_TAKEN = Grouped(
    """WITH asked (lookup) AS (VALUES {rows}) SELECT credential.lookup, credential.id FROM asked
    CROSS JOIN credential ON credential.lookup = asked.lookup""",
    width=1,
    types=("bytea",),
)
LOGINS = Grouped(
    f"""WITH asked (lookup) AS (VALUES {{rows}}) SELECT {rows.CREDENTIAL}, {rows.DEVICE} FROM asked
    CROSS JOIN credential ON credential.lookup = asked.lookup CROSS JOIN device ON device.id = credential.device""",
    width=1,
    types=("bytea",),
)
DEVICES_BY_ID = Grouped(
    f"WITH asked (id) AS (VALUES {{rows}}) SELECT {rows.DEVICE} FROM asked CROSS JOIN device ON device.id = asked.id",
    width=1,
)
TENANT = f"SELECT {rows.TENANT} FROM tenant WHERE id = ?"
PROFILE_BY_ID = f"SELECT {profile_rows.PROFILE} FROM profile WHERE id = ? AND +tenant = ?"
PROFILE_BY_NAME = f"SELECT {profile_rows.PROFILE} FROM profile WHERE tenant = ? AND name = ?"
TOKEN = f"SELECT {rows.TOKEN} FROM token WHERE lookup = ?"


class Claimed(NamedTuple):
    """The profile of a provision key with its tenant, and whether that has any tombstones."""

    profile: Profile
    tenant: Tenant
    tombstones: bool


_CREDENTIAL_COLUMNS = rows.CREDENTIAL.count(",") + 1
_PROFILE_COLUMNS = profile_rows.PROFILE.count(",") + 1


def claims(queries: Sequence[ClaimQuery]) -> Steps[list[ClaimSnapshot]]:
    """Answer claims, each from the same moment."""
    profiles = yield from profiles_by_key({query.provision_key for query in queries})
    known = [(query, profiles[query.provision_key]) for query in queries if query.provision_key in profiles]
    names = {(found.tenant.id, query.device_name) for query, found in known if query.device_name}
    marked = {(found.tenant.id, query.device_name) for query, found in known if query.device_name and found.tombstones}
    devices = yield from devices_by_name(list(names))
    credentials = (yield from credentials_by_device([device.id for device in devices.values()])) if devices else {}
    taken = yield from lookups_taken({query.lookup for query in queries if query.lookup is not None})
    stones = (yield from tombstones.of_names(list(marked))) if marked else {}
    return [_claim(query, profiles, devices, credentials, taken.keys(), stones) for query in queries]


def _claim(
    query: ClaimQuery,
    profiles: dict[str, Claimed],
    devices: dict[tuple[str, str], Device],
    credentials: dict[DeviceId, tuple[Credential, ...]],
    taken: Collection[Lookup],
    stones: dict[tuple[str, str], Tombstone],
) -> ClaimSnapshot:
    lookup_taken = query.lookup is not None and query.lookup in taken
    found = profiles.get(query.provision_key)
    if found is None:
        return ClaimSnapshot(lookup_taken=lookup_taken)
    name = found.tenant.id, query.device_name
    device = devices.get(name)
    return ClaimSnapshot(
        tenant=found.tenant,
        profile=found.profile,
        device=device,
        credentials=credentials[device.id] if device is not None else (),
        lookup_taken=lookup_taken,
        tombstone=stones.get(name),
    )


def logins(queries: Sequence[LoginQuery]) -> Steps[list[tuple[LoginSnapshot | None, ...]]]:
    """Answer logins, each from the same moment."""
    asked = {lookup for query in queries for lookup in query.lookups}
    met = yield LOGINS.asked([(lookup,) for lookup in asked])
    found = [(rows.credential(row), rows.device(row[_CREDENTIAL_COLUMNS:])) for row in met]
    profiles = yield from _profiles_by_id({device.profile for _, device in found})
    owners = {
        credential.lookup: LoginSnapshot(credential=credential, device=device, profile=profiles[device.profile])
        for credential, device in found
    }
    return [tuple(owners.get(lookup) for lookup in query.lookups) for query in queries]


def devices(queries: Sequence[DeviceQuery]) -> Steps[list[DeviceSnapshot | None]]:
    """Answer for devices of a tenant, all from the same moment."""
    found = yield from devices_by_id(list({query.id for query in queries}))
    snapshots = [(found.get(query.id), query.tenant) for query in queries]
    return [each if each is not None and each.device.tenant == tenant else None for each, tenant in snapshots]


def any_devices(queries: Sequence[AnyDeviceQuery]) -> Steps[list[DeviceSnapshot | None]]:
    """Answer for devices of any tenant, all from the same moment."""
    found = yield from devices_by_id(list({query.id for query in queries}))
    return [found.get(query.id) for query in queries]


def devices_named(query: DeviceNamesQuery) -> Steps[tuple[DeviceSnapshot | None, ...]]:
    """Answer for devices by name, in the order of the names."""
    devices = yield from devices_by_name([(query.tenant, name) for name in dict.fromkeys(query.names)])
    known = yield from snapshots(list(devices.values()))
    named = {snapshot.device.name: snapshot for snapshot in known}
    return tuple(named.get(name) for name in query.names)


def tenant(query: TenantQuery) -> Steps[Tenant | None]:
    """Answer for one tenant."""
    return (yield from stored_tenant(query.id))


def profile(query: ProfileQuery) -> Steps[Profile | None]:
    """Answer for one profile: by id, else by name."""
    found = yield Statement(PROFILE_BY_ID, (query.id_or_name, query.tenant))
    if not found:
        found = yield Statement(PROFILE_BY_NAME, (query.tenant, query.id_or_name))
    return profile_rows.profile(found[0]) if found else None


def token(query: TokenQuery) -> Steps[OperatorToken | None]:
    """Answer for one operator token."""
    found = yield Statement(TOKEN, (query.lookup,))
    return rows.token(found[0]) if found else None


def profiles_by_key(keys: Iterable[str]) -> Steps[dict[str, Claimed]]:
    """Return the profiles of distinct provision keys with their tenants."""
    met = yield PROFILES_BY_KEY.asked([(key,) for key in keys])
    found = [Claimed(profile_rows.profile(row), rows.tenant(row[_PROFILE_COLUMNS:]), bool(row[-1])) for row in met]
    return {each.profile.provision_key: each for each in found}


def snapshots(devices: Sequence[Device]) -> Steps[list[DeviceSnapshot]]:
    """Return devices with their profiles and credentials, in the order given."""
    profiles = yield from _profiles_by_id({device.profile for device in devices})
    credentials = yield from credentials_by_device([device.id for device in devices])
    return [
        DeviceSnapshot(device=device, profile=profiles[device.profile], credentials=credentials[device.id])
        for device in devices
    ]


def stored_tenant(tenant: TenantId) -> Steps[Tenant | None]:
    """Return a tenant."""
    found = yield Statement(TENANT, (tenant,))
    return rows.tenant(found[0]) if found else None


def devices_by_name(names: Sequence[tuple[str, str]]) -> Steps[dict[tuple[str, str], Device]]:
    """Return the devices of distinct pairs of tenant and name."""
    devices = map(rows.device, (yield DEVICES_BY_NAME.asked(names)))
    return {(device.tenant, device.name): device for device in devices}


def devices_by_id(ids: Sequence[DeviceId]) -> Steps[dict[DeviceId, DeviceSnapshot]]:
    """Return the devices of distinct ids, with profile and credentials."""
    met = yield DEVICES_BY_ID.asked([(device,) for device in ids])
    known = yield from snapshots(list(map(rows.device, met)))
    return {snapshot.device.id: snapshot for snapshot in known}


def credentials_by_device(devices: Sequence[DeviceId]) -> Steps[dict[DeviceId, tuple[Credential, ...]]]:
    """Return the credentials of distinct devices, oldest first."""
    found: dict[DeviceId, list[Credential]] = {device: [] for device in devices}
    for row in (yield CREDENTIALS_BY_DEVICE.asked([(device,) for device in devices])):
        found[row[1]].append(rows.credential(row))
    return {device: tuple(sorted(held, key=lambda credential: credential.id)) for device, held in found.items()}


def names_taken(names: Collection[tuple[str, str]]) -> Steps[dict[tuple[str, str], str]]:
    """Return those of distinct pairs of tenant and name that a device has, with the device's id."""
    taken = yield NAMES_TAKEN.asked(names)
    return {(tenant, name): device for tenant, name, device in taken}


def lookups_taken(lookups: Iterable[Lookup]) -> Steps[dict[Lookup, str]]:
    """Return those of distinct lookups that a credential holds, with the credential's id."""
    return dict((yield LOOKUPS_TAKEN.asked([(lookup,) for lookup in lookups])))


def _profiles_by_id(ids: Iterable[ProfileId]) -> Steps[dict[ProfileId, Profile]]:
    profiles = map(profile_rows.profile, (yield PROFILES_BY_ID.asked([(profile,) for profile in ids])))
    return {profile.id: profile for profile in profiles}
