"""How texts become values, and what is said where they do not: one sentence, with the right words beside the wrong one."""

import enum
import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from adapters.dialects.operator.bodies import CREDENTIAL_TYPES
from core.errors import Reason, Refusal
from core.model import Secret

E = TypeVar("E", bound=enum.Enum)
Q = TypeVar("Q", bound=msgspec.Struct)

_SENTENCE_CHARACTERS = 300
_PLACE = re.compile(r"(?P<fault>.*?)(?: - at `\$\.?(?P<place>.*)`)?", re.DOTALL)
_UNKNOWN_FIELD = "Object contains unknown field "


def decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    """Make the decoder of a body."""
    return msgspec.json.Decoder(kind, dec_hook=secret)


def read_json(decoder: msgspec.json.Decoder[Any], body: bytes | msgspec.Raw) -> Any:
    """Read a body. Raises `Refusal` MALFORMED."""
    if not body:
        raise malformed("the body is empty, JSON is needed", "body.empty")
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise malformed(sentence(error, decoder.type), "body.field") from error
    except UnicodeDecodeError as error:
        raise malformed("the body is not UTF-8", "body.json") from error
    except msgspec.DecodeError as error:
        fault = str(error).removeprefix("JSON is malformed: ")
        raise malformed(f"the body is not valid JSON: {fault}", "body.json") from error
    except RecursionError as error:
        raise malformed("the body is nested too deep", "body.json") from error


def read_query(kind: type[Q], query: Mapping[str, str]) -> Q:
    """Read query parameters. Raises `Refusal` MALFORMED."""
    try:
        return msgspec.convert(dict(query), kind, strict=False)
    except msgspec.ValidationError as error:
        raise malformed(sentence(error, kind, "parameter"), "query") from error


def choice(what: str, word: str, kind: type[E], among: tuple[E, ...] = ()) -> E:
    """Return the member of a word. Raises `Refusal` MALFORMED with the words there are."""
    members = among or tuple(kind)
    for member in members:
        if member.value == word:
            return member
    raise malformed(f"{what}: invalid value, expected {listing(members)}", f"{what}.value")


def listing(members: tuple[enum.Enum, ...]) -> str:
    """Return words as a list for a sentence."""
    *first, last = (str(member.value) for member in members)
    return f"{', '.join(first)} or {last}" if first else last


def sentence(error: msgspec.ValidationError, kind: Any, what: str = "field") -> str:
    """Say what is wrong with a body or query, without its values."""
    match = _PLACE.fullmatch(str(error))
    fault, place = (match["fault"], match["place"] or "") if match else (str(error), "")
    if fault.startswith(_UNKNOWN_FIELD):
        fault = f"unknown {what} {fault.removeprefix(_UNKNOWN_FIELD)}{_known(kind, place)}"
    elif fault.startswith("Invalid value") and place.endswith("type"):
        fault = f"invalid value, expected one of {', '.join(CREDENTIAL_TYPES)}"
    fault = (fault[:1].lower() + fault[1:]).replace("`", "")
    return (f"{place}: {fault}" if place else fault)[:_SENTENCE_CHARACTERS]


def malformed(detail: str, check: str) -> Refusal:
    """Make the refusal of a request that cannot be read."""
    return Refusal(Reason.MALFORMED, detail, check=check)


def secret(kind: type, value: Any) -> Any:
    """Make a secret of its text, for msgspec. Raises `ValueError`, which msgspec turns into its own."""
    if kind is not Secret or not isinstance(value, str):
        raise ValueError("Expected `str`")
    return Secret(value)


def _known(kind: Any, place: str) -> str:
    """Name the fields there are, for the outermost object alone: the place says the rest."""
    if place or not isinstance(kind, type):
        return ""
    return f", known are {', '.join(field.encode_name for field in msgspec.structs.fields(kind))}"
