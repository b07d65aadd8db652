"""How operators find devices by their serials, names, groups and states."""

from typing import Any

import msgspec

from core.limits import AtOnce
from core.model import ProfileId
from core.operate import values
from core.operate.allocating import SearchSerials, SerialView, ShowSerial
from core.operate.configuring import CountedPage
from core.operate.registry import Registry, Scope
from core.operate.serial_order import sort_key
from core.operate.serial_scan import SerialScan, has_members
from core.queries import Counted, DeviceNamesQuery, DeviceSearch, DeviceSnapshot, EnrolQuery

NAMES = 1_000
VALUES = 100
"""Groups or serials of one search: each is looked up by itself."""

DEPTH = 10_000
"""Devices that the serials of one search may have together."""


class SerialSearch(msgspec.Struct, frozen=True):
    """Shows one device, and finds many."""

    registry: Registry
    scans: AtOnce

    async def show(self, command: ShowSerial, scope: Scope) -> SerialView:
        """Return one device. Raises `Refusal` NOT_FOUND."""
        found = await self.registry.device(f"name:{command.name}", scope)
        return SerialView(found.device, found.profile)

    async def search(self, command: SearchSerials, scope: Scope) -> CountedPage[SerialView]:
        """Return a page of the devices that match every filter. Raises `Refusal` MALFORMED for more than can be looked up."""
        _require(command)
        profiles = await self._profiles(command, scope)
        if command.names is not None:
            found = await self._named(command.names, command, profiles, scope)
        elif command.serials is not None:
            found = await self._serial(command.serials, command, profiles, scope)
        elif command.members:
            found = await SerialScan(self.registry, self.scans).search(command, profiles, scope)
        else:
            found = await self.registry.repository.read(self._query(command, profiles, scope))
        items = tuple(SerialView(each.device, each.profile) for each in found.items)
        return CountedPage(items, found.total, command.offset, command.limit)

    async def _profiles(self, command: SearchSerials, scope: Scope) -> tuple[ProfileId, ...] | None:
        """Return the groups that are meant; those that are unknown or another tenant's have no devices here."""
        if command.groups is None:
            return None
        found = [(await self.registry.repository.read(EnrolQuery(group, "", ()))).profile for group in command.groups]
        own = [profile.id for profile in found if profile is not None and profile.tenant == scope.tenant]
        return tuple(dict.fromkeys(own))

    async def _named(
        self, names: tuple[str, ...], command: SearchSerials, profiles: tuple[ProfileId, ...] | None, scope: Scope
    ) -> Counted[DeviceSnapshot]:
        found = await self.registry.repository.read(DeviceNamesQuery(scope.tenant, tuple(dict.fromkeys(names))))
        matching = [each for each in found if each is not None and _matches(each, command, profiles)]
        return _page(matching, command)

    async def _serial(
        self, serials: tuple[str, ...], command: SearchSerials, profiles: tuple[ProfileId, ...] | None, scope: Scope
    ) -> Counted[DeviceSnapshot]:
        """Find the devices of each serial by itself: those that have it, and one that has none but this name."""
        wanted = tuple(filter(None, dict.fromkeys(serials)))
        named = await self.registry.repository.read(DeviceNamesQuery(scope.tenant, wanted))
        matching = [each for each in named if each and not each.device.serial and _matches(each, command, profiles)]
        query = msgspec.structs.replace(self._query(command, profiles, scope), offset=0, limit=DEPTH)
        for serial in wanted:
            found = await self.registry.repository.read(msgspec.structs.replace(query, serial=serial))
            if len(matching) + found.total > DEPTH:
                raise values.malformed(f"serials of more than {DEPTH} devices: name their group", "search.depth")
            matching += (each for each in found.items if has_members(each.device.metadata, command.members))
        return _page(matching, command)

    def _query(self, command: SearchSerials, profiles: tuple[ProfileId, ...] | None, scope: Scope) -> DeviceSearch:
        return DeviceSearch(
            tenant=scope.tenant,
            profiles=profiles,
            states=command.states,
            order=command.order,
            descending=command.descending,
            offset=command.offset,
            limit=command.limit,
        )


def _matches(found: DeviceSnapshot, command: SearchSerials, profiles: tuple[ProfileId, ...] | None) -> bool:
    device = found.device
    return (
        (profiles is None or found.profile.id in profiles)
        and (command.serials is None or (device.serial or device.name) in command.serials)
        and (command.states is None or device.state in command.states)
        and has_members(device.metadata, command.members)
    )


def _page(matching: list[DeviceSnapshot], command: SearchSerials) -> Counted[DeviceSnapshot]:
    def key(found: DeviceSnapshot) -> tuple[Any, str]:
        return sort_key(found.device, command.order), found.device.id

    ordered = sorted(matching, key=key, reverse=command.descending)
    return Counted(tuple(ordered[command.offset : command.offset + command.limit]), len(matching))


def _require(command: SearchSerials) -> None:
    for what, asked, most in (
        ("groups", command.groups, VALUES),
        ("names", command.names, NAMES),
        ("serials", command.serials, NAMES if command.names is not None else VALUES),
    ):
        if len(asked or ()) > most:
            raise values.malformed(f"{what}: at most {most} at once", "search.values")
