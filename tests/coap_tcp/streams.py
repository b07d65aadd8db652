"""What the tests of CoAP over streams share: a server, and a client that says exactly what a test wants."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any, NamedTuple

from adapters.coap.config import CoapConfig
from adapters.coap.oscore.contexts import SecurityContexts
from adapters.coap.tcp.server import CoapTcpServer
from adapters.exchange import Carrier, Inbound, Outbound, Peer, Success
from adapters.tls.contexts import Contexts
from core.errors import Reason, Refusal
from core.messages import CertificateLogin, Identity
from core.model import DEFAULT_TENANT, CredentialId, DeviceId
from tests.protocols.coap_observing import WatchedExchange
from tests.protocols.coap_peers import DEADLINE_SECONDS, GET, CountingMeter, message, parse

CSM, PING, PONG, RELEASE, ABORT = 0xE1, 0xE2, 0xE3, 0xE4, 0xE5
HELLO = b"\x00\xe1"
KNOWN = Identity(DEFAULT_TENANT, DeviceId("device-1"), "meter-1", CredentialId("credential-1"))


class StreamExchange(WatchedExchange):
    """Lets devices in by their certificates, and answers `/who`."""

    def __init__(self) -> None:
        super().__init__()
        self.certificates: dict[bytes, Identity] = {}
        self.trouble: Exception | None = None
        self.shown: list[tuple[bytes, ...]] = []
        self.ended: Any = 0
        self.revoke: Callable[[], None] | None = None
        self.left = 0

    async def login(self, login: Any, carrier: Carrier, peer: Peer) -> Identity:
        assert isinstance(login, CertificateLogin)
        assert peer.secure
        self.shown.append(login.chain)
        await asyncio.sleep(0)
        if self.trouble is not None:
            raise self.trouble
        identity = self.certificates.get(login.chain[0])
        if identity is None:
            raise Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check="test")
        return identity

    def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        self.revoke = ended

        def leave() -> None:
            self.left += 1

        return leave

    def _answer(self, inbound: Inbound) -> Outbound:
        if inbound.path == "/who":
            who = inbound.identity.device_name if inbound.identity else "nobody"
            return Outbound(outcome=Success.OK, body=f"{who} {inbound.peer.secure}".encode(), content_type="text/plain")
        return super()._answer(inbound)


class Said(NamedTuple):
    """A message as it came."""

    code: int
    token: bytes
    options: dict[int, bytes]
    payload: bytes

    @property
    def dotted(self) -> str:
        return f"{self.code >> 5}.{self.code & 31:02}"


def framed(code: int, *options: tuple[int, bytes], token: bytes = b"", payload: bytes = b"", path: str = "") -> bytes:
    """Write a message; independent of what the server does about it."""
    rest = message(0, code, 0, *options, payload=payload, path=path)[4:]
    size = len(rest)
    if size < 13:
        head = bytes([size << 4 | len(token)])
    elif size < 269:
        head = bytes([13 << 4 | len(token), size - 13])
    elif size < 65805:
        head = bytes([14 << 4 | len(token)]) + (size - 269).to_bytes(2, "big")
    else:
        head = bytes([15 << 4 | len(token)]) + (size - 65805).to_bytes(4, "big")
    return head + bytes([code]) + token + rest


class Stream:
    """A client's connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> Said:
        async with asyncio.timeout(DEADLINE_SECONDS):
            head = (await self.reader.readexactly(1))[0]
            extra = {13: 1, 14: 2, 15: 4}.get(head >> 4, 0)
            more = int.from_bytes(await self.reader.readexactly(extra), "big")
            size = {13: 13, 14: 269, 15: 65805}.get(head >> 4, head >> 4) + more
            code = (await self.reader.readexactly(1))[0]
            token = await self.reader.readexactly(head & 15)
            options, payload = parse(await self.reader.readexactly(size))
            return Said(code, token, options, payload)

    async def ask(self, code: int, *options: tuple[int, bytes], **rest: Any) -> Said:
        await self.send(framed(code, *options, **rest))
        return await self.receive()

    async def get(self, path: str) -> Said:
        return await self.ask(GET, path=path, token=b"g")

    async def ended(self) -> bool:
        """Wait for the end, and tell whether nothing came before it."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read() == b""
            return True


class Streaming:
    """A running server with everything around it."""

    def __init__(self, server: CoapTcpServer, exchange: StreamExchange, meter: CountingMeter, port: int) -> None:
        self.server, self.exchange, self.meter, self.port = server, exchange, meter, port
        self.streams: list[Stream] = []

    async def connect(self, tls: ssl.SSLContext | None = None) -> Stream:
        """Open a connection and say nothing."""
        host = "localhost" if tls else None
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=tls, server_hostname=host)
        self.streams.append(Stream(reader, writer))
        return self.streams[-1]

    async def greeted(self, tls: ssl.SSLContext | None = None, hello: bytes = HELLO) -> Stream:
        """Open a connection and exchange settings."""
        stream = await self.connect(tls)
        await stream.send(hello)
        assert (await stream.receive()).code == CSM
        return stream

    @property
    def connections(self) -> float:
        return self.meter.levels.get("coap.tcp_connections", 0)


@contextlib.asynccontextmanager
async def streaming(
    *,
    tls: Callable[[CountingMeter], Contexts] | None = None,
    exchange: Any = None,
    contexts: Callable[[CountingMeter, CoapConfig], SecurityContexts] | None = None,
    **bounds: Any,
) -> AsyncIterator[Streaming]:
    """Run a server on a free port of 127.0.0.1 with these bounds; at its end nothing may be left."""
    exchange, meter = exchange or StreamExchange(), CountingMeter()
    config = CoapConfig(**({"drain_seconds": 0.2} | bounds))
    security = contexts(meter, config) if contexts else None
    server = CoapTcpServer(exchange, meter, config, security)
    if tls is None:
        _, port = await server.start("127.0.0.1", 0)
    else:
        _, port = await server.start_secure("127.0.0.1", 0, tls(meter))
    served = Streaming(server, exchange, meter, port)
    try:
        yield served
    finally:
        exchange.open.set()
        exchange.gate.set()
        await server.close()
        if security is not None:
            await security.close()
        for stream in served.streams:
            stream.writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await stream.writer.wait_closed()
    connections = server._connections
    assert (len(connections), connections._sources, connections._received, connections.running) == (0, {}, 0, set())
    assert exchange.watching == {}
