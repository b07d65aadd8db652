"""What the registry holds: tenants, profiles, devices, credentials, operator tokens and events, as frozen values.

Times are milliseconds since the Unix epoch. `version` starts at 1 and grows by one with each replacement.
"""

import enum
import hmac
from typing import Any, NewType

import msgspec

TenantId = NewType("TenantId", str)
ProfileId = NewType("ProfileId", str)
DeviceId = NewType("DeviceId", str)
CredentialId = NewType("CredentialId", str)
TokenId = NewType("TokenId", str)
EventId = NewType("EventId", str)
ChannelId = NewType("ChannelId", str)

Lookup = NewType("Lookup", bytes)
"""Keyed digest (HMAC-SHA-256, 32 bytes) by which a secret is found without being stored."""

Sealed = NewType("Sealed", bytes)
"""A secret under AES-256-GCM, bound to the row it belongs to."""

DEFAULT_TENANT = TenantId("default")


class Secret:
    """A text that no `repr`, log line or exception shows; compared in constant time."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret()"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode("utf-8", "surrogatepass"), other._text.encode("utf-8", "surrogatepass"))

    def __hash__(self) -> int:
        return hash(self._text)


class Strategy(enum.Enum):
    """How a profile lets devices in."""

    CREATE_NEW = "create_new"
    PRE_PROVISIONED = "pre_provisioned"
    DISABLED = "disabled"


class Reprovision(enum.Enum):
    """What a profile answers a device that asks again."""

    DENY = "deny"
    SAME = "same"
    ROTATE = "rotate"


class DeviceState(enum.Enum):
    """Where a device is in its life; `enabled` is a switch beside it."""

    DEFINED = "defined"
    PROVISIONED = "provisioned"
    CONNECTED = "connected"
    ASSOCIATED = "associated"
    DISCARDED = "discarded"


class CredentialKind(enum.Enum):
    """What a device proves itself with."""

    ACCESS_TOKEN = "access_token"  # noqa: S105 - the name of a kind, no secret
    MQTT_BASIC = "mqtt_basic"
    X509_CERTIFICATE = "x509_certificate"
    LWM2M = "lwm2m"
    CLIENT_SECRET = "client_secret"  # noqa: S105 - the name of a kind, no secret


class Role(enum.Enum):
    """What the bearer of an operator token may do."""

    ADMIN = "admin"
    OPERATOR = "operator"
    FACTORY = "factory"
    AUDITOR = "auditor"


class EventKind(enum.Enum):
    """What happened."""

    PROVISION_SUCCEEDED = "provision.succeeded"
    PROVISION_REFUSED = "provision.refused"
    BOOTSTRAP_SUCCEEDED = "bootstrap.succeeded"
    BOOTSTRAP_REFUSED = "bootstrap.refused"
    LOGIN_REFUSED = "login.refused"
    REQUEST_REFUSED = "request.refused"
    DEVICE_CONNECTED = "device.connected"
    DEVICE_DEFINED = "device.defined"
    DEVICE_CHANGED = "device.changed"
    DEVICE_REVOKED = "device.revoked"
    DEVICE_DELETED = "device.deleted"
    CREDENTIAL_ROTATED = "credential.rotated"
    CREDENTIAL_READ = "credential.read"
    CONFIG_CREATED = "config.created"
    CONFIG_CHANGED = "config.changed"
    CONFIG_DELETED = "config.deleted"
    CHANNEL_CREATED = "channel.created"
    CHANNEL_CHANGED = "channel.changed"
    CHANNEL_DELETED = "channel.deleted"
    TENANT_CREATED = "tenant.created"
    PROFILE_CREATED = "profile.created"
    PROFILE_CHANGED = "profile.changed"
    PROFILE_DELETED = "profile.deleted"
    TOKEN_CREATED = "token.created"  # noqa: S105 - the name of an event, no secret
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the name of an event, no secret


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """Whose devices they are. `devices` is counted by the store and ignored on the way in."""

    id: TenantId
    name: str
    device_limit: int | None = None
    devices: int = 0
    created_at: int
    version: int = 1


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The rule that lets a device or a group of them in.

    `provision_key` selects the profile and is unique over all tenants; `provision_secret` is sealed. `options` are the names
    of dialect options that are switched on, such as an additional reply shape.
    """

    id: ProfileId
    tenant: TenantId
    name: str
    strategy: Strategy
    reprovision: Reprovision = Reprovision.DENY
    provision_key: str
    provision_secret: Sealed
    options: tuple[str, ...] = ()
    created_at: int
    updated_at: int
    version: int = 1


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One device, whatever dialect it came in through.

    `name` is its external id, unique per tenant; `label` is what people call it, free and not unique.
    """

    id: DeviceId
    tenant: TenantId
    profile: ProfileId
    name: str
    label: str = ""
    state: DeviceState = DeviceState.DEFINED
    enabled: bool = True
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    created_at: int
    updated_at: int
    version: int = 1


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a device proves itself with.

    `lookup` finds it, `verifier` is what else must match (empty: nothing else), `sealed` is the value where the device or a
    factory may be given it again (None: it was shown once).
    """

    id: CredentialId
    device: DeviceId
    kind: CredentialKind
    lookup: Lookup
    verifier: bytes = b""
    sealed: Sealed | None = None
    created_at: int
    version: int = 1


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """A way for messages between devices. Its name is for people and not unique."""

    id: ChannelId
    tenant: TenantId
    name: str = ""
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    created_at: int
    updated_at: int
    version: int = 1


class BootstrapConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What one device fetches when it starts: its channels, its content and its certificates.

    `id` is the device's: a device has one configuration at most. `external_id` is unique over all tenants; with the sealed
    `external_key` it is what the device knows from the factory. `channels` are in the order they were given, each once; while
    the configuration is `active` the device may use all of them, otherwise none. `name` is unique per tenant among the
    configurations that say so by `unique_name`, where it is not empty. `content` and `certificates` are sealed, None where
    empty; `client_key` finds a configuration by the private key in its certificates.
    """

    id: DeviceId
    tenant: TenantId
    external_id: str
    external_key: Sealed
    name: str = ""
    unique_name: bool = False
    content: Sealed | None = None
    certificates: Sealed | None = None
    client_key: Lookup | None = None
    channels: tuple[ChannelId, ...] = ()
    active: bool = False
    created_at: int
    updated_at: int
    version: int = 1


class OperatorToken(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token of the operator API, known by its keyed digest alone."""

    id: TokenId
    tenant: TenantId
    name: str
    role: Role
    lookup: Lookup
    created_at: int
    version: int = 1


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt or change, without a secret in it.

    `correlation` ties it to the request's log line and, over HTTP, its `X-Request-ID`; `check` names what refused; `actor` is
    the name of the operator token, empty for a device. An attempt that cannot be told to a tenant is the default tenant's.
    """

    id: EventId
    tenant: TenantId
    at: int
    kind: EventKind
    correlation: str
    protocol: str = ""
    dialect: str = ""
    source: str = ""
    actor: str = ""
    profile: ProfileId | None = None
    device: DeviceId | None = None
    device_name: str = ""
    check: str = ""
    detail: str = ""
