"""What the Observe tests share: an exchange whose resources change when a test says so, and a device that observes."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from adapters.coap.config import CoapConfig
from adapters.coap.server import CoapServer
from adapters.exchange import Inbound, Outbound, Success
from core.errors import Reason
from tests.protocols.coap_peers import ACK, CON, GET, OBSERVE, RST, CountingMeter, Datagram, Device, PathExchange, message

VERSION = Outbound(outcome=Success.OK, body=b"v1", content_type="text/plain", etag="01", watch="config")


class WatchedExchange(PathExchange):
    """Serves `/version`, which can be watched, and whose answer a test changes."""

    def __init__(self) -> None:
        super().__init__()
        self.version = VERSION
        self.asked: Counter[str] = Counter()
        self.watching: dict[object, tuple[str, Callable[[], None]]] = {}
        self.ended = 0
        self.open = asyncio.Event()
        self.open.set()

    async def handle(self, inbound: Inbound) -> Outbound:
        if inbound.path != "/version":
            return await super().handle(inbound)
        self.seen.append(inbound)
        version = self.version
        self.asked[version.etag] += 1
        await self.open.wait()
        if version.etag in inbound.held and version.outcome is Success.OK:
            return msgspec.structs.replace(version, outcome=Success.UNCHANGED, body=b"", content_type=None)
        if version.outcome is Reason.INTERNAL:
            raise ZeroDivisionError("a fault in the exchange")
        return version

    def watch(self, key: str, changed: Callable[[], None]) -> Callable[[], None]:
        handle = object()
        self.watching[handle] = (key, changed)

        def end() -> None:
            self.ended += self.watching.pop(handle, None) is not None

        return end

    def change(self, *, key: str = "config", **fields: Any) -> None:
        """Give another answer from now on, and say so to whoever watches it."""
        self.version = msgspec.structs.replace(self.version, **fields)
        self.tell(key)

    def turn(self, number: int) -> None:
        """Change to this version."""
        self.change(etag=f"{number:02x}", body=b"v%d" % number)

    def tell(self, key: str = "config") -> None:
        """Say that something changed."""
        for watched_key, changed in tuple(self.watching.values()):
            if watched_key == key:
                changed()


class ObservingDevice(Device):
    """A device that observes `/version` and answers every notification as it is told."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.mid = 0x100

    def request(
        self, *options: tuple[int, bytes], token: bytes = b"t", observe: bytes | None = b"", path: str = "version"
    ) -> bytes:
        """Write a request; `observe` None leaves the option out."""
        self.mid += 1
        wish = () if observe is None else ((OBSERVE, observe),)
        return message(CON, GET, self.mid, *wish, *options, token=token, path=path)

    async def register(self, *options: tuple[int, bytes], token: bytes = b"t") -> Datagram:
        """Observe; returns the answer."""
        return await self.ask(self.request(*options, token=token))

    async def acknowledge(self, notification: Datagram, *, reset: bool = False) -> None:
        """Acknowledge a notification, or reset it."""
        await self.send(message(RST if reset else ACK, 0, notification.mid))

    async def notified(self, *, reset: bool = False) -> Datagram:
        """Return the next notification, acknowledged."""
        notification = await self.receive()
        assert notification.kind == CON
        await self.acknowledge(notification, reset=reset)
        return notification

    async def quiet(self) -> bool:
        """Tell whether nothing but the answer to a ping comes."""
        self.mid += 1
        return await self.nothing_before(self.mid)


class WatchedServing:
    """A running server whose exchange can be watched."""

    def __init__(self, server: CoapServer, exchange: WatchedExchange, meter: CountingMeter, port: int) -> None:
        self.server, self.exchange, self.meter, self.port = server, exchange, meter, port
        self.url = f"coap://127.0.0.1:{port}"
        self.devices: list[Device] = []

    def device(self) -> ObservingDevice:
        """Make a device; its socket is closed with the server."""
        device = ObservingDevice(self.port)
        self.devices.append(device)
        return device

    @property
    def observers(self) -> float:
        return self.meter.levels.get("coap.observers", 0)


@contextlib.asynccontextmanager
async def watched(**bounds: Any) -> AsyncIterator[WatchedServing]:
    """Run a server on a free port of 127.0.0.1 with these bounds; at its end nothing may be left."""
    exchange, meter = WatchedExchange(), CountingMeter()
    server = CoapServer(exchange, meter, CoapConfig(**({"drain_seconds": 0.2} | bounds)))
    _, port = await server.start("127.0.0.1", 0)
    served = WatchedServing(server, exchange, meter, port)
    try:
        yield served
    finally:
        exchange.open.set()
        exchange.gate.set()
        await server.close()
        for device in served.devices:
            device.close()
    assert exchange.watching == {}
    assert served.observers == 0
    notifier = server._notifier
    assert (notifier._asking, notifier._observers._clients) == (set(), {})
    assert len(notifier._due) == 0
