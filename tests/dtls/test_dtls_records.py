"""Records and the handshake messages that are read beside OpenSSL, byte by byte; the self-test."""

import random
from typing import Any

import pytest
from OpenSSL import SSL

from adapters.coap.config import CoapConfig
from adapters.coap.dtls import selftest
from adapters.coap.dtls.cookies import Cookies
from adapters.coap.dtls.handshake import ClientHello, client_hello, hello_verify_request, is_client_hello, preshared_identity
from adapters.coap.dtls.library import PRIVATE
from adapters.coap.dtls.records import epoch, pack, split
from adapters.coap.dtls.selftest import Wire, dtls_selftest
from adapters.coap.remote import Remote


def record(body: bytes, kind: int = 22, number: int = 0) -> bytes:
    return bytes([kind]) + b"\xfe\xfd" + number.to_bytes(2, "big") + bytes(5) + b"\x07" + len(body).to_bytes(2, "big") + body


def fragment(kind: int, body: bytes, offset: int = 0, length: int | None = None) -> bytes:
    whole = (len(body) if length is None else length).to_bytes(3, "big")
    return bytes([kind]) + whole + bytes(2) + offset.to_bytes(3, "big") + len(body).to_bytes(3, "big") + body


PLAIN, SEALED = record(b"ab"), record(b"cde", 23, 1)


@pytest.mark.parametrize(
    ("datagram", "records"),
    [
        (b"", ()),
        (PLAIN, (PLAIN,)),
        (PLAIN + SEALED, (PLAIN, SEALED)),
        (PLAIN + SEALED[:-1], (PLAIN,)),  # cut
        (PLAIN + SEALED[:12], (PLAIN,)),
        (PLAIN[:1] + b"\x03" + PLAIN[2:], ()),  # TLS
        (record(b"x", 19) + record(b"x", 24) + SEALED, (SEALED,)),  # neither heartbeats nor anything that is not known
        (record(bytes(2**14 + 2049), 23), ()),
        (record(b"", 23), (record(b"", 23),)),
    ],
)
def test_datagram_is_split_at_its_records(datagram: bytes, records: tuple[bytes, ...]) -> None:
    assert split(datagram) == records


def test_records_are_packed_whole_into_as_few_datagrams_as_hold_them() -> None:
    large, small = record(bytes(900)), record(bytes(100))
    assert list(pack(small + small + large + small + large)) == [small + small + large, small + large]
    assert list(pack(record(bytes(2_000)))) == [record(bytes(2_000))]
    assert list(pack(b"")) == []
    assert [epoch(one) for one in (PLAIN, SEALED)] == [0, 1]


RANDOM = bytes(range(32))
HELLO = b"\xfe\xfd" + RANDOM + b"\x03sid" + b"\x02ck" + b"\0\x02\xc0\xa8\x01\0"


def test_hello_is_read() -> None:
    found = client_hello(record(fragment(1, HELLO)))
    assert found == ClientHello(RANDOM, HELLO[:38], b"ck")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        fragment(1, b""),
        fragment(1, HELLO[:34]),
        fragment(1, HELLO[:38]),
        fragment(1, HELLO[:40]),
        fragment(1, HELLO, length=200),  # the first of several fragments
        fragment(1, HELLO, offset=1),
        fragment(1, HELLO)[:-1],
        fragment(2, HELLO),
    ],
)
def test_broken_hello_is_none(body: bytes) -> None:
    assert client_hello(record(body)) is None


def test_only_a_hello_in_the_clear_begins_a_handshake() -> None:
    assert is_client_hello(record(fragment(1, HELLO)))
    assert not is_client_hello(record(fragment(1, HELLO), number=1))
    assert not is_client_hello(record(fragment(16, HELLO)))
    assert not is_client_hello(record(b""))
    assert not is_client_hello(record(fragment(1, HELLO), kind=23))


def test_request_for_a_cookie_is_the_first_record() -> None:
    assert hello_verify_request(b"cookie").hex(" ") == (
        "16 fe ff 00 00 00 00 00 00 00 00 00 15 03 00 00 09 00 00 00 00 00 00 00 09 fe ff 06 63 6f 6f 6b 69 65"
    )


def test_cookie_is_good_for_one_address_one_hello_and_two_minutes() -> None:
    cookies, wire, other = Cookies(), Remote(Wire(), ("192.0.2.1", 5)), Remote(Wire(), ("192.0.2.1", 6))
    hello = ClientHello(RANDOM, b"parameters", b"")
    back = ClientHello(RANDOM, b"parameters", cookies.cookie(wire, hello, 30.0))
    assert cookies.proven(wire, back, 30.0)
    assert cookies.proven(wire, back, 119.0)
    assert not cookies.proven(wire, back, 120.0)
    assert not cookies.proven(other, back, 30.0)
    assert not cookies.proven(wire, hello, 30.0)
    assert not cookies.proven(wire, ClientHello(RANDOM, b"others", back.cookie), 30.0)
    assert not Cookies().proven(wire, back, 30.0)


@pytest.mark.parametrize(
    ("body", "identity"),
    [
        (b"\0\x03abc", b"abc"),
        (b"\0\0", b""),
        (b"\0\x03abc\x02xy", b"abc"),  # with the point of ECDHE-PSK
        (b"\x20" + bytes(32), None),  # X25519
        (b"\x41\x04" + bytes(64), None),  # a point on P-256
        (b"\0\x03abcd", None),
        (b"\0\x03ab", None),
        (b"", None),
    ],
)
def test_identity_is_read_where_there_is_one(body: bytes, identity: bytes | None) -> None:
    flight = (SEALED, record(fragment(11, b"a certificate") + fragment(16, body)))
    assert preshared_identity(flight) == identity


def test_identity_is_not_read_from_fragments_or_other_messages() -> None:
    assert preshared_identity((record(fragment(16, b"\0\x03abc", length=9)),)) is None
    assert preshared_identity((record(fragment(15, b"\0\x03abc")), record(b"\x10"))) is None
    assert preshared_identity((record(fragment(16, b"\0\x03abc"), number=1),)) is None
    assert preshared_identity(()) is None


def test_readers_raise_nothing_whatever_the_bytes_are() -> None:
    chance = random.Random(8)
    samples = (record(fragment(1, HELLO)), record(fragment(16, b"\0\x03abc\x02xy")))
    for _ in range(20_000):
        raw = bytearray(chance.choice(samples))
        for _ in range(chance.randint(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        for one in (records := split(bytes(raw))):
            client_hello(one)
            is_client_hello(one)
        preshared_identity(records)


async def test_installed_library_fits() -> None:
    await dtls_selftest()


@pytest.mark.parametrize(
    ("owner", "name", "named"),
    [
        (SSL.Connection, "_reverse_mapping", "Connection._reverse_mapping is missing"),
        (SSL.Connection, "DTLSv1_listen", "DTLSv1_listen"),
        (SSL, "_ffi", "_ffi"),
        (PRIVATE._lib, "SSL_CTX_set_psk_server_callback", "lib.SSL_CTX_set_psk_server_callback is missing"),
    ],
)
async def test_missing_name_is_told(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, named: str) -> None:
    monkeypatch.delattr(owner, name)
    with pytest.raises(RuntimeError, match=named) as raised:
        await dtls_selftest()
    assert "\n" not in str(raised.value)


async def test_other_behaviour_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selftest, "PONG", b"something else")
    monkeypatch.setattr(selftest, "_pong", lambda *_: None)
    with pytest.raises(RuntimeError, match="came out differently"):
        await dtls_selftest()


@pytest.mark.parametrize("bound", ["dtls_sessions", "dtls_sessions_per_source", "dtls_handshakes"])
def test_table_for_nobody_is_no_table(bound: str) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        CoapConfig(**{bound: 0})  # type: ignore[arg-type]  # one table, many types
