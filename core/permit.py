"""Permit: what may this device or user publish and subscribe to? The one answer for brokers, fronts and operators alike."""

from collections.abc import Iterable

import msgspec

from core.configuration import is_let_in, usable_channels
from core.issuer import Issuer
from core.messages import Identity, Triple
from core.model import ChannelId, Credential, CredentialKind, DeviceId, DirectoryEntry, EntryId, EntryKind, Role, TenantId
from core.ports import Repository
from core.queries import ConfigQuery, DeviceQuery, DeviceSearch, EntryQuery
from core.topic_spaces import Grant, Grants, Holder, TopicSpace, fill, named_filters

OWNED_DEVICES = 1_000
"""Of the devices that belong to a user's organisation, so many count, the oldest first."""

NAMED_DEVICES = 32
ANY_DEVICE = "any device"
"""The name that every device has beside its own, among what grants were read from."""


class Permit(msgspec.Struct, frozen=True):
    """The use case. It reads committed state and nothing else; what it returns decides without asking again."""

    repository: Repository
    issuer: Issuer

    async def __call__(self, identity: Identity, spaces: Iterable[TopicSpace]) -> Grants:
        """Return what of these spaces is somebody's. Raises `Refusal` UNAVAILABLE.

        A device that is gone, disabled or discarded has nothing, and so has whoever proved an external key alone.
        """
        spaces = tuple(spaces)
        return await (self._of_user(identity, spaces) if identity.user else self._of_device(identity, spaces))

    async def channel(self, tenant: TenantId, device: DeviceId, channel: ChannelId) -> bool:
        """Tell whether a device may publish to a channel and subscribe to it now."""
        return channel in await self._channels(tenant, device)

    async def _of_device(self, identity: Identity, spaces: tuple[TopicSpace, ...]) -> Grants:
        found = await self.repository.read(DeviceQuery(identity.tenant, identity.device))
        if found is None or identity.credential is None or not is_let_in(found.device):
            return Grants(parts=(identity.device,))
        channels = await self._channels(identity.tenant, identity.device)
        values = {"tenant": (identity.tenant,), "device": (identity.device,), "channel": channels}
        triples = self._triples(found.credentials)
        held: list[Grant] = []
        withheld: list[Grant] = []
        for space in spaces:
            if space.holder is Holder.DEVICE:
                # A mark is the truth value alone: metadata is made by many, and a text such as "false" is no consent.
                is_held = not space.marked or found.device.metadata.get(space.marked) is True
                (held if is_held else withheld).extend(_filled(space, values, triples))
        parts = (identity.device, *channels)
        return Grants(held, parts, (grant.upstream for grant in withheld), named_filters(spaces))

    async def _channels(self, tenant: TenantId, device: DeviceId) -> tuple[ChannelId, ...]:
        found = await self.repository.read(ConfigQuery(tenant, device))
        return tuple(channel.id for channel in usable_channels(found)) if found else ()

    async def _of_user(self, identity: Identity, spaces: tuple[TopicSpace, ...]) -> Grants:
        entry = await self.repository.read(EntryQuery(identity.tenant, EntryId(identity.device)))
        if entry is None:
            return Grants(parts=(identity.device,))
        if entry.kind is EntryKind.END_USER:
            return await self._of_end_user(entry, spaces)
        holder = _ACCOUNT_HOLDERS.get(entry.role) if entry.kind is EntryKind.ACCOUNT_USER else None
        values = {"tenant": (entry.tenant,)}
        grants = [grant for space in spaces if space.holder is holder for grant in fill(space, values)]
        return Grants(grants, (entry.id,), named=named_filters(spaces))

    async def _of_end_user(self, entry: DirectoryEntry, spaces: tuple[TopicSpace, ...]) -> Grants:
        if not entry.parent:
            return Grants(parts=(entry.id,))  # which would be the tenant's own
        search = DeviceSearch(tenant=entry.tenant, owners=(entry.parent,), limit=OWNED_DEVICES)
        owned = [each.device for each in (await self.repository.read(search)).items]
        values = {"tenant": (entry.tenant,), "device": tuple(device.id for device in owned if is_let_in(device))}
        grants = [grant for space in spaces if space.holder is Holder.END_USER for grant in fill(space, values)]
        # Whose a device was is not told when it changes hands, so each is named, or all devices there are.
        devices = tuple(device.id for device in owned) if len(owned) <= NAMED_DEVICES else (ANY_DEVICE,)
        return Grants(grants, (entry.id, owner_part(entry.parent), *devices), named=named_filters(spaces))

    def _triples(self, credentials: tuple[Credential, ...]) -> list[Triple]:
        now = self.issuer.clock.now()
        values = [
            self.issuer.reveal(credential)
            for credential in credentials
            if credential.kind is CredentialKind.DEVICE_SECRET and not credential.is_over(now)
        ]
        return [value for value in values if isinstance(value, Triple)]


# Who may only look listens only; a factory makes devices and has nothing to do with what they say.
_ACCOUNT_HOLDERS = {
    None: Holder.ACCOUNT_USER,  # gives no commands, and has been given a secret by an admin all the same
    Role.ADMIN: Holder.ACCOUNT_USER,
    Role.OPERATOR: Holder.ACCOUNT_USER,
    Role.AUDITOR: Holder.ACCOUNT_AUDITOR,
}


def owner_part(owner: str) -> str:
    """Return the name of the devices that belong to an owner, among what grants were read from."""
    return f"owner {owner}"


def _filled(space: TopicSpace, values: dict[str, tuple[str, ...]], triples: list[Triple]) -> list[Grant]:
    """Return the grants of a device's space; the keys of a triple belong together."""
    if "_key}" not in space.prefix:
        return list(fill(space, values))
    pairs = ({"product_key": (triple.product_key,), "device_key": (triple.device_key,)} for triple in triples)
    return [grant for keys in pairs for grant in fill(space, values | keys)]
