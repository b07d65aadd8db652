"""Text that others chose, made safe for a terminal: nothing in it can move a cursor, hide text or turn its direction."""

import unicodedata

_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def printable(text: str) -> str:
    r"""Return the text with control, format and line-separating characters as escapes such as `\x1b` and `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(character) if unicodedata.category(character) in _UNSAFE else character for character in text)


def printable_lines(text: str) -> str:
    """Return a text of several lines with its line ends kept and everything else made printable."""
    return "\n".join(printable(line) for line in text.split("\n"))


def printable_json(text: str) -> str:
    r"""Return a JSON text that means the same with those characters as `\uXXXX` (RFC 8259, section 7).

    In valid JSON they occur inside strings alone, but for the line ends and tabs between values, which stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape_json(character) for character in text)


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _escape_json(character: str) -> str:
    if character in "\n\r\t" or unicodedata.category(character) not in _UNSAFE:
        return character
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))
