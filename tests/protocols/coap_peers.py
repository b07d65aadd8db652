"""What the CoAP tests share: an exchange and a meter of our own, a device on a raw socket, and real clients."""

import asyncio
import contextlib
import shutil
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.coap.config import CoapConfig
from adapters.coap.server import CoapServer
from adapters.exchange import Carrier, Guest, Inbound, Outbound, Outcome, Peer, Success
from core.errors import Reason, Refusal
from core.messages import Identity
from core.topic_spaces import NOTHING, Grants
from tests.protocols.keyless import Keyless

COAP_CLIENT = shutil.which("coap-client-notls")
needs_coap_client = pytest.mark.skipif(COAP_CLIENT is None, reason="libcoap's client is not installed")
DEADLINE_SECONDS = 30.0

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE, FETCH, PATCH, IPATCH = range(1, 8)
ETAG, OBSERVE = 4, 6
URI_PATH, CONTENT_FORMAT, URI_QUERY, ACCEPT, BLOCK2, BLOCK1, SIZE1, ECHO, NO_RESPONSE = 11, 12, 15, 17, 23, 27, 60, 252, 258
BIG = bytes(range(256)) * 400


class CountingMeter:
    """Keeps how often each bound was hit."""

    def __init__(self) -> None:
        self.bounds: Counter[str] = Counter()
        self.levels: dict[str, float] = {}

    def request(self, carrier: Carrier, dialect: str, operation: str, outcome: Outcome, seconds: float) -> None: ...

    def bound(self, name: str) -> None:
        self.bounds[name] += 1

    def level(self, name: str, value: float) -> None:
        self.levels[name] = value


class PathExchange(Keyless):
    """Answers by path, keeps what it saw, and owns its slow work: it goes on when the caller is cancelled."""

    def __init__(self) -> None:
        self.seen: list[Inbound] = []
        self.refused: list[tuple[Inbound, Refusal]] = []
        self.gate = asyncio.Event()
        self.finished: list[str] = []
        self._work: set[asyncio.Task[None]] = set()

    async def handle(self, inbound: Inbound) -> Outbound:
        self.seen.append(inbound)
        if inbound.path == "/slow":
            work = asyncio.create_task(self._slow(inbound.path))
            self._work.add(work)
            await asyncio.shield(work)
        if inbound.path == "/broken":
            raise ZeroDivisionError("a fault in the exchange")
        return self._answer(inbound)

    async def _slow(self, path: str) -> None:
        await self.gate.wait()
        self.finished.append(path)

    def _answer(self, inbound: Inbound) -> Outbound:
        match inbound.path:
            case "/big":
                return Outbound(outcome=Success.OK, body=BIG, content_type="application/octet-stream")
            case "/missing":
                return Outbound(outcome=Reason.NOT_FOUND, body=b"no such thing")
            case "/posted" if inbound.method != "POST":
                return Outbound(outcome=Reason.NOT_ALLOWED)
            case "/busy/long":
                return Outbound(outcome=Reason.UNAVAILABLE, retry_after=6.2, body=b"the registry is busy")
            case "/busy":
                return Outbound(outcome=Reason.UNAVAILABLE, retry_after=6.2)
        return Outbound(outcome=Success.CHANGED, body=inbound.body, content_type=inbound.content_type)

    async def refuse(self, inbound: Inbound, refusal: Refusal) -> Outbound:
        self.refused.append((inbound, refusal))
        return Outbound(outcome=refusal.reason, body=refusal.detail.encode(), content_type="text/plain")

    async def login(self, login: Any, carrier: Carrier, peer: Peer) -> Identity:
        raise Refusal(Reason.UNAUTHENTICATED, "nobody logs in here", check="test")

    def guest(self, username: str, client_id: str) -> Guest | None:
        return None

    def keeps(self, inbound: Inbound) -> bool:
        return True

    async def permit(self, identity: Identity) -> Grants:
        return NOTHING

    def understands(self, inbound: Inbound) -> bool:
        return inbound.method != "SUBSCRIBE"

    def may_subscribe(self, topic_filter: str, identity: Identity) -> bool:
        return False

    def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        raise AssertionError("nothing here can be watched")


class Device:
    """A device on a raw socket, which says exactly what a test wants."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect((host, port))

    async def send(self, datagram: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, datagram)

    async def receive(self) -> "Datagram":
        async with asyncio.timeout(DEADLINE_SECONDS):
            return Datagram(await asyncio.get_running_loop().sock_recv(self.socket, 65536))

    async def ask(self, datagram: bytes) -> "Datagram":
        await self.send(datagram)
        return await self.receive()

    async def nothing_before(self, mid: int) -> bool:
        """Tell whether a ping is the next thing that is answered."""
        answer = await self.ask(message(CON, 0, mid))
        return (answer.kind, answer.mid) == (RST, mid)

    def close(self) -> None:
        self.socket.close()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so; fail rather than hang."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - counters of the server announce nothing
            await asyncio.sleep(0.01)


class Datagram:
    """A response as it came."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.kind, self.code, self.mid = raw[0] >> 4 & 3, raw[1], struct.unpack("!H", raw[2:4])[0]
        start = 4 + (raw[0] & 15)
        self.token = raw[4:start]
        self.options, self.payload = parse(raw[start:])

    @property
    def dotted(self) -> str:
        return f"{self.code >> 5}.{self.code & 31:02}"

    def number(self, option: int) -> int:
        return int.from_bytes(self.options[option], "big")


def parse(rest: bytes) -> tuple[dict[int, bytes], bytes]:
    options, number = {}, 0
    while rest and rest[0] != 0xFF:
        delta, length, rest = rest[0] >> 4, rest[0] & 15, rest[1:]
        values = []
        for nibble in (delta, length):
            size = max(0, nibble - 12)
            values.append(nibble if not size else int.from_bytes(rest[:size], "big") + (13, 269)[size - 1])
            rest = rest[size:]
        number += values[0]
        options[number], rest = rest[: values[1]], rest[values[1] :]
    return options, rest[1:]


def message(
    kind: int, code: int, mid: int, *options: tuple[int, bytes], token: bytes = b"", payload: bytes = b"", path: str = ""
) -> bytes:
    """Write a message; options may come in any order."""
    segments = [(URI_PATH, segment.encode()) for segment in path.split("/") if segment]
    raw, previous = struct.pack("!BBH", 0x40 | kind << 4 | len(token), code, mid) + token, 0
    for number, value in sorted([*segments, *options], key=lambda option: option[0]):
        (delta, more_delta), (length, more_length) = _nibble(number - previous), _nibble(len(value))
        raw += bytes([delta << 4 | length]) + more_delta + more_length + value
        previous = number
    return raw + (b"\xff" + payload if payload else b"")


def _nibble(value: int) -> tuple[int, bytes]:
    if value < 13:
        return value, b""
    return (13, bytes([value - 13])) if value < 269 else (14, struct.pack("!H", value - 269))


def block(number: int, more: bool, exponent: int) -> bytes:
    """Return the value of a Block1 or Block2 option."""
    return (number << 4 | more << 3 | exponent).to_bytes(3, "big").lstrip(b"\0")


class Serving:
    """A running server with everything around it."""

    def __init__(self, server: CoapServer, exchange: PathExchange, meter: CountingMeter, port: int) -> None:
        self.server, self.exchange, self.meter, self.port = server, exchange, meter, port
        self.url = f"coap://127.0.0.1:{port}"
        self.devices: list[Device] = []

    def device(self) -> "Device":
        """Make a device; its socket is closed with the server."""
        self.devices.append(Device(self.port))
        return self.devices[-1]


@contextlib.asynccontextmanager
async def serving(exchange: PathExchange | None = None, **bounds: Any) -> AsyncIterator[Serving]:
    """Run a server on a free port of 127.0.0.1 with these bounds."""
    exchange, meter = exchange or PathExchange(), CountingMeter()
    server = CoapServer(exchange, meter, CoapConfig(**({"drain_seconds": 0.2} | bounds)))
    _, port = await server.start("127.0.0.1", 0)
    served = Serving(server, exchange, meter, port)
    try:
        yield served
    finally:
        exchange.gate.set()
        await server.close()
        for device in served.devices:
            device.close()


async def coap_client(*arguments: str) -> str:
    """Run libcoap's client; its exit status is 0 even on failure, so only the output counts (both streams)."""
    assert COAP_CLIENT is not None
    process = await asyncio.create_subprocess_exec(
        COAP_CLIENT, "-B", "20", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), DEADLINE_SECONDS)
    return output.decode(errors="replace").strip()


def written(folder: Path, name: str, content: bytes) -> str:
    """Write a file for a client to send; returns its path."""
    path = folder / name
    path.write_bytes(content)
    return str(path)
