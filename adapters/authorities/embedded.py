"""The authority in this gateway: signs with the key of a certificate of its own, away from where requests are served."""

import asyncio

from adapters.authorities.under_way import UnderWay
from adapters.exchange import Meter
from core.crypto.issuance import Authority, sign_certificate, sign_revocations
from core.ports import Revocation, SigningRequest


class EmbeddedAuthority:
    """Satisfies `core.ports.CertificateAuthority` and `RevocationSigner`. At most `at_once` signatures are under way."""

    def __init__(self, authority: Authority, meter: Meter, crl_url: str = "", *, at_once: int) -> None:
        self._authority = authority
        self._crl_url = crl_url
        self._signing = UnderWay(at_once, meter)
        self._certificates = authority.certificates

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """Return the authority's certificates, the one that signs first."""
        return self._certificates

    async def sign(self, request: SigningRequest) -> tuple[bytes, ...]:
        """Return a certificate and those behind it. Raises `Refusal` UNAVAILABLE where enough are being signed."""
        with self._signing:
            signed = await asyncio.to_thread(sign_certificate, self._authority, request, self._crl_url)
        return signed, *self._certificates

    async def sign_revocations(self, revoked: tuple[Revocation, ...], now: int, until: int) -> bytes:
        """Return a list of what is revoked, good between two times. Raises `Refusal` UNAVAILABLE as `sign` does."""
        with self._signing:
            return await asyncio.to_thread(sign_revocations, self._authority, revoked, now, until)
