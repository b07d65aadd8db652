"""The flavours: one row for each generation of Mainflux and Magistrala, with everything in which they differ."""

import enum
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from adapters.dialects.mainflux import wording
from adapters.dialects.mainflux.query import Page, Query, clipped_page, strict_page
from adapters.dialects.mainflux.wording import Wording

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"


class Shape(enum.Enum):
    """What an error body is made of."""

    ERROR = "error"  # {"error": text}
    BOTH = "both"  # {"error": cause, "message": text}
    MESSAGE = "message"  # {"message": text}


class Generation(enum.Enum):
    """How things, clients and channels look to operators."""

    MAINFLUX = "mainflux"  # bare answers, PUT replaces
    GROUPS = "groups"  # channels are groups, PUT changes what is given
    CHANNELS = "channels"  # channels of their own, PATCH changes what is given


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """One generation.

    `entity` is the collection of devices, `domain` the path in front of what operators use. `scheme` stands before an external
    key, `bare_keys` and `bare_tokens` let it be left out. `token_first`: who asks is settled before the request is read.
    `label` names clients that a configuration brings with it. `slashes`: a superfluous one is redirected, otherwise collections
    answer with one too.
    """

    name: str
    entity: str
    domain: str = ""
    device_entity: str
    scheme: str
    bare_keys: bool = False
    bare_tokens: bool = False
    token_first: bool = False
    id_member: str
    secret_member: str
    channels_member: str
    id_filter: tuple[str, ...]
    secret_filter: tuple[str, ...]
    client_key_filter: bool = False
    certificates_answered: bool = True
    channels_required: bool = False
    unique_name: bool = True
    label: str = ""
    unknown_listed: bool = False
    page: Callable[[Query], Page] = strict_page
    redirects: bool = False
    shape: Shape
    error_type: str
    secure_type: str
    wording: Wording
    generation: Generation
    ordered_pages: bool = False

    @property
    def operator_prefix(self) -> str:
        """Return what stands before the paths of operators."""
        return f"{self.domain}/{self.entity}"

    @property
    def device_prefix(self) -> str:
        """Return what stands before the paths of devices."""
        return f"/{self.device_entity}"


_RAW = Flavour(
    name="mf-raw",
    entity="things",
    device_entity="things",
    scheme="Thing ",
    bare_keys=True,
    bare_tokens=True,
    id_member="mainflux_id",
    secret_member="mainflux_key",  # noqa: S106 - the name of a member
    channels_member="mainflux_channels",
    id_filter=("mainflux_id", "thing_id"),
    secret_filter=("mainflux_key", "thing_key"),
    certificates_answered=False,
    unique_name=False,
    unknown_listed=True,
    page=clipped_page,
    redirects=True,
    shape=Shape.ERROR,
    error_type=JSON,
    secure_type=JSON,
    wording=wording.RAW,
    generation=Generation.MAINFLUX,
)
_THING = msgspec.structs.replace(
    _RAW,
    name="mf-thing",
    bare_keys=False,
    bare_tokens=False,
    unknown_listed=False,
    page=strict_page,
    error_type=TEXT,
    wording=wording.THING,
    ordered_pages=True,
)
_MAGISTRALA_THING = Flavour(
    name="mg-thing",
    entity="things",
    device_entity="things",
    scheme="Thing ",
    id_member="thing_id",
    secret_member="thing_key",  # noqa: S106 - the name of a member
    channels_member="channels",
    id_filter=("thing_id",),
    secret_filter=("thing_key",),
    shape=Shape.BOTH,
    error_type=TEXT,
    secure_type=JSON,
    wording=wording.MAGISTRALA_THING,
    generation=Generation.GROUPS,
)
_THINGS_DOMAIN = msgspec.structs.replace(
    _MAGISTRALA_THING,
    name="mg-things-domain",
    domain="/{domain}",
    token_first=True,
    channels_required=True,
    label="Bootstrapped Thing {id}",
    error_type=JSON,
    secure_type="application/octet-stream",
    wording=wording.THINGS_DOMAIN,
)
_CLIENT = msgspec.structs.replace(
    _THINGS_DOMAIN,
    name="mg-client",
    entity="clients",
    device_entity="clients",
    scheme="Client ",
    id_member="client_id",
    secret_member="client_secret",  # noqa: S106 - the name of a member
    id_filter=("client_id",),
    secret_filter=(),
    client_key_filter=True,
    label="Bootstrapped Client {id}",
    wording=wording.CLIENT,
    generation=Generation.CHANNELS,
)
_CLIENT_0_20 = msgspec.structs.replace(
    _CLIENT,
    name="mg-client-0.20",
    shape=Shape.MESSAGE,
    wording=wording.CLIENT_0_20,
)

BY_DIALECT: Final[Mapping[str, tuple[Flavour, ...]]] = MappingProxyType(
    {
        "mainflux": (_THING, _RAW, _MAGISTRALA_THING),
        "magistrala": (_CLIENT, _CLIENT_0_20, _THINGS_DOMAIN),
    }
)
"""The flavours of each dialect, the default first."""
