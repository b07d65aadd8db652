"""Packets as the other side is to see them: CONNECT and CONNACK, messages, subscriptions (OASIS MQTT 5.0, chapter 3)."""

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Final

import msgspec

from adapters.mqtt.encode import packet, varint
from adapters.mqtt.fields import malformed, read_text, read_u8, read_u16
from adapters.mqtt.front import properties
from adapters.mqtt.front.config import Upstream
from adapters.mqtt.front.cutting import Frame
from adapters.mqtt.front.properties import each, map_response_topic, read_block, with_length, without
from adapters.mqtt.packets import Connect, ProtocolError, ReasonCode
from core.messages import Identity

PINGREQ: Final = b"\xc0\x00"
DISCONNECT: Final = b"\xe0\x00"
_NAMES: Final = MappingProxyType({3: b"\x00\x06MQIsdp\x03", 4: b"\x00\x04MQTT\x04", 5: b"\x00\x04MQTT\x05"})
_SUBSCRIBE, _UNSUBSCRIBE = 0x82, 0xA2
_FLAGS = 0x02
_FAILURE = 0x80  # the only refusal of a filter before version 5
_RETURN_UNAVAILABLE = 3

# What a broker says of its own client, which we are: no fault of the device's, which may come back.
_OURS_TO_MEND: Final = frozenset({0x84, 0x86, 0x87, 0x8A, 0x8C, 0x9C, 0x9D})

Mapped = Callable[[str], str | None]


def connect(sent: Connect, identity: Identity, upstream: Upstream, will_topic: str, will_properties: bytes) -> bytes:
    """Return the CONNECT by which the broker sees somebody: the same session under one agreed identity."""
    username = (upstream.username or identity.device).encode()
    flags = 0x80 | (0x40 if upstream.password is not None else 0) | (0x02 if sent.clean else 0)
    body = b""
    if sent.version == 5:
        body += _with_varint(_connect_properties(sent, upstream))
    body += with_length(upstream.client_id(identity, sent.client_id).encode())
    if sent.will is not None:
        flags |= 0x04 | sent.will.qos << 3 | (0x20 if sent.will.retain else 0)
        body += _with_varint(will_properties) if sent.version == 5 else b""
        body += with_length(will_topic.encode()) + with_length(sent.will.payload)
    body += with_length(username)
    if upstream.password is not None:
        body += with_length(upstream.password.reveal().encode())
    return packet(0x10, _NAMES[sent.version] + bytes((flags,)) + sent.keep_alive.to_bytes(2, "big") + body)


def _connect_properties(sent: Connect, upstream: Upstream) -> bytes:
    """Return what the client said of itself, without aliases, whose topics could not be read, and with our packet size."""
    most = sent.properties.maximum_packet_bytes or upstream.packet_bytes
    kept = without(sent.raw_properties, (properties.TOPIC_ALIAS_MAXIMUM, properties.MAXIMUM_PACKET_SIZE))
    return kept + bytes((properties.MAXIMUM_PACKET_SIZE,)) + min(most, upstream.packet_bytes).to_bytes(4, "big")


class Welcome(msgspec.Struct, frozen=True, gc=False):
    """What a broker answered to CONNECT: its own code, and the CONNACK for the device.

    `keep_alive` is what it wants in place of the device's own, in seconds; None: that holds.
    """

    code: int
    connack: bytes
    keep_alive: int | None = None

    @property
    def accepted(self) -> bool:
        """Tell whether the device is in."""
        return self.code == 0


def welcome(frame: Frame, sent: Connect, assigned: str, most_bytes: int) -> Welcome:
    """Read CONNACK. Version 5 is told `assigned` where it left its client id open, and what passes through here and what not.

    Raises `ProtocolError` for any other packet.
    """
    if frame.first != 0x20 or len(frame.body) < 2:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "the broker's first packet is no CONNACK")
    present, code = frame.body[0], frame.body[1]
    if sent.version < 5:
        shown = code if code in (0, 2) else _RETURN_UNAVAILABLE
        return Welcome(code, bytes((0x20, 2, present, shown)))
    if code:
        # A broker that does not know version 5 answers as the earlier ones did, with a code below 0x80.
        shown = ReasonCode.SERVER_UNAVAILABLE if code < 0x80 or code in _OURS_TO_MEND else code
        return Welcome(code, packet(0x20, bytes((0, shown, 0))))
    block, _ = read_block(frame.body, 2)
    connack = packet(0x20, bytes((present, code)) + _with_varint(_announced(block, assigned, most_bytes)))
    wanted = (value for identifier, value, _ in each(block) if identifier == properties.SERVER_KEEP_ALIVE)
    return Welcome(code, connack, next(wanted, None))


def _announced(block: bytes, assigned: str, most_bytes: int) -> bytes:
    kept, most = [], most_bytes
    for identifier, value, raw in each(block):
        if identifier == properties.MAXIMUM_PACKET_SIZE:
            most = min(most, value)
        elif identifier not in (
            properties.ASSIGNED_CLIENT_ID,
            properties.TOPIC_ALIAS_MAXIMUM,
            properties.SHARED_AVAILABLE,
        ):
            kept.append(raw)
    kept += (
        bytes((properties.TOPIC_ALIAS_MAXIMUM, 0, 0, properties.SHARED_AVAILABLE, 0)),
        bytes((properties.MAXIMUM_PACKET_SIZE,)) + most.to_bytes(4, "big"),
    )
    if assigned:
        kept.append(bytes((properties.ASSIGNED_CLIENT_ID,)) + with_length(assigned.encode()))
    return b"".join(kept)


class Message(msgspec.Struct, frozen=True, gc=False):
    """A PUBLISH taken apart: `block` are its properties, `payload` is where its payload begins."""

    topic: str
    qos: int
    packet_id: int
    block: bytes
    payload: int


def read_message(frame: Frame, version: int) -> Message:
    """Take a PUBLISH apart (section 3.3). Raises `ProtocolError`."""
    qos = frame.first >> 1 & 3
    if qos == 3:
        raise malformed("QoS 3")
    topic, at = read_text(frame.body, 0)
    packet_id = 0
    if qos:
        packet_id, at = read_packet_id(frame.body, at)
    block = b""
    if version == 5:
        block, at = read_block(frame.body, at)
    return Message(topic, qos, packet_id, block, at)


def message(frame: Frame, sent: Message, topic: str, version: int, mapped: Mapped) -> bytes | None:
    """Return a PUBLISH with another topic and its response topic mapped, None where that may not be. Raises `ProtocolError`."""
    head = with_length(topic.encode())
    if sent.qos:
        head += sent.packet_id.to_bytes(2, "big")
    if version == 5:
        block = map_response_topic(sent.block, mapped) if sent.block else b""
        if block is None:
            return None
        head += _with_varint(block)
    return packet(frame.first, head + frame.body[sent.payload :])


class Wanted(msgspec.Struct, frozen=True, gc=False):
    """One filter of a SUBSCRIBE, with its options as they were sent."""

    topic_filter: str
    options: int


class Filters(msgspec.Struct, frozen=True, gc=False):
    """A SUBSCRIBE or UNSUBSCRIBE taken apart; the latter's options are 0."""

    packet_id: int
    block: bytes
    wanted: tuple[Wanted, ...]


def read_filters(frame: Frame, version: int, most: int) -> Filters:
    """Take a SUBSCRIBE or UNSUBSCRIBE of at most so many filters apart (sections 3.8, 3.10). Raises `ProtocolError`."""
    subscribes = frame.first & 0xF0 == _SUBSCRIBE & 0xF0
    # MQTT 3.1 marks what is sent again with DUP (its section 2.1).
    if frame.first & (0x07 if version == 3 else 0x0F) != _FLAGS:
        raise malformed("the reserved flags are wrong")
    packet_id, at = read_packet_id(frame.body, 0)
    block = b""
    if version == 5:
        block, at = read_block(frame.body, at)
    wanted: list[Wanted] = []
    while at < len(frame.body):
        if len(wanted) == most:
            raise ProtocolError(ReasonCode.QUOTA_EXCEEDED, "too many topic filters in one packet", bound="filters_per_packet")
        topic_filter, at = read_text(frame.body, at)
        options, at = read_u8(frame.body, at) if subscribes else (0, at)
        wanted.append(Wanted(topic_filter, options))
    if not wanted:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "no topic filter")
    return Filters(packet_id, block, tuple(wanted))


def subscribe(sent: Filters, wanted: Sequence[Wanted], version: int) -> bytes:
    """Return a SUBSCRIBE for these filters."""
    filters = b"".join(with_length(each.topic_filter.encode()) + bytes((each.options,)) for each in wanted)
    return packet(_SUBSCRIBE, _filters_head(sent, version) + filters)


def unsubscribe(sent: Filters, filters: Sequence[str], version: int) -> bytes:
    """Return an UNSUBSCRIBE for these filters."""
    return packet(_UNSUBSCRIBE, _filters_head(sent, version) + b"".join(with_length(each.encode()) for each in filters))


def _filters_head(sent: Filters, version: int) -> bytes:
    return sent.packet_id.to_bytes(2, "big") + (_with_varint(sent.block) if version == 5 else b"")


def merge_codes(frame: Frame, version: int, codes: Sequence[int | None]) -> bytes:
    """Return a SUBACK or UNSUBACK with the broker's codes in the places that are None (sections 3.9, 3.11)."""
    if version < 5 and frame.first == 0xB0:
        return packet(frame.first, frame.body)
    at = 2
    if version == 5:
        _, at = read_block(frame.body, at)
    given = iter(frame.body[at:])
    merged = [next(given, _FAILURE) if code is None else code for code in codes]
    return packet(frame.first, frame.body[:at] + bytes(merged if version == 5 else (min(code, _FAILURE) for code in merged)))


def read_packet_id(body: bytes, at: int) -> tuple[int, int]:
    """Read a packet identifier, which is never 0 (section 2.2.1). Raises `ProtocolError`."""
    packet_id, at = read_u16(body, at)
    if not packet_id:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "packet identifier 0")
    return packet_id, at


def _with_varint(block: bytes) -> bytes:
    return varint(len(block)) + block
