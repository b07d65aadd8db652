"""How JSON bodies become frozen structs, by the rules of Go's `encoding/json` and with its sentences.

The first value counts and what follows it does not; names match without regard to case, unknown ones are passed over, `null`
leaves a field as it is; bytes that are not UTF-8 and half surrogate pairs become U+FFFD; a number without a field of its own
is a double, and one beyond that is refused. Nesting beyond what is read here is refused too.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from types import GenericAlias
from typing import Any, Final, TypeVar, get_type_hints

import msgspec

from adapters.dialects.mainflux.bodies import Metadata
from adapters.dialects.mainflux.go_scanning import GoSyntaxError, end_of_value
from adapters.dialects.mainflux.surrogates import mended
from core.errors import Reason, Refusal
from core.model import Secret

T = TypeVar("T", bound=msgspec.Struct)
R = TypeVar("R")

_EXACT: Final = 2**53  # integers up to here are doubles without loss
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_QUOTED: Final = 64  # characters of a number that a sentence repeats: it ends up in events


class _Numeral(msgspec.Struct, frozen=True):
    """A number as it is written: what it is worth depends on its field."""

    text: str

    @property
    def word(self) -> str:
        """Return what Go calls it in a sentence."""
        return f"number {self.text}" if len(self.text) <= _QUOTED else f"number {self.text[:_QUOTED]}..."


class _Members(msgspec.Struct, frozen=True):
    """An object as it is written, names that occur twice included."""

    pairs: list[tuple[str, Any]]


_WORDS: Final = {str: "string", list: "array", _Members: "object", bool: "bool", _Numeral: "number"}
_GO_TYPES: Final[dict[Any, str]] = {
    str: "string",
    Secret: "string",
    int: "bootstrap.State",
    float: "float64",
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
    return _filled(_value(body), lambda value: _struct(value, kind, "", go_name), go_name)


def read_objects(body: bytes, kind: type[T], go_name: str) -> tuple[T, ...]:
    """Read a list of objects. Raises `Refusal` MALFORMED."""
    return _filled(_value(body), lambda value: _structs(value, kind, go_name), go_name)


def _value(body: bytes) -> Any:
    """Return the first value, its numbers and objects as they are written."""
    try:
        end = end_of_value(body.decode("latin-1"))
        text = body[:end].decode("utf-8", "replace")
        return json.loads(text, parse_int=_Numeral, parse_float=_Numeral, object_pairs_hook=_Members)
    except GoSyntaxError as error:
        raise _malformed(str(error)) from error
    except RecursionError as error:
        raise _too_deep() from error


def _filled(value: Any, fill: Callable[[Any], R], go_name: str) -> R:
    try:
        return fill(value)
    except _Unfit as fault:
        raise _unfit(fault, go_name) from fault
    except RecursionError as error:
        raise _too_deep() from error


def _structs(value: Any, kind: type[T], go_name: str) -> tuple[T, ...]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _Unfit(_WORDS[type(value)], "", f"[]{go_name}")
    return tuple(_struct(each, kind, "", go_name) for each in value)


def _struct(value: Any, kind: type[T], path: str, go_name: str) -> T:
    """Fill a struct from an object; of two names that mean one field the later counts."""
    if value is None:
        return kind()
    if not isinstance(value, _Members):
        raise _Unfit(_WORDS[type(value)], path, go_name)
    types = get_type_hints(kind)
    fields: dict[str, Any] = {}
    for name, each in value.pairs:
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
    if not isinstance(value, _Members if kind == Metadata else str):
        raise _Unfit(_WORDS[type(value)], path, _GO_TYPES[kind])
    if isinstance(value, _Members):
        return _plain(value, path)
    return Secret(mended(value)) if kind is Secret else mended(value)


def _number(value: Any, path: str) -> int:
    """Read a whole number of 64 bits, written as one: `1.0` and `1e0` are none."""
    if not isinstance(value, _Numeral):
        raise _Unfit(_WORDS[type(value)], path, _GO_TYPES[int])
    number = int(value.text) if _WHOLE.fullmatch(value.text) else None
    if number is None or not -(2**63) <= number < 2**63:
        raise _Unfit(value.word, path, _GO_TYPES[int])
    return number


def _texts(value: Any, path: str) -> tuple[str, ...]:
    """Read a list of texts; `null` among them is an empty one."""
    if not isinstance(value, list):
        raise _Unfit(_WORDS[type(value)], path, _GO_TYPES[tuple[str, ...]])
    return tuple(_entries(value, path))


def _entries(values: Sequence[Any], path: str) -> list[str]:
    for value in values:
        if value is not None and not isinstance(value, str):
            raise _Unfit(_WORDS[type(value)], path, "string")
    return [mended(value or "") for value in values]


def _plain(value: Any, path: str) -> Any:
    """Return a value without a type of its own: a dictionary for an object, a double for a number."""
    match value:
        case _Members():
            return {mended(name): _plain(each, path) for name, each in value.pairs}
        case list():
            return [_plain(each, path) for each in value]
        case _Numeral():
            return _double(value, path)
        case str():
            return mended(value)
        case _:
            return value


def _double(numeral: _Numeral, path: str) -> int | float:
    """Return a double; a whole one that is exact as an integer."""
    if _WHOLE.fullmatch(numeral.text) and abs(whole := int(numeral.text)) <= _EXACT:
        return whole
    number = float(numeral.text)
    if math.isinf(number):
        raise _Unfit(numeral.word, path, _GO_TYPES[float])
    return number


def _unfit(fault: _Unfit, go_name: str) -> Refusal:
    where = f"struct field {go_name.rpartition('.')[2]}.{fault.path}" if fault.path else "value"
    return _malformed(f"json: cannot unmarshal {fault.word} into Go {where} of type {fault.kind}")


def _too_deep() -> Refusal:
    return _malformed("exceeded max depth")


def _malformed(detail: str) -> Refusal:
    return Refusal(Reason.MALFORMED, detail, check="body.json")
