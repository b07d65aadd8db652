"""What the registry holds, as frozen values: tenants, profiles, devices and what belongs to them, a directory, and events.

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
EntryId = NewType("EntryId", str)
ApprovalId = NewType("ApprovalId", str)
TombstoneId = NewType("TombstoneId", str)

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
    SIGNED = "signed"
    CERTIFICATE_CHAIN = "certificate_chain"
    DISABLED = "disabled"

    __hash__ = object.__hash__  # members are unique: Enum's own hash, in Python, costs every look-up of a table


class Reprovision(enum.Enum):
    """What a profile answers a device that asks again."""

    DENY = "deny"
    SAME = "same"  # the credential that it has
    ROTATE = "rotate"  # a new one, on trial
    APPROVE = "approve"  # nothing until an operator grants it, then once what `ROTATE` gives
    PROVE = "prove"  # what `ROTATE` gives, where it proves that it has a credential or key of its own still


class Reallocation(enum.Enum):
    """What becomes of a device's master data when it is allocated anew (EnOS: reprovision method)."""

    MIGRATE = "migrate"
    INITIALIZE = "initialize"
    NONE = "none"


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
    DEVICE_SECRET = "device_secret"  # noqa: S105 - the name of a kind, no secret
    OSCORE = "oscore"


class Role(enum.Enum):
    """What the bearer of an operator token may do."""

    ADMIN = "admin"
    OPERATOR = "operator"
    FACTORY = "factory"
    AUDITOR = "auditor"
    CUSTOMER = "customer"  # an end user: claims devices and gives them up


class EntryKind(enum.Enum):
    """What an entry of the directory is."""

    ORGANIZATION = "organization"
    ORGANIZATION_TEMPLATE = "organization_template"
    END_USER = "end_user"
    END_USER_TEMPLATE = "end_user_template"
    ACCOUNT_USER = "account_user"
    DEVICE_FIELD = "device_field"
    CHANNEL_TEMPLATE = "channel_template"


class EventKind(enum.Enum):
    """What happened."""

    PROVISION_SUCCEEDED = "provision.succeeded"
    PROVISION_REFUSED = "provision.refused"
    BOOTSTRAP_SUCCEEDED = "bootstrap.succeeded"
    BOOTSTRAP_REFUSED = "bootstrap.refused"
    LOGIN_REFUSED = "login.refused"
    IDENTITY_GUESSED = "identity.guessed"
    REQUEST_REFUSED = "request.refused"
    CERTIFICATE_ISSUED = "certificate.issued"
    CERTIFICATE_REFUSED = "certificate.refused"
    DEVICE_CONNECTED = "device.connected"
    DEVICE_DEFINED = "device.defined"
    DEVICE_CHANGED = "device.changed"
    DEVICE_REVOKED = "device.revoked"
    DEVICE_DELETED = "device.deleted"
    DEVICE_ALLOCATED = "device.allocated"
    DEVICE_RESET = "device.reset"
    DEVICE_ASSOCIATED = "device.associated"
    DEVICE_GIVEN_UP = "device.given_up"
    ASSOCIATION_OFFERED = "association.offered"
    ASSOCIATION_REFUSED = "association.refused"
    FIRMWARE_REPORTED = "firmware.reported"
    APPROVAL_REQUESTED = "approval.requested"
    APPROVAL_DECIDED = "approval.decided"
    CREDENTIAL_ISSUED = "credential.issued"
    CREDENTIAL_ROTATED = "credential.rotated"
    CREDENTIAL_ADOPTED = "credential.adopted"
    CREDENTIAL_READ = "credential.read"
    CONFIG_CREATED = "config.created"
    CONFIG_CHANGED = "config.changed"
    CONFIG_DELETED = "config.deleted"
    CHANNEL_CREATED = "channel.created"
    CHANNEL_CHANGED = "channel.changed"
    CHANNEL_DELETED = "channel.deleted"
    ENTRY_CREATED = "entry.created"
    ENTRY_CHANGED = "entry.changed"
    ENTRY_DELETED = "entry.deleted"
    OPERATOR_LOGGED_IN = "operator.logged_in"
    TENANT_CREATED = "tenant.created"
    PROFILE_CREATED = "profile.created"
    PROFILE_CHANGED = "profile.changed"
    PROFILE_DELETED = "profile.deleted"
    PROFILE_BURNED = "profile.burned"
    LEAVE_GRANTED = "leave.granted"
    TOKEN_CREATED = "token.created"  # noqa: S105 - the name of an event, no secret
    TOKEN_REVOKED = "token.revoked"  # noqa: S105 - the name of an event, no secret
    KEYS_ROTATED = "keys.rotated"
    REGISTRY_RESTORED = "registry.restored"


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """Whose devices they are. `devices` is counted by the store and ignored on the way in.

    With `secure_bootstrap` its devices may fetch their configurations under the AES key that all devices share, where the
    gateway has one: inherited from Mainflux, without integrity.
    """

    id: TenantId
    name: str
    device_limit: int | None = None
    devices: int = 0
    secure_bootstrap: bool = False
    created_at: int
    version: int = 1


class Firmware(msgspec.Struct, frozen=True, kw_only=True):
    """The firmware that devices should run: where it is and how to tell that it arrived whole. Images are kept elsewhere.

    `size` is in bytes, `sha256` 64 lower-case hex digits (FIPS 180-4).
    """

    version: str
    url: str
    size: int
    sha256: str


class SignedPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How devices are let in that sign their requests with the secret of their group.

    With `auto_activation` a device is given its credentials at once, otherwise an operator has to allocate it; with
    `self_registration` a serial that is not known registers itself. A signature's time may be off by
    `timestamp_tolerance_s` seconds; None: it is not looked at. `product_key` is of letters and digits. `mqtt_url`, `http_url`:
    where devices go with their credentials, empty: the gateway's own.
    """

    auto_activation: bool = True
    self_registration: bool = True
    timestamp_tolerance_s: int | None = 900
    reallocation: Reallocation = Reallocation.MIGRATE
    product_key: str
    mqtt_url: str = ""
    http_url: str = ""


class ChainPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How devices are let in by the certificate that they show in TLS, and the chain behind it.

    `authorities` are certificates as `credentials.certificate` has them: the first is the one that a chain has to come to,
    those behind it lead on to its root. `anchor` is the credential id of the first and `anchor_name` a digest of its subject,
    by which it is found where a device does not send it; several profiles may have both in common, and are told apart by their
    patterns. `pattern` is a regular expression that is sought in the common name of the leaf; its first group is the device's
    name. With `create` a device that is not known is made. A `lax` policy looks at signatures and the time of the leaf alone,
    as ThingsBoard does: not at the dates of authorities, CA flags and path lengths.
    """

    anchor: str
    anchor_name: str
    authorities: tuple[str, ...]
    pattern: str = "(.*)"
    create: bool = True
    lax: bool = False


class IssuingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What certificates a profile's devices may have from this gateway.

    One is good for `lifetime_s` seconds. With `key_pairs` a device that cannot make a key may have one made.
    """

    lifetime_s: int
    key_pairs: bool = False


class ClaimRate(msgspec.Struct, frozen=True):
    """Devices that are let in per minute in the long run, and how many at once after a pause."""

    per_minute: int
    burst: int


class ClaimPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How far a profile's claim key reaches, whoever has it; also where devices sign with its secret or come with its chain.

    It makes `budget` devices at most, counted for ever, and lets devices in, new ones and those that ask again, from `opens_at`
    until `closes_at`, both in milliseconds since the Unix epoch, and as many at a time as `rate` and, from one source,
    `source_rate` say. What they call themselves, which is their serial where they sign, has to be one of `names`, one a line,
    or within one of `ranges` such as `meter-0001..meter-5000`, or match all of the regular expression `pattern`. What is None
    or empty limits nothing. With `tombstones` a device that was deleted or revoked comes back by an operator's leave alone.
    From `burned_at` on the key is dead, for good.
    """

    budget: int | None = None
    opens_at: int | None = None
    closes_at: int | None = None
    names: str = ""  # one text: a tuple of thousands would be taken apart whenever the profile is read
    ranges: tuple[str, ...] = ()
    pattern: str = ""
    rate: ClaimRate | None = None
    source_rate: ClaimRate | None = None
    tombstones: bool = True
    burned_at: int | None = None

    @property
    def allowance(self) -> int | None:
        """Return how many devices the key may make in all, None where any number of them."""
        return self.budget if self.burned_at is None else 0


class Hook(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asked before a device of a profile is let in: a service of the operator's behind `url`.

    `secret`, sealed, signs what it is asked. Without an answer within `seconds` nobody is let in.
    """

    url: str
    secret: Sealed
    seconds: int = 5


class Plain(enum.Enum):
    """What devices may do where nothing protects the wire: over HTTP, CoAP and MQTT without TLS, DTLS or OSCORE."""

    EVERYTHING = "everything"
    CHALLENGE = "challenge"  # what carries no secret in the clear, neither there nor back
    NOTHING = "nothing"


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The rule that lets a device or a group of them in.

    `provision_key` selects the profile and is unique over all tenants; `provision_secret` is sealed, and so is the one before
    it, which is good until `previous_until` (None: there is none). `options` are the names of dialect options that are switched
    on, such as an additional reply shape. `signed` is there where devices sign, whether they are let in now or not.
    `credential_kind` is the one kind of credential that its devices have; None: any. `firmware` is what its devices should run.
    `chain` is there where devices come with a chain of certificates, `issuing` where they may have certificates from here.
    `plain` is what they may do on an unprotected wire, None: what the gateway says. `metadata` is kept for those who made it.
    `claims` limits what its claim key is good for. `made` is how many devices that key has made, counted by the store since
    there are `claims`, from the number of devices that the profile had then, and ignored on the way in; None: never.
    `hook` is asked before a device is let in, None: nobody is.
    """

    id: ProfileId
    tenant: TenantId
    name: str
    strategy: Strategy
    reprovision: Reprovision = Reprovision.DENY
    provision_key: str
    provision_secret: Sealed
    previous_secret: Sealed | None = None
    previous_until: int | None = None
    options: tuple[str, ...] = ()
    signed: SignedPolicy | None = None
    chain: ChainPolicy | None = None
    issuing: IssuingPolicy | None = None
    plain: Plain | None = None
    claims: ClaimPolicy | None = None
    made: int | None = None
    hook: Hook | None = None
    credential_kind: CredentialKind | None = None
    firmware: Firmware | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    created_at: int
    updated_at: int
    version: int = 1


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One device, whatever dialect it came in through.

    `name` is its external id, unique per tenant; `label` is what people call it, free and not unique. `serial` is the maker's;
    with `unique_serial` no other device of its profile that says so has it. `owner` is the organisation of the directory that
    it belongs to, empty: the tenant's own. `firmware` is what it should run, before what its profile says; `runs` is the
    version that it said it runs. `provisioned_at`, `connected_at`, `associated_at` and `discarded_at` tell when it last got
    to these states; None: never, or at its making.
    """

    id: DeviceId
    tenant: TenantId
    profile: ProfileId
    name: str
    label: str = ""
    serial: str = ""
    unique_serial: bool = False
    owner: str = ""
    state: DeviceState = DeviceState.DEFINED
    enabled: bool = True
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    firmware: Firmware | None = None
    runs: str = ""
    provisioned_at: int | None = None
    connected_at: int | None = None
    associated_at: int | None = None
    discarded_at: int | None = None
    created_at: int
    updated_at: int
    version: int = 1


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a device proves itself with.

    `lookup` finds it, `verifier` is what else must match (empty: nothing else), `sealed` is the value where the device or a
    factory may be given it again (None: it was shown once). From `expires_at` on it is worthless (None: it stays). One on
    `trial` takes the place of all older ones at its first accepted login; until then they are as good as it is.
    """

    id: CredentialId
    device: DeviceId
    kind: CredentialKind
    lookup: Lookup
    verifier: bytes = b""
    sealed: Sealed | None = None
    expires_at: int | None = None
    trial: bool = False
    created_at: int
    version: int = 1

    def is_over(self, now: int) -> bool:
        """Tell whether its time is over."""
        return self.expires_at is not None and self.expires_at <= now


class OscoreState(msgspec.Struct, frozen=True, kw_only=True):
    """How far an OSCORE context (RFC 8613) has come; `id` is the credential's that holds its keys.

    No sender sequence number at or above `sequence` has been used. `window` is the replay window as it was left in good order,
    its lowest number and the bits above that; None: it is in use, or was when the gateway ended, and nothing is known of what
    was received.
    """

    id: CredentialId
    sequence: int = 0
    window: tuple[int, int] | None = None
    version: int = 1


class IssuedCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that was made here, kept until its time is over; without a credential that has its `lookup` it is revoked.

    `id` is its serial number in lower-case hex. `device` and `name` are those of the device it was made for, which may be gone.
    `revoked_at` is when that was noticed.
    """

    id: str
    tenant: TenantId
    device: DeviceId
    name: str
    lookup: Lookup
    not_after: int
    revoked_at: int | None = None
    created_at: int
    version: int = 1


class PendingClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A device waits to be associated with whoever knows the secret behind `lookup`, until `expires_at`.

    `id` is the device's: a device has one at most. A claim that `announced` is the device's own, with a secret of its choice;
    any other has a code that was drawn.
    """

    id: DeviceId
    tenant: TenantId
    lookup: Lookup
    announced: bool = False
    expires_at: int
    created_at: int
    version: int = 1


class Verdict(enum.Enum):
    """What operators said to a device that waits for their approval."""

    WAITING = "waiting"  # nothing yet
    GRANTED = "granted"
    REFUSED = "refused"


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A device with the right claim asks for its identity, and an operator is to say whether it gets one.

    `name` is what it calls itself (its serial where it signs), unique among those of its profile. `device` is the one of that
    name when it asked; None: there was none. `source` is the address that it first asked from, `stranger` what limits count
    that as. A grant is good once. From `expires_at` on there is nothing to it, whatever the verdict is.
    """

    id: ApprovalId
    tenant: TenantId
    profile: ProfileId
    name: str
    device: DeviceId | None = None
    verdict: Verdict = Verdict.WAITING
    source: str = ""
    stranger: str = ""
    protocol: str = ""
    dialect: str = ""
    expires_at: int
    created_at: int
    updated_at: int
    version: int = 1

    def is_over(self, now: int) -> bool:
        """Tell whether its time is over."""
        return self.expires_at <= now


class Departure(enum.Enum):
    """How a device left."""

    DELETED = "deleted"
    REVOKED = "revoked"  # it is there still, and has no credentials


class Tombstone(msgspec.Struct, frozen=True, kw_only=True):
    """A device that is not to come back by a claim key of its tenant: by its name, or among those that sign by its serial.

    It counts while there is no device of that name or serial, or one without credentials. Until `leave_until` an operator lets
    it come back, once: that takes the tombstone away. One that is inserted takes the place of those with its name or serial.
    `serial` is empty for devices without a serial of their own; `device` may be gone.
    """

    id: TombstoneId
    tenant: TenantId
    profile: ProfileId
    device: DeviceId
    name: str
    serial: str = ""
    departure: Departure
    leave_until: int | None = None
    created_at: int
    version: int = 1

    def gives_leave(self, now: int) -> bool:
        """Tell whether the device may come back at this time."""
        return self.leave_until is not None and now < self.leave_until


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
    empty; `client_key` finds a configuration by the private key in its certificates. `firmware` is what the device should run,
    where the device itself does not say.
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
    firmware: Firmware | None = None
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


class DirectoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """What devices, credentials and operators refer to: an organisation, a user, or what a template says of its devices.

    `parent` is what it belongs to: the organisation of a user or organisation, the profile of a field or channel template,
    empty for the tenant itself. `template` is the template it was made from. `login` is the e-mail address that a user logs in
    with, unique per tenant where it is not empty; `verifier` is what its password must match and `role` what it may do then.
    `lookup` finds a user by its MQTT secret. `attributes` is everything else.
    """

    id: EntryId
    tenant: TenantId
    kind: EntryKind
    name: str = ""
    parent: str = ""
    template: str = ""
    login: str = ""
    role: Role | None = None
    verifier: bytes = b""
    lookup: Lookup | None = None
    attributes: dict[str, Any] = msgspec.field(default_factory=dict)
    created_at: int
    updated_at: int
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
