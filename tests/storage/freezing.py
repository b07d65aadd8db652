"""A way to a server that can be cut off: what is sent goes nowhere, and nobody is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Freezing:
    """Passes on what comes to `port` of loopback, as long as it is not frozen."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._tasks: set[asyncio.Task[None]] = set()

    def freeze(self) -> None:
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inward, outward = await asyncio.open_connection("127.0.0.1", self._target)
        tasks = [asyncio.create_task(self._pass(reader, outward)), asyncio.create_task(self._pass(inward, writer))]
        self._tasks.update(tasks)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError), contextlib.closing(writer):
            while chunk := await reader.read(65_536):
                await self._flowing.wait()
                writer.write(chunk)
                await writer.drain()
            await self._flowing.wait()

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@contextlib.asynccontextmanager
async def freezing(target: int) -> AsyncIterator[Freezing]:
    """Open a way to a port of loopback that can be frozen."""
    way = Freezing(target)
    server = await asyncio.start_server(way.serve, "127.0.0.1", 0)
    way.port = server.sockets[0].getsockname()[1]
    try:
        yield way
    finally:
        server.close()
        await way.close()
        await server.wait_closed()
