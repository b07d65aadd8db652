"""How the query of a list is read, as strictly as Go's services do it: broken escapes and repeated names are told apart."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from adapters.dialects.mainflux.surrogates import mended
from core.errors import Reason, Refusal

MAX_LIMIT: Final = 100
DEFAULT_LIMIT: Final = 10
_LARGEST: Final = 2**63 - 1  # what a registry can be asked to skip
_BROKEN = re.compile(r"%(?![0-9a-fA-F]{2})|;")
_NUMBER = re.compile(r"[0-9]{1,20}", re.ASCII)
_STATE = re.compile(r"[+-]?[0-9]+", re.ASCII)


class Query(msgspec.Struct, frozen=True):
    """Names and values in the order of the query."""

    pairs: tuple[tuple[str, str], ...]

    def first(self, name: str) -> str | None:
        """Return the first value of a name, None where it does not occur."""
        return next((value for found, value in self.pairs if found == name), None)

    def number(self, name: str, default: int) -> int:
        """Return the one value of a name. Raises `Refusal` MALFORMED where it is repeated, empty or not a natural number."""
        values = [value for found, value in self.pairs if found == name]
        if not values:
            return default
        if len(values) > 1:
            raise _bad_number(name)
        return _natural(values[0], name)

    def lenient_number(self, name: str, default: int) -> int:
        """Return the first value of a name; an empty one is the default. Raises `Refusal` MALFORMED."""
        value = self.first(name)
        return _natural(value, name) if value else default


class Page(msgspec.Struct, frozen=True):
    """Which part of a list is wanted."""

    offset: int
    limit: int


def read_query(raw: str) -> Query:
    """Split a query (WHATWG URL, section 5.1, as Go does it). Raises `Refusal` MALFORMED for a broken escape or a semicolon."""
    if _BROKEN.search(raw):
        raise Refusal(Reason.MALFORMED, "the query has a broken escape", check="query.escape")
    parts = [part.partition("=") for part in raw.split("&") if part]
    return Query(tuple((_unescaped(name), _unescaped(value)) for name, _, value in parts))


def read_state(text: str) -> bool | None:
    """Return the state that a filter asks for, None where it can match nothing."""
    if not _STATE.fullmatch(text):
        return None
    return {"0": False, "1": True}.get(text.removeprefix("+").removeprefix("-").lstrip("0") or "0")


def strict_page(query: Query) -> Page:
    """Read a page as Mainflux 0.13 and Magistrala do. Whether the limit is too large is for `require_limit`."""
    return Page(query.number("offset", 0), query.number("limit", DEFAULT_LIMIT))


def clipped_page(query: Query) -> Page:
    """Read a page as Mainflux up to 0.12 does: the first of repeated values, no limit is 10, beyond 100 is 100."""
    offset, limit = query.lenient_number("offset", 0), query.lenient_number("limit", DEFAULT_LIMIT)
    return Page(offset, min(limit or DEFAULT_LIMIT, MAX_LIMIT))


def require_limit(limit: int, at_least: int = 0) -> None:
    """Raise `Refusal` MALFORMED for a limit outside of what a page may have."""
    if not at_least <= limit <= MAX_LIMIT:
        raise Refusal(Reason.MALFORMED, f"limit: at most {MAX_LIMIT}", check="query.limit")


def _natural(text: str, name: str) -> int:
    if not _NUMBER.fullmatch(text) or int(text) >= 2**64:
        raise _bad_number(name)
    return min(int(text), _LARGEST)


def _bad_number(name: str) -> Refusal:
    return Refusal(Reason.MALFORMED, f"invalid {name} query param", check="query.number")


def _unescaped(text: str) -> str:
    return unquote_to_bytes(mended(text).replace("+", " ")).decode("utf-8", "replace")
