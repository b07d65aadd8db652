"""The settings of TLS that all listeners share."""

import msgspec

_MOST_SECONDS = 86_400.0


class TlsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How often the files are looked at, and what a client may send before it has proved anything.

    Raises `ValueError` where a number makes no sense. `handshake_bytes` has room for a client's longest chain of certificates.
    """

    reload_seconds: float = 10.0
    handshake_bytes: int = 131_072

    def __post_init__(self) -> None:
        if not 0.1 <= self.reload_seconds <= _MOST_SECONDS:
            raise ValueError(f"reload_seconds must be from 0.1 to {_MOST_SECONDS:g}")
        if self.handshake_bytes < 4_096:
            raise ValueError("handshake_bytes must be 4096 or more")
