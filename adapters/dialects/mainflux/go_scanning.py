"""Finds where the first JSON value of a text ends, and says of a broken one what Go's `encoding/json` says.

The text is one character for each byte: Go's sentences name bytes. Nesting is followed without recursion.
"""

import enum
import re
from typing import Final

_SPACE = re.compile(r"[ \t\r\n]*")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_DIGITS = re.compile(r"[0-9]*")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_ESCAPES: Final = frozenset('"\\/bfnrt')
_LITERALS: Final = {"t": "true", "f": "false", "n": "null"}
_MAX_DEPTH: Final = 10_000
_VALUE: Final = "looking for beginning of value"
_KEY: Final = "looking for beginning of object key string"
_NUMBER: Final = "in numeric literal"


class GoSyntaxError(ValueError):
    """What Go's decoder says of a text that is not JSON."""


class _State(enum.Enum):
    VALUE = enum.auto()
    FIRST_ITEM = enum.auto()
    FIRST_KEY = enum.auto()
    KEY = enum.auto()
    AFTER = enum.auto()


def end_of_value(text: str) -> int:
    """Return where the first value ends; what follows it is not looked at. Raises `GoSyntaxError`."""
    if _SPACE.fullmatch(text):
        raise GoSyntaxError("EOF")
    scan = _Scan(text)
    state, at = _State.VALUE, 0
    while state is not _State.AFTER or scan.open:
        state, at = scan.step(state, scan.skip(at))
    return at


class _Scan:
    """Reads one step at a time: a scalar, a key with its colon, or a bracket. `open` are the brackets around it."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.open: list[str] = []

    def skip(self, at: int) -> int:
        """Return where the white space ends."""
        space = _SPACE.match(self._text, at)
        return space.end() if space else at

    def step(self, state: _State, at: int) -> tuple[_State, int]:
        """Read on from a place without white space; returns what may follow, and where."""
        found = self._at(at)
        match state:
            case _State.AFTER:
                return self._after(found, at)
            case _State.FIRST_ITEM if found == "]":
                return self._close(at)
            case _State.FIRST_KEY if found == "}":
                return self._close(at)
            case _State.FIRST_KEY | _State.KEY:
                return self._key(found, at)
            case _:
                return self._value(found, at)

    def _value(self, first: str, at: int) -> tuple[_State, int]:
        if first in "{[":
            self.open.append(first)
            if len(self.open) > _MAX_DEPTH:
                raise GoSyntaxError("exceeded max depth")
            return (_State.FIRST_KEY if first == "{" else _State.FIRST_ITEM), at + 1
        if first == '"':
            return _State.AFTER, self._string(at + 1)
        if first in _LITERALS:
            return _State.AFTER, self._literal(_LITERALS[first], at)
        if first in "-0123456789":
            return _State.AFTER, self._number(first, at)
        raise _invalid(first, _VALUE)

    def _after(self, found: str, at: int) -> tuple[_State, int]:
        in_object = self.open[-1] == "{"
        if found == ("}" if in_object else "]"):
            return self._close(at)
        if found != ",":
            raise _invalid(found, "after object key:value pair" if in_object else "after array element")
        return (_State.KEY if in_object else _State.VALUE), at + 1

    def _close(self, at: int) -> tuple[_State, int]:
        self.open.pop()
        return _State.AFTER, at + 1

    def _key(self, first: str, at: int) -> tuple[_State, int]:
        if first != '"':
            raise _invalid(first, _KEY)
        at = self.skip(self._string(at + 1))
        colon = self._at(at)
        if colon != ":":
            raise _invalid(colon, "after object key")
        return _State.VALUE, at + 1

    def _string(self, at: int) -> int:
        """Return where the string ends whose first character is here."""
        while True:
            plain = _PLAIN.match(self._text, at)
            at = plain.end() if plain else at
            found = self._at(at)
            if found == '"':
                return at + 1
            if found != "\\":
                raise _invalid(found, "in string literal")
            at = self._escape(at + 1)

    def _escape(self, at: int) -> int:
        found = self._at(at)
        if found in _ESCAPES:
            return at + 1
        if found != "u":
            raise _invalid(found, "in string escape code")
        for place in range(at + 1, at + 5):
            if self._at(place) not in _HEX:
                raise _invalid(self._at(place), "in \\u hexadecimal character escape")
        return at + 5

    def _literal(self, word: str, at: int) -> int:
        for offset, expected in enumerate(word):
            found = self._at(at + offset)
            if found != expected:
                raise _invalid(found, f"in literal {word} (expecting {_quoted(expected)})")
        return at + len(word)

    def _number(self, first: str, at: int) -> int:
        """Return where a number ends (RFC 8259, section 6)."""
        if first == "-":
            at += 1
            first = self._digit(at, _NUMBER)
        at = at + 1 if first == "0" else self._digits(at)
        if self._text[at : at + 1] == ".":
            self._digit(at + 1, "after decimal point in numeric literal")
            at = self._digits(at + 1)
        if self._text[at : at + 1] in ("e", "E"):
            at += 2 if self._text[at + 1 : at + 2] in ("+", "-") else 1
            self._digit(at, "in exponent of numeric literal")
            at = self._digits(at)
        return at

    def _digit(self, at: int, context: str) -> str:
        found = self._at(at)
        if found not in "0123456789":
            raise _invalid(found, context)
        return found

    def _digits(self, at: int) -> int:
        digits = _DIGITS.match(self._text, at)
        return digits.end() if digits else at

    def _at(self, at: int) -> str:
        if at >= len(self._text):
            raise GoSyntaxError("unexpected EOF")
        return self._text[at]


def _invalid(found: str, context: str) -> GoSyntaxError:
    return GoSyntaxError(f"invalid character {_quoted(found)} {context}")


def _quoted(character: str) -> str:
    """Return a byte as Go quotes it."""
    if character == "'":
        return r"'\''"
    if character == '"':
        return "'\"'"
    names = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v", "\\": r"\\"}
    if character in names:
        return f"'{names[character]}'"
    if character.isprintable():
        return f"'{character}'"
    return f"'\\x{ord(character):02x}'" if ord(character) < 0x80 else f"'\\u{ord(character):04x}'"
