"""Pages of a list: what a query asks for, and how a page is written."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from adapters.dialects.xively.faults import unfit_parameter
from core.operate.configuring import CountedPage
from core.queries import Order

ENTRIES: Final = 10
ENTRIES_AT_MOST: Final = 1_000
ASCENDING, DESCENDING = "asc", "desc"

_DIGITS: Final = 18
_FARTHEST: Final = 2**53
_FLAGS: Final = {"true": True, "1": True, "false": False, "0": False}
_ORDERS: Final = {
    "created": Order.CREATED,
    "id": Order.CREATED,
    "lastModified": Order.UPDATED,
    "serialNumber": Order.SERIAL,
    "name": Order.LABEL,
    "provisioningState": Order.STATE,
}
_ONLY_CREATED: Final = ("created", "id")


class Paging(msgspec.Struct, frozen=True, kw_only=True):
    """Which page is asked for, sorted how, and what of it is shown. Pages are counted from 1."""

    page: int = 1
    size: int = ENTRIES
    sort_by: str = ""
    descending: bool = False
    meta: bool = True
    results: bool = True

    @property
    def offset(self) -> int:
        """Return how many entries are on the pages before."""
        return min((self.page - 1) * self.size, _FARTHEST)

    @property
    def limit(self) -> int:
        """Return how many entries are read."""
        return self.size if self.results else 0

    @property
    def order(self) -> Order:
        """Return by what devices are sorted."""
        return _ORDERS.get(self.sort_by, Order.CREATED)


def read_paging(query: Mapping[str, str], *, of_devices: bool = False) -> Paging:
    """Read the parameters that all lists have; devices can be sorted by more. Raises `Refusal` MALFORMED."""
    direction = query.get("sortOrder", ASCENDING).lower()
    if direction not in (ASCENDING, DESCENDING):
        raise unfit_parameter("sortOrder", f"{ASCENDING} or {DESCENDING}")
    sort_by = query.get("sortBy", "")
    known = tuple(_ORDERS) if of_devices else _ONLY_CREATED
    if sort_by and sort_by not in known:
        raise unfit_parameter("sortBy", f"one of {', '.join(known)}")
    return Paging(
        page=_count(query, "page", 1),
        size=min(_count(query, "pageSize", ENTRIES), ENTRIES_AT_MOST),
        sort_by=sort_by,
        descending=direction == DESCENDING,
        meta=_flag(query, "meta"),
        results=_flag(query, "results"),
    )


def write_page(paging: Paging, page: CountedPage[Any], items: Sequence[Any]) -> dict[str, Any]:
    """Return a page; `count` is the number of entries on all pages together."""
    meta: dict[str, Any] = {"count": page.total, "page": paging.page, "pageSize": paging.size}
    if paging.sort_by:
        meta["sortBy"] = paging.sort_by
    meta["sortOrder"] = DESCENDING if paging.descending else ASCENDING
    written: dict[str, Any] = {"results": items} if paging.results else {}
    return written | ({"meta": meta} if paging.meta else {})


def _count(query: Mapping[str, str], name: str, default: int) -> int:
    digits = query.get(name) or str(default)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DIGITS and int(digits)):
        raise unfit_parameter(name, "a whole number from 1")
    return int(digits)


def _flag(query: Mapping[str, str], name: str) -> bool:
    flag = _FLAGS.get((query.get(name) or "true").lower())
    if flag is None:
        raise unfit_parameter(name, "true or false")
    return flag
