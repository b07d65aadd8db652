"""What crosses the driving port: requests with their evidence, and the results they get."""

from typing import Any

import msgspec

from core.crypto.cfb import Envelope
from core.crypto.challenges import AnswerSeal
from core.limits import source_of
from core.model import BootstrapConfig, Channel, CredentialId, Device, DeviceId, Firmware, Profile, ProfileId, Secret, TenantId


class Context(msgspec.Struct, frozen=True):
    """Where a request came from: for events and limits, never for a decision about who is asking.

    `correlation` is a UUIDv7; `source` is the peer's address without its port; `actor` names the operator token. What came over
    TLS, DTLS or OSCORE is `secure`.
    """

    correlation: str
    protocol: str
    dialect: str
    source: str
    actor: str = ""
    secure: bool = False

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


class Triple(msgspec.Struct, frozen=True):
    """Product key, device key and device secret (EnOS): the secret itself never travels again, logins are signed with it."""

    product_key: str
    device_key: str
    secret: Secret


class Oscore(msgspec.Struct, frozen=True):
    """An OSCORE security context (RFC 8613, section 3.1) with AES-CCM-16-64-128 and HKDF SHA-256; all in lower-case hex.

    `device_id` is the Sender ID of the device, by which its requests are known, `server_id` that of this server. The salt and
    the ID Context may be empty.
    """

    device_id: str
    server_id: str
    secret: Secret
    salt: str = ""
    id_context: str = ""


CredentialValue = AccessToken | MqttBasic | Certificate | Lwm2m | ClientSecret | Triple | Oscore


class SharedSecret(msgspec.Struct, frozen=True):
    """A claim key and the secret that goes with it (RFC 9334: evidence)."""

    key: str
    secret: Secret


class ProvenClaim(msgspec.Struct, frozen=True):
    """A claim key whose secret the transport has proved already, as the key of a handshake (RFC 4279)."""

    key: str


class ProvenChain(msgspec.Struct, frozen=True):
    """A chain of certificates that has been checked against the profile of this claim key.

    The credential that comes of it is over at `until`, in milliseconds since the Unix epoch (None: it stays). It takes the
    place of no certificate that was made after `since` (None: of any).
    """

    key: str
    until: int | None = None
    since: int | None = None


class ProvisionRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A device asks for its identity.

    `device_name` None or empty: the registry names it. `credential` None: the registry makes an access token.
    `metadata` is kept with a device that is created. `proof` is what it still has of what it was given before, or what its
    connection proved.
    """

    evidence: SharedSecret | ProvenClaim | ProvenChain
    device_name: str | None = None
    credential: CredentialValue | None = None
    proof: "TokenLogin | MqttLogin | Identity | None" = None
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


class TripleLogin(msgspec.Struct, frozen=True):
    """A device proves its triple by a digest over it and `lifetime`, the milliseconds its session is to last, as sent."""

    product_key: str
    device_key: str
    lifetime: str
    digest: str


class CertificateLogin(msgspec.Struct, frozen=True):
    """What a device showed in a TLS or DTLS handshake in which it proved to have the key of the first: DER, as it was sent."""

    chain: tuple[bytes, ...]


class ProvenLogin(msgspec.Struct, frozen=True):
    """A device proved a secret of its own in the handshake or the message layer of its transport: DTLS-PSK or OSCORE.

    `proven` is what `PresharedQuestion` or `OscoreQuestion` answered.
    """

    proven: "Identity"


Login = TokenLogin | MqttLogin | TripleLogin | CertificateLogin | ProvenLogin


class Identity(msgspec.Struct, frozen=True):
    """A device that proved itself, and with which credential.

    `credential` is None where it was the external key of its configuration, which is good for fetching that and nothing else.
    A `user` is no device but the entry of the directory whose id and name stand in its place. `until` is when the credential's
    time is over, in milliseconds since the Unix epoch, as it was at the login; None: it stays.
    """

    tenant: TenantId
    device: DeviceId
    device_name: str
    credential: CredentialId | None
    user: bool = False
    until: int | None = None


class PresharedQuestion(msgspec.Struct, frozen=True):
    """A handshake asks for the key of a PSK identity (RFC 4279): an external id, a claim key, or the id of a device."""

    identity: str


class Preshared(msgspec.Struct, frozen=True):
    """The key of a PSK identity, and what whoever has it is: a device, or somebody who knows the secret of a claim key.

    For an identity that is not known the key is one that nobody has, and neither is there.
    """

    key: Secret
    identity: Identity | None = None
    claim: str = ""


class OscoreQuestion(msgspec.Struct, frozen=True):
    """A protected message asks for its security context: the `kid` and `kid context` of its OSCORE option."""

    device_id: bytes
    id_context: bytes = b""


class OscoreKnown(msgspec.Struct, frozen=True):
    """A security context, and whose it is."""

    context: Oscore
    identity: Identity


class Standing(msgspec.Struct, frozen=True):
    """Whether what a connection proved is true still, and until when at most, in milliseconds since the Unix epoch."""

    holds: bool
    until: int | None = None


class OpenSession(msgspec.Struct, frozen=True):
    """A device asks for a token that stands for its login for a while."""

    login: TripleLogin


class SessionOpened(msgspec.Struct, frozen=True):
    """The token, good as a `TokenLogin` for `lifetime` milliseconds or until the credential behind it is gone."""

    identity: Identity
    token: Secret
    lifetime: int


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


class AskChallenge(msgspec.Struct, frozen=True):
    """A device that is to prove its external key asks for what it is to prove it with; `nonce` are 32 bytes of its own."""

    external_id: str
    nonce: bytes


class ChallengeOffered(msgspec.Struct, frozen=True, kw_only=True):
    """A challenge, to be brought back as it is, and the gateway's nonce; it is good once, within its lifetime."""

    challenge: bytes
    nonce: bytes
    lifetime_seconds: int


class ProvenBootstrap(msgspec.Struct, frozen=True, kw_only=True):
    """A device asks for its configuration with a challenge that it was given for this id and nonce, and 32 bytes of proof."""

    external_id: str
    nonce: bytes
    challenge: bytes
    proof: bytes


class SealedBootstrap(msgspec.Struct, frozen=True):
    """A device's configuration, and what seals the document that it goes into."""

    bootstrapped: Bootstrapped
    seal: AnswerSeal


class SignedSerial(msgspec.Struct, frozen=True):
    """A device's serial and its proof: `digest` is over serial, `timestamp` (milliseconds, as its digits) and a secret."""

    serial: str
    timestamp: str
    digest: str


class EnrolRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A device that signs with its group's secret asks for its identity.

    `label` is what it is to be called, `metadata` is kept with it; both count at its first registration alone. `connection` is
    what that proved by itself.
    """

    group: str
    proof: SignedSerial
    connection: Identity | None = None
    label: str = ""
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class BranchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a gateway asks for beside itself: a device of its own by number, or one that signed for itself."""

    branch: int | None = None
    proof: SignedSerial | None = None
    named_by_gateway: bool = True


class ConnectRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A registered device asks for its credentials again, or a gateway for those of a device behind it.

    `connection` is what that proved by itself.
    """

    proof: SignedSerial
    connection: Identity | None = None
    sub: BranchRequest | None = None


class Enrolled(msgspec.Struct, frozen=True, kw_only=True):
    """A device has its triple; where to go with it stands in the profile."""

    device: Device
    profile: Profile
    triple: Triple


class ClaimNotice(msgspec.Struct, frozen=True, kw_only=True):
    """One device may be claimed with this secret, which may be empty, for a while.

    `device_name` None: the sender itself; otherwise one of the devices behind this gateway. `duration_ms` None, zero or less:
    the registry's own.
    """

    device_name: str | None = None
    secret: Secret = Secret("")
    duration_ms: int | None = None


class AnnounceClaims(msgspec.Struct, frozen=True):
    """A device, or a gateway for devices behind it, announces that they may be claimed."""

    who: Login | Identity
    notices: tuple[ClaimNotice, ...]


class ClaimsAnnounced(msgspec.Struct, frozen=True):
    """The announcement was received; whether it counts is not for the device to know."""

    identity: Identity


class AskFirmware(msgspec.Struct, frozen=True, kw_only=True):
    """A device asks which firmware it should run.

    `running` is the version it runs, empty where it does not say; `held` are the entity tags of what it has been told.
    """

    who: Login | Identity
    running: str = ""
    held: tuple[str, ...] = ()


class FirmwareAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the device should run, None where there is nothing or it has it; `etag` as in `Bootstrapped`."""

    identity: Identity
    profile: ProfileId
    firmware: Firmware | None
    etag: str
    unchanged: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        """Return the ids of what decides about this: the device's, which is its configuration's too, and its profile's."""
        return self.identity.device, self.profile


class ReportFirmware(msgspec.Struct, frozen=True):
    """A device tells which version it runs."""

    who: Login | Identity
    version: str


class FirmwareReported(msgspec.Struct, frozen=True):
    """The version is known."""

    identity: Identity
    version: str


class AskFields(msgspec.Struct, frozen=True):
    """A device asks what the registry says of it: what it is called and what is kept with it."""

    who: Login | Identity


class SetFields(msgspec.Struct, frozen=True):
    """A device sets some of its fields; those it does not name stay. None takes one away.

    `label` None: it stays what it is. `always` are the names of fields that every device has; any other has to be a field of
    its template.
    """

    who: Login | Identity
    label: str | None = None
    fields: dict[str, Any] = msgspec.field(default_factory=dict)
    always: frozenset[str] = frozenset()


class FieldsAnswer(msgspec.Struct, frozen=True):
    """The device as it is now; `etag` changes with its label and fields."""

    identity: Identity
    device: Device
    etag: str


class SignRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A device asks for a certificate: for the key of its own request (PKCS#10 as PEM, base64 or DER), or with a key made here.

    Exactly one of `request` and `key_algorithm` is there.
    """

    who: Login | Identity
    request: bytes | None = None
    key_algorithm: str | None = None


class CertificateSigned(msgspec.Struct, frozen=True, kw_only=True):
    """A device has a certificate, which is a credential of its own from now on.

    `chain` begins with it and goes on with those between it and the `authorities` that vouch for it; all are DER.
    `private_key` is PEM, given this once, where the key was made here. `not_after` is when the certificate is of no use any
    more, in milliseconds since the Unix epoch.
    """

    identity: Identity
    chain: tuple[bytes, ...]
    authorities: tuple[bytes, ...]
    not_after: int
    private_key: Secret | None = None


class AskAuthorities(msgspec.Struct, frozen=True):
    """Anybody asks by which certificates those of devices can be checked."""


class AuthoritiesAnswer(msgspec.Struct, frozen=True):
    """The certificates of the authority, as DER, the one that signs first."""

    certificates: tuple[bytes, ...]


class AskRevocations(msgspec.Struct, frozen=True):
    """Anybody asks which certificates are revoked."""


class RevocationsAnswer(msgspec.Struct, frozen=True):
    """The revocation list as DER (RFC 5280, section 5); `until` is when it ends, in milliseconds since the Unix epoch."""

    content: bytes
    until: int
