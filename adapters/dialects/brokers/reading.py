"""Reads what brokers send: JSON objects, forms and queries, each into the struct of what was asked."""

from typing import Annotated, TypeVar
from urllib.parse import parse_qsl

import msgspec

from adapters.exchange import Inbound
from core.errors import Reason, Refusal

TEXT_CHARACTERS = 65_535  # no text of an MQTT packet is longer (OASIS MQTT 5.0, section 1.5.4)
Text = Annotated[str, msgspec.Meta(max_length=TEXT_CHARACTERS)]
Host = Annotated[str, msgspec.Meta(max_length=64)]  # an address is shorter
_FORM = "application/x-www-form-urlencoded"
_FIELDS = 64

T = TypeVar("T", bound=msgspec.Struct)


def read(inbound: Inbound, kind: type[T]) -> T:
    """Read the body of a POST, a form where it says so and JSON otherwise; of a GET the query. Raises `Refusal` MALFORMED."""
    if inbound.method == "GET":
        return _converted(query(inbound), kind)
    if (inbound.content_type or "").partition(";")[0].strip().lower() == _FORM:
        return _converted(_form(inbound.body), kind)
    try:
        return msgspec.json.decode(inbound.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise malformed(_fault(error)) from error


def query(inbound: Inbound) -> dict[str, str]:
    """Return the query. RabbitMQ puts its own behind that of the configured URL, with a second question mark between."""
    try:
        return dict(parse_qsl(inbound.raw_query.replace("?", "&"), keep_blank_values=True, max_num_fields=_FIELDS))
    except ValueError:
        return {}  # too many fields: no broker's


def malformed(detail: str) -> Refusal:
    """Make the refusal of a question that cannot be read."""
    return Refusal(Reason.MALFORMED, f"the question cannot be read: {detail}", check="broker.question")


def _form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS)
    except (UnicodeDecodeError, ValueError) as error:
        raise malformed("the form is no form of UTF-8, or too long") from error
    return dict(pairs)


def _converted(fields: dict[str, str], kind: type[T]) -> T:
    try:
        return msgspec.convert(fields, kind, strict=False)
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise malformed(_fault(error)) from error


def _fault(error: Exception) -> str:
    """Return what is wrong, without what was sent: it may be a password."""
    return str(error) if isinstance(error, msgspec.ValidationError) else "it is no JSON, or not in UTF-8"
