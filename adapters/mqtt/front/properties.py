"""The properties of version 5 as bytes: found, left out and replaced, without a loss of those that nobody here reads."""

from collections.abc import Callable, Iterable, Iterator
from types import MappingProxyType
from typing import Any, Final

from adapters.mqtt.fields import malformed, read_binary, read_pair, read_text, read_u8, read_u16, read_u32, read_varint
from adapters.mqtt.packets import ProtocolError, ReasonCode

RESPONSE_TOPIC: Final = 0x08
ASSIGNED_CLIENT_ID: Final = 0x12
SERVER_KEEP_ALIVE: Final = 0x13
TOPIC_ALIAS_MAXIMUM: Final = 0x22
TOPIC_ALIAS: Final = 0x23
MAXIMUM_PACKET_SIZE: Final = 0x27
SHARED_AVAILABLE: Final = 0x2A

_Reader = Callable[[bytes, int], tuple[Any, int]]
# OASIS MQTT 5.0, section 2.2.2.2.
_KINDS: tuple[tuple[_Reader, tuple[int, ...]], ...] = (
    (read_u8, (0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A)),
    (read_u16, (0x13, 0x21, 0x22, 0x23)),
    (read_u32, (0x02, 0x11, 0x18, 0x27)),
    (read_varint, (0x0B,)),
    (read_text, (0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F)),
    (read_binary, (0x09, 0x16)),
    (read_pair, (0x26,)),
)
_READERS: Final = MappingProxyType({identifier: read for read, identifiers in _KINDS for identifier in identifiers})


def read_block(body: bytes, at: int) -> tuple[bytes, int]:
    """Return the bytes of all properties, without their length, and the position after them. Raises `ProtocolError`."""
    length, at = read_varint(body, at)
    if at + length > len(body):
        raise malformed("the properties are longer than the packet")
    return body[at : at + length], at + length


def each(block: bytes) -> Iterator[tuple[int, Any, bytes]]:
    """Yield identifier, value and bytes of each property. Raises `ProtocolError` for those that are unknown or cut off."""
    at = 0
    while at < len(block):
        start = at
        identifier, at = read_varint(block, at)
        read = _READERS.get(identifier)
        if read is None:
            raise malformed(f"property {identifier:#x} is not known")
        value, at = read(block, at)
        yield identifier, value, block[start:at]


def without(block: bytes, identifiers: Iterable[int]) -> bytes:
    """Return the properties but for these."""
    left_out = frozenset(identifiers)
    return b"".join(raw for identifier, _, raw in each(block) if identifier not in left_out)


def map_response_topic(block: bytes, mapped: Callable[[str], str | None]) -> bytes | None:
    """Return the properties of a message with its response topic as `mapped` has it; None where that has none for it.

    Raises `ProtocolError` for a topic alias: none was announced (section 3.3.2.3.4).
    """
    parts = []
    for identifier, value, raw in each(block):
        if identifier == TOPIC_ALIAS:
            raise ProtocolError(ReasonCode.TOPIC_ALIAS_INVALID, "topic aliases are not supported")
        if identifier == RESPONSE_TOPIC:
            topic = mapped(value)
            if topic is None:
                return None
            raw = bytes((RESPONSE_TOPIC,)) + with_length(topic.encode())
        parts.append(raw)
    return b"".join(parts)


def unmapped_response_topic(block: bytes, mapped: Callable[[str], str | None]) -> str:
    """Return the response topic for which `mapped` has none; empty where there is no such."""
    topics = (value for identifier, value, _ in each(block) if identifier == RESPONSE_TOPIC)
    return next((topic for topic in topics if mapped(topic) is None), "")


def with_length(text: bytes) -> bytes:
    """Return a string or binary field: its length in two bytes, and itself (section 1.5.4)."""
    return len(text).to_bytes(2, "big") + text
