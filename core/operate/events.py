"""What operators read of the past."""

import msgspec

from core.model import DeviceId, Event, EventId, ProfileId
from core.operate.messages import ListEvents
from core.operate.registry import Registry, Scope, paged
from core.operate.results import Page
from core.queries import EventPage


class Events(msgspec.Struct, frozen=True):
    """Lists events."""

    registry: Registry

    async def list(self, command: ListEvents, scope: Scope) -> Page[Event]:
        """Return a page of events."""
        query = EventPage(
            tenant=scope.tenant,
            correlation=command.correlation,
            device=await self._device(command.device, scope),
            profile=await self._profile(command.profile, scope),
            kind=command.kind,
            after=None if command.after is None else EventId(command.after),
            newest=command.newest,
            limit=command.limit + 1,
        )
        found = await self.registry.repository.read(query)
        return paged(found, command.limit)

    async def _device(self, ref: str | None, scope: Scope) -> DeviceId | None:
        """Return the id of a device; what names none may be the id of one that is gone, whose events stay."""
        if ref is None:
            return None
        found = await self.registry.find_device(ref, scope)
        return found.device.id if found else DeviceId(ref)

    async def _profile(self, ref: str | None, scope: Scope) -> ProfileId | None:
        """Return the id of a profile, which may be gone as well."""
        if ref is None:
            return None
        found = await self.registry.find_profile(ref, scope)
        return found.id if found else ProfileId(ref)
