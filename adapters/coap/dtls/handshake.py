"""The three handshake messages that are read or written beside OpenSSL: ClientHello, HelloVerifyRequest, ClientKeyExchange."""

from collections.abc import Iterable, Iterator

import msgspec

from adapters.coap.dtls.records import HANDSHAKE, HEADER_BYTES, epoch

CLIENT_HELLO, HELLO_VERIFY_REQUEST, CLIENT_KEY_EXCHANGE = 1, 3, 16
MESSAGE_HEADER_BYTES = 12
RANDOM_BYTES = 32
DTLS_1_0 = b"\xfe\xff"  # what a HelloVerifyRequest says whatever is spoken afterwards: RFC 6347, section 4.2.1


class ClientHello(msgspec.Struct, frozen=True):
    """The first message of a client (RFC 6347, section 4.2.1).

    `parameters` is what a client repeats unchanged when it sends the cookie: version, random and session id.
    """

    random: bytes
    parameters: bytes
    cookie: bytes


def is_client_hello(record: bytes) -> bool:
    """Tell whether a record claims to begin a handshake."""
    return record[0] == HANDSHAKE and record[HEADER_BYTES : HEADER_BYTES + 1] == b"\x01" and epoch(record) == 0


def client_hello(record: bytes) -> ClientHello | None:
    """Read a ClientHello; None for one that is broken, or spread over several records, of which nobody would keep the first."""
    message = next(_messages(record), None)
    if message is None or message[0] != CLIENT_HELLO:
        return None
    body = message[MESSAGE_HEADER_BYTES:]
    after_id = 2 + RANDOM_BYTES + 1 + (body[2 + RANDOM_BYTES] if len(body) > 2 + RANDOM_BYTES else 0)
    cookie_length = body[after_id] if len(body) > after_id else len(body)
    after_cookie = after_id + 1 + cookie_length
    if after_cookie > len(body):
        return None
    cookie = body[after_id + 1 : after_cookie]
    return ClientHello(body[2 : 2 + RANDOM_BYTES], body[:after_id], cookie)


def hello_verify_request(cookie: bytes) -> bytes:
    """Return the record that asks a client for this cookie (RFC 6347, section 4.2.1).

    Its number is always 0. It should be that of the ClientHello; but OpenSSL numbers its records from 1 whatever that was, and
    a client that repeated its ClientHello would take the ServerHello for a record that it has already.
    """
    body = DTLS_1_0 + len(cookie).to_bytes(1, "big") + cookie
    length = len(body).to_bytes(3, "big")
    message = bytes([HELLO_VERIFY_REQUEST]) + length + bytes(5) + length + body
    header = bytes([HANDSHAKE]) + DTLS_1_0 + bytes(8)
    return header + len(message).to_bytes(2, "big") + message


def preshared_identity(records: Iterable[bytes]) -> bytes | None:
    """Return the PSK identity in a ClientKeyExchange (RFC 4279, section 2; RFC 5489, section 2), where there is one."""
    for record in records:
        if record[0] == HANDSHAKE and epoch(record) == 0:
            for message in _messages(record):
                if message[0] == CLIENT_KEY_EXCHANGE:
                    return _identity(message[MESSAGE_HEADER_BYTES:])
    return None


def _identity(body: bytes) -> bytes | None:
    # An ECDHE key exchange without PSK has the same type: a length byte and a point, whose lengths come out otherwise.
    end = 2 + int.from_bytes(body[:2], "big")
    with_point = len(body) > end and end + 1 + body[end] == len(body)
    return body[2:end] if end == len(body) or with_point else None


def _messages(record: bytes) -> Iterator[bytes]:
    """Yield the whole messages of a record in the clear; a fragment of one ends it."""
    start = HEADER_BYTES
    while start + MESSAGE_HEADER_BYTES <= len(record):
        length, offset, present = (int.from_bytes(record[start + at : start + at + 3], "big") for at in (1, 6, 9))
        end = start + MESSAGE_HEADER_BYTES + length
        if offset or present != length or end > len(record):
            return
        yield record[start:end]
        start = end
