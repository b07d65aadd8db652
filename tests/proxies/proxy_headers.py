"""PROXY headers made by hand, right and wrong ones."""

import ipaddress
import struct

from adapters.proxying.header import SIGNATURE, crc32c

LOCAL, PROXY = 0x20, 0x21
TCP4, TCP6, UNIX = 0x11, 0x21, 0x31
CLIENT, PORT = "203.0.113.7", 40_000
OUR_PORT = 1_883
SPOKEN = (CLIENT, PORT)


def line(address: str = CLIENT, family: str = "TCP4", other: str = "192.0.2.1", port: object = PORT) -> bytes:
    """Return version 1."""
    return f"PROXY {family} {address} {other} {port} {OUR_PORT}\r\n".encode()


def addresses(client: str = CLIENT, here: str = "192.0.2.1", port: int = PORT) -> bytes:
    """Return the address block of version 2."""
    packed = b"".join(ipaddress.ip_address(each).packed for each in (client, here))
    return packed + struct.pack("!HH", port, OUR_PORT)


def addition(kind: int, value: bytes) -> bytes:
    """Return one type-length-value vector."""
    return struct.pack("!BH", kind, len(value)) + value


def binary(rest: bytes | None = None, family: int = TCP4, command: int = PROXY, length: int | None = None) -> bytes:
    """Return version 2; `rest` is its addresses and additions, `length` what it says of them."""
    rest = addresses() if rest is None else rest
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest) if length is None else length) + rest


def checked(extra: bytes = b"", wrong: int = 0) -> bytes:
    """Return version 2 with a checksum between two additions, changed by `wrong`."""
    before, after = addresses() + addition(0x04, b"\x00" * 3), addition(0x05, b"a connection") + extra
    blank = binary(before + addition(0x03, bytes(4)) + after)
    return binary(before + addition(0x03, struct.pack("!I", crc32c(blank) ^ wrong)) + after)
