"""The settings of TLS that all listeners share."""

import msgspec

_MOST_SECONDS = 86_400.0


class TlsConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How often the files are looked at, and what a client may send before it has proved anything.

    Raises `ValueError` where a number makes no sense. `handshake_bytes` has room for a client's longest chain of certificates.
    """

    reload_seconds: float = 10.0
    handshake_bytes: int = 131_072
    handshakes_per_second: float = 100.0  # of one source, at one protocol's listeners: each costs a millisecond; 0: no limit
    burst_handshakes: int = 1_000

    def __post_init__(self) -> None:
        if not 0.1 <= self.reload_seconds <= _MOST_SECONDS:
            raise ValueError(f"reload_seconds must be from 0.1 to {_MOST_SECONDS:g}")
        if self.handshake_bytes < 4_096:
            raise ValueError("handshake_bytes must be 4096 or more")
        if self.handshakes_per_second < 0 or self.burst_handshakes < 1:
            raise ValueError("handshakes_per_second must be 0 or more, burst_handshakes 1 or more")
