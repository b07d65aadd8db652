"""A way to a server that can go quiet: what is sent is taken and goes nowhere, and nobody is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from tests.brokers.ports import HOST


class BlackHole:
    """Listens on `port` and passes on to `to`, but while it is `quiet`."""

    def __init__(self, to: int) -> None:
        self.to = to
        self.port = 0
        self._open = asyncio.Event()
        self._open.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def listen(self) -> None:
        """Listen on a free port."""
        self._server = await asyncio.start_server(self._pass_on, HOST, 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def swallow(self) -> None:
        """Pass on nothing more; connections stay open, and new ones open."""
        self._open.clear()

    def reset(self) -> None:
        """Reset every connection, and pass on what comes by new ones."""
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        self._open.set()

    async def close(self) -> None:
        """Stop listening, and close what is open."""
        self.reset()
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        await self._open.wait()
        if writer.transport.is_closing():
            return
        far_reader, far_writer = await asyncio.open_connection(HOST, self.to)
        self._writers.add(far_writer)
        await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(65_536):
                await self._open.wait()
                writer.write(chunk)
                await writer.drain()
        await self._open.wait()  # an end is not told either
        writer.close()


@contextlib.asynccontextmanager
async def black_hole(to: int) -> AsyncIterator[BlackHole]:
    """Open a way to a port of loopback."""
    way = BlackHole(to)
    await way.listen()
    try:
        yield way
    finally:
        await way.close()
