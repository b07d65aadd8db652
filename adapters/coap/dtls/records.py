"""DTLS 1.2 records (RFC 6347, section 4.1): taken out of datagrams, put into datagrams, and what their headers say."""

from collections.abc import Iterator

HEADER_BYTES = 13
MAX_FRAGMENT_BYTES = 2**14 + 2048  # RFC 5246, section 6.2.3
DATAGRAM_BYTES = 1_200
CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = range(20, 24)
MAJOR_VERSION = 0xFE


def split(datagram: bytes) -> tuple[bytes, ...]:
    """Return the whole records of a datagram, in order; what follows a broken header is no record."""
    records = []
    start = 0
    while start + HEADER_BYTES <= len(datagram):
        length = int.from_bytes(datagram[start + 11 : start + HEADER_BYTES], "big")
        end = start + HEADER_BYTES + length
        if datagram[start + 1] != MAJOR_VERSION or length > MAX_FRAGMENT_BYTES or end > len(datagram):
            break
        if CHANGE_CIPHER_SPEC <= datagram[start] <= APPLICATION_DATA:
            records.append(datagram[start:end])
        start = end
    return tuple(records)


def pack(stream: bytes) -> Iterator[bytes]:
    """Yield records that were written one after the other as datagrams, as few as may be; none is cut."""
    packed = b""
    for record in split(stream):
        if packed and len(packed) + len(record) > DATAGRAM_BYTES:
            yield packed
            packed = b""
        packed += record
    if packed:
        yield packed


def epoch(record: bytes) -> int:
    """Return the epoch: 0 before anything is encrypted."""
    return int.from_bytes(record[3:5], "big")
