"""Certificates that devices sign for themselves."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

DAY_MS = 86_400_000


def self_signed(name: str, begins: int, ends: int) -> x509.Certificate:
    """Make a certificate that is good between two times in milliseconds since the Unix epoch."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(_time(begins)).not_valid_after(_time(ends)).sign(key, SHA256())


def pem_of(certificate: x509.Certificate) -> str:
    """Return a certificate as text (RFC 7468)."""
    return certificate.public_bytes(Encoding.PEM).decode("ascii")


def _time(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.UTC)
