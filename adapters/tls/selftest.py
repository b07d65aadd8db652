"""Whether the installed pyOpenSSL has what TLS needs here: asked at every start, so that no device has to find out."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto

from adapters.tls.contexts import server_context
from adapters.tls.engine import Engine
from adapters.tls.material import ServerMaterial

_NEEDED: tuple[tuple[object, tuple[str, ...]], ...] = (
    (
        SSL,
        (
            "TLS_SERVER_METHOD",
            "TLS1_2_VERSION",
            "OP_NO_COMPRESSION",
            "OP_NO_RENEGOTIATION",
            "OP_NO_TICKET",
            "OP_CIPHER_SERVER_PREFERENCE",
            "MODE_RELEASE_BUFFERS",
            "SESS_CACHE_OFF",
            "NO_OVERLAPPING_PROTOCOLS",
        ),
    ),
    (SSL.Context, ("add_client_ca", "add_extra_chain_cert", "get_cert_store", "set_alpn_select_callback", "set_verify")),
    (SSL.Connection, ("bio_read", "bio_write", "get_peer_certificate", "get_peer_cert_chain", "shutdown")),
    (crypto, ("dump_certificate", "X509Store", "X509StoreFlags")),
)
_ROUNDS = 10
_WORDS = b"first light"

_Made = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def selftest() -> None:
    """Look for the functions, and let a client with a chain of three shake hands with a server, in memory.

    Raises `RuntimeError` with one sentence that names what is missing or comes out differently.
    """
    missing = next((name for place, names in _NEEDED for name in names if not hasattr(place, name)), "")
    if missing:
        raise RuntimeError(f"The installed pyOpenSSL does not fit: it has no {missing}.")
    try:
        faulty = _handshake()
    except Exception as error:
        raise RuntimeError(f"The installed pyOpenSSL does not fit: {error!r}.") from error
    if faulty:
        raise RuntimeError(f"The installed pyOpenSSL does not fit: {faulty} came out differently.")


def _handshake() -> str:
    """Return what comes out differently, or nothing."""
    root = _make("root", None)
    middle = _make("middle", root)
    leaf = _make("leaf", middle)
    chain = tuple(certificate.public_bytes(Encoding.DER) for certificate, _ in (leaf, middle, root))
    material = ServerMaterial(chain[:1], leaf[1])
    server = Engine(server_context(material, (b"selftest",)))
    client = Engine(_client_context(leaf, middle, root), connecting=True)
    for _ in range(_ROUNDS):
        done = [client.shake_hands(), server.shake_hands()]
        _carry(client, server)
        _carry(server, client)
        if all(done):
            break
    else:
        return "a handshake"
    if server.chain != chain:
        return "the chain of a client's certificate"
    client.encrypt(_WORDS)
    _carry(client, server)
    return "" if server.read() == _WORDS else "what was encrypted"


def _carry(one: Engine, other: Engine) -> None:
    data = one.take()
    if data:
        other.feed(data)


def _client_context(leaf: _Made, *others: _Made) -> SSL.Context:
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.use_certificate(leaf[0])
    context.use_privatekey(leaf[1])
    for certificate, _ in others:
        context.add_extra_chain_cert(certificate)
    context.set_verify(SSL.VERIFY_NONE)
    return context


def _make(name: str, issuer: _Made | None) -> _Made:
    """Make a certificate that its issuer, or it itself, has signed."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    by, signing = (issuer[0].subject, issuer[1]) if issuer is not None else (subject, key)
    ends = now + datetime.timedelta(days=1)
    builder = x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number(), now, ends)
    return builder.sign(signing, SHA256()), key
