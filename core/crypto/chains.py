"""Chains of X.509 certificates (RFC 5280) that devices show in a handshake: reads them, and checks them up to one of them."""

import base64
import datetime
import hashlib
from typing import TypeVar

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509 import verification
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

E = TypeVar("E", bound=x509.ExtensionType)

MOST_CERTIFICATES = 8
MOST_BYTES = 16 * 1024
"""Of one certificate."""

LEAST_RSA_BITS = 2048
MOST_RSA_BITS = 8192
_EXPONENT_BITS = 32
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_HASHES = frozenset({"sha256", "sha384", "sha512"})
_CLIENT = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
# What cryptography raises where a certificate breaks X.509 in a part that is read only when it is needed.
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


class BrokenChain(Exception):
    """A chain proves nothing; `check` names the rule it breaks."""

    def __init__(self, *, check: str) -> None:
        super().__init__(check)
        self.check = check


class Chain(msgspec.Struct, frozen=True):
    """Certificates as they were sent, the device's own first; `texts` are their DER in base64, without line ends.

    The device's own is good from `not_before` to `not_after`, both included, in milliseconds since the Unix epoch.
    """

    certificates: tuple[x509.Certificate, ...]
    texts: tuple[str, ...]
    not_before: int
    not_after: int

    @property
    def serial(self) -> str:
        """Return the serial number of the device's own certificate in lower-case hex."""
        return format(self.certificates[0].serial_number, "x")

    def is_early(self, now: int) -> bool:
        """Tell whether the time of the device's own certificate is still to come."""
        return now < self.not_before

    def is_over(self, now: int) -> bool:
        """Tell whether the time of the device's own certificate is over."""
        return now > self.not_after


def read_chain(sent: tuple[bytes, ...]) -> Chain:
    """Return the chain of these certificates, as DER; nothing is verified.

    Raises `BrokenChain` for none, for more or longer ones than are read here, and for what is no certificate.
    """
    if not 0 < len(sent) <= MOST_CERTIFICATES or max(map(len, sent)) > MOST_BYTES:
        raise BrokenChain(check="chain.size")
    try:
        certificates = tuple(map(x509.load_der_x509_certificate, sent))
        leaf = certificates[0]
        not_before, not_after = _milliseconds(leaf.not_valid_before_utc), _milliseconds(leaf.not_valid_after_utc)
    except (ValueError, x509.InvalidVersion) as error:
        raise BrokenChain(check="chain.certificate") from error
    return Chain(certificates, tuple(base64.b64encode(each).decode("ascii") for each in sent), not_before, not_after)


def require_signed_in_order(chain: Chain) -> None:
    """Check that each certificate is issued and signed by the next one as sent. Raises `BrokenChain`.

    This is all that ThingsBoard checks: neither dates nor CA flags, and nothing above the last one. Keys that take long to
    check a signature with are not tried: whoever sends a chain chose them.
    """
    for issued, issuer in zip(chain.certificates, chain.certificates[1:], strict=False):
        try:
            if not _is_quick(issuer.public_key()):
                raise BrokenChain(check="chain.key")
            issued.verify_directly_issued_by(issuer)
        except (*_UNREADABLE, InvalidSignature) as error:
            raise BrokenChain(check="chain.signature") from error


def is_authority(certificate: x509.Certificate) -> bool:
    """Tell whether a certificate says that it is an authority's (RFC 5280, section 4.2.1.9)."""
    try:
        constraints = _extension(certificate.extensions, x509.BasicConstraints)
    except _UNREADABLE:
        return False
    return constraints is not None and constraints.ca


def _is_quick(key: object) -> bool:
    """Tell whether a signature is checked quickly: with RSA that takes as long as modulus and exponent are."""
    if not isinstance(key, rsa.RSAPublicKey):
        return True
    return key.key_size <= MOST_RSA_BITS and key.public_numbers().e.bit_length() <= _EXPONENT_BITS


def signed_by(chain: Chain, authority: str) -> Chain | None:
    """Return a chain with an authority's certificate at its end, None where that has not issued and signed the last one.

    `authority` is its DER in base64.
    """
    try:
        issuer = x509.load_der_x509_certificate(base64.b64decode(authority))
        chain.certificates[-1].verify_directly_issued_by(issuer)
    except (*_UNREADABLE, InvalidSignature):
        return None
    return Chain((*chain.certificates, issuer), (*chain.texts, authority), chain.not_before, chain.not_after)


def issuer_name(chain: Chain) -> str:
    """Return the digest of who is said to have issued the last certificate. Raises `BrokenChain` where that cannot be read."""
    try:
        return _name_digest(chain.certificates[-1].issuer)
    except _UNREADABLE as error:
        raise BrokenChain(check="chain.certificate") from error


def subject_name(certificate: x509.Certificate) -> str:
    """Return the digest of whom a certificate names, as `issuer_name` has it.

    Raises `BrokenChain` where that cannot be read.
    """
    try:
        return _name_digest(certificate.subject)
    except _UNREADABLE as error:
        raise BrokenChain(check="chain.certificate") from error


def _name_digest(name: x509.Name) -> str:
    """Return the hex SHA-256 of a distinguished name's DER (RFC 5280, section 4.1.2.4), whose spelling counts."""
    return hashlib.sha256(name.public_bytes()).hexdigest()


def common_name(chain: Chain) -> str:
    """Return the first common name in the subject of the device's own certificate, empty where it has none."""
    try:
        names = chain.certificates[0].subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except _UNREADABLE:
        return ""
    value = names[0].value if names else ""
    return value if isinstance(value, str) else ""


def require_valid_path(chain: Chain, anchor: int, now: int) -> None:
    """Check the path from the device's own certificate to the one at index `anchor`, which is trusted (RFC 5280, section 6).

    The one that is trusted need not be a root. Every certificate on the way is in its time, every one but the first is an
    authority's and lets as many follow as do; keys and digests are of today's sizes; the first is one for TLS clients. An
    authority without key usage is taken, as old ones have none. Raises `BrokenChain`.
    """
    path = chain.certificates[: anchor + 1]
    try:
        _require_dates(path, now)
        _require_leaf(path)
        for below, authority in enumerate(path[1:]):
            _require_authority(authority, below)
        _require_strength(path)
        _verify(path, now)
    except _UNREADABLE as error:
        raise BrokenChain(check="chain.certificate") from error


def _require_dates(path: tuple[x509.Certificate, ...], now: int) -> None:
    if any(now > _milliseconds(each.not_valid_after_utc) for each in path):
        raise BrokenChain(check="chain.expired")
    if any(now < _milliseconds(each.not_valid_before_utc) for each in path):
        raise BrokenChain(check="chain.early")


def _require_leaf(path: tuple[x509.Certificate, ...]) -> None:
    """Check that the first certificate is a TLS client's, and no authority's."""
    leaf = path[0].extensions
    constraints = _extension(leaf, x509.BasicConstraints)
    if len(path) == 1 or (constraints is not None and constraints.ca):
        raise BrokenChain(check="chain.leaf")
    purposes, usage = _extension(leaf, x509.ExtendedKeyUsage), _extension(leaf, x509.KeyUsage)
    signs = usage is None or usage.digital_signature or usage.key_agreement
    if not signs or (purposes is not None and _CLIENT.isdisjoint(purposes)):
        raise BrokenChain(check="chain.usage")


def _require_authority(certificate: x509.Certificate, below: int) -> None:
    """Check that a certificate may sign others with so many authorities below it."""
    constraints = _extension(certificate.extensions, x509.BasicConstraints)
    usage = _extension(certificate.extensions, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage is not None and not usage.key_cert_sign):
        raise BrokenChain(check="chain.authority")
    if constraints.path_length is not None and constraints.path_length < below:
        raise BrokenChain(check="chain.path_length")


def _require_strength(path: tuple[x509.Certificate, ...]) -> None:
    """Check keys and digests. An authority has no Ed25519 key, as the path's verifier knows none."""
    for place, certificate in enumerate(path):
        key = certificate.public_key()
        is_strong_rsa = isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS
        is_strong_curve = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)
        if not (is_strong_rsa or is_strong_curve or (place == 0 and isinstance(key, ed25519.Ed25519PublicKey))):
            raise BrokenChain(check="chain.key")
    for issued in path[:-1]:
        digest = issued.signature_hash_algorithm
        if digest is None or digest.name not in _HASHES:
            raise BrokenChain(check="chain.digest")


def _verify(path: tuple[x509.Certificate, ...], now: int) -> None:
    """Let the library judge the path as a whole: signatures, name constraints, extensions that are critical and not known.

    It does not take a first certificate of X.509 version 1, as `openssl x509 -req` makes them. That has no extensions, and its
    signature was checked before: the path above is judged without it, where nothing there says how it may be called.
    """
    if path[0].version is x509.Version.v1:
        path = path[1:]
        if any(_extension(each.extensions, x509.NameConstraints) for each in path):
            raise BrokenChain(check="chain.invalid")
    if len(path) == 1:
        return
    anything = verification.ExtensionPolicy.permit_all()
    flagged = anything.require_present(x509.BasicConstraints, verification.Criticality.AGNOSTIC, None)
    verifier = (
        verification.PolicyBuilder()
        .store(verification.Store([path[-1]]))
        .time(datetime.datetime.fromtimestamp(now // 1000, datetime.UTC))
        .max_chain_depth(MOST_CERTIFICATES)
        .extension_policies(ca_policy=flagged, ee_policy=anything)
        .build_client_verifier()
    )
    try:
        verifier.verify(path[0], list(path[1:-1]))
    except verification.VerificationError as error:
        raise BrokenChain(check="chain.invalid") from error


def _extension(extensions: x509.Extensions, kind: type[E]) -> E | None:
    try:
        return extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _milliseconds(time: datetime.datetime) -> int:
    return round(time.timestamp() * 1000)
