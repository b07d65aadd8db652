"""Half surrogate pairs: what stands for bytes that are not UTF-8 in paths and headers, and for nothing at all in JSON."""

import re

_HALF = re.compile(r"[\ud800-\udfff]")


def mended(text: str) -> str:
    """Return a text that any registry can look for: U+FFFD in place of every half, as Go has it."""
    return text if text.isascii() else _HALF.sub("\ufffd", text)
