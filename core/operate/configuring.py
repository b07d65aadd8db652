"""What operators may ask for about tenants, channels, clients and configurations, and what they get: frozen values.

A client is a device as Magistrala sees it (Mainflux: thing): it has a label, metadata and a client secret, and needs no profile
of its own.
"""

from typing import Any, Generic, TypeVar

import msgspec

from core.messages import ClientCertificates
from core.model import BootstrapConfig, Channel, Device, Secret

T = TypeVar("T")


class CreateTenant(msgspec.Struct, frozen=True, kw_only=True):
    """Make a tenant; its id is drawn where none is given."""

    name: str
    id: str | None = None
    secure_bootstrap: bool = False


class ListTenants(msgspec.Struct, frozen=True, kw_only=True):
    """A page of tenants."""

    after: str | None = None
    limit: int = 100


class NewChannel(msgspec.Struct, frozen=True, kw_only=True):
    """A channel to make; its id is drawn where none is given."""

    id: str | None = None
    name: str = ""
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class CreateChannels(msgspec.Struct, frozen=True):
    """Make channels, all or none. Answered with `tuple[Channel, ...]` in their order."""

    channels: tuple[NewChannel, ...]


class ListChannels(msgspec.Struct, frozen=True, kw_only=True):
    """A page of channels with `name` in their name; `offset` counts from the start or from `after`."""

    name: str | None = None
    after: str | None = None
    offset: int = 0
    limit: int = 100


class ShowChannel(msgspec.Struct, frozen=True):
    """One channel, by id."""

    id: str


class ChangeChannel(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is not None of a channel."""

    id: str
    name: str | None = None
    metadata: dict[str, Any] | None = None


class DeleteChannel(msgspec.Struct, frozen=True, kw_only=True):
    """Remove a channel; it vanishes from every configuration. `missing_ok`: one that is not there is no error."""

    id: str
    missing_ok: bool = False


class NewClient(msgspec.Struct, frozen=True, kw_only=True):
    """A client to make; id and secret are drawn where none are given."""

    id: str | None = None
    label: str = ""
    secret: Secret | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class CreateClients(msgspec.Struct, frozen=True):
    """Make clients, all or none. Answered with `tuple[ShownClient, ...]` in their order."""

    clients: tuple[NewClient, ...]


class ListClients(msgspec.Struct, frozen=True, kw_only=True):
    """A page of all devices of the tenant, those with `label` in their label."""

    label: str | None = None
    offset: int = 0
    limit: int = 100


class ShowClient(msgspec.Struct, frozen=True):
    """One device as a client, by id."""

    id: str


class ChangeClient(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is not None of a client; a new secret takes the place of the old one at once."""

    id: str
    label: str | None = None
    metadata: dict[str, Any] | None = None
    secret: Secret | None = None


class DeleteClient(msgspec.Struct, frozen=True, kw_only=True):
    """Remove a client with its configuration. `missing_ok`: one that is not there is no error."""

    id: str
    missing_ok: bool = False


class CreateConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Make the configuration of a client, which is made too where `client` is None, and labelled `label` with `{id}` filled in.

    `unique_name`: a name that another such configuration of the tenant has is refused. Answered with a `ShownConfig`.
    """

    external_id: str
    external_key: Secret
    client: str | None = None
    label: str = ""
    name: str = ""
    unique_name: bool = False
    content: str = ""
    certificates: ClientCertificates = ClientCertificates()
    channels: tuple[str, ...] = ()


class ShowConfig(msgspec.Struct, frozen=True):
    """One configuration, by its client's id."""

    id: str


class ListConfigs(msgspec.Struct, frozen=True, kw_only=True):
    """A page of configurations that match every filter; `offset` counts from the start or from `after`.

    `name` is any part of the name, its case ignored; the others match exactly. Answered with a `CountedPage[ShownConfig]`, in
    which nothing is opened unless `opened`.
    """

    external_id: str | None = None
    name: str | None = None
    active: bool | None = None
    id: str | None = None
    secret: Secret | None = None
    client_key: Secret | None = None
    after: str | None = None
    offset: int = 0
    limit: int = 100
    opened: bool = True


class ChangeConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Change what is not None of a configuration, in one step: all of it or nothing. Answered with a `ShownConfig`.

    `channels` must exist; of one named twice the first place counts. `unique_name` says how a `name` is taken, as in
    `CreateConfig`. With `keep_channels_when_empty`, empty `channels` change nothing, as in Mainflux and Magistrala.
    """

    id: str
    name: str | None = None
    unique_name: bool = False
    content: str | None = None
    certificates: ClientCertificates | None = None
    channels: tuple[str, ...] | None = None
    keep_channels_when_empty: bool = False
    active: bool | None = None


class DeleteConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Remove a configuration; its client stays, and may use no channel. `missing_ok`: one that is not there is no error."""

    id: str
    missing_ok: bool = False


class ListUnknown(msgspec.Struct, frozen=True, kw_only=True):
    """External ids that devices asked for in vain. Answered with `tuple[str, ...]`."""

    offset: int = 0
    limit: int = 100


class ListPermitted(msgspec.Struct, frozen=True):
    """The channels that a device may publish to and subscribe to now. Answered with `tuple[Channel, ...]`."""

    id: str


class LayoutPart(msgspec.Struct, frozen=True, kw_only=True):
    """A client or channel of a layout: its name and metadata."""

    name: str = ""
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class LayoutCertificates(msgspec.Struct, frozen=True, kw_only=True):
    """What certificates clients of a layout have: how long each is good, in seconds, and what its key pair is made of.

    `key_algorithm` is one of `core.crypto.signing_requests.KEY_ALGORITHMS`.
    """

    lifetime_s: int = 8_640_000
    key_algorithm: str = "rsa-2048"


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What the provision service makes for each device.

    Clients and channels as listed and, for a client with `external_id` in its metadata, a configuration over all of the
    channels; one client at most has that. `content` is the text each configuration carries.

    `provision`: make configurations. `activate`: make them active. `certificates`: give each client one with its key pair,
    which its configuration carries.
    """

    clients: tuple[LayoutPart, ...]
    channels: tuple[LayoutPart, ...]
    content: str = ""
    provision: bool = True
    activate: bool = True
    certificates: LayoutCertificates | None = None


class CreateMapping(msgspec.Struct, frozen=True, kw_only=True):
    """Make everything that the layout says for a device, all or nothing. Answered with a `Mapping`.

    `prefixed`: channels are named `<name>_<layout name>`, otherwise as in the layout. `unique_name` as in `CreateConfig`.
    """

    external_id: str
    external_key: Secret
    layout: Layout
    name: str = ""
    prefixed: bool = False


class ShowMapping(msgspec.Struct, frozen=True):
    """The content that the layout gives to each configuration. Answered with the layout itself."""

    layout: Layout


class ShownClient(msgspec.Struct, frozen=True):
    """A device as a client. `secret` is None where it has none, or none that was kept."""

    device: Device
    secret: Secret | None


class ShownConfig(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration, opened. `secret` is its client's, None where that was revoked."""

    config: BootstrapConfig
    device: Device
    secret: Secret | None
    external_key: Secret
    content: str
    certificates: ClientCertificates
    channels: tuple[Channel, ...]


class CountedPage(msgspec.Struct, Generic[T], frozen=True):
    """Some entries, and how many match on all pages together."""

    items: tuple[T, ...]
    total: int
    offset: int
    limit: int


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """What a layout came to. `active` are the ids of the clients that may use their channels.

    `certificates` are those of the clients, in their order, with the private keys; none where the layout asks for none.
    """

    clients: tuple[ShownClient, ...]
    channels: tuple[Channel, ...]
    active: tuple[str, ...]
    certificates: tuple[ClientCertificates, ...] = ()


ConfiguringCommand = (
    CreateTenant
    | ListTenants
    | CreateChannels
    | ListChannels
    | ShowChannel
    | ChangeChannel
    | DeleteChannel
    | CreateClients
    | ListClients
    | ShowClient
    | ChangeClient
    | DeleteClient
    | CreateConfig
    | ShowConfig
    | ListConfigs
    | ChangeConfig
    | DeleteConfig
    | ListUnknown
    | ListPermitted
    | CreateMapping
    | ShowMapping
)
