"""An authority behind an address: EST (RFC 7030), or any server that takes a request as PEM and answers certificates."""

import base64
import ssl
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit, urlunsplit

import aiohttp

from adapters.authorities.answers import AGAIN_SECONDS, unavailable, unwilling
from adapters.authorities.asking import Asking
from adapters.authorities.config import AuthorityConfig
from adapters.exchange import Meter
from core.model import Secret
from core.ports import SigningRequest

_EST: Final = "/simpleenroll"
_UNWILLING: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY})
_GRANTED: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED})
_PATIENCE_SECONDS: Final = 3_600
_TYPES: Final = "application/pkcs7-mime, application/pem-certificate-chain, application/x-pem-file, application/pkix-cert"


class EndpointAuthority:
    """Satisfies `core.ports.CertificateAuthority`.

    Where the path ends in `/simpleenroll`, the request is sent as RFC 7030, section 4.2.1 has it (base64 of PKCS#10), otherwise
    as PEM; both as `application/pkcs10`. The answer is PKCS#7, PEM or DER. What a request is called is what the device
    wrote there: the certificate is refused here unless its common name is the device's, whatever the server takes it from.
    """

    def __init__(
        self,
        url: str,
        password: Secret | None,
        trust: Path | None,
        authorities: tuple[bytes, ...],
        bounds: AuthorityConfig,
        meter: Meter,
    ) -> None:
        self._url, self._authorization = _split(url, password)
        self._tls = ssl.create_default_context(cafile=trust)
        self._authorities = authorities
        self._asking = Asking(bounds, meter, "the certificate authority cannot be asked")

    @property
    def authorities(self) -> tuple[bytes, ...]:
        """Return the certificates that what the server answers is checked by."""
        return self._authorities

    async def sign(self, request: SigningRequest) -> tuple[bytes, ...]:
        """Return a certificate and those behind it. Raises `Refusal` FORBIDDEN or UNAVAILABLE."""
        return await self._asking.chain(request, self._post)

    async def _post(self, request: SigningRequest) -> bytes:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=self._asking.bounds.seconds)) as session,
            session.post(
                self._url, data=self._body(request), headers=self._headers(), ssl=self._tls, allow_redirects=False
            ) as answer,
        ):
            content = await self._bounded(answer)
            if answer.status in _GRANTED:
                return content
            self._asking.log.warning("the certificate authority refused", status=answer.status, device=request.device)
            if answer.status in _UNWILLING:
                raise unwilling()
            raise unavailable(_patience(answer.headers.get("Retry-After", "")))

    async def _bounded(self, answer: aiohttp.ClientResponse) -> bytes:
        content = b""
        async for chunk in answer.content.iter_any():
            content += chunk
            self._asking.require_short(len(content))
        return content

    def _body(self, request: SigningRequest) -> bytes:
        text = base64.encodebytes(request.request)
        if urlsplit(self._url).path.endswith(_EST):
            return text
        return b"-----BEGIN CERTIFICATE REQUEST-----\n" + text + b"-----END CERTIFICATE REQUEST-----\n"

    def _headers(self) -> dict[str, str]:
        headers = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64", "Accept": _TYPES}
        return headers | ({"Authorization": self._authorization} if self._authorization else {})


def _split(url: str, password: Secret | None) -> tuple[str, str]:
    """Return the address without its user, and what is sent as `Authorization` (RFC 7617, RFC 6750); empty: nothing."""
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{password.reveal() if password else ''}"
        return bare, "Basic " + base64.b64encode(pair.encode()).decode("ascii")
    return bare, f"Bearer {password.reveal()}" if password else ""


def _patience(text: str) -> float:
    """Read Retry-After in seconds (RFC 9110, section 10.2.3); a date is none of ours."""
    return float(min(int(text), _PATIENCE_SECONDS)) if text.isascii() and text.isdigit() else AGAIN_SECONDS
