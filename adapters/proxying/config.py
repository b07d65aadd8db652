"""The bounds on connections that come through proxies."""

import msgspec

_MOST_SECONDS = 3_600.0


class ProxyConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a connection from a proxy may take before it is known whom it is for.

    Within `header_seconds` its PROXY header is here, or the first bytes of something else; `pending` connections may wait for
    that at once, at all listeners together. Raises `ValueError` where a number makes no sense.
    """

    header_seconds: float = 10.0
    pending: int = 10_000

    def __post_init__(self) -> None:
        if not 0.1 <= self.header_seconds <= _MOST_SECONDS:
            raise ValueError(f"header_seconds must be from 0.1 to {_MOST_SECONDS:g}")
        if self.pending < 1:
            raise ValueError("pending must be 1 or more")
