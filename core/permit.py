"""Permit: may this device use this channel? The one answer for brokers, fronts and operators alike."""

import msgspec

from core.configuration import usable_channels
from core.model import ChannelId, DeviceId, TenantId
from core.ports import Repository
from core.queries import ConfigQuery


class Permit(msgspec.Struct, frozen=True):
    """The use case. Publishing and subscribing are permitted together: a configuration's channels are connected for both."""

    repository: Repository

    async def __call__(self, tenant: TenantId, device: DeviceId, channel: ChannelId) -> bool:
        """Tell whether a device may publish to a channel and subscribe to it now, from committed state."""
        found = await self.repository.read(ConfigQuery(tenant, device))
        return found is not None and any(usable.id == channel for usable in usable_channels(found))
