"""What operators send about tenants, channels and configurations: JSON bodies and query parameters, as they are on the wire."""

import enum
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from adapters.dialects.operator.bodies import Metadata, Paged, Scoped
from adapters.dialects.operator.body import Body
from core.model import Secret


class Truth(enum.Enum):
    """The words for yes and no in a query."""

    YES = "true"
    NO = "false"


TruthWord = Annotated[str, Meta(extra_json_schema={"enum": [member.value for member in Truth]})]
NewId = Annotated[str | None, Meta(description="Left out, one is drawn.")]
ExternalId = Annotated[str, Meta(description="What the device calls itself; unique over all tenants.")]
ConfigName = Annotated[str, Meta(description="For people; where not empty, unique among the names that this API gave.")]
Content = Annotated[str, Meta(description="Any text; the device gets it as it is.")]
Channels = Annotated[list[str], Meta(description="Ids, in the order in which the device gets them.")]
PemText = Annotated[str, Meta(description="Any text, mostly PEM; the device gets it as it is.")]
SecureBootstrap = Annotated[
    bool,
    Meta(description="Its devices may bootstrap under the AES key that all share; best left off where no firmware needs it."),
]
PartOfName = Annotated[str, Meta(description="Any part of the name; its case is ignored.")]


class NewTenant(Body, frozen=True):
    """A tenant to make."""

    name: str
    id: NewId = None
    secure_bootstrap: SecureBootstrap = False


class NewChannel(Body, frozen=True):
    """A channel to make."""

    id: NewId = None
    name: Annotated[str, Meta(description="For people; not unique.")] = ""
    metadata: Metadata = msgspec.field(default_factory=dict)


class ChannelChange(Body, frozen=True):
    """What changes of a channel; `metadata` takes the place of all that was there."""

    name: str | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


class NewConfig(Body, frozen=True):
    """What a device is to fetch by its external id and external key."""

    external_id: ExternalId
    external_key: Secret
    device: Annotated[str | None, Meta(description="The id of a device; left out, one is made.")] = None
    name: ConfigName = ""
    content: Content = ""
    channels: Channels = msgspec.field(default_factory=list)
    client_cert: PemText = ""
    client_key: Secret | None = None
    ca_cert: PemText = ""


class ConfigChange(Body, frozen=True):
    """What changes of a configuration.

    `client_cert`, `client_key` and `ca_cert` are replaced together: where one is given, those left out become empty.
    """

    name: ConfigName | UnsetType = UNSET
    content: Content | UnsetType = UNSET
    channels: Channels | UnsetType = UNSET
    active: Annotated[bool | UnsetType, Meta(description="Whether the device may use its channels.")] = UNSET
    client_cert: PemText | UnsetType = UNSET
    client_key: Secret | UnsetType = UNSET
    ca_cert: PemText | UnsetType = UNSET


class ChannelFilter(Paged, frozen=True):
    """Which channels to list."""

    name: PartOfName = ""


class ConfigFilter(Paged, frozen=True):
    """Which configurations to list. A page is short, as each entry may have a megabyte behind it."""

    limit: Annotated[int, Meta(ge=1, le=100, description="Entries of a page.")] = 100
    external_id: Annotated[str, Meta(description="The whole external id.")] | UnsetType = UNSET
    name: PartOfName = ""
    active: Annotated[TruthWord, Meta(description="Those that are active, or those that are not.")] = ""


class Offset(Scoped, frozen=True):
    """Which part of a list that has no cursor."""

    offset: Annotated[int, Meta(ge=0, le=2**31 - 1, description="Entries to pass over.")] = 0
    limit: Annotated[int, Meta(ge=1, le=1000, description="Entries at most.")] = 100
