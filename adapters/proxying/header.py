"""The header that a proxy puts in front of what it hands on: the PROXY protocol, versions 1 and 2.

Specified by HAProxy (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt); the sections named here are that paper's.
"""

import ipaddress
import struct
from collections.abc import Iterator

import msgspec

from adapters.proxying.trust import plain

LINE = b"PROXY "
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
MOST_LINE_BYTES = 107  # the end of the line included (section 2.1)
MOST_BYTES = 4_096  # of version 2: many times what section 2.2 reckons with, for proxies that add a certificate

_HEAD = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21  # version 2 and the command
_UNSPECIFIED, _STREAM_4, _STREAM_6, _UNIX = 0x00, 0x11, 0x21, 0x31
_ADDRESS_BYTES = {_STREAM_4: 12, _STREAM_6: 36, _UNIX: 216}
_CHECKSUM = 0x03  # PP2_TYPE_CRC32C


class BrokenHeader(Exception):
    """A header that is none; the text says what is wrong with it."""


class Header(msgspec.Struct, frozen=True):
    """How many bytes it has, 0 where there is none, and who the client is; None: whoever made the connection."""

    length: int = 0
    client: tuple[str, int] | None = None


def read(data: bytes) -> Header | None:
    """Read the header that a connection begins with; None as long as there may be one that is not whole.

    No protocol spoken here begins like one: HTTP has no method `PROXY`, and no request with a zero byte after its empty lines;
    neither first byte is that of a CONNECT or of a TLS record; to CoAP (RFC 8323) they are a message before the settings, and a
    length of a token that does not exist. Raises `BrokenHeader`.
    """
    if data.startswith(SIGNATURE):
        return _binary(data)
    if data.startswith(LINE):
        return _line(data)
    return None if SIGNATURE.startswith(data) or LINE.startswith(data) else Header()


def _line(data: bytes) -> Header | None:
    """Read version 1 (section 2.1)."""
    end = data.find(b"\r\n", 0, MOST_LINE_BYTES)
    if end < 0:
        if len(data) >= MOST_LINE_BYTES:
            raise BrokenHeader("the line is too long")
        return None
    family, *words = data[len(LINE) : end].split(b" ")
    if family == b"UNKNOWN":
        return Header(end + 2)
    if family not in (b"TCP4", b"TCP6") or len(words) != 4:
        raise BrokenHeader("the line says something else")
    source, destination, source_port, destination_port = words
    _text_address(family, destination)
    _text_port(destination_port)
    return Header(end + 2, (_text_address(family, source), _text_port(source_port)))


def _text_address(family: bytes, word: bytes) -> str:
    try:
        text = word.decode("ascii")
        address = ipaddress.IPv4Address(text) if family == b"TCP4" else ipaddress.IPv6Address(text)
    except ValueError as error:
        raise BrokenHeader("an address is none") from error
    if b"%" in word:  # a zone means something to the machine alone that wrote it
        raise BrokenHeader("an address has a zone")
    return str(plain(address))


def _text_port(word: bytes) -> int:
    if not word.isdigit() or len(word) > 5 or int(word) > 0xFFFF or (word[0] == 0x30 and len(word) > 1):
        raise BrokenHeader("a port is none")
    return int(word)


def _binary(data: bytes) -> Header | None:
    """Read version 2 (section 2.2)."""
    if len(data) < _HEAD.size:
        return None
    _, command, family, length = _HEAD.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise BrokenHeader("the version or the command is not known")
    whole = _HEAD.size + length
    if whole > MOST_BYTES:
        raise BrokenHeader("it is too long")
    if len(data) < whole:
        return None
    if command == _LOCAL or family == _UNSPECIFIED:
        return Header(whole)  # what else it says is to be left alone
    return Header(whole, _client(family, data[:whole]))


def _client(family: int, header: bytes) -> tuple[str, int] | None:
    size = _ADDRESS_BYTES.get(family)
    if size is None:
        raise BrokenHeader("the family is not one of streams")
    start = _HEAD.size
    if len(header) < start + size:
        raise BrokenHeader("it is too short for its addresses")
    _verify(header, start + size)
    if family == _UNIX:
        return None
    each = 4 if family == _STREAM_4 else 16
    packed, port = header[start : start + each], int.from_bytes(header[start + 2 * each : start + 2 * each + 2], "big")
    return str(plain(ipaddress.ip_address(packed))), port


def _verify(header: bytes, start: int) -> None:
    """Check that the additions fit, and the checksum where one is among them (section 2.2.3). Raises `BrokenHeader`."""
    for kind, begin, end in _additions(header, start):
        if kind != _CHECKSUM:
            continue
        if end - begin != 4:
            raise BrokenHeader("the checksum has another length")
        if crc32c(header[:begin] + bytes(4) + header[end:]) != int.from_bytes(header[begin:end], "big"):
            raise BrokenHeader("the checksum is wrong")


def _additions(header: bytes, at: int) -> Iterator[tuple[int, int, int]]:
    """Yield of each type-length-value vector its type, and where its value begins and ends."""
    while at < len(header):
        begin = at + 3
        end = begin + int.from_bytes(header[at + 1 : begin], "big")
        if end > len(header):
            raise BrokenHeader("an addition goes beyond its end")
        yield header[at], begin, end
        at = end


def _row(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_ROWS = tuple(map(_row, range(256)))


def crc32c(data: bytes) -> int:
    """Return the checksum of Castagnoli's polynomial (RFC 9260, appendix A)."""
    rest = 0xFFFFFFFF
    for byte in data:
        rest = rest >> 8 ^ _ROWS[(rest ^ byte) & 0xFF]
    return rest ^ 0xFFFFFFFF
