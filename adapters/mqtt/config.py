"""The bounds of the MQTT endpoint, with their defaults."""

import msgspec

_RANGES = (
    ("max_packet_bytes", 64, 268_435_460),  # the most that a length of four bytes can say (OASIS MQTT 5.0, section 2.1.4)
    ("receive_maximum", 1, 65_535),
    ("turn_packets", 1, 10_000),
    ("write_buffer_bytes", 1_024, 1_073_741_823),
    ("backlog", 1, 65_535),
    ("upstream_packet_bytes", 1_024, 268_435_460),
    ("watches", 0, 1_000),
    ("pushes", 1, 10_000),
)


class MqttConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What a stranger may use up. Of times, rates and numbers of connections, 0 turns the limit off.

    Raises `ValueError` where a number is outside what the protocol or the endpoint can work with.

    `connect_seconds` runs from an open connection to its CONNECT; over TLS a handshake of `ssl_handshake_seconds` is in it.
    `packet_seconds` is the time for the rest of a packet whose first byte is here. `idle_seconds` stands in for a keep-alive
    of 0. `write_stall_seconds` is how long a peer may read nothing while more than `write_buffer_bytes` wait for it here (the
    kernel holds up to twice as many), and how long the last bytes of a connection may take. `queue_bytes` may wait behind a
    request before reading stops, and `turn_packets` are handled before other connections get their turn. `receive_maximum` is
    announced to version 5, and is how many QoS 2 packets are remembered for versions 3. `subscriptions` are kept by one
    connection; `filters_per_packet` and `user_properties` may be in one packet. Of the answers of one connection, `watches` are
    watched, so that the client is sent what changes; of all connections together, `pushes` of these are evaluated at a time.
    Where a broker stands behind this server, it has `upstream_seconds` to take a client in, and a message from it that has more
    than `upstream_packet_bytes` is left out. A source is an IPv4 address or an IPv6 network of 64 bits.
    """

    max_packet_bytes: int = 135_168  # a message of 128 KiB, which some vendors promise, and its topic
    max_topic_bytes: int = 1_024
    connect_seconds: float = 10.0
    packet_seconds: float = 60.0
    idle_seconds: float = 3_600.0
    ssl_handshake_seconds: float = 10.0
    connections: int = 100_000
    connections_per_source: int = 1_000
    connects_per_second: float = 100.0
    connect_burst: int = 1_000
    queue_bytes: int = 65_536
    turn_packets: int = 16
    subscriptions: int = 32
    watches: int = 4
    pushes: int = 16
    filters_per_packet: int = 64
    user_properties: int = 32
    receive_maximum: int = 16
    write_buffer_bytes: int = 65_536
    write_stall_seconds: float = 10.0
    upstream_seconds: float = 5.0
    upstream_packet_bytes: int = 1_048_576
    backlog: int = 1_024

    def __post_init__(self) -> None:
        for name, least, most in _RANGES:
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be from {least} to {most}")
