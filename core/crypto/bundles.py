"""Reads certificates as files and authorities give them, in PEM or DER, and writes them as PEM."""

import base64
from collections.abc import Iterable
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

BUNDLE_BYTES: Final = 65_536
_LINE = 64  # RFC 7468, section 2
_PEM = b"-----BEGIN CERTIFICATE-----"


def read_bundle(content: bytes) -> tuple[bytes, ...]:
    """Return the certificates of a text or file as DER, in their order: of PEM (RFC 7468), or the one that is there as DER.

    Raises `ValueError`.
    """
    if len(content) > BUNDLE_BYTES:
        raise ValueError(f"more than {BUNDLE_BYTES} bytes of certificates")
    try:
        found = _read(content)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise ValueError("no certificates in PEM or DER") from error
    return tuple(each.public_bytes(Encoding.DER) for each in found)


def write_pem(certificates: Iterable[bytes]) -> str:
    """Return certificates, given as DER, one after the other as PEM."""
    return "".join(map(_pem, certificates))


def _read(content: bytes) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(content) if _PEM in content else [x509.load_der_x509_certificate(content)]


def _pem(der: bytes) -> str:
    text = base64.b64encode(der).decode("ascii")
    lines = (text[start : start + _LINE] for start in range(0, len(text), _LINE))
    return "\n".join(("-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""))
