"""Versions as clients see them: short opaque texts, and the header in which they send them back.

A version goes to and fro without any table: the number is spread a little, so that nobody is led to count, and written in
base 62. A text that is none of these fits no version, so an update that names it is refused like any other that is out of date.
"""

import re
import string
from collections.abc import Mapping
from typing import Final

from adapters.dialects.xively.faults import malformed

NEVER: Final = 0
"""A version that nothing ever has: they begin at 1."""

_DIGITS: Final = string.digits + string.ascii_lowercase + string.ascii_uppercase
_SPREAD: Final = 37
_FROM: Final = 62  # texts have two characters at least
_TEXT = re.compile(r"[0-9A-Za-z]{2,12}")
_HEADER = re.compile(r'\s*(?:[Ww]/)?(?:"([^"]*)"|([^"\s]*))\s*')
_ANY = "*"


def opaque(version: int) -> str:
    """Return the text of a version."""
    number, text = version * _SPREAD + _FROM, ""
    while number:
        number, digit = divmod(number, len(_DIGITS))
        text = _DIGITS[digit] + text
    return text


def read_opaque(text: str) -> int:
    """Return the version of a text; `NEVER` where it is none's."""
    if not _TEXT.fullmatch(text):
        return NEVER
    number = 0
    for character in text:
        number = number * len(_DIGITS) + _DIGITS.index(character)
    version, rest = divmod(number - _FROM, _SPREAD)
    return version if version > 0 and not rest and opaque(version) == text else NEVER


def sent_version(headers: Mapping[str, str]) -> str | None:
    """Return what a client sends as the version it has seen: `etag`, or `If-Match` in its place; None where it sends none."""
    for name in ("etag", "if-match"):
        sent = headers.get(name, "").strip()
        if sent:
            return sent
    return None


def seen_version(sent: str | None) -> int | None:
    """Read a version that was sent: bare, quoted, or marked as weak; None for any version (RFC 9110, section 13.1.1).

    Raises `Refusal` MALFORMED where there is none.
    """
    if sent is None:
        raise malformed("etag header is required", "etag.missing", "etag")
    if sent == _ANY:
        return None
    match = _HEADER.fullmatch(sent)
    return read_opaque(match[1] or match[2] or "") if match else NEVER
