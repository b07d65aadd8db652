"""Prints what DTLS sessions cost the CoAP server: `python -m tests.bench.dtls_sessions`.

The server is a process of its own, its figures are of that process alone: processor time of a handshake with a pre-shared key
and a cookie, of one with certificates on both sides and of a GET inside a session; memory of an open session; and what is left
when more come than there may be. Options: `--sessions`, `--bound`, `--requests`.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.dtls.dtls_peers import ECDSA_SUITES, DtlsDevice, pair, secured
from tests.protocols.coap_peers import CON, GET, message

ROOT = Path(__file__).resolve().parents[2]
TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
BATCH = 50
WITH_CERTIFICATES = 300


async def serve(bound: int) -> None:
    """Serve until standard input ends; print the port, then for each line the number of sessions."""
    everything = {"global_datagrams_per_second": 1e9, "source_datagrams_per_second": 1e9, "dtls_idle_seconds": 3_600.0}
    everything |= {"dtls_sessions": bound, "dtls_sessions_per_source": bound}
    everything |= {"dtls_handshakes_per_second": 1e6, "dtls_burst_handshakes": 1_000_000}
    async with secured(pair("server").material(), **everything) as served:
        print(served.port, flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(served.sessions, flush=True)


class Server:
    """The server's process."""

    def __init__(self, bound: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.dtls_sessions", "--serve", "--bound", str(bound)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
        )
        self.port = int(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def sessions(self) -> int:
        """Return how many sessions there are."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._line())

    def processor_seconds(self) -> float:
        """Return the processor time until now (proc(5), stat)."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * TICK_SECONDS

    def resident_kib(self) -> int:
        """Return the memory in use (proc(5), status)."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text("ascii").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

    def close(self) -> None:
        """Let the process end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)


async def come_in(count: int, make: Callable[[], DtlsDevice]) -> DtlsDevice:
    """Let devices come in, some at a time; their sockets are closed, as the server's sessions stay. Return the last one."""
    last: DtlsDevice | None = None
    for _ in range(count // BATCH):
        devices = [make() for _ in range(BATCH)]
        await asyncio.gather(*(device.connect() for device in devices))
        for device in devices[:-1]:
            device.close()
        if last is not None:
            last.close()
        last = devices[-1]
    assert last is not None
    return last


async def measure(server: Server, sessions: int, requests: int, bound: int) -> None:
    """Print the figures."""
    shown = pair("device")
    await come_in(BATCH, lambda: DtlsDevice(server.port))
    memory, spent, started = server.resident_kib(), server.processor_seconds(), time.perf_counter()
    device = await come_in(sessions, lambda: DtlsDevice(server.port))
    cost = (server.processor_seconds() - spent) / sessions
    there = server.sessions()
    print(
        f"{sessions} handshakes with a pre-shared key: {cost * 1e3:.2f} ms of the server's processor, {1 / cost:.0f} a second"
    )
    print(f"  (took {time.perf_counter() - started:.1f} s, client and all)")
    print(f"sessions: {there}, the bound is {bound}; {(server.resident_kib() - memory) / (there - BATCH):.1f} KiB each")
    spent = server.processor_seconds()
    for mid in range(requests):
        await device.ask(message(CON, GET, mid, path="who"))
    print(f"GET inside a session: {(server.processor_seconds() - spent) / requests * 1e6:.0f} µs")
    spent = server.processor_seconds()
    await come_in(WITH_CERTIFICATES, lambda: DtlsDevice(server.port, shown=shown, suites=ECDSA_SUITES))
    cost = (server.processor_seconds() - spent) / WITH_CERTIFICATES
    print(f"handshake with certificates: {cost * 1e3:.2f} ms, {1 / cost:.0f} a second")


def main(arguments: Any = None) -> None:
    """Measure, or serve."""
    parser = argparse.ArgumentParser(description="what DTLS sessions cost")
    parser.add_argument("--sessions", type=int, default=5_000)
    parser.add_argument("--bound", type=int, default=2_000)
    parser.add_argument("--requests", type=int, default=5_000)
    parser.add_argument("--serve", action="store_true")
    chosen = parser.parse_args(arguments)
    if chosen.serve:
        asyncio.run(serve(chosen.bound))
        return
    server = Server(chosen.bound)
    try:
        asyncio.run(measure(server, chosen.sessions, chosen.requests, chosen.bound))
    finally:
        server.close()


if __name__ == "__main__":
    main()
