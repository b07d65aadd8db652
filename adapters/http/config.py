"""The bounds of the HTTP server."""

import msgspec


class HttpConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What one connection, one source and one request may take. Zero connections: no limit.

    Bodies of more than `large_body_bytes` may hold `large_bodies_bytes` together; beyond that they are turned away for a while.
    At most `streams` answers are sent piece by piece at once; one whose receiver stops reading for `stream_stall_seconds` is
    cut off. `handshake_seconds` is the time for TLS.
    """

    max_body_bytes: int = 4_194_304
    large_body_bytes: int = 65_536
    large_bodies_bytes: int = 67_108_864
    max_path_bytes: int = 2_048
    max_headers: int = 64
    max_header_bytes: int = 8_190
    body_seconds: float = 10.0
    keepalive_seconds: float = 30.0
    handshake_seconds: float = 10.0
    connections: int = 10_000
    connections_per_source: int = 1_000
    backlog: int = 1_024
    streams: int = 16
    stream_stall_seconds: float = 60.0
