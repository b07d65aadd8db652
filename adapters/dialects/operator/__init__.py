"""The operator API `/v1`, over HTTP: JSON in and out, bearer tokens, problem documents, described at `/openapi.json`.

It has no device routes; its lifecycle words are the registry's own. `DescribeApi` is answered by `describe`, without a token;
everything else is a `core.operate.Operation`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from adapters.dialects.operator import problem, writing
from adapters.dialects.operator.endpoint import Endpoint
from adapters.dialects.operator.endpoints import BY_OPERATION, DESCRIBE, ENDPOINTS, EXPORT, ROUTES
from adapters.dialects.operator.openapi import describe as describe_endpoints
from adapters.dialects.operator.reading import decoder, malformed, read_json, read_query
from adapters.exchange import Decoded, Guest, Inbound, Outbound, Route, Success
from core.errors import Refusal
from core.messages import Context
from core.model import Secret, TenantId
from core.operate.messages import Operation, Unreadable
from core.topic_spaces import TopicSpace

__all__ = [
    "GUESTS",
    "NAME",
    "ROUTES",
    "SUBSCRIPTIONS",
    "TOPICS",
    "ApiDescription",
    "DescribeApi",
    "Operation",
    "decode",
    "describe",
    "encode",
    "refuse",
]

NAME = "operator"
GUESTS: tuple[Guest, ...] = ()
SUBSCRIPTIONS: tuple[str, ...] = ()
TOPICS: tuple[TopicSpace, ...] = ()

_DECODERS = {endpoint.operation: decoder(endpoint.body) for endpoint in ENDPOINTS if endpoint.body is not None}
_NO_BODY = (b"", b"{}")
_BEARER = "bearer "
_JSON, _CSV = "application/json", "text/csv; charset=utf-8"
_HOUR = ("Cache-Control", "max-age=3600")


class DescribeApi(msgspec.Struct, frozen=True):
    """Somebody asks what the operator API is."""


class ApiDescription(msgspec.Struct, frozen=True):
    """The operator API as OpenAPI 3.1, in JSON."""

    document: bytes


_DESCRIPTION = ApiDescription(describe_endpoints(ENDPOINTS))


async def describe(_question: DescribeApi, _context: Context) -> ApiDescription:
    """Answer `DescribeApi`."""
    return _DESCRIPTION


def decode(route: Route, inbound: Inbound) -> Decoded:
    """Read a request; the form of its answer is the operation's name.

    Who asks, and what is wrong with the request, is for `Operate` to tell, in this order.
    """
    if route.operation == DESCRIBE:
        return Decoded(DescribeApi(), DESCRIBE)
    endpoint = BY_OPERATION[route.operation]
    bearer = _bearer(inbound.headers)
    try:
        operation = _operation(endpoint, bearer, inbound)
    except Refusal as refusal:
        operation = Operation(bearer, None, Unreadable(refusal))
    return Decoded(operation, endpoint.operation)


def _operation(endpoint: Endpoint, bearer: Secret, inbound: Inbound) -> Operation:
    _require_text((*inbound.params.values(), *inbound.query.values()))
    query = read_query(endpoint.query, inbound.query)
    body = _read_body(endpoint, inbound.body) if endpoint.unpack is None else endpoint.unpack(inbound)
    refs = tuple(inbound.params.values())
    command = endpoint.read(refs if len(refs) > 1 else "".join(refs), query, body)
    return Operation(bearer, TenantId(query.tenant) if query.tenant else None, command)


def encode(result: Any, form: str, inbound: Inbound) -> Outbound:
    """Write the answer to a granted request."""
    if isinstance(result, ApiDescription):
        return Outbound(outcome=Success.OK, body=result.document, content_type=_JSON, headers=(_HOUR,))
    endpoint = BY_OPERATION[form]
    if form == EXPORT:
        following = (("X-Next", result.next),) if result.next else ()
        return Outbound(
            outcome=endpoint.success,
            body=writing.csv_of(result),
            content_type=_CSV,
            headers=(problem.NO_STORE, *following),
        )
    if endpoint.stream is not None:
        return endpoint.stream(result, inbound)
    if endpoint.answer is None:
        return Outbound(outcome=endpoint.success)
    body = writing.json(endpoint.write(result))
    return Outbound(outcome=endpoint.success, body=body, content_type=_JSON, headers=(problem.NO_STORE,))


def refuse(refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
    """Write the answer to a refused request."""
    return problem.write(refusal)


def _read_body(endpoint: Endpoint, body: bytes) -> Any:
    if endpoint.body is None or (endpoint.may_omit_body and body.strip() in _NO_BODY):
        return None
    return read_json(_DECODERS[endpoint.operation], body)


def _bearer(headers: Mapping[str, str]) -> Secret:
    """Return the bearer token (RFC 6750, section 2.1), empty where there is none; the scheme's case is free."""
    credentials = headers.get("authorization", "")
    return Secret(credentials[len(_BEARER) :].strip() if credentials[: len(_BEARER)].lower() == _BEARER else "")


def _require_text(texts: Iterable[str]) -> None:
    """Refuse half surrogate pairs, which no registry can look for."""
    try:
        for text in texts:
            text.encode()
    except UnicodeEncodeError as error:
        raise malformed("the path or query is not UTF-8", "request.encoding") from error
