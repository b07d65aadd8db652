"""Where a message begins and ends in a stream of bytes (RFC 8323, section 3.2)."""

from typing import NamedTuple

from adapters.coap.screening import MAX_TOKEN_BYTES

# The lengths from which on one, two and four more bytes say how long the rest is.
SHORT, MEDIUM, LONG = 13, 269, 65_805
LONGEST_HEAD = 6  # the first byte, four of length, the code


class Frame(NamedTuple):
    """One message: its code, its token, and its options and payload, which begin at `start` of `raw`."""

    code: int
    token: bytes
    raw: bytes
    start: int


class FramingError(Exception):
    """A stream that is no CoAP; the text names the bound."""


class Frames:
    """Cuts a stream into messages of `most` bytes at most."""

    __slots__ = ("_buffer", "_most")

    def __init__(self, most: int) -> None:
        self._most = most
        self._buffer = bytearray()

    def __len__(self) -> int:
        return len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take what arrived."""
        self._buffer += data

    def clear(self) -> None:
        """Forget what is not whole."""
        self._buffer = bytearray()

    def next(self) -> Frame | None:
        """Return the next message once it is whole. Raises `FramingError` as soon as it cannot become one."""
        head = _head(self._buffer)
        if head is None:
            return None
        code_at, token_bytes, rest = head
        start = code_at + 1 + token_bytes
        if token_bytes > MAX_TOKEN_BYTES:
            raise FramingError("coap.malformed")
        if start + rest > self._most:
            raise FramingError("coap.tcp_message")
        if start + rest > len(self._buffer):
            return None
        raw = bytes(memoryview(self._buffer)[: start + rest])
        del self._buffer[: start + rest]
        return Frame(raw[code_at], raw[code_at + 1 : start], raw, start)


def _head(buffer: bytearray) -> tuple[int, int, int] | None:
    """Return where the code is, and how long the token and the rest are; None: that is not there yet."""
    if not buffer:
        return None
    length, token_bytes = buffer[0] >> 4, buffer[0] & 15
    size = (0, 1, 2, 4)[max(length - 12, 0)]
    if len(buffer) < 1 + size:
        return None
    more = int.from_bytes(buffer[1 : 1 + size], "big")
    return 1 + size, token_bytes, (length, SHORT + more, MEDIUM + more, LONG + more)[max(length - 12, 0)]


def frame(code: int, token: bytes, rest: bytes) -> bytes:
    """Write a message; `rest` is its options and its payload, as in a datagram."""
    length = len(rest)
    if length < SHORT:
        nibble, more = length, b""
    elif length < MEDIUM:
        nibble, more = 13, (length - SHORT).to_bytes(1, "big")
    elif length < LONG:
        nibble, more = 14, (length - MEDIUM).to_bytes(2, "big")
    else:
        nibble, more = 15, (length - LONG).to_bytes(4, "big")
    return b"".join((bytes((nibble << 4 | len(token),)), more, bytes((code,)), token, rest))


def reframed(datagram: bytes) -> bytes:
    """Write the message that a datagram holds as one of a stream."""
    start = 4 + (datagram[0] & 15)
    return frame(datagram[1], datagram[4:start], datagram[start:])
