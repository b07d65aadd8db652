"""Cookies (RFC 6347, section 4.2.1): how a client proves its address before anything is kept of it."""

import hashlib
import hmac
import secrets

from adapters.coap.dtls.handshake import ClientHello
from adapters.coap.remote import Remote

COOKIE_BYTES = 16
MINUTE_SECONDS = 60


class Cookies:
    """Makes and checks cookies; keeps none, for a cookie is a digest of the address, the client's random and the minute."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def cookie(self, wire: Remote, hello: ClientHello, now: float) -> bytes:
        """Return the cookie that this client has to send back, within a minute or two."""
        return self._cookie(wire, hello, int(now // MINUTE_SECONDS))

    def proven(self, wire: Remote, hello: ClientHello, now: float) -> bool:
        """Tell whether a ClientHello brings the cookie of this minute or of the one before."""
        if len(hello.cookie) != COOKIE_BYTES:
            return False
        minute = int(now // MINUTE_SECONDS)
        return any(hmac.compare_digest(hello.cookie, self._cookie(wire, hello, at)) for at in (minute, minute - 1))

    def _cookie(self, wire: Remote, hello: ClientHello, minute: int) -> bytes:
        text = f"{wire.address} {minute} ".encode()
        return hmac.digest(self._secret, text + hello.parameters, hashlib.sha256)[:COOKIE_BYTES]
