"""The other end of a datagram: through which of our sockets it is reached, and where."""

from typing import Any, NamedTuple, Protocol

import msgspec

from adapters.exchange import Peer
from core.messages import Identity


class Sender(Protocol):
    """A bound socket."""

    def send(self, datagram: bytes, address: tuple[Any, ...]) -> None:
        """Send one datagram from this socket; a lost one is not reported."""
        ...


class Proof(msgspec.Struct, frozen=True):
    """What the other end proved in a handshake: the device it is, or a claim key; nothing where it only was a handshake."""

    identity: Identity | None = None
    claim: str = ""


class Remote(NamedTuple):
    """One CoAP endpoint (RFC 7252, section 1.2) as seen through one of our sockets; hashable.

    `address` is the socket address as the system gave it, scope included, so that an answer goes back the same way. `proof` is
    there where nobody in between can read or change what is sent.
    """

    sender: Sender
    address: tuple[Any, ...]
    proof: Proof | None = None

    def send(self, datagram: bytes) -> None:
        """Send one datagram to it."""
        self.sender.send(datagram, self.address)

    @property
    def peer(self) -> Peer:
        """Return it in neutral words."""
        proof = self.proof
        if proof is None:
            return Peer(self.address[0], self.address[1])
        return Peer(self.address[0], self.address[1], secure=True, claim=proof.claim)

    @property
    def identity(self) -> Identity | None:
        """Return the device that it proved to be."""
        return None if self.proof is None else self.proof.identity
