"""Which versions of firmware devices run, counted."""

from collections import Counter

from core.model import DeviceState, ProfileId
from core.queries import FirmwareCount, FirmwareCountsQuery
from storage.statements import Statement
from storage.steps import Steps

# All three walk along an index; only the discarded devices are looked at one by one.
ALL = """SELECT profile, count(*) FROM device INDEXED BY device_profile
    WHERE tenant = ? GROUP BY profile"""
THAT_SAID = """SELECT profile, runs, count(*) FROM device INDEXED BY device_runs
    WHERE tenant = ? AND runs IS NOT NULL GROUP BY runs, profile"""
DISCARDED = """SELECT profile, coalesce(runs, '') FROM device INDEXED BY device_state
    WHERE tenant = ? AND state = ?"""


def counts(query: FirmwareCountsQuery) -> Steps[tuple[FirmwareCount, ...]]:
    """Answer who runs what."""
    devices: Counter[tuple[ProfileId, str]] = Counter()
    for profile, number in (yield Statement(ALL, (query.tenant,))):
        devices[profile, ""] += number
    for profile, version, number in (yield Statement(THAT_SAID, (query.tenant,))):
        devices[profile, version] += number
        devices[profile, ""] -= number
    discarded = yield Statement(DISCARDED, (query.tenant, DeviceState.DISCARDED.value))
    devices.subtract(map(tuple, discarded))
    return tuple(
        FirmwareCount(profile=profile, version=version, devices=number)
        for (profile, version), number in sorted(devices.items())
        if number and query.profile in (None, profile)
    )
