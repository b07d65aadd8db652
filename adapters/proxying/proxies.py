"""What the servers ask about proxies."""

import structlog

from adapters.exchange import Meter, Peer
from adapters.proxying.config import ProxyConfig
from adapters.proxying.forwarding import FIELDS, Fields, Hop, client
from adapters.proxying.receiving import MakeProtocol, Receiver
from adapters.proxying.trust import TrustedProxies

log = structlog.get_logger("firstlight")


class Proxies:
    """The proxies in front of a gateway, which the servers share; nobody is trusted where nothing is said."""

    def __init__(self, meter: Meter, trusted: TrustedProxies | None = None, config: ProxyConfig | None = None) -> None:
        self._meter = meter
        self._trusted = trusted or TrustedProxies()
        self._fields = FIELDS[self._trusted.header]
        self._receiver = Receiver(self._trusted, meter, config or ProxyConfig())
        self._told = False

    def trusts(self, address: str) -> bool:
        """Tell whether an address is a trusted proxy's."""
        return self._trusted.trusts(address)

    def receiving(self, make: MakeProtocol) -> MakeProtocol:
        """Return what makes the protocol of a new connection, so that it sees the client's address."""
        return self._receiver.receiving(make)

    def client(self, peer: Peer, lines: Fields) -> Peer | None:
        """Return whom an HTTP request is from as the fields say that `peer` sent; None: it sent none, or is not believed.

        What the proxy says about the scheme counts on every wire: the client's own part of the way is what may be overheard.
        """
        if not any(map(lines, self._fields)):
            return None
        if not self._trusted.trusts(peer.address):
            self._unbelieved(peer.address)
            return None
        hop = client(self._trusted, Hop(peer.address, peer.port), lines)
        return Peer(hop.address, hop.port, secure=peer.secure if hop.protected is None else hop.protected)

    def stop(self) -> None:
        """End the connections that are nobody's yet."""
        self._receiver.stop()

    def _unbelieved(self, address: str) -> None:
        """Count it, and say so once: somebody set up a proxy and not this, or just tries it."""
        self._meter.bound("proxy.unbelieved")
        if not self._told:
            self._told = True
            log.warning("forwarding header ignored", source=address, mend="FIRSTLIGHT_TRUSTED_PROXIES has to name the proxy")
