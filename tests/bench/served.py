"""Runs a server in a process of its own, and reads what it has spent."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Served:
    """A server process. It prints one line: its ports, and for the gateway its claim key and secret and its directory."""

    def __init__(self, name: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.bench.servers", name, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline().split()
        assert line, f"{name} {' '.join(arguments)} did not start"
        self.is_gateway = len(line) > 1
        if self.is_gateway:
            *ports, self.key, self.secret, self._directory = line
            self.ports = dict(zip(("http", "coap", "mqtt"), map(int, ports), strict=True))
            for protocol in ("http", "mqtt"):  # each is listened at in its turn
                self._wait(self.ports[protocol])
        else:
            self.key, self.secret = "k" * 20, "s" * 20
            self.ports = {name.rpartition("_")[2]: int(line[0])}

    def seconds(self) -> float:
        """Return the processor time that all threads have used so far."""
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def stop(self) -> None:
        """End it, and remove its files."""
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        if self.is_gateway:
            shutil.rmtree(self._directory)

    def _wait(self, port: int) -> None:
        """Wait until the gateway listens: it tells its ports before it takes them for good."""
        for _ in range(1000):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return
            time.sleep(0.02)
        raise AssertionError("the gateway does not listen")
