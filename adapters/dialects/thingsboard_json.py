"""How the reference server of ThingsBoard reads JSON values: numbers and booleans stand for texts, `null` for nothing."""

import msgspec

from core.errors import Reason, Refusal

UNPARSED, FIELD = "body.unparsed", "body.field"

_ANY = msgspec.json.Decoder(msgspec.Raw)
_TEXT = msgspec.json.Decoder(str)


def text(raw: msgspec.Raw, name: str) -> str | None:
    """Return a value as the reference reads it: a number or boolean is taken as its text. `null` is absent."""
    written = bytes(raw).strip()
    if written == b"null":
        return None
    if written[:1] in (b"{", b"["):
        raise bad_field(f"{name} is not a text")
    if written[:1] != b'"':
        return written.decode("ascii")
    try:
        return _TEXT.decode(written)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise bad_field(f"{name} is not a text") from error


def bad_field(detail: str) -> Refusal:
    """Make the refusal of a body that can be read, and holds something wrong."""
    return Refusal(Reason.MALFORMED, detail, check=FIELD)


def is_json(body: bytes) -> bool:
    """Tell whether a body is JSON, whatever it says."""
    try:
        _ANY.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def require_json(body: bytes) -> None:
    """Check that a body is JSON. Raises `Refusal` MALFORMED."""
    if not is_json(body):
        raise Refusal(Reason.MALFORMED, "the body is not JSON", check=UNPARSED)
