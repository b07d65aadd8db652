"""Packets to bytes: what a server sends, in the form of the client's version (OASIS MQTT 5.0, chapter 3)."""

from collections.abc import Sequence

import msgspec

from adapters.mqtt.packets import ReasonCode

PINGRESP = b"\xd0\x00"
UNKNOWN_VERSION = b"\x20\x02\x00\x01"
"""CONNACK "unacceptable protocol version" as MQTT 3.1.1 writes it, the form that every client understands."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What CONNACK tells a client of version 5 about this server (section 3.2.2.3); None and empty are left out."""

    receive_maximum: int
    maximum_packet_bytes: int
    server_keep_alive: int | None = None
    assigned_client_id: str = ""


def connack_accepted(version: int, announcement: Announcement) -> bytes:
    """Encode CONNACK 0; session present is always 0, since no session outlives its connection."""
    if version < 5:
        return b"\x20\x02\x00\x00"
    return packet(0x20, b"\x00\x00" + _with_length(_announced(announcement)))


def connack_refused(version: int, return_code: int, reason: str = "") -> bytes:
    """Encode a refusing CONNACK; `return_code` is the version's own, `reason` goes to version 5 alone."""
    if version < 5:
        return bytes((0x20, 2, 0, return_code))
    properties = b"\x1f" + _text(reason) if reason else b""
    return packet(0x20, bytes((0, return_code)) + _with_length(properties))


def publish(
    version: int, topic: str, payload: bytes, packet_id: int, correlation: bytes | None = None, content_type: str | None = None
) -> bytes:
    """Encode PUBLISH, not retained: at QoS 1 with a packet id, at QoS 0 with packet id 0."""
    head = _text(topic)
    if packet_id:
        head += packet_id.to_bytes(2, "big")
    if version == 5:
        head += _with_length(_message_properties(correlation, content_type))
    return packet(0x32 if packet_id else 0x30, head + payload)


def puback(version: int, packet_id: int, reason_code: int) -> bytes:
    """Encode PUBACK; before version 5 it cannot say a reason."""
    return _acknowledgement(0x40, version, packet_id, reason_code)


def pubrec(version: int, packet_id: int, reason_code: int = ReasonCode.SUCCESS) -> bytes:
    """Encode PUBREC; before version 5 it cannot say a reason."""
    return _acknowledgement(0x50, version, packet_id, reason_code)


def pubcomp(version: int, packet_id: int, reason_code: int) -> bytes:
    """Encode PUBCOMP; before version 5 it cannot say a reason."""
    return _acknowledgement(0x70, version, packet_id, reason_code)


def suback(version: int, packet_id: int, codes: Sequence[int]) -> bytes:
    """Encode SUBACK: a granted QoS or a refusal for each filter; the only refusal before version 5 is 0x80."""
    if version < 5:
        return packet(0x90, packet_id.to_bytes(2, "big") + bytes(min(code, 0x80) for code in codes))
    return packet(0x90, packet_id.to_bytes(2, "big") + b"\x00" + bytes(codes))


def unsuback(version: int, packet_id: int, codes: Sequence[int]) -> bytes:
    """Encode UNSUBACK; before version 5 it has no codes."""
    if version < 5:
        return b"\xb0\x02" + packet_id.to_bytes(2, "big")
    return packet(0xB0, packet_id.to_bytes(2, "big") + b"\x00" + bytes(codes))


def disconnect(reason_code: int) -> bytes:
    """Encode DISCONNECT of version 5; earlier servers have no such packet."""
    return bytes((0xE0, 1, reason_code))


def _acknowledgement(first: int, version: int, packet_id: int, reason_code: int) -> bytes:
    if version == 5 and reason_code:
        return bytes((first, 3, packet_id >> 8, packet_id & 0xFF, reason_code))
    return bytes((first, 2, packet_id >> 8, packet_id & 0xFF))


def _announced(announcement: Announcement) -> bytes:
    parts = [
        b"\x11\x00\x00\x00\x00",  # session expiry: none is kept, whatever was asked
        b"\x21" + announcement.receive_maximum.to_bytes(2, "big"),
        b"\x24\x01",  # maximum QoS 1
        b"\x25\x00",  # nothing is retained
        b"\x27" + announcement.maximum_packet_bytes.to_bytes(4, "big"),
        b"\x22\x00\x00",  # no topic aliases
        b"\x29\x00",  # no subscription identifiers
        b"\x2a\x00",  # no shared subscriptions
    ]
    if announcement.server_keep_alive is not None:
        parts.append(b"\x13" + announcement.server_keep_alive.to_bytes(2, "big"))
    if announcement.assigned_client_id:
        parts.append(b"\x12" + _text(announcement.assigned_client_id))
    return b"".join(parts)


def _message_properties(correlation: bytes | None, content_type: str | None) -> bytes:
    found = b""
    if content_type is not None:
        found += b"\x03" + _text(content_type)
    if correlation is not None:
        found += b"\x09" + len(correlation).to_bytes(2, "big") + correlation
    return found


def _text(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(2, "big") + raw


def _with_length(properties: bytes) -> bytes:
    return varint(len(properties)) + properties


def packet(first: int, body: bytes) -> bytes:
    """Encode a packet of this first byte: its length goes before the body (section 2.1)."""
    return bytes((first,)) + varint(len(body)) + body


def varint(value: int) -> bytes:
    """Encode a variable byte integer (section 1.5.5)."""
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
