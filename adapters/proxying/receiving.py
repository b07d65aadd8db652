"""Receives connections that may begin with a PROXY header, before anything else is made of them."""

import asyncio
from collections.abc import Callable
from typing import cast

import structlog

from adapters.exchange import Meter
from adapters.proxying.config import ProxyConfig
from adapters.proxying.header import BrokenHeader, Header, read
from adapters.proxying.proxied import ProxiedTransport
from adapters.proxying.trust import TrustedProxies

log = structlog.get_logger("firstlight")

MakeProtocol = Callable[[], asyncio.BaseProtocol]


class Receiver:
    """The receiver of all listeners: whose headers it reads, and the connections that have not sent theirs."""

    def __init__(self, trusted: TrustedProxies, meter: Meter, config: ProxyConfig) -> None:
        self.trusted = trusted
        self.meter = meter
        self.config = config
        self._pending: set[Arrival] = set()
        self._stopped = False

    def receiving(self, make: MakeProtocol) -> MakeProtocol:
        """Return what makes the protocol of a new connection, so that what `make` makes sees the client's address.

        Where no proxy is trusted that is `make` itself.
        """
        return (lambda: Arrival(self, make)) if self.trusted.networks else make

    def enter(self, arrival: "Arrival") -> bool:
        """Let one more connection wait, unless there are too many, or this is the end."""
        if self._stopped:
            return False
        if len(self._pending) >= self.config.pending:
            self.meter.bound("proxy.pending")
            return False
        self._pending.add(arrival)
        self._tell()
        return True

    def leave(self, arrival: "Arrival") -> None:
        """Forget a connection that waits no longer."""
        self._pending.discard(arrival)
        self._tell()

    def stop(self) -> None:
        """End the connections that are nobody's yet, now and from now on."""
        self._stopped = True
        for arrival in tuple(self._pending):
            arrival.abort()

    def _tell(self) -> None:
        self.meter.level("proxy.pending", len(self._pending))


class Arrival(asyncio.Protocol):
    """A connection until it is known whom it is for; one that is not from a trusted proxy is so at once.

    Without a header a proxy speaks for itself: to look whether the gateway is well, or over HTTP, which has fields for that.
    """

    __slots__ = ("_begin", "_make", "_receiver", "_timer", "_transport")

    def __init__(self, receiver: Receiver, make: MakeProtocol) -> None:
        self._receiver = receiver
        self._make = make
        self._begin = b""
        self._transport: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a header where there may be one."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's do not inherit from asyncio's
        if not self._receiver.trusted.trusts(self._source()):
            protocol = self._make()
            self._transport.set_protocol(protocol)
            protocol.connection_made(self._transport)
        elif self._receiver.enter(self):
            seconds = self._receiver.config.header_seconds
            self._timer = asyncio.get_running_loop().call_later(seconds, self._too_slow)
        else:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Look at the first bytes until they say whom the connection is for."""
        self._begin += data
        try:
            header = read(self._begin)
        except BrokenHeader as error:
            self._receiver.meter.bound("proxy.malformed")
            log.warning("PROXY header refused", proxy=self._source(), reason=str(error))
            self.abort()
            return
        if header is not None:
            self._hand_on(header)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget it."""
        self._settle()

    def abort(self) -> None:
        """Close at once."""
        self._settle()
        self._transport.abort()

    def _hand_on(self, header: Header) -> None:
        self._settle()
        protocol, proxied = self._make(), ProxiedTransport(self._transport, header.client)
        self._transport.set_protocol(protocol)
        protocol.connection_made(cast(asyncio.Transport, proxied))
        asyncio.get_running_loop().call_soon(proxied.begin, self._begin[header.length :])

    def _too_slow(self) -> None:
        self._receiver.meter.bound("proxy.header_seconds")
        self.abort()

    def _settle(self) -> None:
        self._receiver.leave(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _source(self) -> str:
        address = self._transport.get_extra_info("peername")
        return address[0] if address else ""
