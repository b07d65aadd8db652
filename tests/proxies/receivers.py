"""A listener behind proxies, on either event loop, and clients that say exactly what a test wants."""

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, cast

import uvloop

from adapters.proxying.config import ProxyConfig
from adapters.proxying.proxies import Proxies
from adapters.proxying.trust import TrustedProxies
from tests.protocols.coap_peers import CountingMeter

HOST, ELSEWHERE = "127.0.0.1", "127.0.0.2"
TRUSTED = TrustedProxies(networks=(ipaddress.ip_network(HOST),))
PATIENCE_SECONDS = 15.0
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.SelectorEventLoop,
    "uvloop": uvloop.new_event_loop,
}


class Heard(asyncio.Protocol):
    """Keeps what it is told, and echoes it."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self.received = b""
        self.ended = False
        self.lost = False
        self.turns = 0  # that had begun when it was told of the connection, and when the first bytes came
        self.first_turn: int | None = None

    @property
    def client(self) -> Any:
        return self.transport.get_extra_info("peername")[:2]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        asyncio.get_running_loop().call_soon(self._turn)

    def data_received(self, data: bytes) -> None:
        if self.first_turn is None:
            self.first_turn = self.turns
        self.received += data
        self.transport.write(data)

    def eof_received(self) -> None:
        self.ended = True

    def connection_lost(self, error: Exception | None) -> None:
        self.lost = True

    def _turn(self) -> None:
        self.turns += 1


class Behind:
    """A listener behind trusted proxies."""

    def __init__(self, port: int, proxies: Proxies, meter: CountingMeter, connections: list[Heard]) -> None:
        self.port = port
        self.proxies = proxies
        self.meter = meter
        self.connections = connections

    async def connect(self, source: str = HOST) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect from an address of this machine."""
        return await asyncio.open_connection(HOST, self.port, local_addr=(source, 0))

    async def echoed(self, *pieces: bytes, expected: bytes, source: str = HOST) -> Heard:
        """Send pieces, each once the one before is on its way, wait for what is echoed, and return who heard it."""
        before = len(self.connections)
        reader, writer = await self.connect(source)
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.001 if len(pieces) > 1 else 0)
        assert await reader.readexactly(len(expected)) == expected
        writer.close()
        (heard,) = self.connections[before:]
        await until(lambda: heard.lost)
        return heard

    async def refused(self, *pieces: bytes, source: str = HOST) -> None:
        """Send pieces to a listener that closes and says nothing."""
        reader, writer = await self.connect(source)
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            assert await reader.read() == b""
        writer.close()


@contextlib.asynccontextmanager
async def behind(make: Callable[[], Heard] = Heard, trusted: TrustedProxies = TRUSTED, **bounds: Any) -> AsyncIterator[Behind]:
    """Listen on a free port."""
    meter, connections = CountingMeter(), list[Heard]()
    proxies = Proxies(meter, trusted, ProxyConfig(**bounds))

    def heard() -> Heard:
        connections.append(make())
        return connections[-1]

    server = await asyncio.get_running_loop().create_server(proxies.receiving(heard), HOST, 0)
    try:
        yield Behind(server.sockets[0].getsockname()[1], proxies, meter, connections)
    finally:
        server.close()
        proxies.stop()
        for each in connections:
            each.transport.abort()
        await until(lambda: all(each.lost for each in connections))


async def until(true: Callable[[], Any]) -> None:
    """Wait for something to become true."""
    while not true():  # noqa: ASYNC110 - what is waited for tells nobody
        await asyncio.sleep(0.002)


def run(loop: str, test: Coroutine[Any, Any, None]) -> None:
    """Run a test on a loop of its own; what the loop has to say against it fails it."""
    complaints: list[Any] = []

    async def patiently() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await test

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(patiently())
    assert complaints == []
