"""HTTP's words for neutral ones: one status for every outcome (RFC 9110, RFC 6585)."""

import re
from collections.abc import Mapping
from math import ceil
from types import MappingProxyType
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from adapters.exchange import Carrier, Inbound, Outbound, Outcome, Peer, Success
from core.errors import Reason
from core.messages import Identity

STATUS: Mapping[Outcome, int] = MappingProxyType(
    {
        Success.OK: 200,
        Success.CREATED: 201,
        Success.CHANGED: 200,
        Success.DELETED: 204,
        Success.ACCEPTED: 202,
        Success.UNCHANGED: 304,
        Reason.MALFORMED: 400,
        Reason.UNAUTHENTICATED: 401,
        Reason.FORBIDDEN: 403,
        Reason.NOT_FOUND: 404,
        Reason.NOT_ALLOWED: 405,
        Reason.CONFLICT: 409,
        Reason.STALE: 412,
        Reason.TOO_LARGE: 413,
        Reason.UNSUPPORTED: 415,
        Reason.UNPROCESSABLE: 422,
        Reason.MOVED: 302,
        Reason.TOO_MANY: 429,
        Reason.UNAVAILABLE: 503,
        Reason.INTERNAL: 500,
    }
)
QUERY_FIELDS = 64
REPEAT_KEY = "Idempotency-Key"
ENTITY_TAGS = 16
_ENTITY_TAG = re.compile(r'"([0-9a-f]{1,32})"')  # ours are hex: no other can match
_ESCAPED_SLASH = re.compile("%2f", re.IGNORECASE)


def inbound(request: web.BaseRequest, peer: Peer, body: bytes, identity: Identity | None = None) -> Inbound:
    """Make a neutral request. The path is decoded once, byte sequences that are not UTF-8 become U+FFFD."""
    raw_path, _, raw_query = target(request).partition("?")
    return Inbound(
        carrier=Carrier.HTTP,
        method=request.method,
        path=unquote(raw_path),
        peer=peer,
        segments=tuple(map(unquote, raw_path.split("/"))) if _ESCAPED_SLASH.search(raw_path) else (),
        query=_query(raw_query),
        raw_query=raw_query,
        held=_entity_tags(request.headers.get("If-None-Match")),
        headers=request.headers,
        content_type=request.headers.get("Content-Type"),
        body=body,
        identity=identity,
        repeat_key=_repeat_key(request.headers.get(REPEAT_KEY)),
    )


def target(request: web.BaseRequest) -> str:
    """Return path and query as they were sent, without the origin in front that proxies write (RFC 9112, section 3.2.2)."""
    raw = request.raw_path
    if raw.startswith("/") or "://" not in raw:
        return raw
    _, slash, rest = raw.partition("://")[2].partition("/")
    return slash + rest or "/"


def outbound(answer: Outbound) -> web.Response:
    """Make a response; `X-Request-ID` is what `firstlight explain` asks for."""
    return web.Response(status=STATUS[answer.outcome], body=answer.body, headers=_headers(answer))


def head(answer: Outbound) -> web.StreamResponse:
    """Make a response whose body is sent piece by piece."""
    return web.StreamResponse(status=STATUS[answer.outcome], headers=_headers(answer))


def _headers(answer: Outbound) -> dict[str, str]:
    headers = dict(answer.headers)
    headers["Server"] = "firstlight"
    if answer.correlation:
        headers["X-Request-ID"] = answer.correlation
    if answer.retry_after is not None:
        headers["Retry-After"] = str(ceil(answer.retry_after))
    if answer.etag:
        headers["ETag"] = f'"{answer.etag}"'
    if answer.content_type is not None:
        headers["Content-Type"] = answer.content_type
    return headers


def _repeat_key(header: str | None) -> str:
    """Read a key, a string of RFC 8941 in quotes (draft-ietf-httpapi-idempotency-key-header); many senders leave these out."""
    return "" if header is None else header.strip().strip('"')


def _entity_tags(header: str | None) -> tuple[str, ...]:
    """Read If-None-Match (RFC 9110, section 13.1.2); whether a tag is weak makes no difference there."""
    if header is None:
        return ()
    if header.strip() == "*":
        return ("*",)
    return tuple(_ENTITY_TAG.findall(header)[:ENTITY_TAGS])


def _query(text: str) -> dict[str, str]:
    """Read the query; one with too many fields is read as far as it may be."""
    return dict(parse_qsl(text, keep_blank_values=True)[:QUERY_FIELDS]) if text else {}
