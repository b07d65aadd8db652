"""All endpoints behind a bearer token, and which of them a method and a path mean."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from adapters.dialects.xively import associating, credentials, devices, directory, templates
from adapters.dialects.xively.endpoint import Endpoint
from core.errors import Reason, Refusal

ENDPOINTS: Final = (
    *templates.endpoints(),
    *devices.endpoints(),
    *credentials.endpoints(),
    *associating.endpoints(),
    *directory.endpoints(),
)
BY_OPERATION: Final[Mapping[str, Endpoint]] = MappingProxyType({endpoint.operation: endpoint for endpoint in ENDPOINTS})

_ID = "{id}"


def find(method: str, path: str) -> tuple[Endpoint, Mapping[str, str]]:
    """Return what a method and a path mean, and the id in the path; a literal segment wins over an id.

    Raises `Refusal` NOT_FOUND or NOT_ALLOWED.
    """
    segments = path.split("/")
    literal = {endpoint.method: endpoint for endpoint in ENDPOINTS if endpoint.path == path}
    around = "/".join((*segments[:-1], _ID))
    captured = {endpoint.method: endpoint for endpoint in ENDPOINTS if endpoint.path == around and segments[-1]}
    known = literal or captured
    if not known:
        raise Refusal(Reason.NOT_FOUND, "there is nothing at this path", check="request.path")
    if method not in known:
        raise Refusal(Reason.NOT_ALLOWED, f"this path takes {', '.join(sorted(known))}", check="request.method")
    return known[method], {} if literal else {"id": segments[-1]}
