"""What things, clients and channels look like to operators in each generation.

The registry keeps neither tags nor identities nor groups, so these are in no answer. A time that never was is Go's zero time.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

import msgspec

from adapters.dialects.mainflux.flavours import Flavour, Generation
from adapters.dialects.mainflux.go_writing import Record, filled, record
from core.model import Channel, Device
from core.operate.configuring import CountedPage, ShownClient

_NEVER: Final = "0001-01-01T00:00:00Z"


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """How one generation shows and changes its entities.

    `channel_page` is the member of a page that holds the channels. `answers`: what was made or changed is shown, not only
    where it is. `replaces`: a change empties what it leaves out. `*_method` is how a change is asked for, `secret_path` the
    place of the secret under a client. `missing_ok`: removing what is not there succeeds.
    """

    client: Callable[[ShownClient], Record]
    channel: Callable[[Channel], Record]
    channel_page: str = "channels"
    answers: bool = True
    replaces: bool = False
    client_method: str = "PATCH"
    channel_method: str = "PATCH"
    secret_path: str = "secret"  # noqa: S105 - a word of a path
    missing_ok: bool = False


def look_of(flavour: Flavour) -> Look:
    """Return the look of a flavour's generation."""
    return _LOOKS[flavour.generation]


def page(flavour: Flavour, member: str, found: CountedPage[Any], items: tuple[Record, ...]) -> Record:
    """Return a page, its members in the generation's order."""
    if flavour.generation is Generation.MAINFLUX:
        orders = (("order", ""), ("direction", "")) if flavour.ordered_pages else ()
        counts = (("total", found.total), ("offset", found.offset), ("limit", found.limit))
        return record(*counts, *orders, (member, items))
    return record(*filled(("limit", found.limit)), ("offset", found.offset), ("total", found.total), (member, items))


def thing(shown: ShownClient) -> Record:
    """Return a Mainflux thing."""
    return record(
        ("id", shown.device.id),
        *filled(("name", _name(shown.device))),
        ("key", _secret(shown)),
        *filled(("metadata", shown.device.metadata)),
    )


def mainflux_channel(channel: Channel) -> Record:
    """Return a Mainflux channel."""
    return record(("id", channel.id), *filled(("name", channel.name), ("metadata", channel.metadata)))


def _client(shown: ShownClient) -> Record:
    """Return a Magistrala client; its status is only told where it is not enabled, which is what a zero means there."""
    device = shown.device
    return record(
        ("id", device.id),
        *filled(("name", _name(device)), ("domain_id", device.tenant)),
        ("credentials", record(*filled(("secret", _secret(shown))))),
        *filled(("metadata", device.metadata)),
        ("created_at", _time(device.created_at)),
        ("updated_at", _updated(device)),
        *(() if device.enabled else (("status", "disabled"),)),
    )


def provisioned_client(shown: ShownClient) -> Record:
    """Return a client as Magistrala's provision service tells of it."""
    return record(
        ("id", shown.device.id),
        *filled(("name", _name(shown.device))),
        ("credentials", record(*filled(("secret", _secret(shown))))),
        *filled(("metadata", shown.device.metadata)),
    )


def _group(channel: Channel) -> Record:
    """Return a channel of the generation in which channels are groups."""
    return record(
        ("id", channel.id),
        ("domain_id", channel.tenant),
        ("name", channel.name),
        *filled(("metadata", channel.metadata)),
        ("created_at", _time(channel.created_at)),
        ("updated_at", _updated(channel)),
        ("status", "enabled"),
    )


def _channel(channel: Channel) -> Record:
    return record(
        ("id", channel.id),
        *filled(("name", channel.name), ("domain_id", channel.tenant), ("metadata", channel.metadata)),
        ("created_at", _time(channel.created_at)),
        ("updated_at", _updated(channel)),
    )


_LOOKS: Final[Mapping[Generation, Look]] = MappingProxyType(
    {
        Generation.MAINFLUX: Look(
            client=thing,
            channel=mainflux_channel,
            answers=False,
            replaces=True,
            client_method="PUT",
            channel_method="PUT",
            secret_path="key",  # noqa: S106 - a word of a path
            missing_ok=True,
        ),
        Generation.GROUPS: Look(client=_client, channel=_group, channel_page="groups", channel_method="PUT"),
        Generation.CHANNELS: Look(client=_client, channel=_channel),
    }
)


def _name(device: Device) -> str:
    """Return what people call a device; one of another dialect has only its external id."""
    return device.label or ("" if device.name == device.id else device.name)


def _secret(shown: ShownClient) -> str:
    return "" if shown.secret is None else shown.secret.reveal()


def _updated(entity: Device | Channel) -> str:
    return _NEVER if entity.version == 1 else _time(entity.updated_at)


def _time(milliseconds: int) -> str:
    """Return a time as Go writes it (RFC 3339, no zeros at the end of a fraction)."""
    seconds, rest = divmod(milliseconds, 1000)
    fraction = f".{rest:03d}".rstrip("0") if rest else ""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}{fraction}Z"
