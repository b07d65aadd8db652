"""What crosses the driving port: requests with their evidence, and the results they get."""

from typing import Any

import msgspec

from core.crypto.cfb import Envelope
from core.limits import source_of
from core.model import BootstrapConfig, Channel, CredentialId, Device, DeviceId, Profile, Secret, TenantId


class Context(msgspec.Struct, frozen=True):
    """Where a request came from: for events and limits, never for a decision about who is asking.

    `correlation` is a UUIDv7; `source` is the peer's address without its port; `actor` names the operator token.
    """

    correlation: str
    protocol: str
    dialect: str
    source: str
    actor: str = ""

    @property
    def stranger(self) -> str:
        """Return what limits count as one source: the address, or the IPv6 network it is in."""
        return source_of(self.source)


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


class ClientSecret(msgspec.Struct, frozen=True):
    """The secret of a device that names itself by its id (Mainflux: thing key, Magistrala: client secret)."""

    secret: Secret


CredentialValue = AccessToken | MqttBasic | Certificate | Lwm2m | ClientSecret


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
    """A device that proved itself, and with which credential.

    `credential` is None where it was the external key of its configuration, which is good for fetching that and nothing else.
    """

    tenant: TenantId
    device: DeviceId
    device_name: str
    credential: CredentialId | None


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


class PlainKey(msgspec.Struct, frozen=True):
    """An external key as it is (evidence for `BootstrapRequest`)."""

    key: Secret


class EncryptedKey(msgspec.Struct, frozen=True):
    """An external key as hex of IV and AES-CFB ciphertext, under the key that all devices of this gateway share."""

    text: str


ANY_ETAG = "*"
"""Among what a device holds: whatever there is, it has it already."""


class BootstrapRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A device asks for its configuration.

    `proof` is its external key, or what its connection proved already. `held` are the entity tags of what it has. With
    `version_only` it wants to know the version alone, which gives away no secret.
    """

    external_id: str
    proof: PlainKey | EncryptedKey | Identity
    held: tuple[str, ...] = ()
    version_only: bool = False


class ClientCertificates(msgspec.Struct, frozen=True):
    """What a configuration carries for TLS, each as the text the operator gave, unread; empty where there is none."""

    client_cert: str = ""
    client_key: Secret = Secret("")
    ca_cert: str = ""


class Bootstrapped(msgspec.Struct, frozen=True, kw_only=True):
    """A device's configuration, opened for it.

    `channels` are in the configuration's order. `etag` is 16 hex digits that change with anything in here. `unchanged` tells
    that the device has it already. `envelope` encrypts the answer where the request was encrypted, otherwise None.
    """

    config: BootstrapConfig
    device: Device
    secret: Secret
    channels: tuple[Channel, ...]
    content: str
    certificates: ClientCertificates
    etag: str
    unchanged: bool = False
    envelope: Envelope | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the ids of what is in here and may change: the device's, then those of the channels."""
        return self.device.id, *(channel.id for channel in self.channels)
