"""How JSON bodies become frozen structs, by the rules of Go's `encoding/json` and with its sentences.

The first value counts and what follows it does not; names match without regard to case, unknown ones are passed over, `null`
leaves a field as it is; bytes that are not UTF-8 and half surrogate pairs become U+FFFD; a number without a field of its own
is a double. Numbers beyond a double and nesting beyond what is read here are refused.
"""

import json
from collections.abc import Sequence
from types import GenericAlias
from typing import Any, Final, TypeVar, get_type_hints

import msgspec

from adapters.dialects.mainflux.bodies import Metadata
from adapters.dialects.mainflux.go_scanning import GoSyntaxError, end_of_value
from adapters.dialects.mainflux.surrogates import mended
from core.errors import Reason, Refusal
from core.model import Secret

T = TypeVar("T", bound=msgspec.Struct)

_EXACT: Final = 2**53  # integers up to here are doubles without loss
_WORDS: Final = {str: "string", list: "array", dict: "object", bool: "bool", int: "number", float: "number"}
_GO_TYPES: Final[dict[Any, str]] = {
    str: "string",
    Secret: "string",
    int: "bootstrap.State",
    tuple[str, ...]: "[]string",
    Metadata: "map[string]interface {}",
}


class _Unfit(Exception):
    """A value of another type than its field: Go's word for the value, the field's path and its type."""

    def __init__(self, word: str, path: str, kind: str) -> None:
        super().__init__(word)
        self.word = word
        self.path = path
        self.kind = kind


def read_object(body: bytes, kind: type[T], go_name: str) -> T:
    """Read one object. `go_name` is what Go's sentences call it. Raises `Refusal` MALFORMED with one of these."""
    value = _value(body)
    try:
        return _struct(value, kind, "", go_name)
    except _Unfit as fault:
        raise _unfit(fault, go_name) from fault


def read_objects(body: bytes, kind: type[T], go_name: str) -> tuple[T, ...]:
    """Read a list of objects. Raises `Refusal` MALFORMED."""
    value = _value(body)
    if value is None:
        return ()
    try:
        if not isinstance(value, list):
            raise _Unfit(_WORDS[type(value)], "", f"[]{go_name}")
        return tuple(_struct(each, kind, "", go_name) for each in value)
    except _Unfit as fault:
        raise _unfit(fault, go_name) from fault


def _value(body: bytes) -> Any:
    text = body.decode("latin-1")
    try:
        end = end_of_value(text)
        value = json.loads(body[:end].decode("utf-8", "replace"), parse_int=_integer, parse_float=_double)
        return _whole(value) if "\\u" in text else value
    except GoSyntaxError as error:
        raise _malformed(str(error)) from error
    except RecursionError as error:
        raise _malformed("exceeded max depth") from error


def _integer(text: str) -> int | float:
    if len(text) > len(str(_EXACT)):
        return _double(text)
    value = int(text)
    return value if abs(value) <= _EXACT else float(value)


def _double(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise _malformed("json: cannot unmarshal number into Go value of type float64")
    return value


def _whole(value: Any) -> Any:
    """Return a value in which no text has half a surrogate pair."""
    if isinstance(value, str):
        return mended(value)
    if isinstance(value, list):
        return [_whole(each) for each in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(each) for name, each in value.items()}
    return value


def _struct(value: Any, kind: type[T], path: str, go_name: str) -> T:
    """Fill a struct from an object; of two names that mean one field the later counts."""
    if value is None:
        return kind()
    if not isinstance(value, dict):
        raise _Unfit(_WORDS[type(value)], path, go_name)
    types = get_type_hints(kind)
    fields: dict[str, Any] = {}
    for name, each in value.items():
        field = name if name in types else name.casefold()
        if field in types and each is not None:
            fields[field] = _field(each, types[field], f"{path}.{field}" if path else field)
    return kind(**fields)


def _field(value: Any, kind: Any, path: str) -> Any:
    if isinstance(kind, type) and not isinstance(kind, GenericAlias) and issubclass(kind, msgspec.Struct):
        return _struct(value, kind, path, kind.__name__)
    if kind is int:
        return _number(value, path)
    if kind == tuple[str, ...]:
        return _texts(value, path)
    if not isinstance(value, dict if kind == Metadata else str):
        raise _Unfit(_WORDS[type(value)], path, _GO_TYPES[kind])
    return Secret(str(value)) if kind is Secret else value


def _number(value: Any, path: str) -> int:
    if isinstance(value, float):
        raise _Unfit(f"number {value:g}", path, _GO_TYPES[int])
    if not isinstance(value, int) or isinstance(value, bool):
        raise _Unfit(_WORDS[type(value)], path, _GO_TYPES[int])
    return value


def _texts(value: Any, path: str) -> tuple[str, ...]:
    """Read a list of texts; `null` among them is an empty one."""
    if not isinstance(value, list):
        raise _Unfit(_WORDS[type(value)], path, _GO_TYPES[tuple[str, ...]])
    return tuple(_entries(value, path))


def _entries(values: Sequence[Any], path: str) -> list[str]:
    for value in values:
        if value is not None and not isinstance(value, str):
            raise _Unfit(_WORDS[type(value)], path, "string")
    return [value or "" for value in values]


def _unfit(fault: _Unfit, go_name: str) -> Refusal:
    where = f"struct field {go_name.rpartition('.')[2]}.{fault.path}" if fault.path else "value"
    return _malformed(f"json: cannot unmarshal {fault.word} into Go {where} of type {fault.kind}")


def _malformed(detail: str) -> Refusal:
    return Refusal(Reason.MALFORMED, detail, check="body.json")
