"""What operators send: the JSON bodies and the query parameters, as they are on the wire.

Words from a fixed list are read as texts, so that a wrong one is answered with the right ones; `reading.choice` checks them.
In what is made, null is a field left out; in what is changed it would be a guess, and is refused where nothing can go.
"""

import enum
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from adapters.dialects.operator.body import Body
from adapters.dialects.operator.claim_bodies import ClaimRules
from adapters.dialects.operator.hook_bodies import HookRules
from adapters.dialects.operator.trust_bodies import ChainRules, IssuingRules, NewOscore
from core.model import CredentialKind, DeviceState, EventKind, Plain, Reallocation, Reprovision, Role, Secret, Strategy


def _words(kind: type[enum.Enum], description: str) -> Meta:
    return Meta(description=description, extra_json_schema={"enum": [member.value for member in kind]})


StrategyWord = Annotated[str, _words(Strategy, "How the profile lets devices in.")]
ReprovisionWord = Annotated[str, _words(Reprovision, "What a device is answered that asks again.")]
StateWord = Annotated[str, _words(DeviceState, "Where the device is in its life.")]
ReallocationWord = Annotated[str, _words(Reallocation, "What becomes of a device's master data when it is allocated anew.")]
CredentialWord = Annotated[str, _words(CredentialKind, "What a device proves itself with.")]
PlainWord = Annotated[
    str, _words(Plain, "What devices may do without TLS, DTLS or OSCORE; `challenge`: what carries no secret in the clear.")
]
RoleWord = Annotated[str, _words(Role, "What the bearer may do.")]
KindWord = Annotated[str, _words(EventKind, "What happened.")]
SettableState = Annotated[
    str,
    Meta(
        description="`defined` lets the device provision again, `discarded` shuts it out.",
        extra_json_schema={"enum": [DeviceState.DEFINED.value, DeviceState.DISCARDED.value]},
    ),
]
Metadata = Annotated[dict[str, Any], Meta(description="Anything, at most 16 KiB and 16 levels deep.")]
Limit = Annotated[int, Meta(ge=1, le=1000, description="Entries of a page.")]
After = Annotated[str, Meta(description="The last id of the page before.")]
Overlap = Annotated[int, Meta(description="Seconds for which the old one is good still, at most 366 days; 0: dead at once.")]
NewSecret = Annotated[Secret | None, Meta(description="8 to 255 characters; left out, 20 characters of [a-z0-9] are drawn.")]


class SignedRules(Body, frozen=True):
    """How devices are let in that sign their requests; what is left out is chosen, or stays as it is."""

    auto_activation: Annotated[
        bool | UnsetType, Meta(description="Devices get their credentials at once; otherwise an operator allocates them.")
    ] = UNSET
    self_registration: Annotated[bool | UnsetType, Meta(description="Serials that are not known register themselves.")] = UNSET
    timestamp_tolerance_s: Annotated[
        int | UnsetType | None, Meta(description="How far a signature's time may be off; null: it is not looked at.")
    ] = UNSET
    reallocation: ReallocationWord | UnsetType = UNSET
    product_key: Annotated[
        str | UnsetType, Meta(description="1 to 64 letters and digits; left out of a new profile, 8 are drawn.")
    ] = UNSET
    mqtt_url: Annotated[
        str | UnsetType, Meta(description="Where devices go: tcp or ssl://HOST:PORT; empty: to this gateway.")
    ] = UNSET
    http_url: Annotated[
        str | UnsetType, Meta(description="Where devices go: http or https://HOST[:PORT]; empty: to this gateway.")
    ] = UNSET


class NewProfile(Body, frozen=True):
    """A profile to make."""

    name: str
    strategy: StrategyWord = Strategy.CREATE_NEW.value
    reprovision: ReprovisionWord = Reprovision.DENY.value
    provision_key: Annotated[
        str | None,
        Meta(
            description="1 to 255 characters, unique; left out, 20 characters of [a-z0-9] are drawn. With the strategy signed"
            " it is the group's id: 1 to 64 characters of [A-Za-z0-9_-], or 6 of [A-Z0-9] that are drawn. With the strategy"
            " certificate_chain it is the certificate's hash, where that is free."
        ),
    ] = None
    provision_secret: NewSecret = None
    options: Annotated[list[str], Meta(description="Dialect options to switch on.")] = msgspec.field(default_factory=list)
    signed: Annotated[SignedRules | None, Meta(description="With the strategy signed alone.")] = None
    chain: Annotated[ChainRules | None, Meta(description="With the strategy certificate_chain alone, which needs it.")] = None
    issuing: Annotated[IssuingRules | None, Meta(description="Null: devices get no certificates from this gateway.")] = None
    plain: Annotated[PlainWord | None, Meta(description="Null: what the gateway says.")] = None
    claims: Annotated[ClaimRules | None, Meta(description="Null: nothing limits what the claim key is good for.")] = None
    hook: Annotated[HookRules | None, Meta(description="Null: nobody is asked before a device is let in.")] = None
    credential_kind: Annotated[
        CredentialWord | None, Meta(description="The only kind that its devices can have, for good; null: any.")
    ] = None
    metadata: Metadata = msgspec.field(default_factory=dict)


class ProfileChange(Body, frozen=True):
    """What changes of a profile."""

    name: str | UnsetType = UNSET
    strategy: StrategyWord | UnsetType = UNSET
    reprovision: ReprovisionWord | UnsetType = UNSET
    options: list[str] | UnsetType = UNSET
    signed: SignedRules | UnsetType = UNSET
    chain: ChainRules | UnsetType = UNSET
    issuing: Annotated[
        IssuingRules | UnsetType | None, Meta(description="Null: devices get no certificates from this gateway any more.")
    ] = UNSET
    plain: Annotated[PlainWord | UnsetType | None, Meta(description="Null: what the gateway says.")] = UNSET
    claims: Annotated[
        ClaimRules | UnsetType | None,
        Meta(description="Null: nothing limits what the claim key is good for, unless it is burned."),
    ] = UNSET
    hook: Annotated[
        HookRules | UnsetType | None, Meta(description="Null: nobody is asked any more before a device is let in.")
    ] = UNSET
    metadata: Metadata | UnsetType = UNSET


class ProfileRotation(Body, frozen=True):
    """The secret that takes the place of a profile's, and for how long the old one is good still."""

    provision_secret: NewSecret = None
    overlap_seconds: Overlap = 0


class NewAccessToken(Body, frozen=True, tag_field="type", tag="access_token"):
    """An access token; left out, 20 characters are drawn."""

    token: Secret | None = None


class NewMqttBasic(Body, frozen=True, tag_field="type", tag="mqtt_basic"):
    """MQTT credentials. Without client id and user name, user name and password are drawn.

    A password that is left out is drawn where there is a user name; an empty one is not compared.
    """

    client_id: str = ""
    username: str = ""
    password: Secret | None = None


class NewCertificate(Body, frozen=True, tag_field="type", tag="x509_certificate"):
    """One certificate, as PEM or as its bare base64."""

    certificate: str


class NewLwm2m(Body, frozen=True, tag_field="type", tag="lwm2m"):
    """An LwM2M endpoint name."""

    endpoint: str


class NewClientSecret(Body, frozen=True, tag_field="type", tag="client_secret"):
    """The secret of a device that names itself by its id; left out, one is drawn."""

    secret: Secret | None = None


class NewDeviceSecret(Body, frozen=True, tag_field="type", tag="device_secret"):
    """A triple of product key, device key and device secret, which is drawn; for profiles whose devices sign."""


NewCredential = NewAccessToken | NewMqttBasic | NewCertificate | NewLwm2m | NewClientSecret | NewDeviceSecret | NewOscore
CREDENTIAL_TYPES = ("access_token", "mqtt_basic", "x509_certificate", "lwm2m", "client_secret", "device_secret", "oscore")


class NewDevice(Body, frozen=True):
    """A device to define; without a credential one is drawn, of its profile's kind or an access token."""

    name: str
    profile: Annotated[str, Meta(description="Id or name.")]
    credential: NewCredential | None = None
    metadata: Metadata = msgspec.field(default_factory=dict)


class DeviceChange(Body, frozen=True):
    """What changes of a device; `metadata` takes the place of all that was there."""

    enabled: bool | UnsetType = UNSET
    state: SettableState | UnsetType = UNSET
    metadata: Metadata | UnsetType = UNSET


class ImportedDevice(Body, frozen=True, kw_only=True):
    """A row of an import; `line` is where it stands in its file, by default its place in the list."""

    line: int | None = None
    name: str
    profile: Annotated[str | None, Meta(description="Id or name; by default the profile of the whole import.")] = None
    credential: NewCredential | None = None
    metadata: Metadata = msgspec.field(default_factory=dict)


Row = Annotated[msgspec.Raw, Meta(extra_json_schema={"$ref": "#/components/schemas/ImportedDevice"})]


class Import(Body, frozen=True):
    """At most 1,000 devices; each is read by itself, so that one bad row is one error and no more."""

    devices: Annotated[list[Row], Meta(extra_json_schema={"maxItems": 1000})]
    profile: str | None = None


class NewToken(Body, frozen=True):
    """A bearer token to make."""

    name: str
    role: RoleWord


class Scoped(Body, frozen=True):
    """Query parameters that every path has."""

    tenant: Annotated[str, Meta(description="Another tenant than the token's; admins only.")] = ""


class Paged(Scoped, frozen=True):
    """Query parameters of a list."""

    limit: Limit = 100
    after: After = ""


class DeviceFilter(Paged, frozen=True):
    """Which devices to list."""

    name: Annotated[str, Meta(description="What the name begins with.")] = ""
    profile: Annotated[str, Meta(description="Id or name.")] = ""
    state: StateWord = ""


class EventFilter(Paged, frozen=True):
    """Which events to list."""

    correlation: Annotated[str, Meta(description="The `X-Request-ID` of a request.")] = ""
    device: Annotated[str, Meta(description="Id or name.")] = ""
    profile: Annotated[str, Meta(description="Id or name.")] = ""
    kind: KindWord = ""
    newest: Annotated[bool, Meta(description="The newest first; `after` then continues with older ones.")] = False
