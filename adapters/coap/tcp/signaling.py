"""What connections say of themselves (RFC 8323, section 5)."""

import msgspec

from adapters.coap.decoding import FormatError, walk
from adapters.coap.tcp.framing import Frame, frame

CSM, PING, PONG, RELEASE, ABORT = 0xE1, 0xE2, 0xE3, 0xE4, 0xE5
SIGNALS = range(0xE0, 0x100)
MAX_MESSAGE_SIZE, BLOCK_WISE = 2, 4  # options of CSM (section 5.3)
BAD_CSM_OPTION = 2  # option of Abort (section 5.6)
UNDERSTOOD = {CSM: frozenset({MAX_MESSAGE_SIZE, BLOCK_WISE})}
SMALLEST_MESSAGE = 1152  # what every peer takes (section 5.3.1)
_OPTIONS = 16
_NONE: frozenset[int] = frozenset()


class Faulty(Exception):
    """A signal that ends the connection; `option` is the critical one that was not understood, 0: none."""

    def __init__(self, text: str, option: int = 0) -> None:
        super().__init__(text)
        self.option = option


class Signal(msgspec.Struct, frozen=True):
    """A signal: its code, and of a CSM the largest message that the peer says it takes, None: it says nothing new."""

    code: int
    max_message_bytes: int | None = None


def read(message: Frame) -> Signal:
    """Read a signal. Raises `Faulty` for one that is not known, or has a critical option that is not (section 5.2)."""
    if message.code not in (CSM, PING, PONG, RELEASE, ABORT):
        raise Faulty("unknown signal")
    try:
        options, _ = walk(message.raw, message.start, _OPTIONS)
    except FormatError as error:
        raise Faulty("a signal that cannot be read") from error
    most = None
    for number, value in options:
        if number & 1 and number not in UNDERSTOOD.get(message.code, _NONE):
            raise Faulty("unknown critical option", number if message.code == CSM else 0)
        if message.code == CSM and number == MAX_MESSAGE_SIZE and len(value) <= 4:
            most = max(int.from_bytes(value, "big"), SMALLEST_MESSAGE)
    return Signal(message.code, most)


def capabilities(max_message_bytes: int) -> bytes:
    """Write a CSM: the largest message taken, and that blocks are understood."""
    return frame(CSM, b"", _option(MAX_MESSAGE_SIZE, max_message_bytes) + bytes(((BLOCK_WISE - MAX_MESSAGE_SIZE) << 4,)))


def pong(token: bytes) -> bytes:
    """Write the answer to a ping."""
    return frame(PONG, token, b"")


def release() -> bytes:
    """Write that no more requests are taken on a connection."""
    return frame(RELEASE, b"", b"")


def abort(text: str, option: int = 0) -> bytes:
    """Write why a connection is closed at once."""
    return frame(ABORT, b"", (_option(BAD_CSM_OPTION, option) if option else b"") + b"\xff" + text.encode())


def _option(number: int, value: int) -> bytes:
    """Write an option by its number, which is the first of its message and below 13."""
    raw = value.to_bytes(4, "big").lstrip(b"\0")
    return bytes((number << 4 | len(raw),)) + raw
