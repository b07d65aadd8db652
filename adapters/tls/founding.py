"""Makes a certificate authority and a certificate for this server, for those who have neither (RFC 5280)."""

import datetime
import ipaddress
from collections.abc import Sequence

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.model import Secret

AUTHORITY_DAYS = 3_650
_AUTHORITY = "Firstlight private CA"
_CLOCK_SKEW = datetime.timedelta(hours=1)  # devices' clocks may be behind
_NAME_CHARACTERS = 64  # of a common name (RFC 5280, appendix A.1)


class Founded(msgspec.Struct, frozen=True):
    """An authority and a server's certificate that it signed, as PEM."""

    authority: bytes
    authority_key: Secret
    certificate: bytes
    key: Secret


def found(names: Sequence[str], days: int, now: datetime.datetime) -> Founded:
    """Make both, with EC P-256 keys; the server's certificate is for these names and addresses, for so many days from `now`.

    Raises `ValueError` with the fault for something that is no name, or no days.
    """
    if not names or not 1 <= days <= AUTHORITY_DAYS:
        raise ValueError(f"a certificate has a name, and from 1 to {AUTHORITY_DAYS} days")
    alternatives = [_name(text) for text in names]
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    begins = now - _CLOCK_SKEW
    ends = now + datetime.timedelta(days=AUTHORITY_DAYS)
    authority = _authority(authority_key, begins, ends)
    leaf = _builder(_common(names[0]), authority.subject, key.public_key(), begins, now + datetime.timedelta(days=days))
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    certificate = (
        leaf.add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, SHA256())
    )
    return Founded(_pem(authority), _secret(authority_key), _pem(certificate), _secret(key))


def _authority(key: ec.EllipticCurvePrivateKey, begins: datetime.datetime, ends: datetime.datetime) -> x509.Certificate:
    name = _common(_AUTHORITY)
    builder = _builder(name, name, key.public_key(), begins, ends)
    return (
        builder.add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(key, SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, begins: datetime.datetime, ends: datetime.datetime
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer, subject, key, x509.random_serial_number(), begins, ends)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _common(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:_NAME_CHARACTERS])])


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    if not text.isascii() or not text or any(character in text for character in " /:@"):
        raise ValueError(f"{text!r} is no name of a machine; write one such as gateway.example, or an IP address")
    return x509.DNSName(text)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def _secret(key: ec.EllipticCurvePrivateKey) -> Secret:
    return Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())
