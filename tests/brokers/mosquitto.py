"""A real mosquitto on a free port of loopback, which can be stopped, started again and told what its configuration is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from adapters.brokers.address import BrokerAddress
from tests.brokers.ports import HOST, free_port

PATIENCE_SECONDS = 15.0


class Mosquitto:
    """One broker. Its port stays the same when it is started again."""

    def __init__(self, folder: Path, config: str) -> None:
        self.folder = folder
        self.config = config
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    def address(self, username: str = "") -> BrokerAddress:
        """Return where it is, for this user."""
        return BrokerAddress(HOST, self.port, username)

    async def start(self) -> None:
        """Start it and wait until it listens."""
        file = self.folder / "mosquitto.conf"
        lines = (f"listener {self.port} {HOST}", "set_tcp_nodelay true", "persistence false", "user root", self.config)
        file.write_text("\n".join(lines) + "\n")
        with (self.folder / "mosquitto.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec("mosquitto", "-v", "-c", str(file), stdout=log, stderr=log)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await is_listening(self.port):
                assert self._process.returncode is None, self.log()
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stop it as an operator does; its connections are cut."""
        process, self._process = self._process, None
        if process is not None and process.returncode is None:
            process.terminate()
            await process.wait()

    async def restart(self) -> None:
        """Stop it and start it again on the same port."""
        await self.stop()
        await self.start()

    def log(self) -> str:
        """Return what it logged in all of its runs."""
        return (self.folder / "mosquitto.log").read_text(errors="replace")


@contextlib.asynccontextmanager
async def mosquitto(folder: Path, config: str = "allow_anonymous true") -> AsyncIterator[Mosquitto]:
    """Run a broker in this folder, with these lines in its configuration beside its listener."""
    broker = Mosquitto(folder, config)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()


async def is_listening(port: int) -> bool:
    """Tell whether somebody listens on a port of loopback."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return True
