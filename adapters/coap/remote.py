"""The other end of a datagram: through which of our sockets it is reached, and where."""

from typing import Any, NamedTuple, Protocol

from adapters.exchange import Peer


class Sender(Protocol):
    """A bound socket."""

    def send(self, datagram: bytes, address: tuple[Any, ...]) -> None:
        """Send one datagram from this socket; a lost one is not reported."""
        ...


class Remote(NamedTuple):
    """One CoAP endpoint (RFC 7252, section 1.2) as seen through one of our sockets; hashable.

    `address` is the socket address as the system gave it, scope included, so that an answer goes back the same way.
    """

    sender: Sender
    address: tuple[Any, ...]

    def send(self, datagram: bytes) -> None:
        """Send one datagram to it."""
        self.sender.send(datagram, self.address)

    @property
    def peer(self) -> Peer:
        """Return it in neutral words."""
        return Peer(self.address[0], self.address[1])
