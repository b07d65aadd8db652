"""Runs a server in a process of its own on one core, and reads what it has spent."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Served:
    """A server process; it prints one line once it listens: its ports, and what else a load needs to know."""

    def __init__(self, module: str, *arguments: str, core: int | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            text=True,
        )
        if core is not None:
            os.sched_setaffinity(self._process.pid, {core})
        assert self._process.stdout is not None
        self.line = self._process.stdout.readline().split()
        assert self.line, f"{module} {' '.join(arguments)} did not start"

    def seconds(self) -> float:
        """Return the processor time that all threads have used so far."""
        tasks = Path(f"/proc/{self._process.pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
