"""The body of each packet a client sends, read into its frozen value (OASIS MQTT 5.0, chapter 3).

Versions 3.1 and 3.1.1 differ where a comment says so. Every function raises `ProtocolError`.
"""

from collections.abc import Callable
from types import MappingProxyType

import msgspec

from adapters.mqtt.fields import malformed, read_binary, read_text, read_u8, read_u16, read_varint
from adapters.mqtt.packets import (
    Connect,
    Disconnect,
    Packet,
    PingReq,
    ProtocolError,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    Subscribe,
    Subscription,
    Unsubscribe,
    Will,
)
from adapters.mqtt.properties import NO_PROPERTIES, Carries, read_properties
from core.topics import valid_filter, valid_name

DUPLICATE = 0x08
"""The flag of a packet that is sent again."""

_VERSIONS = MappingProxyType({("MQIsdp", 3): 3, ("MQTT", 4): 4, ("MQTT", 5): 5})


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much one packet may hold: bytes with its header, bytes of a topic or filter, user properties, filters."""

    packet_bytes: int
    topic_bytes: int
    user_properties: int
    filters: int


def read_publish(first: int, body: bytes, version: int, limits: Limits) -> Publish:
    """Read PUBLISH (section 3.3)."""
    qos = first >> 1 & 3
    topic, at = _topic(body, 0, limits)
    packet_id = 0
    if qos:
        packet_id, at = _packet_id(body, at)
    properties = NO_PROPERTIES
    if version == 5:
        properties, at = read_properties(body, at, Carries.PUBLISH, limits.user_properties)
    if not valid_name(topic):
        raise ProtocolError(ReasonCode.TOPIC_NAME_INVALID, "not a topic name")
    return Publish(topic, body[at:], qos, bool(first & 1), bool(first & DUPLICATE), packet_id, properties)


def read_protocol(body: bytes) -> tuple[int, int]:
    """Read protocol name and version (sections 3.1.2.1 and 3.1.2.2)."""
    raw, at = read_binary(body, 0)
    level, at = read_u8(body, at)
    version = _VERSIONS.get((raw.decode("latin-1"), level))
    if version is None:
        raise ProtocolError(ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, "unknown protocol name or version")
    return version, at


def read_connect(body: bytes, at: int, version: int, limits: Limits) -> Connect:
    """Read what follows the version in CONNECT (section 3.1)."""
    flags, at = read_u8(body, at)
    _check_connect_flags(flags, version)
    keep_alive, at = read_u16(body, at)
    properties, raw_properties = NO_PROPERTIES, b""
    if version == 5:
        _, start = read_varint(body, at)
        properties, at = read_properties(body, at, Carries.CONNECT, limits.user_properties)
        raw_properties = body[start:at]
    client_id, at = read_text(body, at)
    will, at = _will(body, at, flags, version, limits)
    username, at = read_text(body, at) if flags & 0x80 else (None, at)
    password, at = read_binary(body, at) if flags & 0x40 else (None, at)
    _end(body, at)
    clean = bool(flags & 0x02)
    if not client_id and not clean and version < 5:
        # Without an identifier there is no session to keep (MQTT 3.1.1, section 3.1.3.1).
        raise ProtocolError(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "an empty client identifier needs a clean session")
    return Connect(
        version=version,
        client_id=client_id,
        clean=clean,
        keep_alive=keep_alive,
        username=username,
        password=password,
        will=will,
        properties=properties,
        raw_properties=raw_properties,
    )


def _check_connect_flags(flags: int, version: int) -> None:
    """Refuse impossible connect flags (section 3.1.2.3 and those after it)."""
    if flags & 0x01:
        raise malformed("the reserved connect flag is set")
    if not flags & 0x04 and flags & 0x38:
        raise malformed("will flags without a will")
    if flags & 0x18 == 0x18:
        raise malformed("will QoS 3")
    if flags & 0xC0 == 0x40 and version < 5:
        raise malformed("a password without a user name")


def _will(body: bytes, at: int, flags: int, version: int, limits: Limits) -> tuple[Will | None, int]:
    if not flags & 0x04:
        return None, at
    raw_properties = b""
    if version == 5:
        _, start = read_varint(body, at)
        _, at = read_properties(body, at, Carries.WILL, limits.user_properties)
        raw_properties = body[start:at]
    topic, at = _topic(body, at, limits)
    payload, at = read_binary(body, at)
    if not valid_name(topic):
        raise ProtocolError(ReasonCode.TOPIC_NAME_INVALID, "the will has no topic name")
    return Will(topic, payload, flags >> 3 & 3, bool(flags & 0x20), raw_properties), at


def _acknowledgement(body: bytes, version: int, limits: Limits) -> tuple[int, int]:
    """Read the shape that PUBACK, PUBREC, PUBREL and PUBCOMP share (sections 3.4 to 3.7)."""
    packet_id, at = _packet_id(body, 0)
    reason_code = 0
    if version == 5 and at < len(body):
        reason_code, at = _reason(body, at, Carries.ACKNOWLEDGEMENT, limits)
    _end(body, at)
    return packet_id, reason_code


def _reason(body: bytes, at: int, packet: Carries, limits: Limits) -> tuple[int, int]:
    """Read a reason code with the properties that may follow it."""
    reason_code, at = read_u8(body, at)
    if at < len(body):
        _, at = read_properties(body, at, packet, limits.user_properties)
    return reason_code, at


def _puback(body: bytes, version: int, limits: Limits) -> PubAck:
    return PubAck(*_acknowledgement(body, version, limits))


def _pubrec(body: bytes, version: int, limits: Limits) -> PubRec:
    return PubRec(*_acknowledgement(body, version, limits))


def _pubrel(body: bytes, version: int, limits: Limits) -> PubRel:
    return PubRel(*_acknowledgement(body, version, limits))


def _pubcomp(body: bytes, version: int, limits: Limits) -> PubComp:
    return PubComp(*_acknowledgement(body, version, limits))


def _subscribe(body: bytes, version: int, limits: Limits) -> Subscribe:
    """Read SUBSCRIBE (section 3.8)."""
    packet_id, at = _filters_head(body, version, Carries.SUBSCRIBE, limits)
    subscriptions: list[Subscription] = []
    while at < len(body):
        topic_filter, at = _filter(body, at, len(subscriptions), limits)
        options, at = read_u8(body, at)
        _check_options(options, version)
        subscriptions.append(Subscription(topic_filter, options & 0x03))
    return Subscribe(packet_id, tuple(subscriptions))


def _check_options(options: int, version: int) -> None:
    """Refuse impossible subscription options (section 3.8.3.1; before version 5 they are the QoS alone)."""
    reserved = 0xC0 if version == 5 else 0xFC
    if options & reserved or options & 0x03 == 3 or options & 0x30 == 0x30:
        raise malformed("the subscription options are wrong")


def _unsubscribe(body: bytes, version: int, limits: Limits) -> Unsubscribe:
    """Read UNSUBSCRIBE (section 3.10)."""
    packet_id, at = _filters_head(body, version, Carries.UNSUBSCRIBE, limits)
    filters: list[str] = []
    while at < len(body):
        topic_filter, at = _filter(body, at, len(filters), limits)
        filters.append(topic_filter)
    return Unsubscribe(packet_id, tuple(filters))


def _filters_head(body: bytes, version: int, packet: Carries, limits: Limits) -> tuple[int, int]:
    packet_id, at = _packet_id(body, 0)
    if version == 5:
        _, at = read_properties(body, at, packet, limits.user_properties)
    if at == len(body):
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "no topic filter")
    return packet_id, at


def _filter(body: bytes, at: int, found: int, limits: Limits) -> tuple[str, int]:
    if found == limits.filters:
        raise ProtocolError(ReasonCode.QUOTA_EXCEEDED, "too many topic filters in one packet", bound="filters_per_packet")
    topic_filter, at = _topic(body, at, limits)
    if not valid_filter(topic_filter):
        raise ProtocolError(ReasonCode.TOPIC_FILTER_INVALID, "not a topic filter")
    return topic_filter, at


def _topic(body: bytes, at: int, limits: Limits) -> tuple[str, int]:
    """Read a topic name or filter; whether it is a valid one is another question."""
    topic, end = read_text(body, at)
    if end - at - 2 > limits.topic_bytes:
        raise ProtocolError(ReasonCode.QUOTA_EXCEEDED, "the topic is too long", bound="max_topic_bytes")
    return topic, end


def _pingreq(body: bytes, version: int, limits: Limits) -> PingReq:
    _end(body, 0)
    return PingReq()


def _disconnect(body: bytes, version: int, limits: Limits) -> Disconnect:
    """Read DISCONNECT (section 3.14); before version 5 it is empty."""
    reason_code, at = 0, 0
    if version == 5 and body:
        reason_code, at = _reason(body, 0, Carries.DISCONNECT, limits)
    _end(body, at)
    return Disconnect(reason_code)


def _packet_id(body: bytes, at: int) -> tuple[int, int]:
    packet_id, at = read_u16(body, at)
    if not packet_id:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "packet identifier 0")
    return packet_id, at


def _end(body: bytes, at: int) -> None:
    if at != len(body):
        raise malformed("bytes are left over at the end of a packet")


_Parser = Callable[[bytes, int, Limits], Packet]
READERS: MappingProxyType[int, _Parser] = MappingProxyType(
    {
        4: _puback,
        5: _pubrec,
        6: _pubrel,
        7: _pubcomp,
        8: _subscribe,
        10: _unsubscribe,
        12: _pingreq,
        14: _disconnect,
    }
)
"""The readers of packets that differ by their type alone, by that type."""
