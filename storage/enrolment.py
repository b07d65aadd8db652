"""Devices by the serial that their maker gave them, read through an SQLite connection on the connection's thread."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

import sqlite3
from collections.abc import Iterable, Sequence

from core.model import Credential, Device, DeviceId, Tombstone
from core.queries import DeviceSnapshot, EnrolQuery, EnrolSnapshot, SerialsQuery, SignedDevicesQuery
from storage import rows, tombstones
from storage.answers import Claimed, credentials_by_device, names_taken, profiles_by_key, snapshots
from storage.bounds import ALIKE
from storage.statements import Grouped

# CROSS JOIN keeps the order of the tables: left to itself the planner may walk through a whole table instead.
DEVICES_BY_SERIAL = Grouped(
    f"""WITH asked (profile, serial) AS (VALUES {{rows}}) SELECT {rows.DEVICE} FROM asked CROSS JOIN device
    ON device.profile = asked.profile AND device.serial = asked.serial AND device.unique_serial IS NOT NULL""",
    width=2,
)
SERIALS_TAKEN = Grouped(
    """WITH asked (profile, serial) AS (VALUES {rows}) SELECT device.profile, device.serial, device.id FROM asked
    CROSS JOIN device
    ON device.profile = asked.profile AND device.serial = asked.serial AND device.unique_serial IS NOT NULL""",
    width=2,
)
SIGNED_BY_NAME = Grouped(
    f"""WITH asked (name) AS (VALUES {{rows}}) SELECT asked.name, {rows.DEVICE} FROM asked
    CROSS JOIN device ON device.id IN (SELECT some.id FROM device AS some INDEXED BY device_signed_name
        WHERE some.name = asked.name AND some.unique_serial IS NOT NULL ORDER BY some.id LIMIT {ALIKE})""",
    width=1,
)
SIGNED_BY_SERIAL = Grouped(
    f"""WITH asked (serial) AS (VALUES {{rows}}) SELECT asked.serial, {rows.DEVICE} FROM asked
    CROSS JOIN device ON device.id IN (SELECT some.id FROM device AS some INDEXED BY device_unique_serial
        WHERE some.serial = asked.serial AND some.unique_serial IS NOT NULL ORDER BY some.profile LIMIT {ALIKE})""",
    width=1,
)

Serial = tuple[str, str]
"""A profile and a serial: with `unique_serial` one device at most."""


def enrolments(connection: sqlite3.Connection, queries: Sequence[EnrolQuery]) -> list[EnrolSnapshot]:
    """Answer for devices that sign, all from the same moment."""
    profiles = profiles_by_key(connection, {query.provision_key for query in queries})
    known = [(query, profiles[query.provision_key]) for query in queries if query.provision_key in profiles]
    devices = devices_by_serial(connection, {(found.profile.id, query.serial) for query, found in known})
    credentials = credentials_by_device(connection, [device.id for device in devices.values()])
    names = {(found.tenant.id, name) for query, found in known for name in query.names}
    taken = names_taken(connection, names).keys()
    marked = {(found.profile.id, query.serial) for query, found in known if found.tombstones}
    stones = tombstones.of_serials(connection, list(marked))
    return [
        _enrolment(query, profiles[query.provision_key], devices, credentials, taken, stones)
        if query.provision_key in profiles
        else EnrolSnapshot()
        for query in queries
    ]


def _enrolment(
    query: EnrolQuery,
    found: Claimed,
    devices: dict[Serial, Device],
    credentials: dict[DeviceId, tuple[Credential, ...]],
    taken: Iterable[tuple[str, str]],
    stones: dict[Serial, Tombstone],
) -> EnrolSnapshot:
    device = devices.get((found.profile.id, query.serial))
    return EnrolSnapshot(
        tenant=found.tenant,
        profile=found.profile,
        device=device,
        credentials=credentials[device.id] if device is not None else (),
        names_taken=frozenset(name for name in query.names if (found.tenant.id, name) in taken),
        tombstone=stones.get((found.profile.id, query.serial)),
    )


def signed_devices(connection: sqlite3.Connection, queries: Sequence[SignedDevicesQuery]) -> list[tuple[DeviceSnapshot, ...]]:
    """Answer for devices of a name or serial, all from the same moment."""
    asked = [(serial,) for serial in {query.serial for query in queries}]
    named = [(row[0], rows.device(row[1:])) for row in SIGNED_BY_NAME.run(connection, asked)]
    numbered = [(row[0], rows.device(row[1:])) for row in SIGNED_BY_SERIAL.run(connection, asked)]
    # A device that is both is met by its name alone; of each kind they come in the order in which they were picked.
    found: dict[str, dict[DeviceId, Device]] = {serial: {} for (serial,) in asked}
    for serial, device in (*sorted(named, key=_by_id), *sorted(numbered, key=_by_profile)):
        found[serial].setdefault(device.id, device)
    distinct = {device.id: device for some in found.values() for device in some.values()}
    known = {snapshot.device.id: snapshot for snapshot in snapshots(connection, list(distinct.values()))}
    return [tuple(known[device] for device in found[query.serial]) for query in queries]


def _by_id(found: tuple[str, Device]) -> str:
    return found[1].id


def _by_profile(found: tuple[str, Device]) -> str:
    return found[1].profile


def serials(connection: sqlite3.Connection, query: SerialsQuery) -> tuple[DeviceSnapshot | None, ...]:
    """Answer for a profile's devices by serial, in the order of the serials."""
    devices = devices_by_serial(connection, {(query.profile, serial) for serial in query.serials})
    numbered = {snapshot.device.serial: snapshot for snapshot in snapshots(connection, list(devices.values()))}
    return tuple(numbered.get(serial) for serial in query.serials)


def devices_by_serial(connection: sqlite3.Connection, asked: Iterable[Serial]) -> dict[Serial, Device]:
    """Return the devices of distinct pairs of profile and serial."""
    devices = map(rows.device, DEVICES_BY_SERIAL.run(connection, list(asked)))
    return {(device.profile, device.serial): device for device in devices}


def serials_taken(connection: sqlite3.Connection, asked: Iterable[Serial]) -> dict[Serial, str]:
    """Return those of distinct pairs of profile and serial that a device has, with the device's id."""
    return {(profile, serial): device for profile, serial, device in SERIALS_TAKEN.run(connection, list(asked))}
