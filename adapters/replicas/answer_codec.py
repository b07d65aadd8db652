"""Results of the core as text, for another replica to give again: JSON in which every value says what it is.

Only classes that the given ones lead to are written, and only those are made when it is read.
"""

import base64
import binascii
import enum
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec

from core.errors import Refusal
from core.model import Secret

_PLAIN: Final = (type(None), bool, int, float, str)


class Unreadable(ValueError):
    """A text is none that this version writes."""


class AnswerCodec:
    """Writes and reads values of some classes: structs and enumerations, whatever those have for fields, and refusals."""

    def __init__(self, roots: Iterable[type]) -> None:
        self._classes: dict[str, type] = {}
        for root in roots:
            self._add(root)
        self._readers: Mapping[str, Callable[[Any], Any]] = {
            "bytes": lambda text: base64.b64decode(text, validate=True),
            "secret": Secret,
            "list": lambda items: [self._value(item) for item in items],
            "tuple": lambda items: tuple(self._value(item) for item in items),
            "set": lambda items: frozenset(self._value(item) for item in items),
            "dict": lambda pairs: {self._value(key): self._value(value) for key, value in pairs},
        }

    def write(self, value: Any) -> str:
        """Return a value as text. Raises `TypeError` for what is of no known class, `ValueError` for what JSON cannot hold."""
        return msgspec.json.encode(self._written(value)).decode()

    def read(self, text: str) -> Any:
        """Return the value that was written. Raises `Unreadable`."""
        try:
            return self._value(msgspec.json.decode(text))
        except (TypeError, ValueError, KeyError, AttributeError, binascii.Error) as error:
            raise Unreadable("of another version") from error

    def _add(self, found: Any) -> None:
        if not isinstance(found, type) or self._classes.get(found.__name__) is found:
            return
        if issubclass(found, msgspec.Struct | enum.Enum | Refusal):
            if found.__name__ in self._classes:
                raise TypeError(f"two classes are called {found.__name__}")
            self._classes[found.__name__] = found
            if issubclass(found, msgspec.Struct):
                for field in typing.get_type_hints(found).values():
                    for part in _parts(field):
                        self._add(part)

    def _written(self, value: Any) -> Any:
        match value:
            case msgspec.Struct():
                return [self._name(value), {name: self._written(getattr(value, name)) for name in value.__struct_fields__}]
            case enum.Enum():
                return [self._name(value), value.value]
            case Refusal():
                return [self._name(value), {name: self._written(each) for name, each in _told(value).items()}]
            case Secret():
                return ["secret", value.reveal()]
            case bytes():
                return ["bytes", base64.b64encode(value).decode()]
            case dict():
                return ["dict", [[self._written(key), self._written(each)] for key, each in value.items()]]
            case list() | tuple() | frozenset():
                kind = "list" if isinstance(value, list) else "tuple" if isinstance(value, tuple) else "set"
                return [kind, [self._written(each) for each in value]]
        if not isinstance(value, _PLAIN):
            raise TypeError(f"no answer has a {type(value).__name__}")
        return value

    def _name(self, value: Any) -> str:
        name = type(value).__name__
        if self._classes.get(name) is not type(value):
            raise TypeError(f"no answer has a {name}")
        return name

    def _value(self, written: Any) -> Any:
        if not isinstance(written, list):
            return written
        kind, content = written
        return self._readers[kind](content) if kind in self._readers else self._made(self._classes[kind], content)

    def _made(self, found: type, content: Any) -> Any:
        if issubclass(found, enum.Enum):
            return found(content)
        fields = {name: self._value(each) for name, each in content.items()}
        return found(**fields) if issubclass(found, msgspec.Struct) else _refusal(found, fields)


def _parts(annotation: Any) -> Iterator[Any]:
    """Yield the classes that an annotation is made of."""
    yield annotation
    for part in typing.get_args(annotation):
        yield from _parts(part)
    alias = getattr(annotation, "__supertype__", None)
    if alias is not None:
        yield from _parts(alias)


def _told(refusal: Refusal) -> dict[str, Any]:
    return {name: each for name, each in vars(refusal).items() if not name.startswith("__")}


def _refusal(found: type, fields: dict[str, Any]) -> Refusal:
    """Return a refusal as it was, whatever its class takes to be made."""
    made: Any = found.__new__(found, fields["detail"])
    made.__dict__.update(fields)
    refusal: Refusal = made
    return refusal
