"""Many requests in one: each is read, carried out and answered as if it had come alone, one after the other.

They have the bearer token of the batch and no headers of their own, so an update in a batch names no version and is refused.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from adapters.dialects.xively import login, refusing
from adapters.dialects.xively.endpoint import Asked, Endpoint, account_of, require_text
from adapters.dialects.xively.endpoints import find
from adapters.dialects.xively.faults import malformed, missing, unfit
from adapters.dialects.xively.reading import Members, text
from core.errors import Refusal
from core.model import Secret
from core.operate.messages import Operation, Operations, Unreadable

OPERATION: Final = "batch"
METHOD: Final = "POST"
PATH: Final = "/api/v1/batch"
REQUESTS: Final = 100
_URL_CHARACTERS: Final = 2_048
_QUERY_FIELDS: Final = 64


class _Entry(msgspec.Struct, frozen=True):
    """A request of a batch that could be read."""

    endpoint: Endpoint
    asked: Asked


def read(members: Members, bearer: Secret) -> Operations:
    """Read the requests; one that cannot be read is refused in its place. Raises `Refusal` MALFORMED."""
    return Operations(tuple(_operation(request, bearer) for request in _requests(members)))


def write(results: tuple[Any, ...], members: Members) -> list[Any]:
    """Return the answer to each request, in their order."""
    return [_answer(request, result) for request, result in zip(_requests(members), results, strict=True)]


def _requests(members: Members) -> list[Any]:
    requests = members.get("requests")
    if requests is None:
        raise missing("requests")
    if not isinstance(requests, list):
        raise unfit("requests", "an array")
    if not 0 < len(requests) <= REQUESTS:
        raise malformed(f"requests must be 1 to {REQUESTS}", "batch.size", "requests")
    return requests


def _operation(request: Any, bearer: Secret) -> Operation:
    try:
        entry = _read(request)
        return Operation(bearer, account_of(entry.endpoint, entry.asked), entry.endpoint.command(entry.asked))
    except Refusal as refusal:
        return Operation(bearer, None, Unreadable(refusal))


def _answer(request: Any, result: Any) -> Any:
    try:
        entry = _read(request)
    except Refusal:  # it is the result as well
        return refusing.error(result, "")
    if isinstance(result, Refusal):
        return refusing.error(result, entry.endpoint.operation)
    return entry.endpoint.write(result, entry.asked).body


def _read(request: Any) -> _Entry:
    if not isinstance(request, dict):
        raise unfit("requests", "an array of objects")
    method, url = text(request, "method").upper(), request.get("path")
    if not isinstance(url, str) or not 0 < len(url) <= _URL_CHARACTERS:
        raise unfit("path", f"a string of 1 to {_URL_CHARACTERS} characters")
    path, query = _split(url)
    if path in (PATH, login.PATH):
        raise malformed("this cannot be asked for in a batch", "batch.nested", "path")
    endpoint, params = find(method, path)
    require_text((*params.values(), *query.values()))
    return _Entry(endpoint, Asked(params=params, query=query, members=_payload(request) if endpoint.has_body else {}))


def _split(url: str) -> tuple[str, Mapping[str, str]]:
    """Return path and query of a URL, whatever its scheme and host are."""
    try:
        parts = urlsplit(url)
        return unquote(parts.path), dict(parse_qsl(parts.query, keep_blank_values=True)[:_QUERY_FIELDS])
    except ValueError as error:
        raise unfit("path", "a path or URL") from error


def _payload(request: Members) -> Members:
    payload = request.get("payload")
    if payload is None:
        return {}
    if not isinstance(payload, dict):
        raise unfit("payload", "an object")
    return payload
