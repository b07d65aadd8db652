"""The description of the operator API (OpenAPI 3.1), made of the table of its endpoints and the types of its bodies."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from adapters.dialects.operator import bodies, objects
from adapters.dialects.operator.endpoint import Endpoint
from adapters.dialects.operator.endpoints import EXPORT
from adapters.dialects.operator.problem import CONTENT_TYPE, PROBLEMS
from adapters.exchange import Success
from core.errors import Reason

VERSION = "1.0.0"

Node = dict[str, Any]
"""A part of the description, whose shape is OpenAPI's and not ours."""

_REF = "#/components/schemas/{name}"
_STATUS = {Success.OK: "200", Success.CREATED: "201", Success.DELETED: "204"}
_REFUSALS = (Reason.UNAUTHENTICATED, Reason.FORBIDDEN, Reason.TOO_MANY, Reason.UNAVAILABLE)
_REQUEST_ID = {"X-Request-ID": {"description": "What `firstlight explain` asks for.", "schema": {"type": "string"}}}
_NEXT = {"X-Next": {"description": "The `after` of the next page; absent on the last one.", "schema": {"type": "string"}}}


def describe(endpoints: Iterable[Endpoint]) -> bytes:
    """Return the description as JSON."""
    endpoints = tuple(endpoints)
    schemas = _schemas(endpoints)
    paths: dict[str, Node] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, schemas)
    document = {
        "openapi": "3.1.0",
        "info": {"title": "Firstlight operator API", "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": schemas.components,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"bearer": []}],
    }
    return msgspec.json.encode(document)


class _Schemas(msgspec.Struct, frozen=True):
    """The schemas of all types, and for each type the one that refers to it."""

    components: Node
    references: dict[Any, Node]


def _schemas(endpoints: tuple[Endpoint, ...]) -> _Schemas:
    types = {kind: None for endpoint in endpoints for kind in (endpoint.body, endpoint.answer) if kind is not None}
    kinds = [*types, bodies.ImportedDevice, objects.Problem]
    references, components = msgspec.json.schema_components(kinds, schema_hook=_hook, ref_template=_REF)
    return _Schemas(components, dict(zip(kinds, references, strict=True)))


def _hook(_kind: type) -> Node:
    """Describe a secret, the one type that msgspec does not know."""
    return {"type": "string", "format": "password"}


def _operation(endpoint: Endpoint, schemas: _Schemas) -> Node:
    operation: Node = {
        "operationId": endpoint.operation,
        "summary": endpoint.summary,
        "parameters": [*_path_parameters(endpoint), *_query_parameters(endpoint)],
        "responses": {_STATUS[endpoint.success]: _answer(endpoint, schemas), **_refusals(endpoint, schemas)},
    }
    if endpoint.body is not None:
        content = {"application/json": {"schema": schemas.references[endpoint.body]}}
        content |= {media_type: {"schema": {"type": "string"}} for media_type in endpoint.takes}
        operation["requestBody"] = {"required": not endpoint.may_omit_body, "content": content}
    return operation


def _path_parameters(endpoint: Endpoint) -> list[Node]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": "Id or name." if name == "id" else "Id.",
            "schema": {"type": "string"},
        }
        for name in re.findall(r"\{(\w+)\}", endpoint.path)
    ]


def _query_parameters(endpoint: Endpoint) -> list[Node]:
    (_,), components = msgspec.json.schema_components([endpoint.query])
    properties: dict[str, Node] = components[endpoint.query.__name__]["properties"]
    return [_query_parameter(name, dict(schema)) for name, schema in properties.items()]


def _query_parameter(name: str, schema: Node) -> Node:
    description = schema.pop("description")
    if schema.get("default") == "":
        del schema["default"]  # empty is absent, and none of the words of a list
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _answer(endpoint: Endpoint, schemas: _Schemas) -> Node:
    answer: Node = {"description": endpoint.summary, "headers": dict(_REQUEST_ID)}
    if endpoint.operation == EXPORT:
        answer["headers"] |= _NEXT
        answer["content"] = {"text/csv": {"schema": {"type": "string"}}}
    elif endpoint.stream is not None:
        answer["content"] = {media_type: {"schema": {"type": "string"}} for media_type in endpoint.sends}
        answer["content"][endpoint.sends[0]]["schema"] = schemas.references[endpoint.answer]
    elif endpoint.answer is not None:
        answer["content"] = {"application/json": {"schema": schemas.references[endpoint.answer]}}
    return answer


def _refusals(endpoint: Endpoint, schemas: _Schemas) -> Node:
    reasons = [Reason.MALFORMED, *_REFUSALS, *endpoint.refusals]
    if "{id}" in endpoint.path:
        reasons.append(Reason.NOT_FOUND)
    if endpoint.method != "GET":
        reasons.append(Reason.CONFLICT)
    content = {CONTENT_TYPE: {"schema": schemas.references[objects.Problem]}}
    numbered = sorted({PROBLEMS[reason] for reason in reasons})
    return {str(status): {"description": title, "content": content} for status, title in numbered}
