"""The CoAP server over TCP and TLS: its listeners, its connections, and their beginning and end."""

import asyncio
import contextlib
import random
from collections.abc import Callable

import msgspec

from adapters.coap.config import CoapConfig
from adapters.coap.notifier import Notifier
from adapters.coap.observers import Observers
from adapters.coap.oscore.contexts import SecurityContexts
from adapters.coap.oscore.protected import Protected
from adapters.coap.oscore.selftest import selftest as oscore_selftest
from adapters.coap.remote import Remote
from adapters.coap.responder import Responder, Shared
from adapters.coap.selftest import selftest
from adapters.coap.tcp.connection import Connection
from adapters.coap.tcp.connections import Connections
from adapters.exchange import Exchange, Meter
from adapters.proxying.proxies import Proxies
from adapters.tls.contexts import Contexts
from adapters.tls.listening import over_tls

LOOK_SECONDS = 0.02
LAST_SECONDS = 1.0  # for the event loop to call back about connections that were aborted


class StreamDelivery:
    """Notifications over connections: what was written arrives, or the connection ends."""

    notifier: Notifier  # there before anything is sent

    def __init__(self) -> None:
        self._mid = random.randrange(0x10000)  # noqa: S311 - no secret, and nobody sees it

    def next_mid(self) -> int:
        """Return a number for one more notification."""
        self._mid = self._mid + 1 & 0xFFFF
        return self._mid

    def has_room(self, remote: Remote) -> bool:
        """Tell whether one more notification would be taken."""
        return isinstance(remote.sender, Connection) and remote.sender.has_room

    def send(self, remote: Remote, mid: int, datagram: bytes) -> None:
        """Send a notification, which counts as acknowledged."""
        remote.send(datagram)
        asyncio.get_running_loop().call_soon(self._settle, remote, mid)

    def _settle(self, remote: Remote, mid: int) -> None:
        self.notifier.settle(remote, mid, reset=False)


class CoapTcpServer:
    """Serves exchanges over CoAP on any number of TCP addresses, in the clear and over TLS, with one set of bounds.

    With `contexts`, which whoever made them closes after the server, it takes messages that OSCORE protects. `proxies` are in
    front of all addresses.
    """

    def __init__(
        self,
        exchange: Exchange,
        meter: Meter,
        config: CoapConfig,
        contexts: SecurityContexts | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self._exchange = exchange
        self._proxies = proxies or Proxies(meter)
        self._meter = meter
        self._contexts = contexts
        # A connection proves the address of its client already.
        self._config = config = msgspec.structs.replace(config, require_echo=False)
        delivery = StreamDelivery()
        observers = Observers(meter, config, level="coap.tcp_observers")
        self._notifier = delivery.notifier = Notifier(observers, delivery, meter, config)
        self._shared = Shared(self._notifier, meter, config)
        self._connections = Connections(self._notifier, meter, config)
        self._listeners: list[asyncio.Server] = []

    async def start(self, host: str, port: int, exchange: Exchange | None = None) -> tuple[str, int]:
        """Serve one more address (`coap+tcp`); returns it with its real port, which the system chooses where `port` is 0.

        What arrives there goes to `exchange`; None: to the one the server was made with. Raises `OSError` where the address
        cannot be bound, `RuntimeError` where the installed aiocoap does not fit.
        """
        await selftest(self._meter)
        return await self._listen(self._maker(exchange or self._exchange), host, port)

    async def start_secure(self, host: str, port: int, contexts: Contexts, exchange: Exchange | None = None) -> tuple[str, int]:
        """Serve one more address over TLS (`coaps+tcp`), as `start` does it in the clear."""
        await selftest(self._meter)
        make, seconds = self._maker(exchange or self._exchange), self._config.tcp_handshake_seconds
        return await self._listen(over_tls(make, contexts=contexts, handshake_seconds=seconds), host, port)

    def stop_accepting(self) -> None:
        """Take no more connections, answer new requests with 5.03 and Max-Age, and tell observers nothing more."""
        self._connections.draining = True
        self._notifier.stop()
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def close(self) -> None:
        """Let every client go, running requests first, at most `drain_seconds`. The exchange keeps its work."""
        self.stop_accepting()
        await self._notifier.close()
        for connection in self._connections.all():
            connection.release()
        await self._empty(self._config.drain_seconds)
        for connection in self._connections.all():
            connection.abort()
        late = tuple(self._connections.running)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        await self._empty(LAST_SECONDS)

    async def _empty(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while len(self._connections):  # noqa: ASYNC110 - at the end of a server, once
                    await asyncio.sleep(LOOK_SECONDS)

    async def _listen(self, make: Callable[[], asyncio.BaseProtocol], host: str, port: int) -> tuple[str, int]:
        receiving, backlog = self._proxies.receiving(make), self._config.tcp_backlog
        listener = await asyncio.get_running_loop().create_server(receiving, host, port, backlog=backlog)
        self._listeners.append(listener)
        host, port = listener.sockets[0].getsockname()[:2]
        return host, port

    def _maker(self, exchange: Exchange) -> Callable[[], Connection]:
        respond = Responder(exchange, self._shared).respond
        if self._contexts is not None:
            oscore_selftest()
            respond = Protected(respond, exchange, self._contexts, self._shared).respond
        return lambda: Connection(self._connections, exchange, respond)
