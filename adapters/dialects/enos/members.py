"""How the body of a request becomes an object, and its members values; nothing is taken for what it is not."""

import re
from collections.abc import Mapping
from typing import Any, Final

import cbor2
import msgspec

from adapters.dialects.enos.errors import InvalidArgument, missing
from adapters.dialects.enos.representation import CBOR, JSON, media_type
from adapters.exchange import Carrier, Inbound
from core.credentials import has_control_characters
from core.errors import Reason, Refusal

MAX_BODY_BYTES: Final = 16_384
TEXT_CHARACTERS: Final = 256
SIGN_METHOD: Final = "sha256"

_DEPTH = 16  # of CBOR; JSON of this size is bounded by its decoder
_MAX_NUMBER = 2**63 - 1
_DIGITS = re.compile(r"[0-9]{1,20}", re.ASCII)
_DIGEST = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class Members:
    """The members of an object. A member that is null is absent; `within` is what stands before its name in messages."""

    def __init__(self, members: Mapping[Any, Any], within: str = "") -> None:
        self._members = members
        self._within = within

    def get(self, name: str) -> Any:
        """Return a member as it is, None where it is absent."""
        return self._members.get(name)

    def named(self, name: str) -> str:
        """Return the name of a member as messages have it."""
        return f"{self._within}{name}"

    def missing(self, name: str) -> InvalidArgument:
        """Make the refusal of an object without this member."""
        return missing(self.named(name))

    def invalid(self, name: str, fault: str) -> InvalidArgument:
        """Make the refusal of a member."""
        return InvalidArgument(self.named(name), fault)

    def text(self, name: str, characters: int = TEXT_CHARACTERS) -> str:
        """Return a text that has to be there. Raises `InvalidArgument`."""
        return checked_text(self.get(name), self.named(name), characters)

    def number(self, name: str) -> str:
        """Return the decimal text of a whole number, as sent where it was sent as a text. Raises `InvalidArgument`."""
        value = self.get(name)
        if value is None or value == "":
            raise self.missing(name)
        if isinstance(value, str) and _DIGITS.fullmatch(value):
            return value
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_NUMBER:
            return str(value)
        raise self.invalid(name, "a whole number is needed")

    def digest(self, name: str) -> str:
        """Return a SHA-256 in hex digits of either case. Raises `InvalidArgument`."""
        value = self.text(name)
        if _DIGEST.fullmatch(value) is None:
            raise self.invalid(name, "64 hexadecimal digits are needed")
        return value

    def require_sha256(self, name: str) -> None:
        """Raise `InvalidArgument` for any method of signing but the one there is, which an absent member means too."""
        value = self.get(name)
        if value is not None and not (isinstance(value, str) and value.lower() == SIGN_METHOD):
            raise self.invalid(name, f"only {SIGN_METHOD} is supported")

    def flag(self, name: str, default: bool) -> bool:
        """Return true or false. Raises `InvalidArgument`."""
        value = self.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.invalid(name, "true or false is needed")
        return value

    def object(self, name: str) -> "Members | None":
        """Return an object, None where it is absent. Raises `InvalidArgument`."""
        value = self.get(name)
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise self.invalid(name, "an object is needed")
        return Members(value, f"{self.named(name)}.")


def checked_text(value: Any, name: str, characters: int = TEXT_CHARACTERS) -> str:
    """Return a value that is a text of 1 to so many characters, none of them a control character. Raises `InvalidArgument`."""
    if value is None or value == "":
        raise missing(name)
    if not isinstance(value, str):
        raise InvalidArgument(name, "a string is needed")
    if len(value) > characters:
        raise InvalidArgument(name, f"longer than {characters} characters")
    if has_control_characters(value) or _SURROGATE.search(value):
        raise InvalidArgument(name, "control characters and half characters are not allowed")
    return value


def read_members(inbound: Inbound) -> Members:
    """Read a request's body. Raises `Refusal` UNSUPPORTED, TOO_LARGE or MALFORMED."""
    sent = media_type(inbound)
    cbor = sent == CBOR and inbound.carrier is not Carrier.HTTP
    if sent not in ("", JSON) and not cbor:
        raise Refusal(Reason.UNSUPPORTED, f"only {JSON} is supported", check="content.type")
    if len(inbound.body) > MAX_BODY_BYTES:
        raise Refusal(Reason.TOO_LARGE, f"larger than {MAX_BODY_BYTES} bytes", check="body.bytes")
    if not inbound.body.strip():
        raise InvalidArgument("body", "body is missing", check="body.empty")
    document = _read_cbor(inbound.body) if cbor else _read_json(inbound.body)
    if not isinstance(document, Mapping):
        raise InvalidArgument("body", "an object is needed", check="body.json")
    return Members(document)


def _read_json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument("body", "not JSON", check="body.json") from error


def _read_cbor(body: bytes) -> Any:
    try:
        return cbor2.loads(body, max_depth=_DEPTH, strict_hashable_types=True)
    except cbor2.CBORError as error:
        raise InvalidArgument("body", "not CBOR", check="body.json") from error
