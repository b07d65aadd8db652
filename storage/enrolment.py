"""Devices by the serial that their maker gave them."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

from collections.abc import Collection, Sequence

from core.model import Credential, Device, DeviceId, Tombstone
from core.queries import DeviceSnapshot, EnrolQuery, EnrolSnapshot, SerialsQuery, SignedDevicesQuery
from storage import rows, tombstones
from storage.answers import Claimed, credentials_by_device, names_taken, profiles_by_key, snapshots
from storage.bounds import ALIKE
from storage.statements import Grouped
from storage.steps import Steps

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
    CROSS JOIN device ON device.id IN (SELECT alike.id FROM device AS alike INDEXED BY device_signed_name
        WHERE alike.name = asked.name AND alike.unique_serial IS NOT NULL ORDER BY alike.id LIMIT {ALIKE})""",
    width=1,
    postgres=f"""WITH asked (name) AS (VALUES {{rows}}) SELECT asked.name, {rows.DEVICE} FROM asked
    CROSS JOIN LATERAL (SELECT * FROM device AS alike
        WHERE alike.name = asked.name AND alike.unique_serial IS NOT NULL ORDER BY alike.id LIMIT {ALIKE}) AS device""",
)
SIGNED_BY_SERIAL = Grouped(
    f"""WITH asked (serial) AS (VALUES {{rows}}) SELECT asked.serial, {rows.DEVICE} FROM asked
    CROSS JOIN device ON device.id IN (SELECT alike.id FROM device AS alike INDEXED BY device_unique_serial
        WHERE alike.serial = asked.serial AND alike.unique_serial IS NOT NULL ORDER BY alike.profile LIMIT {ALIKE})""",
    width=1,
    postgres=f"""WITH asked (serial) AS (VALUES {{rows}}) SELECT asked.serial, {rows.DEVICE} FROM asked
    CROSS JOIN LATERAL (SELECT * FROM device AS alike
        WHERE alike.serial = asked.serial AND alike.unique_serial IS NOT NULL
        ORDER BY alike.profile LIMIT {ALIKE}) AS device""",
)

Serial = tuple[str, str]
"""A profile and a serial: with `unique_serial` one device at most."""


def enrolments(queries: Sequence[EnrolQuery]) -> Steps[list[EnrolSnapshot]]:
    """Answer for devices that sign, all from the same moment."""
    profiles = yield from profiles_by_key({query.provision_key for query in queries})
    known = [(query, profiles[query.provision_key]) for query in queries if query.provision_key in profiles]
    devices = yield from devices_by_serial({(found.profile.id, query.serial) for query, found in known})
    credentials = (yield from credentials_by_device([device.id for device in devices.values()])) if devices else {}
    names = {(found.tenant.id, name) for query, found in known for name in query.names}
    taken = yield from names_taken(names)
    marked = {(found.profile.id, query.serial) for query, found in known if found.tombstones}
    stones = (yield from tombstones.of_serials(list(marked))) if marked else {}
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
    taken: Collection[tuple[str, str]],
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


def signed_devices(queries: Sequence[SignedDevicesQuery]) -> Steps[list[tuple[DeviceSnapshot, ...]]]:
    """Answer for devices of a name or serial, all from the same moment."""
    asked = [(serial,) for serial in {query.serial for query in queries}]
    named = [(row[0], rows.device(row[1:])) for row in (yield SIGNED_BY_NAME.asked(asked))]
    numbered = [(row[0], rows.device(row[1:])) for row in (yield SIGNED_BY_SERIAL.asked(asked))]
    # A device that is both is met by its name alone; of each kind they come in the order in which they were picked.
    found: dict[str, dict[DeviceId, Device]] = {serial: {} for (serial,) in asked}
    for serial, device in (*sorted(named, key=_by_id), *sorted(numbered, key=_by_profile)):
        found[serial].setdefault(device.id, device)
    distinct = {device.id: device for some in found.values() for device in some.values()}
    known = {snapshot.device.id: snapshot for snapshot in (yield from snapshots(list(distinct.values())))}
    return [tuple(known[device] for device in found[query.serial]) for query in queries]


def _by_id(found: tuple[str, Device]) -> str:
    return found[1].id


def _by_profile(found: tuple[str, Device]) -> str:
    return found[1].profile


def serials(query: SerialsQuery) -> Steps[tuple[DeviceSnapshot | None, ...]]:
    """Answer for a profile's devices by serial, in the order of the serials."""
    devices = yield from devices_by_serial({(query.profile, serial) for serial in query.serials})
    known = yield from snapshots(list(devices.values()))
    numbered = {snapshot.device.serial: snapshot for snapshot in known}
    return tuple(numbered.get(serial) for serial in query.serials)


def devices_by_serial(asked: Collection[Serial]) -> Steps[dict[Serial, Device]]:
    """Return the devices of distinct pairs of profile and serial."""
    devices = map(rows.device, (yield DEVICES_BY_SERIAL.asked(asked)))
    return {(device.profile, device.serial): device for device in devices}


def serials_taken(asked: Collection[Serial]) -> Steps[dict[Serial, str]]:
    """Return those of distinct pairs of profile and serial that a device has, with the device's id."""
    taken = yield SERIALS_TAKEN.asked(asked)
    return {(profile, serial): device for profile, serial, device in taken}
