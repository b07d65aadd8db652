"""Texts as PostgreSQL takes them: it has no U+0000 (https://www.postgresql.org/docs/15/datatype-character.html)."""

import re
from collections.abc import Sequence
from typing import Any

_ESCAPED = re.compile("\x01([\x01\x02])")
_UNESCAPED = {"\x01": "\x00", "\x02": "\x01"}


def escaped(text: str) -> str:
    """Return a text without U+0000: that becomes U+0001 U+0001, and U+0001 becomes U+0001 U+0002.

    The order of texts stays what it was.
    """
    return text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01")


def unescaped(text: str) -> str:
    """Return the text that `escaped` was given."""
    return _ESCAPED.sub(lambda found: _UNESCAPED[found[1]], text)


def encoded(text: str) -> bytes:
    """Return what is sent for a text. Raises `UnicodeEncodeError` for half a surrogate pair."""
    if "\x00" in text or "\x01" in text:
        return escaped(text).encode()
    return text.encode()


def decoded(sent: bytes) -> str:
    """Return the text for which something was sent."""
    text = sent.decode()
    return unescaped(text) if "\x01" in text else text


def parameters(given: Sequence[Any]) -> tuple[Any, ...]:
    """Return a statement's parameters with the texts in its lists escaped: codecs do not reach into arrays.

    What is answered in an array is not given back as it was: statements answer with rows.
    """
    return tuple([_elements(each) if type(each) is list else each for each in given])


def _elements(column: list[Any]) -> list[Any]:
    if not any(isinstance(each, str) for each in column):
        return column
    together = "".join([each for each in column if each])
    if "\x00" not in together and "\x01" not in together:
        return column
    return [escaped(each) if each else each for each in column]
