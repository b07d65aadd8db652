"""Random texts and identifiers, drawn from the entropy port."""

from core.ports import Entropy

ALPHABET = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_FAIR = 256 - 256 % len(ALPHABET)
_TABLE = bytes(ALPHABET[byte % len(ALPHABET)] for byte in range(256))
_UNFAIR = bytes(range(_FAIR, 256))


def random_text(length: int, entropy: Entropy) -> str:
    """Return `length` characters of `[A-Za-z0-9]`, each equally likely (5.95 bits each)."""
    text = b""
    while len(text) < length:
        text += entropy.draw(length + 8).translate(_TABLE, _UNFAIR)
    return text[:length].decode("ascii")


def new_id(now: int, entropy: Entropy) -> str:
    """Return a UUIDv7 (RFC 9562, section 5.7) for a time in milliseconds: ids sort by the time of their making."""
    low = int.from_bytes(entropy.draw(10), "big")
    high = (now & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | (low >> 64 & 0x0FFF)
    text = f"{high:016x}{low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
