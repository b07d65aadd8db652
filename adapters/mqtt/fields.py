"""The fields that packets are made of (OASIS MQTT 5.0, section 1.5): integers, strings, binary data.

A reader takes the body of one packet with a position in it, and returns a value with the position after it.
"""

from adapters.mqtt.packets import ProtocolError, ReasonCode


def malformed(detail: str) -> ProtocolError:
    """Return the error for bytes that do not follow the packet format."""
    return ProtocolError(ReasonCode.MALFORMED_PACKET, detail)


def read_u8(body: bytes, at: int) -> tuple[int, int]:
    """Read a byte. Raises `ProtocolError`."""
    if at >= len(body):
        raise malformed("a byte is missing")
    return body[at], at + 1


def read_u16(body: bytes, at: int) -> tuple[int, int]:
    """Read a two byte integer (section 1.5.2). Raises `ProtocolError`."""
    if at + 2 > len(body):
        raise malformed("a two byte integer is cut off")
    return body[at] << 8 | body[at + 1], at + 2


def read_u32(body: bytes, at: int) -> tuple[int, int]:
    """Read a four byte integer (section 1.5.3). Raises `ProtocolError`."""
    if at + 4 > len(body):
        raise malformed("a four byte integer is cut off")
    return int.from_bytes(body[at : at + 4], "big"), at + 4


def read_varint(body: bytes, at: int) -> tuple[int, int]:
    """Read a variable byte integer of one to four bytes (section 1.5.5). Raises `ProtocolError`."""
    value = 0
    for shift in (0, 7, 14, 21):
        byte, at = read_u8(body, at)
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise malformed("a variable byte integer has more than four bytes")


def read_binary(body: bytes, at: int) -> tuple[bytes, int]:
    """Read binary data behind its length (section 1.5.6). Raises `ProtocolError`."""
    length, at = read_u16(body, at)
    end = at + length
    if end > len(body):
        raise malformed("a string or binary field is cut off")
    return body[at:end], end


def read_text(body: bytes, at: int) -> tuple[str, int]:
    """Read a UTF-8 string (section 1.5.4): no surrogate, no NUL. Raises `ProtocolError`."""
    raw, at = read_binary(body, at)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise malformed("a string is not UTF-8") from None
    if "\0" in text:
        raise malformed("a string contains NUL")
    return text, at


def read_pair(body: bytes, at: int) -> tuple[tuple[str, str], int]:
    """Read a pair of UTF-8 strings (section 1.5.7). Raises `ProtocolError`."""
    name, at = read_text(body, at)
    value, at = read_text(body, at)
    return (name, value), at
