"""Which versions of firmware devices run, counted through an SQLite connection on the connection's thread."""

import sqlite3
from collections import Counter

from core.model import DeviceState, ProfileId
from core.queries import FirmwareCount, FirmwareCountsQuery

# All three walk along an index; only the discarded devices are looked at one by one.
ALL = """SELECT profile, count(*) FROM device INDEXED BY device_profile
    WHERE tenant = ? GROUP BY profile"""
THAT_SAID = """SELECT profile, runs, count(*) FROM device INDEXED BY device_runs
    WHERE tenant = ? AND runs IS NOT NULL GROUP BY runs, profile"""
DISCARDED = """SELECT profile, coalesce(runs, '') FROM device INDEXED BY device_state
    WHERE tenant = ? AND state = ?"""


def counts(connection: sqlite3.Connection, query: FirmwareCountsQuery) -> tuple[FirmwareCount, ...]:
    """Answer who runs what."""
    devices: Counter[tuple[ProfileId, str]] = Counter()
    for profile, number in connection.execute(ALL, (query.tenant,)).fetchall():
        devices[profile, ""] += number
    for profile, version, number in connection.execute(THAT_SAID, (query.tenant,)).fetchall():
        devices[profile, version] += number
        devices[profile, ""] -= number
    devices.subtract(connection.execute(DISCARDED, (query.tenant, DeviceState.DISCARDED.value)).fetchall())
    return tuple(
        FirmwareCount(profile=profile, version=version, devices=number)
        for (profile, version), number in sorted(devices.items())
        if number and query.profile in (None, profile)
    )
