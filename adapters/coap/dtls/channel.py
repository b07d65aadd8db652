"""One DTLS association as OpenSSL runs it in memory: records in, records out; no socket, no clock, no loop."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from OpenSSL import SSL, crypto

from adapters.coap.dtls.library import PRIVATE
from adapters.coap.dtls.records import DATAGRAM_BYTES, pack

READ_BYTES = 2**14  # a record never holds more; a smaller buffer would cut a message in two
DRAIN_BYTES = 2**16
CIPHER_CHANGED = b"SSLv3/TLS read change cipher spec"  # SSL_state_string_long(3)
WAITING: Final = object()


class Broken(Exception):
    """The association cannot go on; there may be an alert to send."""


class Closed(Exception):
    """The other end said goodbye (close_notify; RFC 5246, section 7.2.1)."""


class Channel:
    """The server side of an association, from a ClientHello whose cookie is right; `owner` lives as long as this does.

    Raises `Broken` where OpenSSL does not take the ClientHello.
    """

    def __init__(self, connection: SSL.Connection, record: bytes, owner: object) -> None:
        self._connection = connection
        self._owner = owner
        self._offer: tuple[bytes, bytes] | None = None
        self.handed_out = False
        connection.set_accept_state()
        connection.set_ciphertext_mtu(DATAGRAM_BYTES)
        connection.bio_write(record)
        if _step(connection.DTLSv1_listen) is WAITING:
            raise Broken
        connection.set_app_data(self)

    def write(self, record: bytes) -> None:
        """Take one record from the other end."""
        self._connection.bio_write(record)

    def shake_hands(self) -> bool:
        """Go on with the handshake; tells whether it is over. Raises `Broken`."""
        if _step(self._connection.do_handshake) is WAITING:
            return False
        self._offer = None
        return True

    @property
    def changed_cipher(self) -> bool:
        """Tell whether nothing but the end of the other side's handshake is missing, which is encrypted.

        A ChangeCipherSpec that overtook the key exchange does not count: OpenSSL waits for it to be repeated.
        """
        return self._connection.get_state_string() == CIPHER_CHANGED

    def messages(self) -> Iterator[bytes]:
        """Yield what the other end sent, one message for each record. Raises `Closed` and `Broken`."""
        while (message := _step(self._connection.recv, READ_BYTES)) is not WAITING:
            yield message

    def send(self, message: bytes) -> None:
        """Encrypt a message. Raises `Broken`."""
        _step(self._connection.send, message)

    def datagrams(self) -> Iterator[bytes]:
        """Return what there is to send to the other end."""
        stream = b""
        while (written := _step(self._connection.bio_read, DRAIN_BYTES)) is not WAITING:
            stream += written
            if len(written) < DRAIN_BYTES:
                break
        return pack(stream)

    def offer(self, identity: bytes, key: bytes) -> None:
        """Have a key ready for the one who uses this PSK identity."""
        self._offer = identity, key

    def hand_out(self, identity: bytes) -> bytes:
        """Return the key of an identity; nothing where it is another one than was offered one."""
        if self._offer is None or self._offer[0] != identity:
            return b""
        self.handed_out = True
        return self._offer[1]

    def chain(self) -> tuple[bytes, ...]:
        """Return the certificates of the other end as they were sent, as DER, its own first; nothing where it showed none."""
        leaf = self._connection.get_peer_certificate()
        if leaf is None:
            return ()
        rest = self._connection.get_peer_cert_chain() or ()  # of a client, it is without the leaf (SSL_get_peer_cert_chain(3))
        return tuple(crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate) for certificate in (leaf, *rest))

    def timeout(self) -> float | None:
        """Return in how many seconds the last flight is due again; None: nothing waits for an answer."""
        return self._connection.DTLSv1_get_timeout()

    def resend(self) -> None:
        """Send the last flight again, where that is due. Raises `Broken` when it was sent too often."""
        _step(self._connection.DTLSv1_handle_timeout)

    def say_goodbye(self) -> None:
        """Send a close_notify, where the handshake is over and nothing is broken."""
        try:
            _step(self._connection.shutdown)
        except (Broken, Closed):
            return

    def release(self) -> None:
        """Give the memory back at once, and forget the key; nothing is called afterwards."""
        self._offer = None
        self._connection.set_app_data(None)


def _step(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a call returns, WAITING where it needs to hear from the other end first. Raises `Closed` and `Broken`."""
    PRIVATE._lib.ERR_clear_error()  # one call's remains would be taken for another's failure (SSL_get_error(3))
    try:
        return call(*arguments)
    except SSL.WantReadError:
        return WAITING
    except SSL.ZeroReturnError as error:
        raise Closed from error
    except SSL.Error as error:
        raise Broken from error
