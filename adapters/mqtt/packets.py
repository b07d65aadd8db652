"""The MQTT control packets a client sends, as frozen values, with the reason codes that answer them."""

import enum

import msgspec


class ReasonCode(enum.IntEnum):
    """Reason codes of version 5 that this endpoint uses (OASIS MQTT 5.0, section 2.4)."""

    SUCCESS = 0x00
    NO_SUBSCRIPTION_EXISTED = 0x11
    UNSPECIFIED_ERROR = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC_ERROR = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    CONNECTION_RATE_EXCEEDED = 0x9F
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1


class ProtocolError(Exception):
    """A stream that is not MQTT, or asks for what was announced as missing; the connection cannot go on.

    `reason_code` is what version 5 would be told; `bound` names the limit that was passed, if it is one.
    """

    def __init__(self, reason_code: ReasonCode, detail: str, *, bound: str = "") -> None:
        super().__init__(detail)
        self.reason_code = reason_code
        self.bound = bound


class Properties(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What this endpoint takes from the properties of version 5 (section 2.2.2); the rest is checked and dropped."""

    receive_maximum: int = 65_535
    maximum_packet_bytes: int = 0
    content_type: str | None = None
    correlation: bytes | None = None
    user: tuple[tuple[str, str], ...] = ()


class Will(msgspec.Struct, frozen=True, gc=False):
    """The message a client leaves for its sudden end (section 3.1.3.2).

    Nothing is routed, so nobody would receive it. A will at QoS 2 or retained is let pass for the same reason, although
    sections 3.2.2.3.4 and 3.2.2.3.5 would have its client refused: it cannot know before CONNACK, and loses nothing.
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    raw_properties: bytes = b""


class Connect(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A client introduces itself (section 3.1). `version` is 3 (MQTT 3.1), 4 (3.1.1) or 5; `keep_alive` is in seconds.

    `raw_properties`, here and in the will, are all of them as they were sent, without their length, for a broker to read.
    """

    version: int
    client_id: str
    clean: bool
    keep_alive: int
    username: str | None
    password: bytes | None
    will: Will | None
    properties: Properties
    raw_properties: bytes = b""


class Publish(msgspec.Struct, frozen=True, gc=False):
    """A client publishes a message (section 3.3). `packet_id` is 0 at QoS 0."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    duplicate: bool
    packet_id: int
    properties: Properties


class PubAck(msgspec.Struct, frozen=True, gc=False):
    """A client received a QoS 1 message (section 3.4)."""

    packet_id: int
    reason_code: int = 0


class PubRec(msgspec.Struct, frozen=True, gc=False):
    """A client received a QoS 2 message (section 3.5), which this endpoint never sends."""

    packet_id: int
    reason_code: int = 0


class PubRel(msgspec.Struct, frozen=True, gc=False):
    """A client releases the identifier of its QoS 2 message (section 3.6)."""

    packet_id: int
    reason_code: int = 0


class PubComp(msgspec.Struct, frozen=True, gc=False):
    """A client completes a QoS 2 message (section 3.7), which this endpoint never sends."""

    packet_id: int
    reason_code: int = 0


class Subscription(msgspec.Struct, frozen=True, gc=False):
    """One filter of a SUBSCRIBE and the highest QoS asked for it."""

    topic_filter: str
    qos: int


class Subscribe(msgspec.Struct, frozen=True, gc=False):
    """A client asks for topics (section 3.8)."""

    packet_id: int
    subscriptions: tuple[Subscription, ...]


class Unsubscribe(msgspec.Struct, frozen=True, gc=False):
    """A client gives topics up (section 3.10)."""

    packet_id: int
    filters: tuple[str, ...]


class PingReq(msgspec.Struct, frozen=True, gc=False):
    """A client shows that it is alive (section 3.12)."""


class Disconnect(msgspec.Struct, frozen=True, gc=False):
    """A client says goodbye (section 3.14)."""

    reason_code: int = 0


Packet = Connect | Publish | PubAck | PubRec | PubRel | PubComp | Subscribe | Unsubscribe | PingReq | Disconnect
