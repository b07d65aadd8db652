"""The PROXY protocol, byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.proxying.header import LINE, MOST_BYTES, SIGNATURE, BrokenHeader, Header, crc32c, read
from tests.proxies.proxy_headers import (
    LOCAL,
    PROXY,
    SPOKEN,
    TCP6,
    UNIX,
    addition,
    addresses,
    binary,
    checked,
    line,
)

HTTP, TLS, MQTT, COAP = b"POST / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00\x01", b"\x10\x0e\x00\x04MQTT", b"\x00\xe1"
NOBODY = None
V6 = addresses("2001:db8::7", "2001:db8::1")
MAPPED = addresses("::ffff:203.0.113.7", "2001:db8::1")
LONGEST = MOST_BYTES - 16

GOOD: dict[str, tuple[bytes, tuple[str, int] | None]] = {
    "v1 over IPv4": (line(), SPOKEN),
    "v1 over IPv6": (line("2001:db8::7", "TCP6", "2001:db8::1"), ("2001:db8::7", 40_000)),
    "v1 in long words": (
        line("2001:0db8:0000:0000:0000:0000:0000:0007", "TCP6", "2001:0db8:0000:0000:0000:0000:0000:0001"),
        ("2001:db8::7", 40_000),
    ),
    "v1 over IPv6 from IPv4": (line("::ffff:203.0.113.7", "TCP6", "::1"), SPOKEN),
    "v1 from port 0": (line(port=0), ("203.0.113.7", 0)),
    "v1 of what it does not know": (b"PROXY UNKNOWN\r\n", NOBODY),
    "v1 of what it does not know, and says more": (b"PROXY UNKNOWN ffff::1 x \x00 65535\r\n", NOBODY),
    "v2 over IPv4": (binary(), SPOKEN),
    "v2 over IPv6": (binary(V6, TCP6), ("2001:db8::7", 40_000)),
    "v2 over IPv6 from IPv4": (binary(MAPPED, TCP6), SPOKEN),
    "v2 of the proxy itself": (binary(command=LOCAL), NOBODY),
    "v2 of the proxy itself, and no addresses": (binary(b"", 0x00, LOCAL), NOBODY),
    "v2 of the proxy itself, and nonsense": (binary(b"\xff" * 7, 0xEE, LOCAL), NOBODY),
    "v2 of what it does not know": (binary(b"", 0x00), NOBODY),
    "v2 of a socket of the machine": (binary(bytes(216), UNIX), NOBODY),
    "v2 with a checksum": (checked(), SPOKEN),
    "v2 with a certificate's name": (binary(addresses() + addition(0x20, b"\x07" + bytes(4) + addition(0x22, b"cn"))), SPOKEN),
    "v2 that is as long as it may be": (binary(addresses() + addition(0xEA, bytes(LONGEST - 12 - 3))), SPOKEN),
}
BAD: dict[str, bytes] = {
    "v1 without an end": (LINE + b"UNKNOWN" + b" " * 107)[:107],
    "v1 of another family": line(family="UDP4"),
    "v1 of IPv4 in IPv6": line(family="TCP6"),
    "v1 of IPv6 in IPv4": line("2001:db8::7"),
    "v1 to nowhere": line(other="nowhere"),
    "v1 with a name": line("localhost"),
    "v1 with a zero in front": line("203.0.113.007"),
    "v1 with a zone": line("fe80::1%eth0", "TCP6", "::1"),
    "v1 with letters that are no ASCII": line("203.0.113.\u0667"),
    "v1 with two spaces": line().replace(b"TCP4 ", b"TCP4  "),
    "v1 with a word too few": b"PROXY TCP4 203.0.113.7 192.0.2.1 1\r\n",
    "v1 with a word too many": line()[:-2] + b" 1\r\n",
    "v1 with nothing": b"PROXY \r\n",
    "v1 in small letters": b"PROXY tcp4 203.0.113.7 192.0.2.1 1 2\r\n",
    "v1 from a port that is too high": line(port=65_536),
    "v1 from a port that is much too high": line(port="9" * 40),
    "v1 from a negative port": line(port="-1"),
    "v1 from a port with a zero in front": line(port="080"),
    "v1 from no port": line(port=""),
    "v1 that ends with a line feed alone": line().replace(b"\r", b"") + b"x" * 107,
    "v2 of version 1": binary(command=0x11),
    "v2 of version 3": binary(command=0x31),
    "v2 with another command": binary(command=0x22),
    "v2 over UDP": binary(family=0x12),
    "v2 of another family": binary(family=0x41),
    "v2 of no stream": binary(family=0x10),
    "v2 that is short for IPv4": binary(addresses()[:11]),
    "v2 that is short for IPv6": binary(addresses(), TCP6),
    "v2 that is short for a path": binary(bytes(215), UNIX),
    "v2 with a wrong checksum": checked(wrong=1),
    "v2 with a wrong bit in its addresses": checked().replace(b"\xcb\x00q\x07", b"\xcb\x00q\x08"),
    "v2 with a checksum of three bytes": binary(addresses() + addition(0x03, bytes(3))),
    "v2 with a piece of an addition": binary(addresses() + b"\x04\x00"),
    "v2 with an addition that goes on": binary(addresses() + b"\x04\x00\x05abcd"),
    "v2 that is too long": binary(addresses() + bytes(LONGEST)),
    "v2 that says that it is too long": binary(length=0xFFFF),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_header_says_who_the_client_is(name: str) -> None:
    header, client = GOOD[name]
    assert read(header) == Header(len(header), client)


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("after", [HTTP, TLS, MQTT, COAP, line(), binary()], ids=("http", "tls", "mqtt", "coap", "v1", "v2"))
def test_what_follows_a_header_is_none_of_its_business(name: str, after: bytes) -> None:
    header, client = GOOD[name]
    assert read(header + after) == Header(len(header), client)


@pytest.mark.parametrize("name", GOOD)
def test_a_piece_of_a_header_may_become_one(name: str) -> None:
    header, _ = GOOD[name]
    assert [read(header[:size]) for size in range(len(header))] == [None] * len(header)


@pytest.mark.parametrize("name", BAD)
def test_a_header_that_is_wrong_is_refused(name: str) -> None:
    with pytest.raises(BrokenHeader):
        read(BAD[name])


@pytest.mark.parametrize("name", BAD)
def test_a_wrong_header_is_refused_however_it_comes(name: str) -> None:
    """Piece by piece nothing else is ever read into it, and what has to be kept of it is bounded."""
    for size in range(len(BAD[name])):
        try:
            assert read(BAD[name][:size]) is None
        except BrokenHeader:
            return
        assert size < MOST_BYTES


@pytest.mark.parametrize(
    "first",
    [
        *(f"{method} / HTTP/1.1\r\n".encode() for method in ("GET", "POST", "PUT", "PATCH", "PROPFIND", "PRI", "PROXYING")),
        b"\r\nGET / HTTP/1.1\r\n",
        b"\r\n\r\nGET / HTTP/1.1\r\n",
        TLS,
        MQTT,
        COAP,
        b"PROXY\t",
        b"\xff",
        SIGNATURE[:11] + b"\x0b",
    ],
)
def test_what_other_protocols_begin_with_is_no_header(first: bytes) -> None:
    assert read(first) == Header()
    assert {read(first[:size]) for size in range(len(first))} <= {None, Header()}


def test_nothing_is_no_header_yet() -> None:
    assert read(b"") is None


def test_the_checksum_is_that_of_castagnoli() -> None:
    """RFC 3720, appendix B.4."""
    assert crc32c(b"123456789") == 0xE3069283
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


BEGINNINGS = st.sampled_from((b"", LINE, SIGNATURE, SIGNATURE + b"\x21\x11", LINE + b"TCP4 ", LINE + b"TCP6 ::1 ::1 "))


@given(BEGINNINGS, st.binary(max_size=300))
def test_whatever_comes_is_read_or_refused(beginning: bytes, rest: bytes) -> None:
    try:
        header = read(beginning + rest)
    except BrokenHeader:
        return
    assert header is None or 0 <= header.length <= len(beginning + rest)


@given(st.ip_addresses(), st.integers(0, 0xFFFF))
def test_both_versions_say_the_same(client: object, port: int) -> None:
    v6 = ":" in str(client)
    here = "2001:db8::1" if v6 else "192.0.2.1"
    one = read(line(str(client), "TCP6" if v6 else "TCP4", here, port))
    two = read(binary(addresses(str(client), here, port), TCP6 if v6 else 0x11, PROXY))
    assert one is not None
    assert two is not None
    assert one.client == two.client
