"""JSON and CBOR: which of them a body is in, which is asked for, and both of them read and written."""

from io import BytesIO
from typing import Any

import cbor2
import msgspec

from adapters.exchange import Inbound
from core.errors import Reason, Refusal

JSON, CBOR = "application/json", "application/cbor"
_ANY_TYPE = frozenset({"*/*", "application/*"})
_ACCEPTED = frozenset({JSON, CBOR})


def read(inbound: Inbound) -> Any:
    """Return what a body says, an empty object where there is none; it is JSON unless it says that it is CBOR.

    Raises `Refusal` MALFORMED.
    """
    if not inbound.body:
        return {}
    kind = (inbound.content_type or JSON).partition(";")[0].strip().lower()
    return _read_cbor(inbound.body) if kind == CBOR else _read_json(inbound.body)


def write(document: Any, inbound: Inbound) -> tuple[bytes, str]:
    """Return a document in the form that is asked for, with its type."""
    if _wants_cbor(inbound):
        return cbor2.dumps(document), CBOR
    return msgspec.json.encode(document), JSON


def _read_json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unparsed("JSON") from error


def _read_cbor(body: bytes) -> Any:
    """Read one item, and nothing behind it."""
    stream = BytesIO(body)
    try:
        document = cbor2.load(stream)
    except (cbor2.CBORDecodeError, ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise _unparsed("CBOR") from error
    if stream.read(1):
        raise _unparsed("CBOR")
    return document


def _unparsed(form: str) -> Refusal:
    return Refusal(Reason.MALFORMED, f"the body is not {form}", check="body.unparsed")


def _wants_cbor(inbound: Inbound) -> bool:
    """Tell whether CBOR is named before anything that JSON satisfies (RFC 9110, section 12.5.1, without its weights)."""
    types = [part.partition(";")[0].strip().lower() for part in inbound.headers.get("accept", "").split(",")]
    return next((name for name in types if name in _ACCEPTED or name in _ANY_TYPE), JSON) == CBOR
