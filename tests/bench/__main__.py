"""Prints, in one run, what a durable provision costs on each protocol beside its bare library. `make bench` runs it.

The servers take turns under the same load, and what is compared is always of one run: the ratios hold where the machine's
speed does not. Processor time is the server's for one request, all threads counted. Options: `--rounds`, `--requests`.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable

from tests.bench.codec import codec_seconds
from tests.bench.lanes import CoapLane, HttpLane, Lane, MqttLane, load, provisioning_bodies
from tests.bench.served import Served

SMALL, LARGE = 1_000, 100_000
PROTOCOLS: dict[str, Callable[[int, int], Lane]] = {"http": HttpLane, "coap": CoapLane, "mqtt": MqttLane}
LANES = {"http": 128, "coap": 32, "mqtt": 128}
WINDOW = {"http": 1, "coap": 4, "mqtt": 1}  # requests on their way for each lane


class Subject:
    """One server under one protocol's load."""

    def __init__(self, served: Served, protocol: str) -> None:
        self._served = served
        self._protocol = protocol
        self._costs: list[float] = []
        self._rates: list[float] = []

    def run(self, requests: int, turn: int) -> None:
        """Load it once and note what a request cost."""
        served, protocol = self._served, self._protocol
        bodies = provisioning_bodies(served.key, served.secret, f"{protocol}{turn}-")
        spent, started = served.seconds(), time.perf_counter()
        load(PROTOCOLS[protocol], LANES[protocol], WINDOW[protocol], served.ports[protocol], requests, bodies)
        self._rates.append(requests / (time.perf_counter() - started))
        self._costs.append((served.seconds() - spent) / requests)

    @property
    def cost(self) -> float:
        """The median processor time of a request in microseconds; the first round only warms up."""
        return statistics.median(self._costs[1:]) * 1e6

    @property
    def rate(self) -> float:
        """The median of requests answered in a second."""
        return statistics.median(self._rates[1:])


def measure(rounds: int, requests: int) -> dict[str, Subject]:
    """Load every server in turn; the subjects are named `protocol small`, `protocol large` and `protocol bare`."""
    servers = {
        "small": Served("gateway", str(SMALL)),
        "large": Served("gateway", str(LARGE)),
        "bare http": Served("bare_http"),
        "bare coap": Served("stock_coap"),
    }
    subjects = {
        f"{protocol} {name.split()[0]}": Subject(served, protocol)
        for name, served in servers.items()
        for protocol in served.ports
    }
    try:
        for turn in range(rounds + 1):
            for name in sorted(subjects):
                subjects[name].run(requests, turn)
    finally:
        for served in servers.values():
            served.stop()
    return subjects


def report(subjects: dict[str, Subject], codec: float) -> bool:
    """Print the table; returns whether every aim is met."""
    cost = {name: subject.cost for name, subject in subjects.items()} | {"mqtt bare": codec * 1e6}
    print(f"{'a durable provision':<42}{'bare library':>24}{'1 thousand':>14}{'100 thousand':>14}")
    for protocol, bare in (("http", "aiohttp handler"), ("coap", "stock aiocoap"), ("mqtt", "codec alone")):
        row = "".join(
            f"{cost[f'{protocol} {name}']:>{width}.0f}" for name, width in (("bare", 8), ("small", 14), ("large", 14))
        )
        print(f"{protocol.upper() + ', processor time in microseconds':<42}{bare:>16}{row}")
    for protocol, bare in (("http", "aiohttp handler"), ("coap", "stock aiocoap")):
        row = "".join(
            f"{subjects[f'{protocol} {name}'].rate:>{width}.0f}" for name, width in (("bare", 8), ("small", 14), ("large", 14))
        )
        print(f"{protocol.upper() + ', requests a second':<42}{bare:>16}{row}")
    growth = {protocol: cost[f"{protocol} large"] / cost[f"{protocol} small"] - 1 for protocol in PROTOCOLS}
    overall = (
        sum(cost[f"{protocol} large"] for protocol in PROTOCOLS) / sum(cost[f"{protocol} small"] for protocol in PROTOCOLS) - 1
    )
    http = subjects["http small"].rate / subjects["http bare"].rate
    coap = cost["coap small"] / cost["coap bare"]
    aims = (
        ("HTTP: requests a second, to the bare handler", http, "at least 0.40", http >= 0.4),
        ("CoAP: processor time, to the stock server", coap, "at most 0.60", coap <= 0.6),
        ("growth from 1 to 100 thousand devices", overall, "under 0.10", overall < 0.1),
    )
    for name, figure, aim, met in aims:
        print(f"{name:<50}{figure:>6.2f}   {aim}: {'met' if met else 'NOT MET'}")
    print("  growth by protocol: " + ", ".join(f"{protocol} {share:+.1%}" for protocol, share in growth.items()))
    return all(met for *_, met in aims)


def main() -> int:
    """Measure and report; returns 1 where an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=5_000)
    chosen = parser.parse_args()
    return 0 if report(measure(chosen.rounds, chosen.requests), codec_seconds()) else 1


if __name__ == "__main__":
    sys.exit(main())
