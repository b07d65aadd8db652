"""What an endpoint is: how its request becomes a command, and how the result is written."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from adapters.dialects.xively.faults import malformed, missing
from adapters.dialects.xively.reading import FORM, Members, is_plain, optional_text, read_form, read_object
from adapters.dialects.xively.versions import seen_version, sent_version
from adapters.exchange import Inbound
from core.model import TenantId
from core.operate.messages import Command

ACCOUNT: Final = "accountId"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request, read but not understood. `etag` is the version it names as it was sent, None where it names none."""

    params: Mapping[str, str]
    query: Mapping[str, str]
    members: Members
    etag: str | None = None

    @property
    def id(self) -> str:
        """Return the id in the path."""
        return self.params["id"]

    @property
    def version(self) -> int | None:
        """Return the version that the sender has seen, None for any. Raises `Refusal` MALFORMED where it names none."""
        return seen_version(self.etag)

    @property
    def account(self) -> TenantId | None:
        """Return the account that the request names. Raises `Refusal` MALFORMED."""
        named = optional_text(self.members, ACCOUNT) or self.query.get(ACCOUNT)
        return TenantId(named) if named else None


class Shown(msgspec.Struct, frozen=True):
    """An answer: the whole body, and the version of the one object in it where it has one."""

    body: Any
    version: int | None = None


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path.

    `needs_account`: the request has to name the account. `form` are the members that a form may have in place of JSON.
    """

    operation: str
    method: str
    path: str
    command: Callable[[Asked], Command]
    write: Callable[[Any, Asked], Shown]
    needs_account: bool = False
    form: tuple[str, ...] = ()

    @property
    def has_body(self) -> bool:
        """Tell whether a body is read at all."""
        return self.method in ("POST", "PUT")


def read(endpoint: Endpoint, inbound: Inbound) -> Asked:
    """Read a request. Raises `Refusal` MALFORMED, or TOO_LARGE."""
    require_text((*inbound.params.values(), *inbound.query.values()))
    return Asked(
        params=inbound.params,
        query=inbound.query,
        members=_members(endpoint, inbound) if endpoint.has_body else {},
        etag=sent_version(inbound.headers),
    )


def require_text(texts: Iterable[str]) -> None:
    """Refuse what no registry can look for in a path or query. Raises `Refusal` MALFORMED."""
    if not all(map(is_plain, texts)):
        raise malformed("the path or query has U+0000 or half a surrogate pair", "request.encoding")


def account_of(endpoint: Endpoint, asked: Asked) -> TenantId | None:
    """Return the account that a request is for, None: that of its bearer. Raises `Refusal` MALFORMED."""
    account = asked.account
    if account is None and endpoint.needs_account:
        raise missing(ACCOUNT)
    return account


def _members(endpoint: Endpoint, inbound: Inbound) -> Members:
    media_type = (inbound.content_type or "").partition(";")[0].strip().lower()
    if endpoint.form and media_type == FORM:
        return read_form(inbound.body, endpoint.form)
    return read_object(inbound.body)
