"""Requests for certificates (PKCS#10, RFC 2986): those of devices read and checked, and one written for a key made here."""

import base64
import binascii
import hashlib
import re
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from cryptography.x509.oid import NameOID

from core.model import Secret

REQUEST_BYTES: Final = 16_384
COMMON_NAME_BYTES: Final = 64  # ub-common-name, RFC 5280, appendix A.1
EC_P256, RSA_2048, RSA_3072 = "ec-p256", "rsa-2048", "rsa-3072"
KEY_ALGORITHMS: Final = (EC_P256, RSA_2048, RSA_3072)
"""What key pairs may be made of here."""

_RSA_BITS = range(2_048, 4_097)
_EXPONENT_BITS = 32
_PEM = re.compile(
    rb"\s*-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([A-Za-z0-9+/=\s]+)-----END (?:NEW )?CERTIFICATE REQUEST-----\s*"
)
_BASE64 = re.compile(rb"[A-Za-z0-9+/=\s]+")
_HASHES = (SHA256, SHA384, SHA512)

PublicKey = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey


class NotASigningRequest(Exception):
    """A text is no request that a certificate could be made from; the message is one sentence for its sender."""


class DeviceRequest(msgspec.Struct, frozen=True):
    """A request whose sender has the private key: its DER, and its key as SubjectPublicKeyInfo DER (RFC 5280, 4.1.2.7)."""

    der: bytes
    public_key: bytes


def read_request(content: bytes) -> DeviceRequest:
    """Return a request given as PEM (RFC 7468, section 7), as base64 (RFC 7030, section 4.2.1) or as DER.

    Its key is of EC P-256 or P-384, RSA of 2048 to 4096 bits, or Ed25519, and signed it with SHA-2. Nothing else of it is
    looked at: what it asks to be called is not its own to say. Raises `NotASigningRequest`.
    """
    if len(content) > REQUEST_BYTES:
        raise NotASigningRequest(f"a certificate request has at most {REQUEST_BYTES} bytes")
    der = _der(content)
    try:
        request = x509.load_der_x509_csr(der)
        key = _usable(request.public_key())
        _require_own_signature(request)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise NotASigningRequest("this is not a certificate request (PKCS#10)") from error
    return DeviceRequest(der, key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))


def request_of(private_key: bytes, name: str) -> DeviceRequest:
    """Return the request of a private key that was made here, given as PKCS#8 DER, for a common name."""
    key = load_der_private_key(private_key, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("the key is neither of an elliptic curve nor of RSA")
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder(subject).sign(key, SHA256())
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return DeviceRequest(request.public_bytes(Encoding.DER), spki)


def private_key_pem(private_key: bytes) -> Secret:
    """Return a private key that was made here as PEM (RFC 7468, section 10)."""
    key = load_der_private_key(private_key, None, unsafe_skip_rsa_key_validation=True)
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode("ascii"))


def make_private_key(algorithm: str) -> bytes:
    """Return a private key of one of `KEY_ALGORITHMS` as PKCS#8 DER (RFC 5958). One of RSA may take seconds."""
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    if algorithm == EC_P256:
        key = ec.generate_private_key(ec.SECP256R1())
    else:
        key = rsa.generate_private_key(65_537, {RSA_2048: 2_048, RSA_3072: 3_072}[algorithm])
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def common_name(name: str, otherwise: str) -> str:
    """Return what a certificate is to call a device: its name where that fits and is text, otherwise its id."""
    digest = hashlib.sha256(otherwise.encode("utf-8", "surrogatepass")).hexdigest()  # of ids that somebody chose
    return next(text for text in (name, otherwise, digest) if _fits(text))


def _fits(text: str) -> bool:
    try:
        return 0 < len(text.encode()) <= COMMON_NAME_BYTES and text.isprintable()
    except UnicodeEncodeError:
        return False


def _der(content: bytes) -> bytes:
    found = _PEM.fullmatch(content)
    if found is None and not _BASE64.fullmatch(content):
        return content
    try:
        return base64.b64decode(b"".join((found[1] if found else content).split()), validate=True)
    except binascii.Error as error:
        raise NotASigningRequest("the certificate request is not base64") from error


def _usable(key: object) -> PublicKey:
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1):
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size in _RSA_BITS and _is_quick(key):
        return key
    raise NotASigningRequest("the key has to be of EC P-256 or P-384, of RSA with 2048 to 4096 bits, or of Ed25519")


def _is_quick(key: rsa.RSAPublicKey) -> bool:
    """Tell whether a signature is checked quickly: it takes as long as the exponent is, which the sender chose."""
    return key.public_numbers().e.bit_length() <= _EXPONENT_BITS


def _require_own_signature(request: x509.CertificateSigningRequest) -> None:
    algorithm: HashAlgorithm | None = request.signature_hash_algorithm
    if algorithm is not None and not isinstance(algorithm, _HASHES):
        raise NotASigningRequest("the certificate request has to be signed with SHA-256, SHA-384 or SHA-512")
    if not request.is_signature_valid:
        raise NotASigningRequest("the certificate request is not signed with its own key")
