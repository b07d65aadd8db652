"""One side of a TLS connection without I/O: bytes from the wire to plain bytes, and back (RFC 8446, RFC 5246)."""

import contextlib

from OpenSSL import SSL, crypto

from adapters.tls.material import openssl_reason

RECORD_BYTES = 16_384
"""The most that one record carries (RFC 8446, section 5.1)."""

_WIRE_BYTES = 2 * (RECORD_BYTES + 512)  # two records with what encryption adds


class BrokenTls(Exception):
    """The handshake failed, or what came afterwards is not TLS; the text says why, in words that hold nothing secret."""


class Engine:
    """A connection's TLS over memory: feed what comes in, take what is to go out."""

    __slots__ = ("_connection", "chain", "ended")

    def __init__(self, context: SSL.Context, *, connecting: bool = False) -> None:
        self._connection = SSL.Connection(context)
        self.chain: tuple[bytes, ...] = ()
        """The peer's certificates as they were sent, DER, leaf first; empty: none, or no handshake yet."""
        self.ended = False
        """Whether the peer said that nothing more comes from it (close_notify)."""
        if connecting:
            self._connection.set_connect_state()
        else:
            self._connection.set_accept_state()

    def feed(self, data: bytes | memoryview) -> None:
        """Take bytes from the wire. Nothing is decrypted yet."""
        self._connection.bio_write(data)

    def shake_hands(self) -> bool:
        """Go on with the handshake as far as the bytes that are here allow, and tell whether it is done.

        Raises `BrokenTls`; what `take` returns then tells the peer.
        """
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return False
        except (SSL.Error, ValueError) as error:
            raise BrokenTls(_reason(error)) from error
        self.chain = self._peer_chain()
        return True

    def read(self) -> bytes:
        """Return decrypted bytes, one record's at most; empty: more are needed, or none will come. Raises `BrokenTls`."""
        try:
            return self._connection.recv(RECORD_BYTES)
        except SSL.WantReadError:
            return b""
        except SSL.ZeroReturnError:
            self.ended = True
            return b""
        except (SSL.Error, ValueError) as error:
            raise BrokenTls(_reason(error)) from error

    def encrypt(self, data: bytes | memoryview) -> None:
        """Encrypt; `take` has the result. Raises `BrokenTls`."""
        try:
            self._connection.sendall(data)
        except (SSL.Error, ValueError) as error:
            raise BrokenTls(_reason(error)) from error

    def take(self) -> bytes:
        """Return what is to go out, and forget it."""
        parts = []
        while True:
            try:
                part = self._connection.bio_read(_WIRE_BYTES)
            except SSL.WantReadError:
                break
            parts.append(part)
            if len(part) < _WIRE_BYTES:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Tell the peer that nothing more comes from here (close_notify); `take` has the words."""
        with contextlib.suppress(SSL.Error):  # the connection broke before: there is nobody to tell
            self._connection.shutdown()

    def _peer_chain(self) -> tuple[bytes, ...]:
        """Return the peer's certificates.

        OpenSSL keeps the leaf apart from the rest for a server, and together with it for a client.
        """
        leaf = self._connection.get_peer_certificate()
        if leaf is None:
            return ()
        certificates = tuple(map(_der, (leaf, *(self._connection.get_peer_cert_chain() or ()))))
        return certificates if certificates[:1] != certificates[1:2] else certificates[1:]


def _der(certificate: crypto.X509) -> bytes:
    return crypto.dump_certificate(crypto.FILETYPE_ASN1, certificate)


def _reason(error: Exception) -> str:
    """Return OpenSSL's own words, such as `unsupported protocol`."""
    if isinstance(error.args[0] if error.args else "", list):
        return openssl_reason(error) or "the TLS library gives no reason"
    return "the peer closed" if isinstance(error, SSL.SysCallError) else type(error).__name__
