"""JSON as Go's `encoding/json` writes it: compact, HTML-safe, the keys of maps in order, floats as ECMAScript prints them."""

from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

import msgspec

_HTML = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_SMALL, _LARGE = 1e-6, 1e21


class Record(msgspec.Struct, frozen=True):
    """An object whose members have an order of their own, as a Go struct has; a dictionary is a map."""

    members: tuple[tuple[str, Any], ...]

    def plain(self) -> dict[str, Any]:
        """Return it as a dictionary, the records within it too."""
        return {name: _plain(value) for name, value in self.members}


def record(*members: tuple[str, Any]) -> Record:
    """Make a record of name and value, in order."""
    return Record(members)


def filled(*members: tuple[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return the members that are not empty (Go: `omitempty`)."""
    return tuple((name, value) for name, value in members if value)


def line(value: Any) -> bytes:
    """Return a value as a response body: its JSON and a newline."""
    return encode(value) + b"\n"


def encode(value: Any) -> bytes:
    """Return the JSON of a value made of records, dictionaries, sequences, texts, numbers, booleans and None."""
    return _text(value).encode("utf-8", "replace")


def _text(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return encode_basestring(value).translate(_HTML)
        case int():
            return str(value)
        case float():
            return _number(value)
        case Record():
            return _object(value.members)
        case dict():
            return _object(sorted(value.items(), key=lambda item: item[0].encode("utf-8", "surrogatepass")))
        case _:
            return f"[{','.join(map(_text, value))}]"


def _object(members: Any) -> str:
    return "{" + ",".join(f"{_text(name)}:{_text(value)}" for name, value in members) + "}"


def _number(value: float) -> str:
    """Return the shortest digits that give the number back (ECMA-262, Number::toString)."""
    if value and not _SMALL <= abs(value) < _LARGE:
        return repr(value).replace("e-0", "e-")
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def _plain(value: Any) -> Any:
    if isinstance(value, Record):
        return value.plain()
    return [_plain(each) for each in value] if isinstance(value, tuple) else value
