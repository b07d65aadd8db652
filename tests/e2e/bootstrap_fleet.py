"""Devices by the hundred that wait for their next configuration, each on a socket of its own with little else."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any, Self, cast

from adapters.settings import Address
from tests.e2e.bootstrap_writers import KEY
from tests.protocols.coap_peers import ACK, CON, GET, OBSERVE, URI_QUERY, Datagram, message
from tests.protocols.mqtt_peer import connect_packet, publish_packet, subscribe_packet, text

DEADLINE = 60
QUERY = f"auth={KEY}".encode()


class Waiting:
    """A device that keeps what it was told last, and how often it was told something."""

    def __init__(self) -> None:
        self.told = 0
        self.last: dict[str, Any] = {}
        self._changed = asyncio.Event()

    def take(self, payload: bytes) -> None:
        self.last = json.loads(payload)
        self.told += 1
        self._changed.set()

    async def more_than(self, told: int) -> None:
        """Wait until something more was told."""
        async with asyncio.timeout(DEADLINE):
            while self.told <= told:
                self._changed.clear()
                await self._changed.wait()


class Observer(Waiting, asyncio.DatagramProtocol):
    """Observes a version over CoAP, and acknowledges whatever it is notified of."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._transport: asyncio.DatagramTransport
        self.codes: set[str] = set()

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, address: Address, path: str) -> AsyncIterator[Self]:
        """Observe until the end of the block."""
        loop = asyncio.get_running_loop()
        transport, device = await loop.create_datagram_endpoint(lambda: cls(path), remote_addr=(address.host, address.port))
        try:
            await device.more_than(0)
            yield device
        finally:
            transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        wish = ((OBSERVE, b""), (URI_QUERY, QUERY))
        self._transport.sendto(message(CON, GET, 1, *wish, token=b"t", path=f"{self._path}/version"))

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        datagram = Datagram(data)
        if datagram.kind == CON:
            self._transport.sendto(message(ACK, 0, datagram.mid))
        if datagram.code:
            self.codes.add(datagram.dotted)
            self.take(datagram.payload)


class Listener(Waiting):
    """Fetches a configuration over MQTT, and takes what comes on its topic."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        super().__init__()
        self._reader = reader
        self._writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def at(cls, address: Address, path: str, *, listens: bool = True) -> AsyncIterator[Self]:
        """Listen until the end of the block; or fetch the configuration and then read nothing until `hear` is called."""
        reader, writer = await asyncio.open_connection(address.host, address.port)
        device = cls(reader, writer)
        writer.write(connect_packet(4, username="bootstrap") + subscribe_packet((f"{path}/response", 0)))
        writer.write(publish_packet(f"{path}/request", json.dumps({"authorization": KEY}).encode()))
        try:
            async with asyncio.timeout(DEADLINE):
                assert (await device.packet())[1] == b"\0\0"
                assert (await device.packet())[1] == b"\0\1\0"
            if not listens:
                yield device
                return
            hearing = asyncio.create_task(device.hear(path))
            await device.more_than(0)
            try:
                yield device
            finally:
                hearing.cancel()
                await asyncio.wait({hearing})
        finally:
            writer.close()

    async def hear(self, path: str) -> None:
        """Take documents until the connection ends."""
        prefix = text(f"{path}/response")
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                first, body = await self.packet()
                assert (first & 0xF0, body[: len(prefix)]) == (0x30, prefix)
                self.take(body[len(prefix) :])

    async def packet(self) -> tuple[int, bytes]:
        """Read one packet."""
        first, length, shift = (await self._reader.readexactly(1))[0], 0, 0
        while True:
            digit = (await self._reader.readexactly(1))[0]
            length |= (digit & 0x7F) << shift
            shift += 7
            if digit < 0x80:
                return first, await self._reader.readexactly(length)


async def all_more_than(devices: Sequence[Waiting], told: Sequence[int]) -> None:
    """Wait until every device was told more than so much."""
    await asyncio.gather(*(device.more_than(number) for device, number in zip(devices, told, strict=True)))
