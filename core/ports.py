"""What the core asks of the world: a registry, a clock, randomness and slow key derivation.

A set of changes is a value, so a store may gather those of many requests into one transaction.
"""

from collections.abc import Callable, Collection
from typing import Any, Protocol

import msgspec

from core.messages import Identity
from core.model import (
    Approval,
    BootstrapConfig,
    Channel,
    Credential,
    Device,
    DeviceId,
    DirectoryEntry,
    Event,
    IssuedCertificate,
    OperatorToken,
    OscoreState,
    PendingClaim,
    Profile,
    ProfileId,
    Secret,
    Tenant,
    TenantId,
    Tombstone,
)
from core.queries import Query, S

Entity = (
    Tenant
    | Profile
    | Device
    | Credential
    | OscoreState
    | IssuedCertificate
    | PendingClaim
    | Approval
    | Tombstone
    | Channel
    | BootstrapConfig
    | DirectoryEntry
    | OperatorToken
)


class Delete(msgspec.Struct, frozen=True):
    """The removal of an entity as it was read.

    What hangs on it goes with it: a device's credentials with their OSCORE states, its pending claim and its configuration.

    A channel vanishes from every configuration that lists it; each of these makes its next version. A profile that still has
    devices is not removed: `Conflict(Guard.REFERENCE)`. Events stay.
    """

    entity: Entity


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What one decision writes, all or nothing.

    `replace` holds entities in their new form: version n takes the place of version n - 1 and of no other. Deletions are
    made first, then replacements, then insertions, so a new credential may take over the lookup of one that goes.
    `made_by` is the profile by whose claim key the devices that are inserted are made; that may have made all it may.
    """

    insert: tuple[Entity, ...] = ()
    replace: tuple[Entity, ...] = ()
    delete: tuple[Delete, ...] = ()
    events: tuple[Event, ...] = ()
    made_by: ProfileId | None = None


class Repository(Protocol):
    """The device registry. Safe to call from many tasks of one loop at once."""

    async def read(self, query: Query[S]) -> S:
        """Answer a query from committed state.

        Raises `Refusal` UNAVAILABLE when the store cannot answer.
        """
        ...

    async def commit(self, changes: Changes) -> None:
        """Write all of the changes or none; when it returns they are durable and every later read sees them.

        Raises `Conflict` naming the first guard that failed, `Refusal` UNAVAILABLE (with `retry_after`) when the store is
        full, busy beyond its queue or broken. Cancelling the caller does not undo a commit.
        """
        ...

    async def prune_events(self, keep: int) -> int:
        """Forget the oldest events beyond the newest `keep`, some thousands at most a call; returns how many went.

        Certificates whose time has long been over go with them, and tombstones that stood for years.
        """
        ...

    async def check(self) -> None:
        """Prove that the store can be written; raises `Refusal` UNAVAILABLE where it cannot."""
        ...


class Clock(Protocol):
    """The time, of day and monotonic."""

    def now(self) -> int:
        """Milliseconds since the Unix epoch."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...


class Entropy(Protocol):
    """Randomness fit for keys."""

    def draw(self, size: int) -> bytes:
        """Return `size` bytes from a cryptographic source."""
        ...


class KeyMaker(Protocol):
    """Key derivation that is slow on purpose and so must not run where requests are served."""

    async def stretch(self, secret: bytes, salt: bytes) -> bytes:
        """Return scrypt (RFC 7914) of the secret, 32 bytes.

        Raises `Refusal` UNAVAILABLE when too many derivations wait already.
        """
        ...


class SingleUse(Protocol):
    """Remembers what was used, for as long as it could be used again."""

    @property
    def epoch(self) -> bytes:
        """Return what tells this memory from those before it, which are forgotten: nothing made for another is good here."""
        ...

    def now(self) -> float:
        """Return the time by which things are good here, in seconds: all who share this memory go by the same clock."""
        ...

    async def spend(self, identity: bytes, until: float) -> bool:
        """Use something that is good until a time of that clock; False: it was used before.

        Raises `Refusal` UNAVAILABLE, with `retry_after`, when no more can be remembered.
        """
        ...


class HookQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile's hook is asked: whether what was decided for a device may be done.

    It goes to `url`, signed with `secret`, and has to be answered within `seconds`. `at` is in milliseconds since the Unix
    epoch. `decision` is a word of `core.admission`. `name` and `serial` are what the device calls itself, empty where it did
    not; `device` is the one that is meant, None where it is to be made. `metadata` is the device's, or what it came with.
    """

    url: str
    secret: Secret
    seconds: int
    correlation: str
    at: int
    tenant: TenantId
    profile: ProfileId
    profile_name: str
    dialect: str
    protocol: str
    source: str
    secure: bool
    decision: str
    name: str = ""
    serial: str = ""
    device: DeviceId | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


class HookAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a hook said, of the right types and otherwise as it came. What is None was not said.

    Without `allow` nothing is done, and `reason` is for operators. `name` is what the device is called, `profile` (an id or
    name of the same tenant) where it belongs, `channels` (ids) are those of its configuration; `metadata` is laid over its own.
    """

    allow: bool
    reason: str = ""
    name: str | None = None
    profile: str | None = None
    channels: tuple[str, ...] | None = None
    metadata: dict[str, Any] | None = None


class Hooks(Protocol):
    """The services that operators have asked before devices are let in."""

    async def ask(self, question: HookQuestion) -> HookAnswer:
        """Ask one, and return what it said.

        Raises `Refusal` UNAVAILABLE, with `retry_after`, where there is no answer in time, or none that can be read.
        """
        ...


class CertificateAuthority(Protocol):
    """Whoever signs the certificates that devices have from here."""

    async def sign(self, request: "SigningRequest") -> tuple[bytes, ...]:
        """Return a certificate for a request and those behind it, as DER, the new one first.

        Raises `Refusal` UNAVAILABLE where the authority cannot be asked, FORBIDDEN where it does not want to.
        """
        ...

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """Return the certificates, as DER, by which what is signed here can be checked."""
        ...


class RevocationSigner(Protocol):
    """Whoever holds the key that signs the list of what was revoked (RFC 5280, section 5)."""

    async def sign_revocations(self, revoked: "tuple[Revocation, ...]", now: int, until: int) -> bytes:
        """Return a list as DER, good between two times in milliseconds since the Unix epoch. Raises `Refusal` UNAVAILABLE."""
        ...


class Revocation(msgspec.Struct, frozen=True):
    """A certificate on the list: its serial number, and since when it is revoked, in milliseconds since the Unix epoch."""

    serial: int
    at: int


class SigningRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What a certificate authority is to sign: whose request, as PKCS#10 DER (RFC 2986), it is, and what the answer must say.

    `name` becomes the common name and `device` is the device's id, whatever the request says; `public_key` is its key as
    SubjectPublicKeyInfo DER. Times are milliseconds since the Unix epoch, `serial` a positive number of at most 159 bits.
    """

    request: bytes
    public_key: bytes
    name: str
    device: DeviceId
    serial: int
    not_before: int
    not_after: int


class KeyPairs(Protocol):
    """Makes private keys away from where requests are served: some take seconds."""

    async def make(self, algorithm: str) -> bytes:
        """Return a private key as PKCS#8 DER (RFC 5958); `algorithm` is `ec-p256`, `rsa-2048` or `rsa-3072`.

        Raises `Refusal` UNAVAILABLE when too many are being made already.
        """
        ...


class Notifier(Protocol):
    """Carries what changed between replicas of this gateway, as names: whoever cares about one of them asks the registry again.

    Names may arrive late, twice, or for nothing; those that are lost must be made up for by whoever carries them.
    """

    def tell(self, names: frozenset[str]) -> None:
        """Let the other replicas know, without waiting; this one knows already."""
        ...

    def listen(self, told: Callable[[frozenset[str]], None]) -> Callable[[], None]:
        """Call `told`, from the loop, with what the others let know; returns what ends that."""
        ...


class BrokerAccess(Protocol):
    """A broker that asks this gateway who may come in, and does not ask again for as long as a connection lasts."""

    def let_in(self, identity: Identity, username: str, client_id: str) -> None:
        """Note that the broker is told to let somebody in, who is to be let go once that is right no longer."""
        ...

    def let_go(self, username: str, client_id: str) -> None:
        """Have the connections closed that were let in with this user name, without waiting; those who may come back.

        While the broker cannot be reached it is kept in mind.
        """
        ...


class Presence(Protocol):
    """Who is connected at this moment."""

    async def connected(self, devices: Collection[DeviceId]) -> frozenset[DeviceId]:
        """Return those of some devices that have an open connection on which they proved themselves.

        Where others who may know do not answer in time, what is known here is all.
        """
        ...
