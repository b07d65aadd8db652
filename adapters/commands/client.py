"""An HTTP client of the operator API: requests, pages, and one line for everything that can go wrong."""

import contextlib
import io
import os
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from urllib.parse import quote, urlencode

import aiohttp
import msgspec
from yarl import URL

from adapters.commands.access import TOKEN_FILE_VARIABLE, TOKEN_VARIABLE, URL_VARIABLE, Access
from adapters.commands.api import Page, Problem, decode
from adapters.commands.failure import Failure, UsageError

PAGE = 1000
PAGES = {"configs": 100}
"""Entries of a page, where a list allows fewer of them."""

_NAMED = frozenset({"devices", "profiles", "tokens"})
"""Nouns that an operator may call by their name; the names of the others need not be unique."""

_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
_BUSY = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)

Query = Mapping[str, str | int | None]


class Unreachable(Failure):
    """Nothing answered."""


class Refused(Failure):
    """The gateway answered, and it said no."""

    def __init__(self, text: str, code: int, check: str = "") -> None:
        super().__init__(text)
        self.code = code
        self.check = check


class Busy(Refused):
    """The gateway asks to come again later; `retry_after` is in seconds where it said when."""

    def __init__(self, text: str, code: int, retry_after: float | None) -> None:
        super().__init__(text, code)
        self.retry_after = retry_after


class Answer(msgspec.Struct, frozen=True):
    """What a granted request got: the body, and the cursor of a page that is not JSON."""

    body: bytes
    next: str | None = None


class _Named(msgspec.Struct, frozen=True):
    id: str
    name: str


class Gateway:
    """The operator API of one gateway. Every method raises `Refused`, `Busy` or `Unreachable`."""

    def __init__(self, session: aiohttp.ClientSession, access: Access) -> None:
        self._session = session
        self._url = access.url
        self._authorization = f"Bearer {access.token.reveal()}"
        self._scope = {"tenant": access.tenant or None}

    async def get(self, *segments: str, query: Query | None = None) -> bytes:
        """Return the body that a path below `/v1` has."""
        return (await self.request("GET", *segments, query=query)).body

    async def send(self, method: str, *segments: str, body: msgspec.Struct | None = None) -> bytes:
        """Send a body and return the answer's."""
        return (await self.request(method, *segments, body=body)).body

    async def pages(self, *segments: str, query: Query | None = None) -> AsyncIterator[tuple[msgspec.Raw, ...]]:
        """Yield page after page to the end."""
        after: str | None = None
        while True:
            page = await self.page(
                *segments,
                query={"limit": PAGES.get(segments[-1], PAGE), **(query or {}), **({"after": after} if after else {})},
            )
            yield page.items
            after = page.next
            if after is None:
                return

    async def page(self, *segments: str, query: Query) -> Page[msgspec.Raw]:
        """Return one page."""
        return decode(await self.get(*segments, query=query), Page[msgspec.Raw])

    async def request(
        self, method: str, *segments: str, query: Query | None = None, body: msgspec.Struct | None = None
    ) -> Answer:
        """Make one request and read its answer to the end."""
        segments = await self._addressed(segments)
        try:
            async with self._session.request(
                method,
                URL(self._url + _path(segments) + _query({**(query or {}), **self._scope}), encoded=True),
                data=None if body is None else io.BytesIO(msgspec.json.encode(body)),  # aiohttp sends a stream in parts
                headers={"Authorization": self._authorization, "Content-Type": "application/json"},
                allow_redirects=False,  # a token goes where it was meant to go and nowhere else
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as fault:
            raise Unreachable(self._unreachable(fault)) from fault
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _refused(response, content)
        return Answer(content, response.headers.get("X-Next") or None)

    async def lines(self, *segments: str, body: msgspec.Struct) -> AsyncIterator[bytes]:
        """Send a body and yield the lines of the answer (NDJSON) as they come; one that breaks off raises `Unreachable`."""
        try:
            async with self._session.post(
                URL(self._url + _path(segments) + _query(self._scope), encoded=True),
                data=io.BytesIO(msgspec.json.encode(body)),
                headers={"Authorization": self._authorization, "Content-Type": "application/json"},
                allow_redirects=False,
            ) as response:
                if response.status >= HTTPStatus.MULTIPLE_CHOICES:
                    raise _refused(response, await response.read())
                async for line in response.content:
                    yield line
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as fault:  # ValueError: a line without an end
            raise Unreachable(self._unreachable(fault)) from fault

    async def _addressed(self, segments: tuple[str, ...]) -> tuple[str, ...]:
        """Put an id where a name has a slash: servers and proxies do as they please with %2F (RFC 3986, section 2.2).

        Raises `UsageError` where an id or a name is nothing: its path would be another one's.
        """
        if not all(segments):
            raise UsageError("an id or a name is needed, and there is nothing in its place")
        if len(segments) < 2 or "/" not in segments[1]:
            return segments
        noun, name, *rest = segments
        if noun not in _NAMED:
            return segments
        async for page in self.pages(noun, query={"name": name} if noun == "devices" else None):
            for each in (decode(body, _Named) for body in page):
                if each.name == name:
                    return (noun, each.id, *rest)
        raise Refused(f"there is no {noun.removesuffix('s')} named {name}", HTTPStatus.NOT_FOUND)

    def _unreachable(self, fault: Exception) -> str:
        if isinstance(fault, aiohttp.ClientConnectorCertificateError):
            reason = f"its certificate is not trusted: {fault.certificate_error}"
            return f"no answer from {self._url} ({reason}): set SSL_CERT_FILE to the certificate of its authority"
        return f"no answer from {self._url} ({_reason(fault)}): is the gateway running? {URL_VARIABLE} says where it is"


@contextlib.asynccontextmanager
async def connect(access: Access) -> AsyncIterator[Gateway]:
    """Open a client for as long as the block runs."""
    async with aiohttp.ClientSession(timeout=_TIMEOUT, cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Gateway(session, access)


def _path(segments: tuple[str, ...]) -> str:
    return "".join(f"/{_quote(segment)}" for segment in ("v1", *segments))


def _quote(segment: str) -> str:
    """Percent-encode a segment; one of dots alone would be resolved away (RFC 3986, section 5.2.4)."""
    return segment.replace(".", "%2E") if segment in (".", "..") else quote(segment, safe=":")


def _query(query: Query) -> str:
    given = {name: str(value) for name, value in query.items() if value is not None}
    return f"?{urlencode(given)}" if given else ""


def _reason(fault: Exception) -> str:
    if isinstance(fault, TimeoutError):
        return "timed out"
    if isinstance(fault, aiohttp.ClientConnectorSSLError):
        return "the TLS handshake failed; it may be plain http there"
    if isinstance(fault, aiohttp.ClientConnectorError):
        number = fault.os_error.errno
        return os.strerror(number) if number and number > 0 else str(fault.os_error)  # a resolver's numbers are negative
    return str(fault) or type(fault).__name__


def _refused(response: aiohttp.ClientResponse, content: bytes) -> Refused:
    try:
        problem = msgspec.json.decode(content, type=Problem)
    except (ValueError, RecursionError):
        problem = Problem()
    text = _explain(response, problem)
    if response.status in _BUSY:
        return Busy(text, response.status, _seconds(response.headers.get("Retry-After")))
    return Refused(text, response.status, problem.check)


def _explain(response: aiohttp.ClientResponse, problem: Problem) -> str:
    request = problem.request_id or response.headers.get("X-Request-ID", "")
    notes = [str(response.status), *([f"check {problem.check}"] if problem.check else [])]
    notes += [f"request {request}"] if request else []
    return f"{_sentence(response, problem)} ({', '.join(notes)})"


def _sentence(response: aiohttp.ClientResponse, problem: Problem) -> str:
    if response.status == HTTPStatus.UNAUTHORIZED:
        return f"the gateway does not know this token: set {TOKEN_VARIABLE} or {TOKEN_FILE_VARIABLE} to one it does"
    if response.status < HTTPStatus.BAD_REQUEST:
        return f"redirected to {response.headers.get('Location', 'nowhere')}: set {URL_VARIABLE} to where the gateway is"
    if response.status == HTTPStatus.NOT_FOUND and not (problem.detail or problem.title):
        return f"the operator API is not at this address: set {URL_VARIABLE} to where it is"
    return problem.detail or problem.title or response.reason or "refused"


def _seconds(text: str | None) -> float | None:
    try:
        return max(0.0, float(text or ""))
    except ValueError:
        return None
