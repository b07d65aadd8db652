"""Whether a sender really is where it says it is: the Echo option (RFC 9175, section 2) against amplification."""

import hashlib
import hmac
import secrets

from aiocoap import Message
from aiocoap.numbers.codes import Code

from adapters.coap.remote import Remote

AMPLIFICATION = 3  # RFC 9175, section 2.6
MINUTE_SECONDS = 60
VALUE_BYTES = 8


class EchoGuard:
    """Asks for an echo before a large answer; keeps nothing, for the value is a digest of the address and the minute."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def challenge(self, message: Message, remote: Remote, now: float) -> Message:
        """Return the 4.01 that makes a client repeat its request with the option."""
        return Message(code=Code.UNAUTHORIZED, echo=self._value(remote, int(now // MINUTE_SECONDS)))

    def proven(self, message: Message, remote: Remote, now: float) -> bool:
        """Tell whether the request carries the value of this minute or of the one before."""
        echo = message.opt.echo
        if echo is None:
            return False
        minute = int(now // MINUTE_SECONDS)
        return any(hmac.compare_digest(echo, self._value(remote, at)) for at in (minute, minute - 1))

    def _value(self, remote: Remote, minute: int) -> bytes:
        text = f"{remote.address} {minute}".encode()
        return hmac.digest(self._secret, text, hashlib.sha256)[:VALUE_BYTES]


def amplifies(answer: Message, request_bytes: int) -> bool:
    """Tell whether an answer is worth forging a sender's address for."""
    return len(answer.payload) > AMPLIFICATION * request_bytes
