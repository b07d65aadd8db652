"""What protocols and dialects share: a neutral request, a neutral answer, the routes between them, and who may ask.

A protocol (HTTP, CoAP, MQTT) carries; a dialect is one vendor's vocabulary. They meet in these types alone.
"""

import enum
from collections.abc import AsyncGenerator, Callable, Mapping
from types import MappingProxyType
from typing import Any, Protocol

import msgspec

from core.errors import Reason, Refusal
from core.messages import Identity, OscoreKnown, OscoreQuestion, Preshared
from core.topic_spaces import Grants, TopicSpace

NOTHING: Mapping[str, str] = MappingProxyType({})


class Carrier(enum.Enum):
    """The protocols that carry requests."""

    HTTP = "http"
    COAP = "coap"
    MQTT = "mqtt"

    __hash__ = object.__hash__  # members are unique: Enum's own hash, in Python, costs every look-up of a table


class Success(enum.Enum):
    """How a request was granted, in words no protocol owns."""

    OK = "ok"  # here is what you asked for
    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"
    ACCEPTED = "accepted"  # taken, decided later
    UNCHANGED = "unchanged"  # what you have is still true

    __hash__ = object.__hash__  # members are unique: Enum's own hash, in Python, costs every look-up of a table


Outcome = Success | Reason


class Peer(msgspec.Struct, frozen=True):
    """Who is at the other end, as far as the transport itself has verified it.

    `secure`: nobody in between can read or change what is sent (TLS, DTLS, OSCORE). `claim` is the claim key whose secret the
    handshake proved.
    """

    address: str
    port: int = 0
    secure: bool = False
    claim: str = ""


class Inbound(msgspec.Struct, frozen=True, kw_only=True):
    """One request as a protocol received it, bounded but not interpreted.

    `path` begins as the sender wrote it: with a slash over HTTP and CoAP; over MQTT it is the topic. Path segments and query
    are percent-decoded; headers are looked up in lower case. `segments` are those of the path where one of them holds a slash
    itself (`%2F`), otherwise empty: the path says it all. `raw_query` is HTTP's query as it was sent, for dialects that are
    particular about repeated names and broken escapes. `method` is the protocol's own word in upper case: GET, POST, FETCH,
    IPATCH ...; over MQTT it is PUBLISH, or SUBSCRIBE where a filter that was granted is a request by itself, and has a route.
    `params` are what the route's template captured. `identity` and `guest` say what a connection proved, at an MQTT
    CONNECT or in a handshake: a device, or the name of the guest it came in as. `held` are the entity tags of what the sender
    has already (HTTP: If-None-Match, CoAP: ETag), as `Outbound.etag` has them; `*` is any. `form` is the form that the previous
    answer on this connection had. `version` is the protocol's, where a dialect answers versions differently (MQTT: 3, 4,
    5). `repeat_key` is what the sender calls this request by, so that asking again is told from asking anew; empty: it did not
    say. `operation`, `received_at` (milliseconds since the Unix epoch) and `correlation`, as in `Outbound`, are filled in on
    the way, before a dialect sees them.
    """

    carrier: Carrier
    method: str
    path: str
    peer: Peer
    segments: tuple[str, ...] = ()
    params: Mapping[str, str] = NOTHING
    query: Mapping[str, str] = NOTHING
    raw_query: str = ""
    headers: Mapping[str, str] = NOTHING
    content_type: str | None = None
    body: bytes = b""
    identity: Identity | None = None
    guest: str = ""
    held: tuple[str, ...] = ()
    form: str = ""
    version: int = 0
    repeat_key: str = ""
    operation: str = ""
    received_at: int = 0
    correlation: str = ""


def who(identity: Identity) -> dict[str, str]:
    """Return the field of a log line that names a device or a user."""
    return {"user" if identity.user else "device": identity.device_name}


class Closing(enum.Enum):
    """What becomes of a connection after an answer; protocols without connections ignore it."""

    NO = "no"
    UNLESS_TOLD = "unless_told"  # stays open only where the acknowledgement could carry the reason (MQTT 5 at QoS 1)
    YES = "yes"


class Outbound(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, for a protocol to put on the wire.

    `content_type` is a media type; None with an empty body sends none. `topic` is where MQTT publishes the body; None
    publishes nothing and leaves the acknowledgement to speak. `retry_after` is in seconds. `form` is kept by a connection and
    handed back in its next `Inbound`. `correlation` is the request's, for protocols that can show it. `etag` is the entity tag
    of what is in the body, an even number of hex digits, at most 16; empty: it has none. `watch` is the key under which
    `Exchange.watch` tells that the same request may have another answer now: the id of the device it is about and those of
    what else is in it, one a line; empty: it cannot be watched. `stream` continues the body, part by part, for answers that
    grow while they are made; only HTTP sends it, and a route that has such answers is HTTP's alone. It is closed (`aclose`)
    when the receiver goes away.
    """

    outcome: Outcome
    body: bytes = b""
    content_type: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    topic: str | None = None
    closing: Closing = Closing.NO
    retry_after: float | None = None
    form: str = ""
    correlation: str = ""
    etag: str = ""
    watch: str = ""
    stream: AsyncGenerator[bytes, None] | None = None


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a dialect understands: a method on a path template, and the operation it starts.

    A segment in braces captures one whole segment: `/api/v1/{token}/telemetry`. Of two routes that fit a path, the one wins
    that is literal in the leftmost segment where they differ: `/things/{id}` over `/{domain}/things`. Over MQTT, `guest`
    names the guest a route is open to; empty, it is open to devices that proved their identity. A `forwarded` route only
    acknowledges and counts: where a broker stands behind this server, that gets the message instead. On a `sealed` route no
    secret is in the clear, neither there nor back, whatever carries it. A `public` one tells anybody what everybody may know.
    """

    carrier: Carrier
    method: str
    path: str
    operation: str
    guest: str = ""
    forwarded: bool = False
    sealed: bool = False
    public: bool = False


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """How an MQTT connection gets in without an identity, and the little it may do there.

    It is let in when its user name or its client id is exactly `login`; any password and certificate is ignored. It may
    subscribe to the filters that those in `subscriptions` cover, publish to the routes of this guest, and nothing else. The
    connection is closed `linger_seconds` after an answer; None: it stays as long as it likes. Dialects may share a guest: those
    that agree in everything but the subscriptions.
    """

    name: str
    login: str
    subscriptions: tuple[str, ...]
    linger_seconds: float | None = 60.0


class Decoded(msgspec.Struct, frozen=True):
    """A request in the core's words, and the form (the dialect's own word) in which its answer is wanted."""

    message: Any
    form: str = ""


class Dialect(Protocol):
    """One vendor's vocabulary. A module satisfies it."""

    @property
    def NAME(self) -> str:  # noqa: N802 - a module's constant
        """Return the name in settings, metrics and events."""
        ...

    @property
    def ROUTES(self) -> tuple[Route, ...]:  # noqa: N802 - a module's constant
        """Return everything the dialect understands."""
        ...

    @property
    def GUESTS(self) -> tuple[Guest, ...]:  # noqa: N802 - a module's constant
        """Return who may come in over MQTT without an identity."""
        ...

    @property
    def SUBSCRIPTIONS(self) -> tuple[str, ...]:  # noqa: N802 - a module's constant
        """Return the MQTT filters that cover what an identified device may subscribe to.

        `{tenant}` and `{device}` in them are the device's own.
        """
        ...

    @property
    def TOPICS(self) -> tuple[TopicSpace, ...]:  # noqa: N802 - a module's constant
        """Return the topics that devices and users of this vocabulary may use at a broker."""
        ...

    def decode(self, route: Route, inbound: Inbound) -> Decoded:
        """Read a request. Raises `Refusal`, mostly MALFORMED, and never anything else whatever the bytes are."""
        ...

    def encode(self, result: Any, form: str, inbound: Inbound) -> Outbound:
        """Write the answer to a granted request."""
        ...

    def refuse(self, refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
        """Write the answer to a refused request. `form` is empty where `decode` did not get that far."""
        ...


class Meter(Protocol):
    """Counts what happens, for operators."""

    def request(self, carrier: Carrier, dialect: str, operation: str, outcome: Outcome, seconds: float) -> None:
        """Count one answered request and the time it took."""
        ...

    def bound(self, name: str) -> None:
        """Count one refusal by a bound, such as `coap.source_rate` or `mqtt.connections`."""
        ...

    def level(self, name: str, value: float) -> None:
        """Set a level, such as `mqtt.connections`."""
        ...


class Exchange(Protocol):
    """What a protocol adapter may ask for: the whole way from a neutral request to a neutral answer."""

    async def handle(self, inbound: Inbound) -> Outbound:
        """Answer a request. Never raises, except that cancelling the caller passes through; the request goes on without it."""
        ...

    async def refuse(self, inbound: Inbound, refusal: Refusal) -> Outbound:
        """Answer, record and count a request that the adapter itself must refuse (a body over the limit, a bad encoding)."""
        ...

    async def login(self, login: Any, carrier: Carrier, peer: Peer) -> Identity:
        """Check what a connection presents (`core.messages.Login`). Raises `Refusal`, recorded and counted already."""
        ...

    async def preshared(self, identity: str, peer: Peer) -> Preshared:
        """Return the key of a PSK identity and what it proves; of one that is not known, a key that nobody has.

        Raises `Refusal` TOO_MANY after too many wrong keys from one source, UNAVAILABLE. A key that turned out to be wrong is
        reported by `mistrust`; one that was right is followed by a `login` with `ProvenLogin` where there is an identity.
        """
        ...

    async def security_context(self, question: OscoreQuestion, peer: Peer) -> OscoreKnown | None:
        """Return the OSCORE context that a message names, None where there is none. Raises `Refusal` as `preshared` does."""
        ...

    def mistrust(self, peer: Peer, identity: Identity | None = None) -> None:
        """Count a wrong key as a refused login is, against its source and the device that it should have been of."""
        ...

    def guest(self, username: str, client_id: str) -> Guest | None:
        """Return the guest this connection is, if it is one."""
        ...

    def may_subscribe(self, topic_filter: str, identity: Identity) -> bool:
        """Tell whether an identified device may subscribe to this filter."""
        ...

    def understands(self, inbound: Inbound) -> bool:
        """Tell whether there is a route for a request, so that it is not refused for its path and method alone."""
        ...

    def keeps(self, inbound: Inbound) -> bool:
        """Tell whether a request is answered here also where a broker stands behind this server."""
        ...

    async def permit(self, identity: Identity) -> Grants:
        """Return what somebody who proved its identity may publish and subscribe to at a broker.

        Raises `Refusal` UNAVAILABLE. It may be different once `watch` of its parts, one a line, tells of a change.
        """
        ...

    def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        """Call `ended`, once, when what a connection proved at its login is true no longer.

        That is when the credential was revoked or is over, when the device was disabled, discarded or removed, and when the
        configuration of a device that came in with its client secret was made inactive (Mainflux and Magistrala: state 0).
        Returns what ends the watch; calling that twice does no harm.
        """
        ...

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        """Call `changed`, from the loop and without waiting, whenever something behind this `Outbound.watch` changed.

        Returns what ends the watch; calling that twice does no harm. What changed may not concern the watcher: it asks again,
        with the entity tag of what it has among `Inbound.held`.
        """
        ...
