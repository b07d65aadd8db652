"""How TLS is spoken here: versions, ciphers, and what is asked of clients (RFC 9325)."""

from collections.abc import Callable, Sequence
from typing import Any, cast

from cryptography import x509
from OpenSSL import SSL, crypto

from adapters.exchange import Meter
from adapters.tls.config import TlsConfig
from adapters.tls.material import Material, ServerMaterial, prove
from core.limits import Buckets, Rate, source_of

HTTP = (b"http/1.1",)
MQTT = (b"mqtt",)
COAP = (b"coap",)  # RFC 8323, section 11.7

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE-ECDSA-AES128-CCM:ECDHE-ECDSA-AES256-CCM"
"""Of TLS 1.2: with forward secrecy and authenticated encryption alone. CCM is what small devices have in hardware."""

_OPTIONS = SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET | SSL.OP_CIPHER_SERVER_PREFERENCE
_DEPTH = 10


class Contexts:
    """The context for new connections at some listeners: another one when the material changes. Open connections keep theirs.

    `protocols` are what ALPN (RFC 7301) may come to; a client that offers others, or none, is served all the same. `is_proxy`
    tells of an address whether it stands for so many clients that their handshakes are not to be counted together.
    """

    def __init__(
        self,
        material: Material,
        meter: Meter,
        protocols: Sequence[bytes] = (),
        config: TlsConfig | None = None,
        is_proxy: Callable[[str], bool] | None = None,
    ) -> None:
        self.meter = meter
        self.config = config or TlsConfig()
        self._pace = Buckets(Rate(self.config.handshakes_per_second, self.config.burst_handshakes))
        self._is_proxy = is_proxy or _is_none
        self._material = material
        self._protocols = tuple(protocols)
        self.current = server_context(material.current, self._protocols)
        material.subscribe(self._renew)

    def admits(self, address: str, now: float) -> bool:
        """Tell whether this source may begin one more handshake now; `now` is monotonic, in seconds."""
        return self._is_proxy(address) or not self._pace.take(source_of(address), now)

    def _renew(self) -> None:
        self.current = server_context(self._material.current, self._protocols)


def _is_none(_address: str) -> bool:
    return False


def server_context(material: ServerMaterial, protocols: Sequence[bytes] = ()) -> SSL.Context:
    """Make a context for a server.

    Sessions are not resumed: a resumed one would come without the client's chain. Where no authorities are named, a client may
    show any certificate, and what it proves is for others to say; that it has the key to it is proved in any case.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_verify_depth(_DEPTH)
    prove(context, material)
    _ask(context, material.client_authorities)
    if protocols:
        context.set_alpn_select_callback(_choice(tuple(protocols)))
    return context


def _ask(context: SSL.Context, authorities: Sequence[bytes]) -> None:
    """Ask for a certificate; one that comes has to come from these authorities, where there are any."""
    if not authorities:
        context.set_verify(SSL.VERIFY_PEER, _accept)
        return
    store = cast(crypto.X509Store, context.get_cert_store())  # every context has one
    for der in authorities:
        certificate = x509.load_der_x509_certificate(der)
        store.add_cert(crypto.X509.from_cryptography(certificate))
        context.add_client_ca(certificate)
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # an intermediate authority may be one of them
    context.set_verify(SSL.VERIFY_PEER)


def _accept(_connection: SSL.Connection, _certificate: crypto.X509, _error: int, _depth: int, _ok: int) -> bool:
    return True


def _choice(protocols: tuple[bytes, ...]) -> Callable[[SSL.Connection, list[bytes]], Any]:
    def choose(_connection: SSL.Connection, offered: list[bytes]) -> Any:
        return next((name for name in protocols if name in offered), SSL.NO_OVERLAPPING_PROTOCOLS)

    return choose
