"""Permit: what may this device or user publish and subscribe to? The one answer for brokers, fronts and operators alike."""

from collections.abc import Iterable

import msgspec

from core.configuration import is_let_in, usable_channels
from core.issuer import Issuer
from core.messages import Identity, Triple
from core.model import ChannelId, Credential, CredentialKind, DeviceId, DirectoryEntry, EntryId, EntryKind, TenantId
from core.ports import Repository
from core.queries import ConfigQuery, DeviceQuery, DeviceSearch, EntryQuery
from core.topic_spaces import NOTHING, Grant, Grants, Holder, TopicSpace, fill

OWNED_DEVICES = 1_000
"""Of the devices that belong to a user's organisation, so many count, the oldest first."""

NAMED_DEVICES = 32
ANY_DEVICE = "any device"
"""The name that every device has beside its own, among what grants were read from."""

_HOLDERS = {EntryKind.ACCOUNT_USER: Holder.ACCOUNT_USER, EntryKind.END_USER: Holder.END_USER}


class Permit(msgspec.Struct, frozen=True):
    """The use case. It reads committed state and nothing else; what it returns decides without asking again."""

    repository: Repository
    issuer: Issuer

    async def __call__(self, identity: Identity, spaces: Iterable[TopicSpace]) -> Grants:
        """Return what of these spaces is somebody's. Raises `Refusal` UNAVAILABLE.

        A device that is gone, disabled or discarded has nothing, and so has whoever proved an external key alone.
        """
        if identity.user:
            return await self._of_user(identity, spaces)
        found = await self.repository.read(DeviceQuery(identity.tenant, identity.device))
        if found is None or identity.credential is None or not is_let_in(found.device):
            return Grants(parts=(identity.device,))
        configured = await self.repository.read(ConfigQuery(identity.tenant, identity.device))
        channels = tuple(channel.id for channel in usable_channels(configured)) if configured else ()
        triples = self._triples(found.credentials)
        values = {
            "tenant": (identity.tenant,),
            "device": (identity.device,),
            "channel": channels,
        }
        marks = {name for name, value in found.device.metadata.items() if value is True}
        grants: list[Grant] = []
        for space in spaces:
            if space.holder is not Holder.DEVICE or (space.marked and space.marked not in marks):
                continue
            for triple in triples if "_key}" in space.prefix else (None,):
                keys = {} if triple is None else {"product_key": (triple.product_key,), "device_key": (triple.device_key,)}
                grants += fill(space, values | keys)
        return Grants(grants, (identity.device, *channels))

    async def channel(self, tenant: TenantId, device: DeviceId, channel: ChannelId) -> bool:
        """Tell whether a device may publish to a channel and subscribe to it now."""
        found = await self.repository.read(ConfigQuery(tenant, device))
        return found is not None and any(usable.id == channel for usable in usable_channels(found))

    async def _of_user(self, identity: Identity, spaces: Iterable[TopicSpace]) -> Grants:
        entry = await self.repository.read(EntryQuery(identity.tenant, EntryId(identity.device)))
        holder = _HOLDERS.get(entry.kind) if entry is not None else None
        if entry is None or holder is None:
            return NOTHING
        owned = await self._owned(entry) if holder is Holder.END_USER else ()
        values = {"tenant": (entry.tenant,), "device": owned}
        grants = [grant for space in spaces if space.holder is holder for grant in fill(space, values)]
        # Whose a device was is not told when it changes hands, so each is named, or all devices there are.
        devices = owned if len(owned) <= NAMED_DEVICES else (ANY_DEVICE,)
        return Grants(grants, (entry.id, owner_part(entry.parent), *devices) if holder is Holder.END_USER else (entry.id,))

    async def _owned(self, user: DirectoryEntry) -> tuple[str, ...]:
        if not user.parent:
            return ()  # which would be the tenant's own
        search = DeviceSearch(tenant=user.tenant, owners=(user.parent,), limit=OWNED_DEVICES)
        found = await self.repository.read(search)
        return tuple(each.device.id for each in found.items if is_let_in(each.device))

    def _triples(self, credentials: tuple[Credential, ...]) -> list[Triple]:
        now = self.issuer.clock.now()
        values = [
            self.issuer.reveal(credential)
            for credential in credentials
            if credential.kind is CredentialKind.DEVICE_SECRET and not credential.is_over(now)
        ]
        return [value for value in values if isinstance(value, Triple)]


def owner_part(owner: str) -> str:
    """Return the name of the devices that belong to an owner, among what grants were read from."""
    return f"owner {owner}"
