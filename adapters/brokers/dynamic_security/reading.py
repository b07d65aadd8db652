"""Reads from the registry what a device should have at the broker, and which devices there are."""

from collections.abc import AsyncIterator
from typing import Final

import msgspec

from adapters.brokers.dynamic_security.rules import access
from adapters.brokers.dynamic_security.wanted import Wanted, want
from core.issuer import Issuer
from core.messages import Identity
from core.model import DeviceId, TenantId
from core.permit import Permit
from core.ports import Repository
from core.queries import AnyDeviceQuery, ConfigQuery, DevicePage, DeviceSnapshot, TenantPage
from core.topic_spaces import NOTHING, TopicSpace, named_filters

PAGE: Final = 500


class Reader(msgspec.Struct, frozen=True):
    """Reads through the repository alone, `page` entries at a time, and asks `permit` who may use which topic."""

    repository: Repository
    issuer: Issuer
    permit: Permit
    spaces: tuple[TopicSpace, ...]
    page: int = PAGE

    async def tenants(self) -> AsyncIterator[tuple[TenantId, int]]:
        """Yield each tenant with the number of its devices."""
        after: TenantId | None = None
        while True:
            page = await self.repository.read(TenantPage(after, self.page))
            for tenant in page:
                yield tenant.id, tenant.devices
            if len(page) < self.page:
                return
            after = page[-1].id

    async def count(self) -> int:
        """Return how many devices there are."""
        return sum([devices async for _, devices in self.tenants()])

    async def devices(self) -> AsyncIterator[DeviceId]:
        """Yield each device, as committed when its page is read."""
        async for tenant, _ in self.tenants():
            after: DeviceId | None = None
            while True:
                page = await self.repository.read(DevicePage(tenant, after=after, limit=self.page))
                for device in page:
                    yield device.id
                if len(page) < self.page:
                    break
                after = page[-1].id

    async def find(self, device: DeviceId) -> DeviceSnapshot | None:
        """Return a device, whatever its tenant."""
        return await self.repository.read(AnyDeviceQuery(device))

    async def wanted(self, found: DeviceSnapshot) -> tuple[Wanted, tuple[str, ...]]:
        """Return what a device should have, and the names of what that was read from."""
        device = found.device
        configured = await self.repository.read(ConfigQuery(device.tenant, device.id))
        grants = NOTHING
        if found.credentials:
            identity = Identity(device.tenant, device.id, device.name, found.credentials[0].id)
            grants = await self.permit(identity, self.spaces)
        config = configured.config if configured is not None else None
        acls = access(grants, named_filters(self.spaces))
        return want(device, found.credentials, config, acls, self.issuer), grants.parts
