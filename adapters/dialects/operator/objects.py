"""What operators get: the JSON objects of the answers, as they are on the wire."""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from adapters.dialects.operator.bodies import (
    CredentialWord,
    KindWord,
    PlainWord,
    ReallocationWord,
    ReprovisionWord,
    RoleWord,
    StateWord,
    StrategyWord,
)
from adapters.dialects.operator.claim_bodies import ClaimPolicy
from core.model import Secret

Time = Annotated[str, Meta(description="RFC 3339, UTC, with milliseconds.", extra_json_schema={"format": "date-time"})]
Next = Annotated[str | None, Meta(description="The `after` of the next page; null on the last one.")]


class Firmware(msgspec.Struct, frozen=True, kw_only=True):
    """The firmware that devices should run; `size` is in bytes."""

    version: str
    url: str
    size: int
    sha256: str


class SignedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How devices are let in that sign their requests; an address that is empty is the gateway's own."""

    auto_activation: bool
    self_registration: bool
    timestamp_tolerance_s: int | None
    reallocation: ReallocationWord
    product_key: str
    mqtt_url: str
    http_url: str


class ChainPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How devices are let in by the chain of their certificate: `certificate` is PEM, `anchor` the hash of its first."""

    certificate: str
    anchor: str
    pattern: str
    create: bool
    lax: bool


class IssuingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What certificates devices may have from this gateway."""

    lifetime_days: int
    key_pairs: bool


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked before a device is let in; a new secret is shown once, in the answer to what made it."""

    url: str
    seconds: int
    secret: Secret | UnsetType = UNSET


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The rule that lets a device or a group of them in.

    `previous_secret_until` is when the secret before this one ends, null where none is left; `signed` and `chain` are null for
    profiles whose devices do not sign or come with a chain, `credential_kind` where they may have any, `issuing` where they get
    no certificates here, `plain` where the gateway says what they may do without TLS, DTLS or OSCORE, `claims` where nothing
    limits what the claim key is good for, `hook` where nobody is asked before a device is let in.
    """

    id: str
    name: str
    strategy: StrategyWord
    reprovision: ReprovisionWord
    provision_key: str
    previous_secret_until: Time | None
    options: tuple[str, ...]
    signed: SignedPolicy | None
    chain: ChainPolicy | None
    issuing: IssuingPolicy | None
    plain: PlainWord | None
    claims: ClaimPolicy | None
    hook: Hook | None
    credential_kind: CredentialWord | None
    metadata: dict[str, Any]
    firmware: Firmware | None
    created_at: Time
    updated_at: Time
    version: int


class ProfileWithSecret(Profile, frozen=True, kw_only=True):
    """A profile with its secret, which is shown this once."""

    provision_secret: Secret


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One device; `profile` is an id, `label` what people call it, `serial` the maker's, `owner` an organisation's id.

    An empty owner is the tenant itself. `firmware` is what was said of this device alone, `runs` the version that it said it
    runs. The times tell when it last got to a state; null: never, or at its making.
    """

    id: str
    name: str
    label: str
    profile: str
    state: StateWord
    enabled: bool
    metadata: dict[str, Any]
    serial: str
    owner: str
    firmware: Firmware | None
    runs: str
    provisioned_at: Time | None
    connected_at: Time | None
    associated_at: Time | None
    discarded_at: Time | None
    created_at: Time
    updated_at: Time
    version: int


class Shown(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all credentials have; a value that was not kept is left out. One that is expired is worthless.

    One on `trial` takes the place of all older ones when the device first logs in with it; until then they are good, too.
    """

    id: str
    created_at: Time
    expires_at: Time | None
    expired: bool
    trial: bool


class AccessToken(Shown, frozen=True, tag="access_token"):
    """An access token."""

    token: Secret | UnsetType = UNSET


class MqttBasic(Shown, frozen=True, tag="mqtt_basic"):
    """MQTT client id, user name and password; an empty one is not compared."""

    client_id: str | UnsetType = UNSET
    username: str | UnsetType = UNSET
    password: Secret | UnsetType = UNSET


class Certificate(Shown, frozen=True, tag="x509_certificate"):
    """A certificate as base64 without markers and line ends."""

    certificate: str | UnsetType = UNSET


class Lwm2m(Shown, frozen=True, tag="lwm2m"):
    """An LwM2M endpoint name."""

    endpoint: str | UnsetType = UNSET


class ClientSecret(Shown, frozen=True, tag="client_secret"):
    """The secret of a device that names itself by its id."""

    secret: Secret | UnsetType = UNSET


class DeviceSecret(Shown, frozen=True, tag="device_secret"):
    """A triple: product key, device key and device secret."""

    product_key: str | UnsetType = UNSET
    device_key: str | UnsetType = UNSET
    secret: Secret | UnsetType = UNSET


class Oscore(Shown, frozen=True, tag="oscore"):
    """An OSCORE context (RFC 8613), in hex: `device_id` is the Sender ID of the device, `server_id` that of the server."""

    device_id: str | UnsetType = UNSET
    server_id: str | UnsetType = UNSET
    secret: Secret | UnsetType = UNSET
    salt: str | UnsetType = UNSET
    id_context: str | UnsetType = UNSET


Credential = AccessToken | MqttBasic | Certificate | Lwm2m | ClientSecret | DeviceSecret | Oscore


class DeviceWithCredentials(Device, frozen=True, kw_only=True):
    """A new device and the credentials it begins with."""

    credentials: tuple[Credential, ...]


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token, without its text."""

    id: str
    name: str
    role: RoleWord
    created_at: Time


class TokenWithText(Token, frozen=True, kw_only=True):
    """A bearer token with its text, which is shown this once."""

    token: Secret


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt or change."""

    id: str
    at: Time
    kind: KindWord
    correlation: str
    protocol: str
    dialect: str
    source: str
    actor: str
    profile: str | None
    device: str | None
    device_name: str
    check: str
    detail: str


class ProfilePage(msgspec.Struct, frozen=True):
    """Some profiles."""

    items: tuple[Profile, ...]
    next: Next = None


class DevicePage(msgspec.Struct, frozen=True):
    """Some devices."""

    items: tuple[Device, ...]
    next: Next = None


class TokenPage(msgspec.Struct, frozen=True):
    """Some bearer tokens."""

    items: tuple[Token, ...]
    next: Next = None


class EventPage(msgspec.Struct, frozen=True):
    """Some events."""

    items: tuple[Event, ...]
    next: Next = None


class Credentials(msgspec.Struct, frozen=True):
    """The credentials of one device."""

    items: tuple[Credential, ...]


class RowError(msgspec.Struct, frozen=True):
    """Why the row in this line was not imported."""

    line: int
    name: str
    reason: str


class Imported(msgspec.Struct, frozen=True):
    """How many rows made a device, how many had one already, and what is wrong with the others."""

    created: int
    unchanged: int
    errors: tuple[RowError, ...]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a request was refused (RFC 9457). `check` names the check that refused; 401 has none."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    check: str | UnsetType = UNSET
