"""`firstlight serve` as a process of its own: started on free ports, watched by its log, stopped or killed."""

import asyncio
import os
import re
import signal
import sys
from pathlib import Path
from typing import Self

from adapters.listeners import Listening
from adapters.settings import Address
from tests.e2e.gateways import environment

PROGRAM = Path(sys.executable).with_name("firstlight")
PATIENCE_SECONDS = 60.0
_INHERITED = ("PATH", "HOME", "LANG", "SSL_CERT_FILE")
_LISTENING = re.compile(r"^.*\blistening\b.*$", re.MULTILINE)


class Served:
    """One run of the gateway over a folder. What it writes goes to files, so that a full pipe never stops it.

    `within` may be a command that runs it somewhere else, such as a network namespace, by `exec`. Where `measured`, coverage
    counts its lines, which doubles what it costs to start.
    """

    within: tuple[str, ...] = ()
    measured = True

    def __init__(self, folder: Path, *arguments: str, **settings: str | None) -> None:
        self.folder = folder
        self.out, self.log_file = folder / "out", folder / "log"
        self.listening = Listening()
        self._command = (str(PROGRAM), "serve", *arguments)
        self._settings: dict[str, str | None] = {"LOG_FORMAT": "json", **settings}
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.stop()
        try:
            await self.ended()
        except TimeoutError:
            self.kill()
            raise

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def spawn(self) -> None:
        """Start the process and wait for nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        inherited = {name: value for name, value in os.environ.items() if name in _INHERITED}
        if self.measured:
            inherited |= {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
        given = environment(self.folder / "data", **self._settings)
        with self.out.open("wb") as out, self.log_file.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self.within,
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env=inherited | given,
                cwd=self.folder,
                start_new_session=True,
            )

    async def start(self) -> None:
        """Start the process and wait until it listens."""
        await self.spawn()
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (found := _LISTENING.search(self.log())) is None:
                assert self.process.returncode is None, self.log()
                await asyncio.sleep(0.005)
        self.listening = Listening(**{name: _addresses(found[0], name) for name in Listening.__struct_fields__})

    def log(self) -> str:
        return self.log_file.read_text("utf-8", "replace")

    def printed(self) -> str:
        return self.out.read_text("utf-8", "replace")

    def kill(self) -> None:
        """End the process as a power cut would, as far as the process is concerned."""
        os.killpg(self.process.pid, signal.SIGKILL)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ask the process to end."""
        self.process.send_signal(number)

    async def ended(self) -> int:
        """Wait for the end and return the exit status."""
        return await asyncio.wait_for(self.process.wait(), PATIENCE_SECONDS)

    def resident_kib(self) -> int:
        """Return how much memory the process holds."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        found = re.search(r"^VmRSS:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1])


class Unmeasured(Served):
    """A run whose lines coverage need not count: one that is killed writes nothing down anyway, and load is about load."""

    measured = False


def files_in(folder: Path) -> list[Path]:
    """Return every file below a folder."""
    return [path for path in folder.rglob("*") if path.is_file()]


def _addresses(line: str, name: str) -> tuple[Address, ...]:
    found = re.search(rf'\b{name}"?[=:] ?"?([\d.]+):(\d+)', line)
    return (Address(found[1], int(found[2])),) if found else ()
