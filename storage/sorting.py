"""Pages sought by exact values and sorted, and devices counted by what they run, by the memory store from all it has."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TypeVar

from core.model import Device, DeviceState, DirectoryEntry, Profile
from core.queries import (
    Counted,
    DeviceSearch,
    DeviceSnapshot,
    EntryPage,
    FirmwareCount,
    FirmwareCountsQuery,
    Order,
    ProfileSearch,
)
from storage.bounds import page_size, page_start
from storage.recall import snapshot
from storage.shelves import Shelves

E = TypeVar("E", Device, DirectoryEntry, Profile)


def devices(shelves: Shelves, query: DeviceSearch) -> Counted[DeviceSnapshot]:
    """Answer a page of devices, sorted."""
    found = [device for device in shelves.of(Device) if _matches(device, query)]
    key = _SORTED_BY[query.order]
    part = _part(sorted(found, key=lambda device: (key(device), device.id)), query)
    items = (snapshot(shelves, device) for device in part)
    return Counted(items=tuple(item for item in items if item is not None), total=len(found))


def profiles(shelves: Shelves, query: ProfileSearch) -> Counted[Profile]:
    """Answer a page of profiles."""
    found = [
        profile for profile in shelves.of(Profile) if profile.tenant == query.tenant and query.name in (None, profile.name)
    ]
    return Counted(items=tuple(_part(_by_id(found), query)), total=len(found))


def entries(shelves: Shelves, query: EntryPage) -> Counted[DirectoryEntry]:
    """Answer a page of entries."""
    found = [
        entry
        for entry in shelves.of(DirectoryEntry)
        if (entry.tenant, entry.kind) == (query.tenant, query.kind)
        and (query.parents is None or entry.parent in query.parents)
        and query.name in (None, entry.name)
        and query.template in (None, entry.template)
    ]
    return Counted(items=tuple(_part(_by_id(found), query)), total=len(found))


def firmware_counts(shelves: Shelves, query: FirmwareCountsQuery) -> tuple[FirmwareCount, ...]:
    """Answer who runs what."""
    counted = Counter(
        (device.profile, device.runs)
        for device in shelves.of(Device)
        if device.tenant == query.tenant
        and query.profile in (None, device.profile)
        and device.state is not DeviceState.DISCARDED
    )
    return tuple(
        FirmwareCount(profile=profile, version=version, devices=number)
        for (profile, version), number in sorted(counted.items())
    )


def _matches(device: Device, query: DeviceSearch) -> bool:
    return (
        device.tenant == query.tenant
        and (query.profiles is None or device.profile in query.profiles)
        and (query.owners is None or device.owner in query.owners)
        and (query.states is None or device.state in query.states)
        and _equals(device, query)
    )


def _equals(device: Device, query: DeviceSearch) -> bool:
    return (
        query.name in (None, device.name)
        and query.serial in (None, device.serial)
        and query.label in (None, device.label)
        and query.runs in (None, device.runs)
    )


_SORTED_BY: dict[Order, Callable[[Device], str | int]] = {
    Order.CREATED: lambda device: device.id,
    Order.UPDATED: lambda device: device.updated_at,
    Order.SERIAL: lambda device: device.serial,
    Order.NAME: lambda device: device.name,
    Order.LABEL: lambda device: device.label or device.name,
    Order.STATE: lambda device: device.state.value,
}


def _by_id(found: Iterable[E]) -> list[E]:
    return sorted(found, key=lambda entity: entity.id)


def _part(ordered: list[E], query: DeviceSearch | ProfileSearch | EntryPage) -> list[E]:
    if query.descending:
        ordered.reverse()
    start = page_start(query.offset)
    return ordered[start : start + page_size(query.limit)]
