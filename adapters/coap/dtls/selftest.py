"""Whether the installed pyOpenSSL, and OpenSSL in it, have what DTLS needs here: asked at every start."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from OpenSSL import SSL

from adapters.coap.config import CoapConfig
from adapters.coap.dtls.endpoint import DtlsEndpoint
from adapters.coap.dtls.library import PRIVATE
from adapters.coap.dtls.records import split
from adapters.coap.dtls.sessions import Sessions
from adapters.coap.remote import Remote
from adapters.exchange import Carrier, Exchange, Outcome, Peer
from core.messages import Preshared
from core.model import Secret

NAME, KEY = "self-test", "a key that is used once"
PING, PONG = b"\x40\x00\x00\x01", b"\x70\x00\x00\x01"
STEPS = 12
WAIT_SECONDS = 5.0
UNFIT = "The installed pyOpenSSL does not fit the DTLS adapter"


async def dtls_selftest() -> None:
    """Let a client come in with a pre-shared key and send one message, on no socket.

    Raises `RuntimeError` with one sentence that names what is missing or came out differently.
    """
    try:
        missing = next((name for name, there in _needed() if not there), "")
        answer = b"" if missing else await asyncio.wait_for(_handshake(), WAIT_SECONDS)
    except Exception as error:
        raise RuntimeError(f"{UNFIT}: {error!r}.") from error
    if missing:
        raise RuntimeError(f"{UNFIT}: {missing} is missing.")
    if answer != PONG:
        raise RuntimeError(f"{UNFIT}: a handshake with a pre-shared key came out differently.")


def _needed() -> list[tuple[str, bool]]:
    """Return every private name that is used, and whether it is there."""
    library = getattr(PRIVATE, "_lib", None)
    functions = ("SSL_CTX_set_psk_server_callback", "SSL_CTX_set1_sigalgs_list", "ERR_clear_error")
    context = SSL.Context(SSL.DTLS_SERVER_METHOD)
    return [
        ("SSL._lib", library is not None),
        ("SSL._ffi", hasattr(PRIVATE, "_ffi")),
        *((f"lib.{name}", hasattr(library, name)) for name in functions),
        ("SSL.OP_COOKIE_EXCHANGE", bool(SSL.OP_COOKIE_EXCHANGE)),
        ("OpenSSL with PSK", bool(getattr(library, "Cryptography_HAS_PSK", 0))),
        ("Context._context", hasattr(context, "_context")),
        ("Connection._reverse_mapping", hasattr(SSL.Connection, "_reverse_mapping")),
    ]


class Known:
    """An exchange that knows one key."""

    async def preshared(self, identity: str, peer: Peer) -> Preshared:
        """Return the key."""
        return Preshared(Secret(KEY if identity == NAME else ""))

    def mistrust(self, peer: Peer) -> None:
        """Take no note."""


class Uncounted:
    """A meter that counts nothing: what happens here happened to nobody."""

    def request(self, carrier: Carrier, dialect: str, operation: str, outcome: Outcome, seconds: float) -> None:
        """Count nothing."""

    def bound(self, name: str) -> None:
        """Count nothing."""

    def level(self, name: str, value: float) -> None:
        """Set nothing."""


class Wire:
    """A sender that keeps what it was given."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send(self, datagram: bytes, address: tuple[Any, ...]) -> None:
        """Keep a datagram."""
        self.sent.append(datagram)


async def _handshake() -> bytes:
    """Return what a client receives that sends a ping, or nothing."""
    wire, config, meter = Wire(), CoapConfig(), Uncounted()
    sessions = Sessions(lambda _: False, meter, config)
    exchange = cast(Exchange, Known())  # no more of an exchange is asked where nobody has an identity
    endpoint = DtlsEndpoint(exchange, _pong, lambda _: None, sessions, lambda: None, meter, config)
    client, keep = _client()
    try:
        for _ in range(STEPS):
            if _advance(client):
                client.send(PING)
            for record in split(_written(client)):
                endpoint.receive(Remote(wire, ("192.0.2.1", 5684)), record)
            for _ in range(3):  # turns of the loop, in which the key is fetched
                await asyncio.sleep(0)
            answer = _deliver(client, wire)
            if answer:
                return answer
    finally:
        sessions.end()
        await endpoint.close()
        del keep
    return b""


def _pong(remote: Remote, message: bytes) -> None:
    remote.send(PONG if message == PING else b"")


def _client() -> tuple[SSL.Connection, Any]:
    """Return the client and its callback, which lives as long as somebody has it."""

    def present(ssl: Any, hint: Any, identity: Any, limit: int, buffer: Any, most: int) -> int:
        PRIVATE._ffi.memmove(identity, NAME.encode() + b"\0", len(NAME) + 1)
        PRIVATE._ffi.memmove(buffer, KEY.encode(), len(KEY))
        return len(KEY)

    context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
    context.set_options(SSL.OP_NO_QUERY_MTU)
    context.set_cipher_list(b"PSK-AES128-CCM8:@SECLEVEL=0")
    declared = "unsigned int(SSL *, const char *, char *, unsigned int, unsigned char *, unsigned int)"
    callback = PRIVATE._ffi.callback(declared, present)
    PRIVATE._lib.SSL_CTX_set_psk_client_callback(context._context, callback)
    client = SSL.Connection(context, None)
    client.set_connect_state()
    client.set_ciphertext_mtu(1_200)
    return client, callback


def _advance(client: SSL.Connection) -> bool:
    return _is_ready(client.do_handshake)


def _written(client: SSL.Connection) -> bytes:
    written: list[bytes] = []
    _is_ready(lambda: written.append(client.bio_read(65_536)))
    return b"".join(written)


def _deliver(client: SSL.Connection, wire: Wire) -> bytes:
    received: list[bytes] = []
    for datagram in wire.sent:
        client.bio_write(datagram)
        if _advance(client):
            _is_ready(lambda: received.append(client.recv(65_536)))
    wire.sent.clear()
    return b"".join(received)


def _is_ready(step: Callable[[], object]) -> bool:
    """Take a step; tells whether it could be taken without the other end."""
    try:
        step()
    except SSL.WantReadError:
        return False
    return True
