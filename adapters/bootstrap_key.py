"""The key that all devices of secure bootstrap share, as it is written in settings."""

import re
from typing import Final

from core.crypto.cfb import KEY_BYTES
from core.model import Secret

PUBLISHED: Final = Secret("12345678910111213141516171819202")
"""What Mainflux and Magistrala use where nothing else is set, and print in their documents."""

_HEX: Final = re.compile("(?:[0-9a-fA-F]{32}){1,2}|[0-9a-fA-F]{48}")
_SIZES: Final = "16, 24 or 32"


def parse(key: Secret | None, key_format: str) -> bytes | None:
    """Return the key's bytes, read as hex or as they are; None switches secure bootstrap off.

    Raises `ValueError`, which does not show the key.
    """
    if key is None:
        return None
    try:
        parsed = bytes.fromhex(key.reveal()) if key_format == "hex" else key.reveal().encode()
    except ValueError as error:
        raise ValueError("the key is not hex; write hex digits, or set FIRSTLIGHT_BOOTSTRAP_KEY_FORMAT to raw") from error
    if len(parsed) not in KEY_BYTES:
        raise ValueError(f"the key has {len(parsed)} bytes, read as {key_format}; AES takes {_SIZES}: openssl rand -hex 16")
    return parsed


def was_hex(text: str) -> bool:
    """Tell whether Mainflux up to 0.13, which reads its key as hex, could have read this one."""
    return _HEX.fullmatch(text) is not None


def is_published(key: Secret | None) -> bool:
    """Tell whether this is the key that everybody knows."""
    return key == PUBLISHED
