"""What this server proves itself with and whom it asks for: certificates and a key, read from files and read again."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec
import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from OpenSSL import SSL

log = structlog.get_logger("firstlight")

ServerKey = RSAPrivateKey | EllipticCurvePrivateKey | Ed25519PrivateKey | Ed448PrivateKey

CERTIFICATE: Final = "certificate"
KEY: Final = "key"
CLIENT_AUTHORITIES: Final = "client_authorities"

_MOST_BYTES = 1_048_576
_LEAST_RSA_BITS = 2_048
# What cryptography raises for what it cannot read; some of it only once a part is asked for.
_UNREADABLE = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class MaterialError(ValueError):
    """A file that cannot be used. Its text names the file, the fault and the mend; `part` is which of the files it is."""

    def __init__(self, part: str, text: str) -> None:
        super().__init__(text)
        self.part = part


class ServerMaterial(msgspec.Struct, frozen=True):
    """A chain of certificates, leaf first, the leaf's private key, and the authorities that clients have to come from.

    Certificates are DER. Without authorities a client may come with any certificate, for others to judge.
    """

    chain: tuple[bytes, ...]
    key: ServerKey
    client_authorities: tuple[bytes, ...] = ()

    @property
    def ends(self) -> float:
        """When the first of the chain's certificates ends, in seconds since the Unix epoch."""
        return min(x509.load_der_x509_certificate(each).not_valid_after_utc.timestamp() for each in self.chain)

    def __repr__(self) -> str:
        return f"ServerMaterial({len(self.chain)} certificates, {len(self.client_authorities)} client authorities)"


def read(certificate: Path, key: Path, client_ca: Path | None = None) -> ServerMaterial:
    """Read PEM files. Raises `MaterialError` (a `ValueError`) for the first that is wrong or does not fit the others."""
    chain = _certificates(CERTIFICATE, certificate)
    private = _key(key)
    if _public(chain[0].public_key()) != _public(private.public_key()):
        raise MaterialError(
            KEY,
            f"{key} is not the key of the first certificate in {certificate}; give the key that this certificate was made for, "
            "and write the server's own certificate before those of its authorities",
        )
    authorities = _certificates(CLIENT_AUTHORITIES, client_ca) if client_ca is not None else ()
    material = ServerMaterial(_der(chain), private, _der(authorities))
    try:
        prove(SSL.Context(SSL.TLS_SERVER_METHOD), material)
    except SSL.Error as error:
        mend = "give one with a longer key, or a newer signature"
        raise MaterialError(CERTIFICATE, f"{certificate} is not taken by OpenSSL ({openssl_reason(error)}); {mend}") from error
    return material


def prove(context: SSL.Context, material: ServerMaterial) -> None:
    """Have a context prove itself with this certificate. Raises `SSL.Error` where OpenSSL does not take it."""
    leaf, *others = map(x509.load_der_x509_certificate, material.chain)
    context.use_certificate(leaf)
    context.use_privatekey(material.key)
    for certificate in others:
        context.add_extra_chain_cert(certificate)
    context.check_privatekey()


def openssl_reason(error: Exception) -> str:
    """Return OpenSSL's own words for what went wrong, such as `unsupported protocol`; empty: it has none."""
    queue = error.args[0] if error.args else ""
    return str(queue[-1][-1]) if isinstance(queue, list) and queue else ""


class Material:
    """The material in use: that of the files, read again when they change.

    A new certificate whose files are faulty, or not there, is told once; what was there before stays in use.
    """

    def __init__(self, certificate: Path, key: Path, client_ca: Path | None = None, *, seconds: float = 10.0) -> None:
        """Read the files, which are looked at again every `seconds`. Raises `MaterialError`."""
        self._files = (certificate, key, client_ca)
        self._seconds = seconds
        self._changed: list[Callable[[], None]] = []
        self._seen = self._look()
        self.current = read(*self._files)
        _tell_of_dates(self.current)

    def subscribe(self, changed: Callable[[], None]) -> None:
        """Call `changed`, from the loop and without waiting, whenever `current` is another one."""
        self._changed.append(changed)

    async def run(self) -> None:
        """Look at the files until cancelled."""
        while True:
            await asyncio.sleep(self._seconds)
            self.look()

    def look(self) -> None:
        """Read the files if one of them changed."""
        seen = self._look()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            material = read(*self._files)
        except MaterialError as error:
            log.error("the new TLS certificate cannot be used, the old one stays", part=error.part, fault=str(error))
            return
        if _is_same(material, self.current):
            return
        self.current = material
        log.info("the TLS certificate was read again", certificates=len(material.chain))
        _tell_of_dates(material)
        for changed in self._changed:
            changed()

    def _look(self) -> tuple[tuple[int, ...], ...]:
        return tuple(_trace(file) for file in self._files if file is not None)


def _trace(file: Path) -> tuple[int, ...]:
    """Return what changes with a file's content: symbolic links are followed, as Kubernetes swaps those."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_mtime_ns, status.st_ino, status.st_size


def _is_same(one: ServerMaterial, other: ServerMaterial) -> bool:
    """Tell whether two are the same; the key goes with the first certificate."""
    return (one.chain, one.client_authorities) == (other.chain, other.client_authorities)


def _read(part: str, file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise MaterialError(
            part, f"cannot read {file}: {reason}; give the path of a PEM file that this user may read"
        ) from error
    if len(data) > _MOST_BYTES:
        raise MaterialError(part, f"{file} is larger than {_MOST_BYTES} bytes; give a PEM file")
    return data


def _certificates(part: str, file: Path) -> tuple[x509.Certificate, ...]:
    data = _read(part, file)
    try:
        found = tuple(x509.load_pem_x509_certificates(data))
        for certificate in found:
            certificate.public_key()
            certificate.extensions  # noqa: B018 - both are decoded when they are asked for
    except _UNREADABLE as error:
        mend = "give a file with a -----BEGIN CERTIFICATE----- part"
        raise MaterialError(part, f"{file} holds no certificate that can be read; {mend}") from error
    return found


def _key(file: Path) -> ServerKey:
    data = _read(KEY, file)
    try:
        key = load_pem_private_key(data, None)
    except TypeError as error:
        mend = "decrypt it with openssl pkey, and let the file's mode guard it"
        raise MaterialError(KEY, f"{file} is encrypted; {mend}") from error
    except _UNREADABLE as error:
        raise MaterialError(KEY, f"{file} holds no private key; give a file with a -----BEGIN PRIVATE KEY----- part") from error
    if isinstance(key, RSAPrivateKey) and key.key_size < _LEAST_RSA_BITS:
        raise MaterialError(KEY, f"{file} is an RSA key of {key.key_size} bits; give one of {_LEAST_RSA_BITS} or more")
    if not isinstance(key, ServerKey):
        raise MaterialError(KEY, f"{file} holds a key that TLS servers do not have; give an EC, Ed25519 or RSA key")
    return key


def _public(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _der(certificates: tuple[x509.Certificate, ...]) -> tuple[bytes, ...]:
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in certificates)


def _tell_of_dates(material: ServerMaterial) -> None:
    """Warn where the server's certificate is not good now: clients refuse it, but a wrong clock may be to blame."""
    leaf = x509.load_der_x509_certificate(material.chain[0])
    now = datetime.now(tz=leaf.not_valid_after_utc.tzinfo)
    if now > leaf.not_valid_after_utc:
        log.warning("the TLS certificate has expired", not_after=leaf.not_valid_after_utc.isoformat())
    elif now < leaf.not_valid_before_utc:
        log.warning("the TLS certificate is not valid yet", not_before=leaf.not_valid_before_utc.isoformat())
