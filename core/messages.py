"""What crosses the driving port: requests with their evidence, and the results they get."""

from typing import Any

import msgspec

from core.model import CredentialId, Device, DeviceId, Profile, Secret, TenantId


class Context(msgspec.Struct, frozen=True):
    """Where a request came from: for events and limits, never for a decision about who is asking.

    `correlation` is a UUIDv7; `source` is the peer's address without its port; `actor` names the operator token.
    """

    correlation: str
    protocol: str
    dialect: str
    source: str
    actor: str = ""


class AccessToken(msgspec.Struct, frozen=True):
    """A bearer token that is also the name it is looked up by."""

    token: Secret


class MqttBasic(msgspec.Struct, frozen=True):
    """MQTT client id, user name and password; an empty part is not compared."""

    client_id: str = ""
    username: str = ""
    password: Secret = Secret("")


class Certificate(msgspec.Struct, frozen=True):
    """A certificate as the text the device sent: base64 without markers and line ends, not checked to be one."""

    text: str


class Lwm2m(msgspec.Struct, frozen=True):
    """An LwM2M endpoint name; its keys are kept elsewhere."""

    endpoint: str


CredentialValue = AccessToken | MqttBasic | Certificate | Lwm2m


class SharedSecret(msgspec.Struct, frozen=True):
    """A claim key and the secret that goes with it (RFC 9334: evidence)."""

    key: str
    secret: Secret


class ProvisionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A device asks for its identity.

    `device_name` None or empty: the registry names it. `credential` None: the registry makes an access token.
    `metadata` is kept with a device that is created.
    """

    evidence: SharedSecret
    device_name: str | None = None
    credential: CredentialValue | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class Provisioned(msgspec.Struct, frozen=True, kw_only=True):
    """A device has its identity: what it was given, and the profile whose options shape the reply."""

    device: Device
    profile: Profile
    credential: CredentialValue


class TokenLogin(msgspec.Struct, frozen=True):
    """A device presents an access token (in a path or header)."""

    token: Secret


class MqttLogin(msgspec.Struct, frozen=True):
    """A device presents what an MQTT CONNECT packet carries (OASIS MQTT 5.0, section 3.1)."""

    client_id: str = ""
    username: str = ""
    password: Secret = Secret("")


Login = TokenLogin | MqttLogin


class Identity(msgspec.Struct, frozen=True):
    """A device that proved itself, and with which credential."""

    tenant: TenantId
    device: DeviceId
    device_name: str
    credential: CredentialId


class Report(msgspec.Struct, frozen=True):
    """A device that has its identity sends telemetry or attributes, or asks for its attributes (`what` names which).

    `who` is a login still to be checked, or the identity its connection proved already.
    """

    who: Login | Identity
    what: str


class Reported(msgspec.Struct, frozen=True):
    """The report of a known device was received and counted; nothing is forwarded."""

    identity: Identity
    what: str
