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
    log_lines_per_second: int = 5
    drain_seconds: float = 5.0  # how long `close` waits for running requests

    def __post_init__(self) -> None:
        if not 0 <= self.block_size_exponent <= 6:
            raise ValueError("block_size_exponent must be from 0 (16 bytes) to 6 (1024 bytes)")
        if not self.notifications_per_second > 0:
            raise ValueError("notifications_per_second must be above 0")
