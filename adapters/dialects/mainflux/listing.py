"""What channels and clients have in common: pages, lists of new ones, and how these are answered."""

from collections.abc import Sequence
from typing import Any

from adapters.dialects.mainflux.endpoint import Asked, created, malformed, shown
from adapters.dialects.mainflux.entities import look_of
from adapters.dialects.mainflux.go_writing import Record, record
from adapters.dialects.mainflux.query import Page, Query, read_query, require_limit, strict_page
from adapters.exchange import Outbound, Success


def read_page(asked: Asked) -> tuple[Query, Page]:
    """Read the query of a list. Raises `Refusal` MALFORMED."""
    query = read_query(asked.inbound.raw_query)
    return query, strict_page(query)


def require_page(sent: tuple[Query, Page]) -> tuple[Query, Page]:
    """Return the query again. Raises `Refusal` MALFORMED for a page that is empty or too large."""
    require_limit(sent[1].limit, at_least=1)
    return sent


def require_some(sent: Sequence[Any]) -> None:
    """Raise `Refusal` MALFORMED for an empty list."""
    if not sent:
        raise malformed("the list is empty", "list.empty")


def created_one(document: Record, location: str, asked: Asked) -> Outbound:
    """Say where the new one is, and show it where the generation does."""
    if not look_of(asked.flavour).answers:
        return created(location)
    return shown(document, Success.CREATED, location)


def created_several(member: str, items: tuple[Record, ...], asked: Asked) -> Outbound:
    """Show the new ones; Magistrala makes a page of them, and its status 200."""
    if not look_of(asked.flavour).answers:
        return shown(record((member, items)), Success.CREATED)
    return shown(record(("offset", 0), ("total", len(items)), (member, items)))
