"""What operators do with channels."""

from functools import partial

import msgspec

from core.crypto.tokens import new_id
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.model import Channel, ChannelId, EventKind, TenantId
from core.operate import values
from core.operate.configuring import (
    ChangeChannel,
    CountedPage,
    CreateChannels,
    DeleteChannel,
    ListChannels,
    NewChannel,
    ShowChannel,
)
from core.operate.registry import Registry, Scope
from core.operate.results import Done
from core.ports import Changes, Delete
from core.queries import ChannelPage, ChannelsQuery

NAME_CHARACTERS = 1_024
AT_ONCE = 1_000


class Channels(msgspec.Struct, frozen=True):
    """Makes, lists, shows, changes and removes channels."""

    registry: Registry

    async def create(self, command: CreateChannels, scope: Scope) -> tuple[Channel, ...]:
        """Make channels, all or none. Raises `Refusal` MALFORMED, or CONFLICT where an id is taken."""
        if len(command.channels) > AT_ONCE:
            raise values.malformed(f"more than {AT_ONCE} channels at once", "channel.count")
        made = tuple(make_channel(new, scope.tenant, self.registry.issuer) for new in command.channels)
        asked = tuple(channel.id for channel, new in zip(made, command.channels, strict=True) if new.id)
        taken = await self.registry.repository.read(ChannelsQuery(scope.tenant, asked))
        if any(channel is not None for channel in taken) or len(set(asked)) != len(asked):
            raise Refusal(Reason.CONFLICT, "a channel of this id exists already", check="channel.id_taken")
        events = tuple(self.registry.channel_event(EventKind.CHANNEL_CREATED, channel, scope) for channel in made)
        await self.registry.settle(partial(self.registry.repository.commit, Changes(insert=made, events=events)))
        return made

    async def list(self, command: ListChannels, scope: Scope) -> CountedPage[Channel]:
        """Return a page of channels."""
        query = ChannelPage(
            tenant=scope.tenant,
            name=command.name,
            after=None if command.after is None else ChannelId(command.after),
            offset=command.offset,
            limit=command.limit,
        )
        found = await self.registry.repository.read(query)
        return CountedPage(found.items, found.total, command.offset, command.limit)

    async def show(self, command: ShowChannel, scope: Scope) -> Channel:
        """Return one channel. Raises `Refusal` NOT_FOUND."""
        (found,) = await self.registry.repository.read(ChannelsQuery(scope.tenant, (ChannelId(command.id),)))
        if found is None:
            raise Refusal(Reason.NOT_FOUND, "there is no channel of this id", check="channel.unknown")
        return found

    async def change(self, command: ChangeChannel, scope: Scope) -> Channel:
        """Change a channel. Raises `Refusal` MALFORMED, NOT_FOUND or CONFLICT."""
        _require_writable(command.name or "", command.metadata or {})
        return await self.registry.settle(partial(self._change, command, scope))

    async def delete(self, command: DeleteChannel, scope: Scope) -> Done:
        """Remove a channel from the registry and from every configuration. Raises `Refusal` NOT_FOUND or CONFLICT."""
        attempt = partial(self._delete, command, scope)
        return await self.registry.remove(attempt, "channel.unknown", missing_ok=command.missing_ok)

    async def _change(self, command: ChangeChannel, scope: Scope) -> Channel:
        before = await self.show(ShowChannel(command.id), scope)
        after = msgspec.structs.replace(
            before,
            name=before.name if command.name is None else command.name,
            metadata=before.metadata if command.metadata is None else command.metadata,
        )
        if after == before:
            return before
        after = msgspec.structs.replace(after, updated_at=self.registry.issuer.clock.now(), version=before.version + 1)
        event = self.registry.channel_event(EventKind.CHANNEL_CHANGED, after, scope)
        await self.registry.commit(event, Changes(replace=(after,)))
        return after

    async def _delete(self, command: DeleteChannel, scope: Scope) -> Done:
        channel = await self.show(ShowChannel(command.id), scope)
        event = self.registry.channel_event(EventKind.CHANNEL_DELETED, channel, scope)
        await self.registry.commit(event, Changes(delete=(Delete(channel),)))
        return Done()


def make_channel(new: NewChannel, tenant: TenantId, issuer: Issuer) -> Channel:
    """Return the channel that is meant. Raises `Refusal` MALFORMED."""
    if new.id:
        values.require_text(new.id, "id", of="channel")
    _require_writable(new.name, new.metadata)
    now = issuer.clock.now()
    return Channel(
        id=ChannelId(new.id or new_id(now, issuer.entropy)),
        tenant=tenant,
        name=new.name,
        metadata=new.metadata,
        created_at=now,
        updated_at=now,
    )


def _require_writable(name: str, metadata: dict[str, object]) -> None:
    values.require_size(name, "name", NAME_CHARACTERS, of="channel")
    values.require_metadata(metadata)
