"""Every bound of the CoAP adapter, with its default."""

import msgspec

KIB = 1024
MIB = 1024 * KIB


class CoapConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the CoAP server takes and keeps.

    Raises `ValueError` for a block size that RFC 7959 does not have, and for a pace at which no notification ever goes out.

    Rates are datagrams; a source is one IPv4 address or one IPv6 network of 64 bits. A `running` request has been handed over
    and is not answered yet. A `remote` is one address and port. An observer (RFC 7641) is one request of one remote;
    `notifications_per_second` is how often, over all of them, one is asked again for what it may have to be told.
    """

    max_body_bytes: int = 64 * KIB
    max_options: int = 64
    max_path_bytes: int = KIB
    max_query_bytes: int = 2 * KIB
    max_query_options: int = 16
    source_datagrams_per_second: float = 1_000.0
    source_burst_datagrams: int = 4_000
    global_datagrams_per_second: float = 10_000.0
    global_burst_datagrams: int = 20_000
    max_sources: int = 50_000
    max_running: int = 2_000
    retry_after_seconds: float = 5.0  # what a refused device is told when the server is busy or stopping
    dedup_entries: int = 20_000
    dedup_bytes: int = 16 * MIB
    dedup_seconds: float = 247.0  # EXCHANGE_LIFETIME, RFC 7252 section 4.8.2
    empty_ack_seconds: float = 0.5
    backlog_per_remote: int = 4
    max_unacknowledged_remotes: int = 1_000
    block_size_exponent: int = 6  # 2 ** (6 + 4) = 1024 bytes, RFC 7959 section 2.2
    max_assembly_bytes: int = 8 * MIB  # all unfinished block-wise requests together
    max_representation_bytes: int = 64 * MIB  # all answers that are being fetched block by block together: 40 of 1.5 MiB
    block_seconds: float = 93.0  # MAX_TRANSMIT_WAIT: how long the rest of a block-wise transfer is waited for
    observers: int = 10_000
    observers_per_remote: int = 4
    observe_seconds: float = 86_400.0  # how long one is kept that does not register again
    observe_max_bytes: int = 64  # the largest answer that is observed; larger ones are fetched, block by block
    notifications_per_second: float = 200.0
    receive_buffer_bytes: int = 4 * MIB
    require_echo: bool = False  # RFC 9175: prove the address before an answer of more than three times the request
    dtls_sessions: int = 2_000  # 80 to 90 KiB each
    dtls_sessions_per_source: int = 500
    dtls_handshakes: int = 500  # of the sessions, how many may be unfinished
    dtls_handshakes_per_second: float = 50.0  # of one source, once it proved its address
    dtls_burst_handshakes: int = 200
    dtls_handshake_seconds: float = 30.0
    dtls_idle_seconds: float = 120.0  # a session that observes stays
    dtls_handshake_bytes: int = 64 * KIB  # of one client: room for a long chain of certificates
    dtls_claim_seconds: float = 600.0  # how long a handshake with the secret of a claim key is good for
    dtls_queue_datagrams: int = 8  # of one session, while it is asked who it is
    dtls_queue_bytes: int = 16 * KIB
    oscore_contexts: int = 10_000  # 4 KiB each
    tcp_connections: int = 10_000
    tcp_connections_per_source: int = 1_000
    tcp_running: int = 16  # of one connection; reading waits
    tcp_csm_seconds: float = 10.0  # from an open connection to the first message, the client's settings
    tcp_message_seconds: float = 60.0  # for the rest of a message whose first byte is here
    tcp_idle_seconds: float = 3_600.0  # a ping ends it (RFC 8323, section 5.4)
    tcp_received_bytes: int = 64 * MIB  # of messages that are not whole yet, those of all connections together
    tcp_write_buffer_bytes: int = 64 * KIB  # of one connection; beyond them reading waits
    tcp_write_stall_seconds: float = 30.0  # for a client to take what is beyond them
    tcp_handshake_seconds: float = 10.0
    tcp_backlog: int = 1_024
    log_lines_per_second: int = 5
    drain_seconds: float = 5.0  # how long `close` waits for running requests

    def __post_init__(self) -> None:
        if not 0 <= self.block_size_exponent <= 6:
            raise ValueError("block_size_exponent must be from 0 (16 bytes) to 6 (1024 bytes)")
        if min(self.dtls_sessions, self.dtls_sessions_per_source, self.dtls_handshakes) < 1:
            raise ValueError("dtls_sessions, dtls_sessions_per_source and dtls_handshakes must be at least 1")
        if min(self.oscore_contexts, self.tcp_connections, self.tcp_connections_per_source, self.tcp_running) < 1:
            raise ValueError("oscore_contexts, tcp_connections, tcp_connections_per_source and tcp_running must be at least 1")
        if not self.notifications_per_second > 0:
            raise ValueError("notifications_per_second must be above 0")
