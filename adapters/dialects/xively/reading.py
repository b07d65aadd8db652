"""How bodies become members: JSON objects, or forms where a published client sends one, and what is taken for each type.

A body is refused as a whole where two parsers might read it differently or a registry could not keep it: a name that occurs
twice, a number beyond 64 bits, U+0000, half a surrogate pair, too many levels.
"""

import json
import math
from collections.abc import Iterable
from typing import Any, Final, NoReturn
from urllib.parse import parse_qsl

from adapters.dialects.xively.faults import malformed, missing, unfit
from core.errors import Reason, Refusal

Members = dict[str, Any]

BODY_BYTES: Final = 262_144
TEXT_CHARACTERS: Final = 255
FORM: Final = "application/x-www-form-urlencoded"
_LEVELS: Final = 32
_FORM_FIELDS: Final = 256
_NUMBER_CHARACTERS: Final = 32
_LARGEST: Final = 2**63


class _Unreadable(ValueError):
    """The text is JSON, and nothing that is taken."""


def read_object(body: bytes) -> Members:
    """Read one JSON object. Raises `Refusal` MALFORMED, or TOO_LARGE."""
    value = _read(_text(body))
    if not isinstance(value, dict):
        raise malformed("the body must be a JSON object", "body.json")
    require_plain(value)
    return value


def read_form(body: bytes, names: Iterable[str]) -> Members:
    """Read the members of these names from a form (WHATWG URL, section 5.1). Raises `Refusal` MALFORMED, or TOO_LARGE."""
    try:
        pairs = parse_qsl(_text(body), keep_blank_values=True, max_num_fields=_FORM_FIELDS, errors="strict")
        wanted = frozenset(names)
        members = _once([(name, value) for name, value in pairs if name in wanted])
    except UnicodeDecodeError as error:
        raise malformed("the body is not UTF-8", "body.json") from error
    except _Unreadable as error:
        raise malformed(f"the body has {error}", "body.json") from error
    except ValueError as error:
        raise malformed(f"the body has more than {_FORM_FIELDS} fields", "body.json") from error
    require_plain(members)
    return members


def require_plain(value: Any) -> None:
    """Check levels and texts of a value. Raises `Refusal` MALFORMED."""
    level = [value]
    for _ in range(_LEVELS):
        level = [inner for each in level for inner in _inside(each)]
        if not level:
            return
    raise malformed(f"the body has more than {_LEVELS} levels", "body.json")


def is_plain(text: str) -> bool:
    """Tell whether a text is one that any registry can keep and look for."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def text(members: Members, name: str) -> str:
    """Return a text that has to be there. Raises `Refusal` MALFORMED."""
    value = optional_text(members, name)
    if not value:
        raise missing(name)
    return value


def optional_text(members: Members, name: str, most: int = TEXT_CHARACTERS) -> str | None:
    """Return a text, None where it is absent or null. Raises `Refusal` MALFORMED."""
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > most:
        raise unfit(name, f"a string of at most {most} characters")
    return value


def optional_flag(members: Members, name: str) -> bool | None:
    """Return a boolean, which clients write as a string too; None where it is absent or null. Raises `Refusal` MALFORMED."""
    match members.get(name):
        case None:
            return None
        case True | "true":
            return True
        case False | "false":
            return False
        case _:
            raise unfit(name, "true or false")


def _text(body: bytes) -> str:
    if len(body) > BODY_BYTES:
        raise Refusal(Reason.TOO_LARGE, f"the body is larger than {BODY_BYTES} bytes", check="body.size")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise malformed("the body is not UTF-8", "body.json") from error


def _read(sent: str) -> Any:
    if not sent.strip():
        raise malformed("the body is empty, a JSON object is needed", "body.empty")
    try:
        return json.loads(
            sent, object_pairs_hook=_once, parse_int=_whole, parse_float=_fraction, parse_constant=_no_such_number
        )
    except json.JSONDecodeError as error:
        raise malformed(f"the body is not valid JSON at character {error.pos}", "body.json") from error
    except _Unreadable as error:
        raise malformed(f"the body has {error}", "body.json") from error
    except RecursionError as error:
        raise malformed(f"the body has more than {_LEVELS} levels", "body.json") from error


def _once(pairs: list[tuple[str, Any]]) -> Members:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise _Unreadable("a name that occurs twice")
    return members


def _whole(digits: str) -> int:
    if len(digits) > _NUMBER_CHARACTERS or not -_LARGEST <= int(digits) < _LARGEST:
        raise _Unreadable("a number beyond 64 bits")
    return int(digits)


def _fraction(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise _Unreadable("a number beyond 64 bits")
    return number


def _no_such_number(_word: str) -> NoReturn:
    raise _Unreadable("a number that is none")


def _inside(value: Any) -> list[Any]:
    """Return what is in a value. Raises `Refusal` MALFORMED for a text that cannot be kept."""
    match value:
        case str():
            if not is_plain(value):
                raise malformed("the body has a text with U+0000 or half a surrogate pair", "body.json")
            return []
        case dict():
            return [*value, *value.values()]
        case list():
            return value
        case _:
            return []
