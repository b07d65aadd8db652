"""A certificate authority for tests, and a registry whose devices are given certificates by it."""

import datetime
from collections.abc import Callable

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from core.certifying import Certifier
from core.crypto.issuance import Authority, open_authority, sign_certificate, sign_revocations
from core.crypto.signing_requests import make_private_key
from core.errors import Refusal
from core.limits import Buckets, Rate
from core.messages import AccessToken, CertificateSigned, Identity, Login, SignRequest, TokenLogin
from core.model import Device, IssuingPolicy, Profile, Secret
from core.ports import Changes, Repository, Revocation, SigningRequest
from core.queries import IssuedPage, IssuedSnapshot
from core.sign_certificates import SignCertificates
from tests.core.registry import CONTEXT, UNLIMITED, Registry
from tests.fakes import START

DAY_MS = 86_400_000
TOKEN = Secret("token-of-meter-1")
LOGIN = TokenLogin(TOKEN)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey
NO_ENCRYPTION = serialization.NoEncryption()


def made(
    name: str = "Meters CA",
    by: tuple[x509.Certificate, Key] | None = None,
    key: Key | None = None,
    *,
    ca: bool = True,
    days: float = 3_650,
    begins: int = START - DAY_MS,
    usage: tuple[bool, bool] | None = (True, True),
    identified: bool = True,
) -> tuple[x509.Certificate, Key]:
    """Make a certificate with its key, by itself unless somebody else is named. `usage`: signs certificates, signs lists."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer, signer = (by[0].subject, by[1]) if by else (subject, key)
    first = datetime.datetime.fromtimestamp(begins // 1000, datetime.UTC)
    builder = x509.CertificateBuilder(issuer, subject, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(first).not_valid_after(first + datetime.timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
    if identified:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if usage is not None:
        flags = {"key_cert_sign": usage[0], "crl_sign": usage[1]}
        others = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
        flags |= dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
        builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
    return builder.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else SHA256()), key


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate as DER."""
    return certificate.public_bytes(serialization.Encoding.DER)


def key_pem(key: Key, passphrase: bytes = b"") -> bytes:
    """Return a private key as PEM."""
    sealing = serialization.BestAvailableEncryption(passphrase) if passphrase else NO_ENCRYPTION
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, sealing)


def authority(*certificates: tuple[x509.Certificate, Key]) -> Authority:
    """Open an authority; the first signs."""
    chain = certificates or (made(),)
    return open_authority(tuple(der(each) for each, _ in chain), key_pem(chain[0][1]), None)


class SignedHere:
    """An authority in this process. `answers` changes what it answers, `before` runs before it signs."""

    def __init__(self, opened: Authority | None = None) -> None:
        self.opened = opened or authority()
        self.asked: list[SigningRequest] = []
        self.answers: Callable[[SigningRequest], tuple[bytes, ...]] = self._sign
        self.refusal: Refusal | None = None
        self.lists = 0

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """Return its certificates."""
        return self.opened.certificates

    async def sign(self, request: SigningRequest) -> tuple[bytes, ...]:
        """Sign, or refuse as told."""
        self.asked.append(request)
        if self.refusal:
            raise self.refusal
        return self.answers(request)

    async def sign_revocations(self, revoked: tuple[Revocation, ...], now: int, until: int) -> bytes:
        """Sign a list."""
        self.lists += 1
        return sign_revocations(self.opened, revoked, now, until)

    def _sign(self, request: SigningRequest) -> tuple[bytes, ...]:
        return sign_certificate(self.opened, request, ""), *self.opened.certificates


class KeysHere:
    """Key pairs made at once."""

    async def make(self, algorithm: str) -> bytes:
        """Return a private key."""
        return make_private_key(algorithm)


class SigningRegistry(Registry):
    """A registry with an authority."""

    def __init__(
        self,
        repository: Repository | None = None,
        *,
        signing: Rate = UNLIMITED,
        devices: Rate = UNLIMITED,
        issues: bool = True,
        makes_keys: bool = True,
    ) -> None:
        super().__init__(repository)
        self.authority = SignedHere()
        self.certifier = Certifier(self.issuer, self.authority, KeysHere() if makes_keys else None)
        self.sign = SignCertificates(
            self.repository,
            self.issuer,
            self.audit,
            self.authenticate,
            self.certifier if issues else None,
            Buckets(signing),
            Buckets(devices),
        )

    async def meter(self, name: str = "meter-1", policy: IssuingPolicy | None = None, token: Secret = TOKEN) -> Device:
        """Add a device with a token, whose profile issues certificates."""
        profile = await self.profile()
        await self.allow(profile, policy or IssuingPolicy(lifetime_s=86_400, key_pairs=True))
        return await self.device(profile, name, AccessToken(token))

    async def allow(self, profile: Profile, policy: IssuingPolicy | None) -> None:
        """Say what certificates the devices of a profile may have."""
        changed = msgspec.structs.replace(profile, issuing=policy, version=profile.version + 1)
        await self.repository.commit(Changes(replace=(changed,)))

    async def ask(
        self, content: bytes | None = None, *, who: Login | Identity = LOGIN, key: str | None = None
    ) -> CertificateSigned:
        """Ask for a certificate as a device."""
        self.clock.advance(0.001)
        return await self.sign(SignRequest(who=who, request=content, key_algorithm=key), CONTEXT)

    async def refused(self, content: bytes | None = None, **how: object) -> Refusal:
        """Ask in vain."""
        try:
            answer = await self.ask(content, **how)  # type: ignore[arg-type] # a table of fields
        except Refusal as refusal:
            return refusal
        raise AssertionError(f"not refused: {answer!r}")

    async def issued(self, *, revoked: bool = False) -> tuple[IssuedSnapshot, ...]:
        """Return what was made and is not over."""
        return await self.repository.read(IssuedPage(until=self.clock.now(), revoked=revoked))
