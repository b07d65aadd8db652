"""Certificates and the authorities that sign them, good or broken on purpose."""

import base64
import datetime
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA224, SHA256, SHA384
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from core.credentials import credential_id
from core.crypto.chains import subject_name
from core.messages import Certificate
from tests.fakes import START

DAY = datetime.timedelta(days=1)
NOW = datetime.datetime.fromtimestamp(START // 1000, datetime.UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class Holder(msgspec.Struct, frozen=True):
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Any

    @property
    def der(self) -> bytes:
        """Return it as it is sent."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def credential(self) -> Certificate:
        """Return it as a credential."""
        return Certificate(base64.b64encode(self.der).decode())

    @property
    def id(self) -> str:
        """Return its credential id."""
        return credential_id(self.credential)

    @property
    def name(self) -> str:
        """Return the digest of its subject."""
        return subject_name(self.certificate)


def issue(
    name: str,
    issuer: Holder | None = None,
    *,
    constraints: x509.BasicConstraints | None = None,
    extensions: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    begins: float = -10,
    ends: float = 100,
    key: Key | None = None,
    digest: SHA224 | SHA256 | SHA384 | None = None,
    serial: int | None = None,
) -> Holder:
    """Make a certificate, self-signed without an issuer; `begins` and `ends` are in days from the frozen clock's start."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    signer = issuer.key if issuer else key
    builder = x509.CertificateBuilder(
        issuer.certificate.subject if issuer else subject, subject, key.public_key(), serial or x509.random_serial_number()
    )
    builder = builder.not_valid_before(NOW + begins * DAY).not_valid_after(NOW + ends * DAY)
    for extension, critical in extensions if constraints is None else ((constraints, True), *extensions):
        builder = builder.add_extension(extension, critical)
    plain = isinstance(signer, ed25519.Ed25519PrivateKey)
    return Holder(builder.sign(signer, None if plain else digest or SHA256()), key)


def authority(name: str, issuer: Holder | None = None, path_length: int | None = None, **others: Any) -> Holder:
    """Make a certificate that may sign others."""
    return issue(name, issuer, constraints=x509.BasicConstraints(True, path_length), **others)


def usage(**allowed: bool) -> x509.KeyUsage:
    """Return a key usage that allows this alone."""
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
        *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**dict.fromkeys(names, False) | allowed)


def sent(*chain: Holder) -> tuple[bytes, ...]:
    """Return a chain as it is sent."""
    return tuple(each.der for each in chain)
