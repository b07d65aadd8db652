"""What a datagram is, by its first four bytes: looked at before it may cost anything (RFC 7252, sections 3 and 4)."""

import enum
import struct

CONFIRMABLE, NON_CONFIRMABLE, ACKNOWLEDGEMENT, RESET = range(4)
MAX_TOKEN_BYTES = 8


class Kind(enum.Enum):
    """What to do with a datagram."""

    REQUEST = "request"
    PING = "ping"  # an empty confirmable message; its reset is the answer (section 4.3)
    SETTLED = "settled"  # an empty acknowledgement or reset
    REJECTED = "rejected"  # confirmable and nonsense: a reset says so (section 4.2)
    NOISE = "noise"  # nonsense, or a message that only a client would want


def screen(datagram: bytes) -> Kind:
    """Classify a datagram of any bytes.

    A length of 9 to 15 for the token is a format error (section 3), as is an empty message with anything behind its id.
    """
    if len(datagram) < 4 or datagram[0] >> 6 != 1:
        return Kind.NOISE
    message_type, code = datagram[0] >> 4 & 3, datagram[1]
    if 1 <= code <= 31 and message_type <= NON_CONFIRMABLE and datagram[0] & 15 <= MAX_TOKEN_BYTES:
        return Kind.REQUEST
    if code == 0 and len(datagram) == 4 and datagram[0] & 15 == 0 and message_type != NON_CONFIRMABLE:
        return Kind.PING if message_type == CONFIRMABLE else Kind.SETTLED
    return Kind.REJECTED if message_type == CONFIRMABLE else Kind.NOISE


def message_id(datagram: bytes) -> int:
    """Return the message id of a datagram that is at least a header."""
    return datagram[2] << 8 | datagram[3]


def empty(message_type: int, mid: int) -> bytes:
    """Return an empty message: an acknowledgement or a reset."""
    return struct.pack("!BBH", 0x40 | message_type << 4, 0, mid)
