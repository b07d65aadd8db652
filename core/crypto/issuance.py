"""Certificates and revocation lists (RFC 5280) made with the key of an authority, and the check of those that others made."""

import datetime
from collections.abc import Iterable
from typing import Final

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from core.model import Secret
from core.ports import Revocation, SigningRequest

SERIAL_BYTES: Final = 20
SKEW_MS: Final = 300_000  # how far a clock elsewhere may be off
CHAIN: Final = 8
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")  # RFC 3986, section 2.3

AuthorityKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


class BadCertificate(Exception):
    """What an authority answered is not the certificate that was asked for; the message says what is wrong with it."""


class Authority(msgspec.Struct, frozen=True):
    """A certificate that may sign others, its key, and the certificates behind it, up to its root where they are known."""

    certificate: x509.Certificate
    key: AuthorityKey
    behind: tuple[x509.Certificate, ...] = ()

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """Return its certificates as DER, the one that signs first."""
        return tuple(each.public_bytes(Encoding.DER) for each in (self.certificate, *self.behind))

    @property
    def signs_lists(self) -> bool:
        """Tell whether it may sign lists of what is revoked (RFC 5280, section 4.2.1.3)."""
        usage = _usage(self.certificate)
        return usage is None or usage.crl_sign


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate that was checked. `serial` is in lower-case hex, times are in milliseconds since the Unix epoch."""

    serial: str
    not_before: int
    not_after: int


def open_authority(certificates: tuple[bytes, ...], key_pem: bytes, passphrase: Secret | None) -> Authority:
    """Return an authority whose certificates are given as DER, the one that signs first.

    Raises `ValueError` with one line that names the fault and the mend.
    """
    first, *behind = map(x509.load_der_x509_certificate, certificates)
    try:
        key = load_pem_private_key(key_pem, passphrase.reveal().encode() if passphrase else None)
    except TypeError as error:
        raise ValueError("the key needs a passphrase, or has none and one is given") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError("the key is not a private key in PEM, or its passphrase is wrong") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey):
        raise ValueError("the key is of a kind that signs no certificates here; use EC, RSA or Ed25519")
    if _spki(key.public_key()) != _spki(first.public_key()):
        raise ValueError("the key is not that of the first certificate; give the pair that belongs together")
    if not _may_sign(first):
        raise ValueError("the first certificate is not one of an authority (basicConstraints, keyUsage)")
    return Authority(first, key, tuple(behind))


def sign_certificate(authority: Authority, request: SigningRequest, crl_url: str) -> bytes:
    """Return a certificate for TLS clients as DER, whose subject alternative name is `urn:firstlight:device:` and the id."""
    key = load_der_public_key(request.public_key)
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        raise ValueError("the key is of a kind that no certificate is made for")
    builder = x509.CertificateBuilder(
        issuer_name=authority.certificate.subject,
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, request.name)]),
        public_key=key,
        serial_number=request.serial,
    )
    builder = (
        builder.not_valid_before(_time(request.not_before))
        .not_valid_after(_time(request.not_after))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(enciphers=isinstance(key, rsa.RSAPublicKey)), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(device_urn(request.device))]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(_authority_key(authority), critical=False)
    )
    if crl_url:
        place = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
        builder = builder.add_extension(x509.CRLDistributionPoints([place]), critical=False)
    return builder.sign(authority.key, _hash(authority.key)).public_bytes(Encoding.DER)


def sign_revocations(authority: Authority, revoked: Iterable[Revocation], now: int, until: int) -> bytes:
    """Return a revocation list as DER, good between two times; its number grows with the time (RFC 5280, section 5.2.3)."""
    entries = [
        x509.RevokedCertificateBuilder(serial_number=each.serial, revocation_date=_time(each.at)).build() for each in revoked
    ]
    # Given whole: the builder copies its list with each entry that is added.
    builder = x509.CertificateRevocationListBuilder(authority.certificate.subject, revoked_certificates=entries)
    builder = builder.last_update(_time(now)).next_update(_time(until))
    builder = builder.add_extension(x509.CRLNumber(now), critical=False)
    builder = builder.add_extension(_authority_key(authority), critical=False)
    return builder.sign(authority.key, _hash(authority.key)).public_bytes(Encoding.DER)


def check_issued(chain: tuple[bytes, ...], authorities: tuple[bytes, ...], request: SigningRequest, now: int) -> Issued:
    """Return what an authority made, given as DER, the new certificate first.

    It has the key and the name that were asked for, is good now, is no authority itself, and its chain comes to one of the
    authorities. Raises `BadCertificate`.
    """
    if not 1 <= len(chain) <= CHAIN:
        raise BadCertificate(f"it has {len(chain)} certificates and not 1 to {CHAIN}")
    try:
        first, *behind = map(x509.load_der_x509_certificate, chain)
        trusted = tuple(map(x509.load_der_x509_certificate, authorities))
        _require_asked_for(first, request)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension) as error:
        raise BadCertificate("it cannot be read") from error
    not_before, not_after = _milliseconds(first.not_valid_before_utc), _milliseconds(first.not_valid_after_utc)
    if not not_before <= now + SKEW_MS or not_after <= now:
        raise BadCertificate("it is not valid at this time")
    _require_chain(first, behind, trusted)
    return Issued(serial=f"{first.serial_number:x}", not_before=not_before, not_after=not_after)


def arranged(certificates: tuple[bytes, ...], public_key: bytes) -> tuple[bytes, ...]:
    """Return certificates, given as DER, as a chain: that of a key first, then whoever signed the one before.

    What belongs to it in no way is left out. Raises `BadCertificate` where none has the key.
    """
    left = [x509.load_der_x509_certificate(each) for each in certificates]
    certificate = next((each for each in left if _spki(each.public_key()) == public_key), None)
    if certificate is None:
        raise BadCertificate("no certificate in it has the key of the request")
    chain: list[x509.Certificate] = []
    while certificate is not None and len(chain) < CHAIN:
        chain.append(certificate)
        left.remove(certificate)
        certificate = next((each for each in left if each.subject == chain[-1].issuer), None)
    return tuple(each.public_bytes(Encoding.DER) for each in chain)


def not_after(certificate: bytes) -> int:
    """Return when a certificate, given as DER, ends, in milliseconds since the Unix epoch."""
    return _milliseconds(x509.load_der_x509_certificate(certificate).not_valid_after_utc)


def not_before(certificate: bytes) -> int:
    """Return when a certificate, given as DER, begins, in milliseconds since the Unix epoch."""
    return _milliseconds(x509.load_der_x509_certificate(certificate).not_valid_before_utc)


def is_issued_by(certificate: bytes, authorities: tuple[bytes, ...]) -> bool:
    """Tell whether one of these authorities signed a certificate; all are given as DER."""
    try:
        read = x509.load_der_x509_certificate(certificate)
        return any(_signed(read, x509.load_der_x509_certificate(each)) for each in authorities)
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion):
        return False


def is_self_issued(certificate: bytes) -> bool:
    """Tell whether a certificate, given as DER, names itself as its issuer: a root."""
    read = x509.load_der_x509_certificate(certificate)
    return read.subject == read.issuer


def serial_of(drawn: bytes) -> int:
    """Return a serial number from 20 random bytes: positive, of 159 bits (RFC 5280, section 4.1.2.2)."""
    return int.from_bytes(drawn, "big") >> 1 or 1


def device_urn(device: str) -> str:
    """Return the name of a device in its certificate, percent-encoded (RFC 8141, section 2.2; RFC 3986, section 2.1)."""
    content = device.encode("utf-8", "surrogatepass")
    return "urn:firstlight:device:" + "".join(chr(byte) if byte in _UNRESERVED else f"%{byte:02X}" for byte in content)


def _require_asked_for(certificate: x509.Certificate, request: SigningRequest) -> None:
    if _spki(certificate.public_key()) != request.public_key:
        raise BadCertificate("it has another key than the request")
    names = [attribute.value for attribute in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if names != [request.name]:
        raise BadCertificate("its common name is not the one that was asked for")
    if _is_authority(certificate):
        raise BadCertificate("it is one that may sign others")


def _require_chain(first: x509.Certificate, behind: list[x509.Certificate], trusted: tuple[x509.Certificate, ...]) -> None:
    """Follow a chain to whoever is trusted; what stands behind that does not matter."""
    certificate, left = first, list(behind)
    while not any(_signed(certificate, each) for each in trusted):
        if not left or not _signed(certificate, left[0]):
            raise BadCertificate("its chain does not come to one of the authorities")
        certificate = left.pop(0)


def _signed(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return _is_authority(by)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _may_sign(certificate: x509.Certificate) -> bool:
    usage = _usage(certificate)
    return _is_authority(certificate) and (usage is None or usage.key_cert_sign)


def _usage(certificate: x509.Certificate) -> x509.KeyUsage | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return None


def _key_usage(*, enciphers: bool) -> x509.KeyUsage:
    """Return what the key is for; RSA keys also take the key of a session (TLS 1.2 without Diffie-Hellman)."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=enciphers,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key(authority: Authority) -> x509.AuthorityKeyIdentifier:
    try:
        own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _hash(key: AuthorityKey) -> SHA256 | SHA384 | SHA512 | None:
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return None
    if isinstance(key, rsa.RSAPrivateKey) or key.key_size <= 256:
        return SHA256()
    return SHA384() if key.key_size <= 384 else SHA512()


def _spki(key: object) -> bytes:
    """Return a public key as SubjectPublicKeyInfo DER, nothing for a kind that has none."""
    if isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey):
        return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return b""


def _time(milliseconds: int) -> datetime.datetime:
    """Return a time in whole seconds, as certificates have it."""
    return datetime.datetime.fromtimestamp(milliseconds // 1000, datetime.UTC)


def _milliseconds(time: datetime.datetime) -> int:
    return round(time.timestamp() * 1000)
