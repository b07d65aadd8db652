"""Queries by key, answered by an SQLite connection on the connection's thread: all waiting ones of a kind by one statement."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

import sqlite3
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
from storage.statements import Grouped

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
)
LOGINS = Grouped(
    f"""WITH asked (lookup) AS (VALUES {{rows}}) SELECT {rows.CREDENTIAL}, {rows.DEVICE} FROM asked
    CROSS JOIN credential ON credential.lookup = asked.lookup CROSS JOIN device ON device.id = credential.device""",
    width=1,
)
DEVICES_BY_ID = Grouped(
    f"WITH asked (id) AS (VALUES {{rows}}) SELECT {rows.DEVICE} FROM asked CROSS JOIN device ON device.id = asked.id",
    width=1,
)
TENANT = f"SELECT {rows.TENANT} FROM tenant WHERE id = ?"
PROFILE_BY_ID = f"SELECT {profile_rows.PROFILE} FROM profile WHERE id = ? AND tenant = ?"
PROFILE_BY_NAME = f"SELECT {profile_rows.PROFILE} FROM profile WHERE tenant = ? AND name = ?"
TOKEN = f"SELECT {rows.TOKEN} FROM token WHERE lookup = ?"


class Claimed(NamedTuple):
    """The profile of a provision key with its tenant, and whether that has any tombstones."""

    profile: Profile
    tenant: Tenant
    tombstones: bool


_CREDENTIAL_COLUMNS = rows.CREDENTIAL.count(",") + 1
_PROFILE_COLUMNS = profile_rows.PROFILE.count(",") + 1


def claims(connection: sqlite3.Connection, queries: Sequence[ClaimQuery]) -> list[ClaimSnapshot]:
    """Answer claims, each from the same moment."""
    profiles = profiles_by_key(connection, {query.provision_key for query in queries})
    known = [(query, profiles[query.provision_key]) for query in queries if query.provision_key in profiles]
    names = {(found.tenant.id, query.device_name) for query, found in known if query.device_name}
    marked = {(found.tenant.id, query.device_name) for query, found in known if query.device_name and found.tombstones}
    devices = devices_by_name(connection, list(names))
    credentials = credentials_by_device(connection, [device.id for device in devices.values()])
    taken = lookups_taken(connection, {query.lookup for query in queries if query.lookup is not None})
    stones = tombstones.of_names(connection, list(marked))
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


def logins(connection: sqlite3.Connection, queries: Sequence[LoginQuery]) -> list[tuple[LoginSnapshot | None, ...]]:
    """Answer logins, each from the same moment."""
    asked = {lookup for query in queries for lookup in query.lookups}
    found = [
        (rows.credential(row), rows.device(row[_CREDENTIAL_COLUMNS:]))
        for row in LOGINS.run(connection, [(lookup,) for lookup in asked])
    ]
    profiles = _profiles_by_id(connection, {device.profile for _, device in found})
    owners = {
        credential.lookup: LoginSnapshot(credential=credential, device=device, profile=profiles[device.profile])
        for credential, device in found
    }
    return [tuple(owners.get(lookup) for lookup in query.lookups) for query in queries]


def devices(connection: sqlite3.Connection, queries: Sequence[DeviceQuery]) -> list[DeviceSnapshot | None]:
    """Answer for devices of a tenant, all from the same moment."""
    found = devices_by_id(connection, list({query.id for query in queries}))
    snapshots = [(found.get(query.id), query.tenant) for query in queries]
    return [each if each is not None and each.device.tenant == tenant else None for each, tenant in snapshots]


def any_devices(connection: sqlite3.Connection, queries: Sequence[AnyDeviceQuery]) -> list[DeviceSnapshot | None]:
    """Answer for devices of any tenant, all from the same moment."""
    found = devices_by_id(connection, list({query.id for query in queries}))
    return [found.get(query.id) for query in queries]


def devices_named(connection: sqlite3.Connection, query: DeviceNamesQuery) -> tuple[DeviceSnapshot | None, ...]:
    """Answer for devices by name, in the order of the names."""
    devices = devices_by_name(connection, [(query.tenant, name) for name in dict.fromkeys(query.names)])
    named = {snapshot.device.name: snapshot for snapshot in snapshots(connection, list(devices.values()))}
    return tuple(named.get(name) for name in query.names)


def tenant(connection: sqlite3.Connection, query: TenantQuery) -> Tenant | None:
    """Answer for one tenant."""
    return stored_tenant(connection, query.id)


def profile(connection: sqlite3.Connection, query: ProfileQuery) -> Profile | None:
    """Answer for one profile: by id, else by name."""
    row = connection.execute(PROFILE_BY_ID, (query.id_or_name, query.tenant)).fetchone()
    if row is None:
        row = connection.execute(PROFILE_BY_NAME, (query.tenant, query.id_or_name)).fetchone()
    return None if row is None else profile_rows.profile(row)


def token(connection: sqlite3.Connection, query: TokenQuery) -> OperatorToken | None:
    """Answer for one operator token."""
    row = connection.execute(TOKEN, (query.lookup,)).fetchone()
    return None if row is None else rows.token(row)


def profiles_by_key(connection: sqlite3.Connection, keys: Iterable[str]) -> dict[str, Claimed]:
    """Return the profiles of distinct provision keys with their tenants."""
    rows_found = PROFILES_BY_KEY.run(connection, [(key,) for key in keys])
    found = [Claimed(profile_rows.profile(row), rows.tenant(row[_PROFILE_COLUMNS:]), bool(row[-1])) for row in rows_found]
    return {each.profile.provision_key: each for each in found}


def snapshots(connection: sqlite3.Connection, devices: Sequence[Device]) -> list[DeviceSnapshot]:
    """Return devices with their profiles and credentials, in the order given."""
    profiles = _profiles_by_id(connection, {device.profile for device in devices})
    credentials = credentials_by_device(connection, [device.id for device in devices])
    return [
        DeviceSnapshot(device=device, profile=profiles[device.profile], credentials=credentials[device.id])
        for device in devices
    ]


def stored_tenant(connection: sqlite3.Connection, tenant: TenantId) -> Tenant | None:
    """Return a tenant."""
    row = connection.execute(TENANT, (tenant,)).fetchone()
    return None if row is None else rows.tenant(row)


def devices_by_name(connection: sqlite3.Connection, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Device]:
    """Return the devices of distinct pairs of tenant and name."""
    devices = map(rows.device, DEVICES_BY_NAME.run(connection, names))
    return {(device.tenant, device.name): device for device in devices}


def devices_by_id(connection: sqlite3.Connection, ids: Sequence[DeviceId]) -> dict[DeviceId, DeviceSnapshot]:
    """Return the devices of distinct ids, with profile and credentials."""
    devices = list(map(rows.device, DEVICES_BY_ID.run(connection, [(device,) for device in ids])))
    return {snapshot.device.id: snapshot for snapshot in snapshots(connection, devices)}


def credentials_by_device(
    connection: sqlite3.Connection, devices: Sequence[DeviceId]
) -> dict[DeviceId, tuple[Credential, ...]]:
    """Return the credentials of distinct devices, oldest first."""
    found: dict[DeviceId, list[Credential]] = {device: [] for device in devices}
    for row in CREDENTIALS_BY_DEVICE.run(connection, [(device,) for device in devices]):
        found[row[1]].append(rows.credential(row))
    return {device: tuple(sorted(held, key=lambda credential: credential.id)) for device, held in found.items()}


def names_taken(connection: sqlite3.Connection, names: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Return those of distinct pairs of tenant and name that a device has, with the device's id."""
    return {(tenant, name): device for tenant, name, device in NAMES_TAKEN.run(connection, list(names))}


def lookups_taken(connection: sqlite3.Connection, lookups: Iterable[Lookup]) -> dict[Lookup, str]:
    """Return those of distinct lookups that a credential holds, with the credential's id."""
    return dict(LOOKUPS_TAKEN.run(connection, [(lookup,) for lookup in lookups]))


def _profiles_by_id(connection: sqlite3.Connection, ids: Iterable[ProfileId]) -> dict[ProfileId, Profile]:
    profiles = map(profile_rows.profile, PROFILES_BY_ID.run(connection, [(profile,) for profile in ids]))
    return {profile.id: profile for profile in profiles}
