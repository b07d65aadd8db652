"""What a durable provision over HTTP costs with one, two and three gateways over one PostgreSQL, beside one over SQLite.

`python -m tests.bench.replicas [--rounds N] [--requests N]`. Gateways, database and load share this machine's processors, so
three gateways answer no more than one: what is shown is the processor time of a request, in the gateways and in the database.
"""

import argparse
import contextlib
import json
import os
import statistics
import tempfile
import time
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.lanes import HttpLane, load, provisioning_bodies
from tests.bench.processes import Process, daemon
from tests.bench.servers import UNLIMITED
from tests.brokers.ports import HOST, free_ports
from tests.postgres_server import PostgresServer, postgres_server

LANES = 96
REPLICAS = (1, 2, 3)
_TOKEN = "the-admin-token-of-this-run"
_PROFILE = {"name": "bench", "strategy": "create_new", "provision_key": "bench-key-0000000000", "provision_secret": "s" * 20}
_TICKS = os.sysconf("SC_CLK_TCK")


class Cost(NamedTuple):
    """Microseconds of processor time for a request, in the gateways and in the database, and requests answered in a second."""

    gateways: float
    database: float
    rate: float


@contextlib.contextmanager
def gateways(count: int, database: str) -> Iterator[tuple[list[Process], list[int]]]:
    """Run so many gateways over a database with a profile; gives their processes and HTTP ports."""
    ports = free_ports(count)
    with contextlib.ExitStack() as stack:
        started: list[Process] = []
        for port in ports:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="firstlight-bench-")))
            started.append(stack.enter_context(daemon(folder, **_settings(port, database))))
        _make_profile(ports[0])
        yield started, ports


def _settings(port: int, database: str) -> dict[str, str]:
    own = {"ADMIN_TOKEN": _TOKEN, "MASTER_KEY": "5e" * 32, "HTTP": f"{HOST}:{port}", "COAP": ""}
    if database:
        own["DATABASE"] = database
    return UNLIMITED | {f"FIRSTLIGHT_{name}": value for name, value in own.items()}


def _make_profile(port: int) -> None:
    head = {"Authorization": f"Bearer {_TOKEN}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{HOST}:{port}/v1/profiles", json.dumps(_PROFILE).encode(), head)
    with urllib.request.urlopen(request):
        pass


def database_seconds(server: PostgresServer | None) -> float:
    """Return the processor time of a server's processes, those that have ended included (proc(5), stat)."""
    if server is None:
        return 0.0
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            if int(stat.parent.name) == server.pid:
                ticks += sum(map(int, fields[11:15]))
            elif int(fields[1]) == server.pid:
                ticks += sum(map(int, fields[11:13]))
    return ticks / _TICKS


def measure(count: int, database: str, server: PostgresServer | None, requests: int) -> Cost:
    """Load so many gateways once and return what a request cost."""
    with gateways(count, database) as (processes, ports):
        _load(ports, requests // 4, "warm")
        gone = [process.seconds() for process in processes]
        spent, began = database_seconds(server), time.perf_counter()
        _load(ports, requests, "load")
        seconds = time.perf_counter() - began
        own = sum(process.seconds() for process in processes) - sum(gone)
        return Cost(own / requests * 1e6, (database_seconds(server) - spent) / requests * 1e6, requests / seconds)


def _load(ports: Sequence[int], requests: int, prefix: str) -> None:
    bodies = provisioning_bodies(_PROFILE["provision_key"], _PROFILE["provision_secret"], prefix)
    load(HttpLane, LANES, 1, ports, requests, bodies)


def compare(rounds: int, requests: int) -> dict[str, list[Cost]]:
    """Measure all in turn, so many times."""
    found: dict[str, list[Cost]] = defaultdict(list)
    with postgres_server(durable=True) as server:
        for _ in range(rounds):
            found["SQLite, 1 gateway"].append(measure(1, "", None, requests))
            for count in REPLICAS:
                name = f"PostgreSQL, {count} gateway{'s' if count > 1 else ''}"
                found[name].append(measure(count, server.url(server.make_database()), server, requests))
    return found


def report(found: dict[str, list[Cost]]) -> None:
    """Print the table: medians, and each sum as a ratio to SQLite's."""
    single = statistics.median(sum(cost[:2]) for cost in found["SQLite, 1 gateway"])
    heads = f"{'gateways us':>12}{'database us':>13}{'together':>10}{'to SQLite':>11}{'a second':>10}"
    print(f"{'a durable provision over HTTP':<32}{heads}")
    for name, costs in found.items():
        own, database, rate = (statistics.median(column) for column in zip(*costs, strict=True))
        print(f"{name:<32}{own:>12.0f}{database:>13.0f}{own + database:>10.0f}{(own + database) / single:>11.2f}{rate:>10.0f}")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=6_000)
    chosen = parser.parse_args()
    report(compare(chosen.rounds, chosen.requests))


if __name__ == "__main__":
    main()
