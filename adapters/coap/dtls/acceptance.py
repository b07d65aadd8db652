"""What this server offers in a DTLS handshake, in OpenSSL's terms: versions, cipher suites, its certificate, its callbacks."""

import secrets
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from OpenSSL import SSL, crypto

from adapters.coap.dtls.channel import Channel
from adapters.coap.dtls.library import PRIVATE
from adapters.tls.material import ServerMaterial

DTLS_1_2 = 0xFEFD
MIN_RSA_BITS = 2_048
MIN_EC_BITS = 256

CIPHER_SUITES = (
    "ECDHE-PSK-CHACHA20-POLY1305",
    "PSK-AES128-GCM-SHA256",
    "PSK-AES128-CCM8",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES128-CCM8",
    "@SECLEVEL=0",  # without it there is no CCM-8, which RFC 7252, section 9.1.3, makes the one that every device has
)
SIGNATURES = (
    "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ed25519:ed448:RSA-PSS+SHA256:RSA-PSS+SHA384:RSA+SHA256:RSA+SHA384:RSA+SHA512"
)
"""Named because level 0 would admit SHA-1 as well."""


class Acceptance:
    """Makes the server side of DTLS associations, with one certificate or, without one, for pre-shared keys alone.

    Raises `ValueError` where OpenSSL does not take the certificate.
    """

    def __init__(self, material: ServerMaterial | None) -> None:
        self._context = context = SSL.Context(SSL.DTLS_SERVER_METHOD)
        context.set_min_proto_version(DTLS_1_2)
        # A resumed session (RFC 5077) would come in with no proof of its own.
        context.set_options(SSL.OP_NO_QUERY_MTU | (SSL.OP_COOKIE_EXCHANGE or 0) | SSL.OP_NO_TICKET | SSL.OP_NO_RENEGOTIATION)
        context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_cipher_list(":".join(CIPHER_SUITES).encode())
        # Cookies are checked before a message comes here; OpenSSL does not go on without hearing so itself.
        context.set_cookie_generate_callback(lambda _: b"")
        context.set_cookie_verify_callback(lambda _, cookie: True)
        context.set_verify(SSL.VERIFY_PEER, _strong)
        if material is not None:
            _certify(context, material)
            _ask(context, material.client_authorities)
        # OpenSSL does not keep its callback alive: this object does, and every channel keeps this object.
        self._answer = PRIVATE._ffi.callback("unsigned int(SSL *, const char *, unsigned char *, unsigned int)", _preshared)
        PRIVATE._lib.SSL_CTX_set_psk_server_callback(context._context, self._answer)
        if not PRIVATE._lib.SSL_CTX_set1_sigalgs_list(context._context, SIGNATURES.encode()):
            raise ValueError("OpenSSL does not know every signature algorithm that DTLS clients may use here")

    def channel(self, record: bytes) -> Channel:
        """Return a new association that begins with a ClientHello whose cookie is right.

        Raises `Broken` where OpenSSL wants none of it.
        """
        return Channel(SSL.Connection(self._context, None), record, self)


def _certify(context: SSL.Context, material: ServerMaterial) -> None:
    leaf, *rest = (x509.load_der_x509_certificate(certificate) for certificate in material.chain)
    try:
        context.use_certificate(leaf)
        context.use_privatekey(material.key)
        context.check_privatekey()
        for certificate in rest:
            context.add_extra_chain_cert(certificate)
    except SSL.Error as error:
        raise ValueError("OpenSSL does not take this certificate and key for DTLS") from error


def _ask(context: SSL.Context, authorities: tuple[bytes, ...]) -> None:
    """Take certificates that come from these authorities alone, where there are any."""
    store = context.get_cert_store()
    if not authorities or store is None:
        return
    for authority in authorities:
        certificate = x509.load_der_x509_certificate(authority)
        store.add_cert(crypto.X509.from_cryptography(certificate))
        context.add_client_ca(certificate)
    store.set_flags(crypto.X509StoreFlags.PARTIAL_CHAIN)  # an intermediate authority may be one of them
    context.set_verify(SSL.VERIFY_PEER, lambda _, certificate, error, depth, ok: bool(ok) and is_strong(certificate))


def _strong(connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, ok: int) -> bool:
    """Take any certificate whose key is long enough: who it is is asked afterwards."""
    return is_strong(certificate)


def is_strong(certificate: crypto.X509) -> bool:
    """Tell whether a key is long enough, for level 0 takes any length."""
    try:
        key = certificate.to_cryptography().public_key()
    except Exception:  # a key of a kind or a curve that nobody knows here; OpenSSL must hear "no", and nothing else
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= MIN_RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.key_size >= MIN_EC_BITS
    return isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)


def _preshared(ssl: Any, identity: Any, buffer: Any, limit: int) -> int:
    """Put the key into the buffer, return its length; 0 ends the handshake."""
    channel = PRIVATE.Connection._reverse_mapping[ssl].get_app_data()
    key: bytes = channel.hand_out(PRIVATE._ffi.string(identity))
    if len(key) > limit:  # then nobody can have it, and it must look like any wrong one
        key = secrets.token_bytes(limit)
    PRIVATE._ffi.memmove(buffer, key, len(key))
    return len(key)
