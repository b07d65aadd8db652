"""Reads the X.509 certificates (RFC 5280) of authorities that are to be trusted, and tells what is against that."""

import base64
import itertools
import re

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from core.crypto.certificates import NotACertificate, read_certificate
from core.crypto.chains import LEAST_RSA_BITS, MOST_BYTES, MOST_CERTIFICATES

# RFC 7468, section 2: what stands around a certificate explains it.
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", re.ASCII)
_MARK = "-----"
MOST_CHARACTERS = 2 * MOST_BYTES * MOST_CERTIFICATES
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


class Distrusted(Exception):
    """No chain that comes to a certificate could be right; the text says why."""


class Authority(msgspec.Struct, frozen=True):
    """A certificate, and its DER in base64 without line ends."""

    certificate: x509.Certificate
    text: str


def read_authorities(pem: str) -> tuple[Authority, ...]:
    """Return the certificates of a PEM text in their order; nothing is verified. Raises `NotACertificate`."""
    if len(pem) > MOST_CHARACTERS:
        raise NotACertificate("too long")
    blocks = _PEM.findall(pem)
    if not 0 < len(blocks) <= MOST_CERTIFICATES or _MARK in _PEM.sub("", pem):
        raise NotACertificate(f"not 1 to {MOST_CERTIFICATES} certificates in PEM")
    return tuple(read_authority(read_certificate(block).text) for block in blocks)


def read_authority(text: str) -> Authority:
    """Return the certificate of a DER in base64 that was read before. Raises `NotACertificate` where it is too long."""
    der = base64.b64decode(text)
    if len(der) > MOST_BYTES:
        raise NotACertificate(f"a certificate has more than {MOST_BYTES} bytes")
    return Authority(x509.load_der_x509_certificate(der), text)


def require_trustworthy(authorities: tuple[Authority, ...], now: int) -> None:
    """Check that chains could come to the first of them: it is an authority's, in its time, with a key of today's sizes.

    Each further one has to have signed the one before it. Raises `Distrusted`.
    """
    try:
        _require_authority(authorities[0].certificate, now)
        for issued, issuer in itertools.pairwise(authorities):
            issued.certificate.verify_directly_issued_by(issuer.certificate)
    except InvalidSignature as error:
        raise Distrusted("each certificate must be signed by the next one") from error
    except _UNREADABLE as error:
        raise Distrusted("each certificate must be issued by the next one, and readable") from error


def _require_authority(certificate: x509.Certificate, now: int) -> None:
    if not _may_sign(certificate.extensions):
        raise Distrusted("the first certificate is not an authority's (it has no CA flag, or must not sign others)")
    if certificate.not_valid_after_utc.timestamp() * 1000 < now:
        raise Distrusted("the time of the first certificate is over")
    key = certificate.public_key()
    is_strong_rsa = isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS
    if not (is_strong_rsa or (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES))):
        raise Distrusted("the key of the first certificate is neither RSA of 2048 bits nor of the curves P-256, P-384, P-521")


def _may_sign(extensions: x509.Extensions) -> bool:
    """Tell whether a certificate is an authority's; one without key usage is taken, as old ones have none."""
    try:
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound as error:
        return error.oid == x509.KeyUsage.oid
