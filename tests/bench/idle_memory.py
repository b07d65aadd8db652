"""Prints how much memory a device that is connected and silent costs the daemon: `python -m tests.bench.idle_memory`.

Every device logs in some times before anything is measured, few at a time, so that the registry has its pages in memory and
what a login leaves behind is not taken for a connection's. Then all connect and stay, MQTT 3.1.1, each with a token of its own.
With `--front` they go through the daemon to a mosquitto. Options: `--connections`, `--rest` (seconds between the last two
readings).
"""

import argparse
import itertools
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.bench import fleet
from tests.bench.fleet import Member
from tests.bench.processes import PATIENCE_SECONDS, Process, daemon, mosquitto, raise_descriptors

AT_ONCE = 50
WARM_ROUNDS = 3  # each of the registry's readers has a cache of its own
SPARE_DESCRIPTORS = 200
CONNACK = b"\x20\x02\x00\x00"
AIMS = {"endpoint": 6.0, "front": 12.0}


def connected(port: int, members: Iterable[Member]) -> list[socket.socket]:
    """Connect some devices at once. Raises `AssertionError` where one is refused."""
    opened = []
    for member in members:
        connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
        connection.sendall(member.thingsboard_connect())
        opened.append(connection)
    for connection in opened:
        assert connection.recv(len(CONNACK), socket.MSG_WAITALL) == CONNACK
    return opened


def batches(members: Iterable[Member]) -> Iterator[list[Member]]:
    """Yield as many as may connect at once."""
    rest = iter(members)
    while batch := list(itertools.islice(rest, AT_ONCE)):
        yield batch


def log_in_once(port: int, members: Iterable[Member]) -> None:
    """Connect each device and let it go again."""
    for batch in batches(members):
        for connection in connected(port, batch):
            connection.close()


def measure(name: str, served: Process, members: tuple[Member, ...], rest_seconds: float) -> None:
    """Print memory before, with all connections, and after a rest."""
    for _ in range(WARM_ROUNDS):
        log_in_once(served.port, members)
    served.wait_until_calm()
    readings = [reading(served)]
    opened = [connection for batch in batches(members) for connection in connected(served.port, batch)]
    served.wait_until_calm()
    readings.append(reading(served))
    time.sleep(rest_seconds)
    readings.append(reading(served))
    assert not hung_up(opened), "the daemon closed idle connections"
    report(name, len(members), readings)
    for connection in opened:
        connection.close()


def hung_up(opened: Iterable[socket.socket]) -> bool:
    """Tell whether one of the connections was written to or closed."""
    for connection in opened:
        connection.setblocking(False)
        try:
            connection.recv(1)
        except BlockingIOError:
            continue
        return True
    return False


def reading(served: Process) -> tuple[int, int, int]:
    """Return resident and proportional memory in KiB, and open descriptors."""
    return served.resident_kib(), served.proportional_kib(), served.descriptors()


def report(name: str, connections: int, readings: list[tuple[int, int, int]]) -> None:
    """Print what was read, and beside the aim whether it is met."""
    print(f"{name + f', {connections} connections':<38}{'resident KiB':>14}{'PSS KiB':>12}{'open':>8}{'KiB each':>10}")
    for moment, (resident, proportional, files) in zip(("before", "connected", "after a rest"), readings, strict=True):
        each = (resident - readings[0][0]) / connections
        print(f"  {moment:<36}{resident:>14}{proportional:>12}{files:>8}{each:>10.2f}")
    worst = max(resident - readings[0][0] for resident, _, _ in readings) / connections
    print(f"  {'KiB for each connection':<36}{worst:>10.2f}   at most {AIMS[name]:g}: {_verdict(worst <= AIMS[name])}")


def _verdict(met: bool) -> str:
    return "met" if met else "NOT MET"


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--rest", type=float, default=60.0)
    parser.add_argument("--front", action="store_true")
    chosen = parser.parse_args()
    room = raise_descriptors() - SPARE_DESCRIPTORS
    connections = min(chosen.connections, room // 2 if chosen.front else room)
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as name:
        folder = Path(name)
        members = fleet.make(folder, connections)
        if not chosen.front:
            with daemon(folder, **fleet.UNLIMITED) as served:
                measure("endpoint", served, members, chosen.rest)
            return
        with mosquitto(folder) as broker, daemon(folder, **fleet.upstream(broker.port)) as served:
            measure("front", served, members, chosen.rest)


if __name__ == "__main__":
    main()
