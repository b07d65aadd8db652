"""The endpoints of channels for operators: make one or several, list, show, change, remove.

Statuses, bodies and `Location` are those of the generation; making several at once is offered by all.
"""

from adapters.dialects.mainflux import operations as op
from adapters.dialects.mainflux.bodies import Entity
from adapters.dialects.mainflux.endpoint import Asked, Endpoint, bare, no_body, removed, require_json, shown
from adapters.dialects.mainflux.entities import look_of, page
from adapters.dialects.mainflux.flavours import Flavour
from adapters.dialects.mainflux.go_reading import read_object, read_objects
from adapters.dialects.mainflux.listing import created_one, created_several, read_page, require_page, require_some
from adapters.dialects.mainflux.query import Page, Query
from adapters.exchange import Outbound
from core.model import Channel
from core.operate.configuring import (
    ChangeChannel,
    CountedPage,
    CreateChannels,
    DeleteChannel,
    ListChannels,
    NewChannel,
    ShowChannel,
)


def endpoints(flavour: Flavour) -> tuple[Endpoint, ...]:
    """Return the rows of a flavour."""
    path, look = f"{flavour.domain}/channels", look_of(flavour)
    return (
        Endpoint(
            operation=op.CREATE_CHANNEL,
            method="POST",
            path=path,
            read=_read_channel,
            command=_create_channel,
            write=_created_channel,
            collection=True,
        ),
        Endpoint(
            operation=op.CREATE_CHANNELS,
            method="POST",
            path=f"{path}/bulk",
            read=_read_channels,
            command=_create_channels,
            write=_created_channels,
        ),
        Endpoint(
            operation=op.LIST_CHANNELS,
            method="GET",
            path=path,
            read=read_page,
            command=_list_channels,
            write=_listed_channels,
            collection=True,
        ),
        Endpoint(
            operation=op.SHOW_CHANNEL,
            method="GET",
            path=f"{path}/{{id}}",
            read=no_body,
            command=_show_channel,
            write=_shown_channel,
        ),
        Endpoint(
            operation=op.CHANGE_CHANNEL,
            method=look.channel_method,
            path=f"{path}/{{id}}",
            read=_read_channel,
            command=_change_channel,
            write=_changed_channel,
        ),
        Endpoint(
            operation=op.DELETE_CHANNEL,
            method="DELETE",
            path=f"{path}/{{id}}",
            read=no_body,
            command=_delete_channel,
            write=removed,
        ),
    )


def _read_channel(asked: Asked) -> Entity:
    return read_object(require_json(asked), Entity, "channels.Channel")


def _read_channels(asked: Asked) -> tuple[Entity, ...]:
    return read_objects(require_json(asked), Entity, "channels.Channel")


def _new_channel(sent: Entity) -> NewChannel:
    return NewChannel(id=sent.id or None, name=sent.name, metadata=sent.metadata or {})


def _create_channel(sent: Entity, _asked: Asked) -> CreateChannels:
    return CreateChannels((_new_channel(sent),))


def _create_channels(sent: tuple[Entity, ...], _asked: Asked) -> CreateChannels:
    require_some(sent)
    return CreateChannels(tuple(map(_new_channel, sent)))


def _created_channel(result: tuple[Channel, ...], asked: Asked) -> Outbound:
    (channel,) = result
    return created_one(look_of(asked.flavour).channel(channel), f"/channels/{channel.id}", asked)


def _created_channels(result: tuple[Channel, ...], asked: Asked) -> Outbound:
    look = look_of(asked.flavour)
    return created_several(look.channel_page, tuple(map(look.channel, result)), asked)


def _list_channels(sent: tuple[Query, Page], _asked: Asked) -> ListChannels:
    query, page_asked = require_page(sent)
    return ListChannels(name=query.first("name") or None, offset=page_asked.offset, limit=page_asked.limit)


def _listed_channels(result: CountedPage[Channel], asked: Asked) -> Outbound:
    look = look_of(asked.flavour)
    return shown(page(asked.flavour, look.channel_page, result, tuple(map(look.channel, result.items))))


def _show_channel(_sent: None, asked: Asked) -> ShowChannel:
    return ShowChannel(asked.id)


def _shown_channel(result: Channel, asked: Asked) -> Outbound:
    return shown(look_of(asked.flavour).channel(result))


def _change_channel(sent: Entity, asked: Asked) -> ChangeChannel:
    if look_of(asked.flavour).replaces:
        return ChangeChannel(id=asked.id, name=sent.name, metadata=sent.metadata or {})
    return ChangeChannel(id=asked.id, name=sent.name or None, metadata=sent.metadata)


def _changed_channel(result: Channel, asked: Asked) -> Outbound:
    return _shown_channel(result, asked) if look_of(asked.flavour).answers else bare(result, asked)


def _delete_channel(_sent: None, asked: Asked) -> DeleteChannel:
    return DeleteChannel(id=asked.id, missing_ok=look_of(asked.flavour).missing_ok)
