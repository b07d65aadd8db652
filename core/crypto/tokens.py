"""Random texts and identifiers, drawn from the entropy port."""

from core.ports import Entropy

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_FAIR = 256 - 256 % len(ALPHABET)
_TABLE = bytes(ALPHABET[byte % len(ALPHABET)] for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))
_VARIANT = {f"{digit:x}": f"{digit & 3 | 8:x}" for digit in range(16)}  # the two high bits say: RFC 9562


def random_text(length: int, entropy: Entropy) -> str:
    """Return `length` characters of `[A-Za-z0-9]`, each equally likely (5.95 bits each)."""
    text = b""
    while len(text) < length:
        text += entropy.draw(length + 8).translate(_TABLE, _UNFAIR)
    return text[:length].decode("ascii")


def new_id(now: int, entropy: Entropy) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7) for a time in milliseconds: ids sort by the time of their making."""
    digits = (now.to_bytes(6, "big") + entropy.draw(10)).hex()
    variant = _VARIANT[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-7{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
