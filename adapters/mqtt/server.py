"""The MQTT server: listens, and ends in good order."""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from adapters.exchange import Exchange, Meter
from adapters.mqtt.config import MqttConfig
from adapters.mqtt.endpoint import Connection
from adapters.mqtt.front.config import Upstream
from adapters.mqtt.shared import Shared
from adapters.proxying.proxies import Proxies
from adapters.tls.contexts import Contexts
from adapters.tls.listening import over_tls

_ABORT_SECONDS = 1.0  # for the event loop to call back about connections that were aborted


class MqttServer:
    """Serves MQTT 3.1, 3.1.1 and 5 on any number of addresses, with the bounds counted over all of them.

    What comes in is for `exchange`, unless its address has an exchange of its own. Devices and users that prove themselves with
    credentials they were issued go on to the broker `upstream`, where there is one. `proxies` are in front of all addresses.
    """

    def __init__(
        self,
        exchange: Exchange,
        meter: Meter,
        config: MqttConfig,
        upstream: Upstream | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self._exchange = exchange
        self._proxies = proxies or Proxies(meter)
        self._shared = Shared(meter, config, upstream)
        self._listeners: list[asyncio.Server] = []

    async def start(
        self, host: str, port: int, *, exchange: Exchange | None = None, tls: Contexts | None = None
    ) -> tuple[str, int]:
        """Listen for an exchange, over TLS with contexts, and return the address; port 0 takes a free one.

        Raises `OSError` where the address is in use or not ours.
        """
        responsible = self._exchange if exchange is None else exchange
        listener = await self._listen(lambda: Connection(self._shared, responsible), host, port, tls)
        for listening in listener.sockets:
            # Connections inherit it. Left alone the kernel would keep megabytes for each client that does not read.
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._shared.config.write_buffer_bytes)
        self._listeners.append(listener)
        address, bound_port = listener.sockets[0].getsockname()[:2]
        return address, bound_port

    async def _listen(
        self, accept: Callable[[], asyncio.Protocol], host: str, port: int, tls: Contexts | None
    ) -> asyncio.Server:
        config, make = self._shared.config, accept
        if tls is not None:
            make = over_tls(accept, contexts=tls, handshake_seconds=config.ssl_handshake_seconds)
        receiving = self._proxies.receiving(make)
        return await asyncio.get_running_loop().create_server(receiving, host, port, backlog=config.backlog)

    def stop_accepting(self) -> None:
        """Refuse new connections; those that are open go on."""
        for listener in self._listeners:
            listener.close()
        self._listeners.clear()

    async def close(self, deadline_seconds: float) -> None:
        """Stop accepting, tell every client to go and close it, running requests first; abort what is left at the deadline."""
        self.stop_accepting()
        for connection in tuple(self._shared.open):
            connection.shut_down()
        await self._wait_until_empty(deadline_seconds)
        for connection in tuple(self._shared.open):
            connection.cut_off()
        await self._wait_until_empty(_ABORT_SECONDS)

    async def _wait_until_empty(self, seconds: float) -> None:
        self._shared.emptied.clear()
        if not self._shared.open:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._shared.emptied.wait()
