"""Certificates in PKCS#7 (RFC 2315), which some authorities answer with: nothing in it but certificates."""

import base64
import re
import warnings
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from core.crypto.bundles import read_bundle

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/=\s]+")
_PEM: Final = b"-----BEGIN PKCS7-----"


def read_any(content: bytes) -> tuple[bytes, ...]:
    """Return the certificates of an answer as DER, in no order that means anything.

    It is what `read_bundle` reads, or PKCS#7; as PEM, DER or base64 of DER (RFC 7030, section 4.2.3). Raises `ValueError`.
    """
    der = base64.b64decode(b"".join(content.split()), validate=True) if _BASE64.fullmatch(content) else content
    try:
        return read_bundle(der)
    except ValueError:
        return _read(der)


def _read(content: bytes) -> tuple[bytes, ...]:
    load = pkcs7.load_pem_pkcs7_certificates if _PEM in content else pkcs7.load_der_pkcs7_certificates
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a set is not sorted as DER wants it, which OpenSSL does not do either
        try:
            return tuple(each.public_bytes(Encoding.DER) for each in load(content))
        except UnsupportedAlgorithm as error:
            raise ValueError("not PKCS#7 with certificates and nothing else") from error
