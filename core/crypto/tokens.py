"""Random texts and identifiers, drawn from the entropy port."""

from typing import Final

from core.ports import Entropy

_VARIANT = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}  # the two high bits say: RFC 9562


class Alphabet:
    """The characters of a random text, each equally likely: a byte that would favour some of them is drawn again."""

    def __init__(self, characters: str) -> None:
        fair = 256 - 256 % len(characters)
        self._table = bytes(ord(characters[byte % len(characters)]) for byte in range(256))
        self._unfair = bytes(range(fair, 256))

    def draw(self, length: int, entropy: Entropy) -> str:
        """Draw a text of this length."""
        text = b""
        while len(text) < length:
            text += entropy.draw(length + 8).translate(self._table, self._unfair)
        return text[:length].decode("ascii")


LETTERS_AND_DIGITS: Final = Alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")  # 5.95 bits each
LOWER_AND_DIGITS: Final = Alphabet("abcdefghijklmnopqrstuvwxyz0123456789")  # 5.17 bits each
UPPER_AND_DIGITS: Final = Alphabet("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")  # 5.17 bits each


def random_text(length: int, entropy: Entropy) -> str:
    """Return random characters of `[A-Za-z0-9]`."""
    return LETTERS_AND_DIGITS.draw(length, entropy)


def new_id(now: int, entropy: Entropy) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7) for a time in milliseconds: ids sort by the time of their making."""
    digits = (now.to_bytes(6, "big") + entropy.draw(10)).hex()
    variant = _VARIANT[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def random_uuid(entropy: Entropy) -> str:
    """Return a UUIDv4 (RFC 9562, section 5.4)."""
    digits = entropy.draw(16).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:]}"
