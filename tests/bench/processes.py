"""The daemon and a broker in processes of their own, whose memory and processor time can be read."""

import contextlib
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_SECONDS = 30.0
_CALM_SECONDS = 1.0
_CALM_SHARE = 0.02  # of one processor: timers and the kernel's bookkeeping go on
_BROKER = """\
listener {port} 127.0.0.1
allow_anonymous true
set_tcp_nodelay true
max_inflight_messages 0
max_queued_messages 0
user root
persistence false
log_dest none
"""


class Process:
    """A server that listens on one port of this machine. A context manager."""

    def __init__(self, command: list[str], port: int, folder: Path, **environ: str) -> None:
        self.port = port
        self._log = (folder / f"{Path(command[0]).name}-{port}.log").open("wb")
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, env=os.environ | {"PYTHONPATH": str(ROOT)} | environ, cwd=folder
        )

    def __enter__(self) -> Self:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return self
            time.sleep(0.02)
        raise AssertionError(Path(self._log.name).read_text("utf-8"))

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)
        self._log.close()

    def resident_kib(self) -> int:
        """Return how much memory the process has, shared pages included (proc(5), VmRSS)."""
        return self._figure("status", "VmRSS")

    def proportional_kib(self) -> int:
        """Return how much memory the process has, shared pages divided among those who share them (proc(5), Pss)."""
        return self._figure("smaps_rollup", "Pss")

    def descriptors(self) -> int:
        """Return how many files and sockets are open."""
        return sum(1 for _ in Path(f"/proc/{self._process.pid}/fd").iterdir())

    def seconds(self) -> float:
        """Return the processor time that all threads have used so far."""
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def wait_until_calm(self) -> None:
        """Wait until the process does next to nothing, three times in a row."""
        calm, before, deadline = 0, self.seconds(), time.monotonic() + 10 * PATIENCE_SECONDS
        while calm < 3:
            assert time.monotonic() < deadline, "the process does not come to rest"
            time.sleep(_CALM_SECONDS)
            now = self.seconds()
            calm = calm + 1 if now - before < _CALM_SHARE * _CALM_SECONDS else 0
            before = now

    def _figure(self, file: str, name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+) kB$", Path(f"/proc/{self._process.pid}/{file}").read_text("ascii"), re.MULTILINE)
        assert found is not None
        return int(found[1])


def daemon(folder: Path, **settings: str) -> Process:
    """Return the gateway, `firstlight serve`, over the registry in this folder."""
    port = _free_port()
    environ = settings | {"FIRSTLIGHT_DATA": str(folder), "FIRSTLIGHT_MQTT": f"127.0.0.1:{port}"}
    return Process([sys.executable, "-P", "-m", "adapters", "serve"], port, folder, **environ)


def mosquitto(folder: Path) -> Process:
    """Return a broker that takes anybody and drops nothing."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    assert program, "mosquitto is not installed"
    port = _free_port()
    settings = folder / f"mosquitto-{port}.conf"
    settings.write_text(_BROKER.format(port=port), "utf-8")
    return Process([program, "-c", str(settings)], port, folder)


def raise_descriptors() -> int:
    """Allow this process, and those it starts, as many open files as the machine does; returns how many these are."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
