"""How devices are found by what is in their metadata, which no index knows: by looking at each."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from core.limits import AtOnce
from core.model import Device, DeviceId, ProfileId
from core.operate import values
from core.operate.allocating import Member, SearchSerials
from core.operate.registry import Registry, Scope
from core.operate.serial_order import sort_key
from core.queries import Counted, DeviceNamesQuery, DevicePage, DeviceSnapshot

LOOKED_AT = 100_000
"""Devices that one search looks at: it takes about a second, in steps that others hardly wait for."""

STEP = 1_000
SCANS = 2
"""Searches of this kind at once: they share one loop, and more of them would all take too long."""


class SerialScan(msgspec.Struct, frozen=True):
    """Looks through the devices of some profiles, or of all; at so many of them at `most`, and for so many who ask at once."""

    registry: Registry
    turns: AtOnce
    most: int = LOOKED_AT

    async def search(
        self, command: SearchSerials, profiles: tuple[ProfileId, ...] | None, scope: Scope
    ) -> Counted[DeviceSnapshot]:
        """Return a page of what has the members that are asked for.

        Raises `Refusal` MALFORMED for more than is looked at, UNAVAILABLE where others are looking.
        """
        with self.turns:
            return await self._search(command, profiles, scope)

    async def _search(
        self, command: SearchSerials, profiles: tuple[ProfileId, ...] | None, scope: Scope
    ) -> Counted[DeviceSnapshot]:
        found: list[tuple[Any, DeviceId, str]] = []
        seen = 0
        async for devices in self._devices(command, profiles, scope):
            seen += len(devices)
            if seen > self.most:
                raise values.malformed(
                    f"more than {self.most} devices to look at: name groups, states or serials", "search.scan"
                )
            # No more than it takes to sort them: a hundred thousand whole devices would be much to hold.
            found += [(sort_key(each, command.order), each.id, each.name) for each in devices if _matches(each, command)]
        found.sort(reverse=command.descending)
        names = tuple(name for _, _, name in found[command.offset : command.offset + command.limit])
        shown = await self.registry.repository.read(DeviceNamesQuery(scope.tenant, names))
        return Counted(tuple(each for each in shown if each is not None), len(found))

    async def _devices(
        self, command: SearchSerials, profiles: tuple[ProfileId, ...] | None, scope: Scope
    ) -> AsyncIterator[tuple[Device, ...]]:
        state = command.states[0] if command.states is not None and len(command.states) == 1 else None
        for profile in (None,) if profiles is None else profiles:
            page: tuple[Device, ...] | None = None
            while page is None or len(page) == STEP:
                after = page[-1].id if page else None
                query = DevicePage(tenant=scope.tenant, profile=profile, state=state, after=after, limit=STEP)
                page = await self.registry.repository.read(query)
                yield page


def has_members(metadata: dict[str, Any], members: tuple[Member, ...]) -> bool:
    """Tell whether metadata has all of the members, each with one of its values."""
    return all(_text(metadata, member.path) in member.values for member in members)


def _matches(device: Device, command: SearchSerials) -> bool:
    return (command.states is None or device.state in command.states) and has_members(device.metadata, command.members)


def _text(metadata: Any, path: tuple[str, ...]) -> str | None:
    """Return a member as a text; numbers and truth as JSON has them, anything else is none."""
    value = metadata
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, str | int | float) else None
