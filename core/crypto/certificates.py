"""Reads X.509 certificates (RFC 5280) that devices are to be known by."""

import base64
import binascii
import re

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

# One certificate in the textual encoding of RFC 7468, section 5, and nothing around it.
_PEM = re.compile(r"\s*-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*", re.ASCII)


class NotACertificate(Exception):
    """A text is not one certificate."""


class DeviceCertificate(msgspec.Struct, frozen=True):
    """A certificate: its DER in base64, without line ends, and the SHA-256 of its DER in lower-case hex.

    It is good from `not_before` to `not_after`, both included, in milliseconds since the Unix epoch.
    """

    text: str
    fingerprint: str
    not_before: int
    not_after: int


def read_certificate(pem: str) -> DeviceCertificate:
    """Return the one certificate of a PEM text; nothing is verified. Raises `NotACertificate`."""
    found = _PEM.fullmatch(pem)
    if found is None:
        raise NotACertificate("not one certificate in PEM")
    try:
        der = binascii.a2b_base64("".join(found[1].split()), strict_mode=True)
        certificate = x509.load_der_x509_certificate(der)
        not_before, not_after = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except (ValueError, x509.InvalidVersion) as error:
        raise NotACertificate("not a certificate") from error
    return DeviceCertificate(
        text=base64.b64encode(der).decode("ascii"),
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        not_before=round(not_before.timestamp() * 1000),
        not_after=round(not_after.timestamp() * 1000),
    )


def beginning(text: str) -> int | None:
    """Return when the time of a certificate begins, given as base64 of its DER, in milliseconds; None: it is not one."""
    try:
        certificate = x509.load_der_x509_certificate(base64.b64decode(text))
        return round(certificate.not_valid_before_utc.timestamp() * 1000)
    except (ValueError, x509.InvalidVersion):
        return None
