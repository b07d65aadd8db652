"""What an endpoint of an operator is: how its request is read, which command it means, and how the result is written."""

from collections.abc import Callable
from typing import Any

import msgspec

from adapters.dialects.mainflux import go_writing
from adapters.dialects.mainflux.flavours import JSON, Flavour
from adapters.dialects.mainflux.go_writing import Record
from adapters.dialects.mainflux.layout import default_layout
from adapters.dialects.mainflux.surrogates import mended
from adapters.exchange import Inbound, Outbound, Success
from core.errors import Reason, Refusal
from core.model import Secret, TenantId
from core.operate.configuring import Layout
from core.operate.messages import Command


class DialectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator decides for the whole dialect.

    `documented_codes`: where the vendor's documents and programs differ, the documents' statuses are sent. `layout` is what the
    provision service makes; `api_key` is the bearer token it uses where a request has none.
    """

    documented_codes: bool = False
    layout: Layout = msgspec.field(default_factory=default_layout)
    api_key: Secret | None = None


class Asked(msgspec.Struct, frozen=True):
    """A request on its way to a command, with what it is read by."""

    flavour: Flavour
    options: DialectOptions
    inbound: Inbound

    @property
    def id(self) -> str:
        """Return the id in the path."""
        return mended(self.inbound.params["id"])

    @property
    def tenant(self) -> TenantId | None:
        """Return the domain in the path, None where there is none."""
        domain = self.inbound.params.get("domain")
        return None if domain is None else TenantId(mended(domain))


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path.

    `read` looks at the request alone; between it and `command`, which looks at what it means, stands the check that there is a
    bearer token. `optional_token`: the options may have one.
    """

    operation: str
    method: str
    path: str
    read: Callable[[Asked], Any]
    command: Callable[[Any, Asked], Command]
    write: Callable[[Any, Asked], Outbound]
    collection: bool = False
    optional_token: bool = False


def no_body(_asked: Asked) -> None:
    """Read nothing."""


def require_json(asked: Asked) -> bytes:
    """Return a body that says it is JSON. Raises `Refusal` UNSUPPORTED."""
    if JSON not in (asked.inbound.content_type or ""):
        raise Refusal(Reason.UNSUPPORTED, f"the content type is not {JSON}", check="content.type")
    return asked.inbound.body


def malformed(detail: str, check: str) -> Refusal:
    """Make the refusal of a request that cannot mean anything."""
    return Refusal(Reason.MALFORMED, detail, check=check)


def bare(_result: Any, _asked: Asked) -> Outbound:
    """Say that it is done."""
    return Outbound(outcome=Success.OK, content_type=JSON)


def removed(_result: Any, _asked: Asked) -> Outbound:
    """Say that it is gone."""
    return Outbound(outcome=Success.DELETED, content_type=JSON)


def shown(document: Record | Any, outcome: Success = Success.OK, location: str = "") -> Outbound:
    """Answer with a document."""
    headers = (("Location", location),) if location else ()
    return Outbound(outcome=outcome, body=go_writing.line(document), content_type=JSON, headers=headers)


def created(location: str) -> Outbound:
    """Say where it is, and nothing more."""
    return Outbound(outcome=Success.CREATED, content_type=JSON, headers=(("Location", location),))
