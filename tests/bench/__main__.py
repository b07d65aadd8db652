"""Prints, in one run, what a durable provision costs on each protocol beside its bare library. `make bench` runs it.

Every figure is processor time of the server for one request, all threads counted; the servers take turns under the same
load, so the ratios hold where the machine's speed does not. Rounds, requests: `--rounds`, `--requests`.
"""

import argparse
import os
import statistics
import sys
from collections.abc import Callable

from tests.bench.codec import codec_seconds
from tests.bench.lanes import CoapLane, HttpLane, Lane, MqttLane, load, provisioning_bodies
from tests.bench.served import Served

SMALL, LARGE = 1_000, 100_000
LANES = 64
PROTOCOLS: dict[str, Callable[[int, int], Lane]] = {"http": HttpLane, "coap": CoapLane, "mqtt": MqttLane}


class Subject:
    """One server under one protocol's load."""

    def __init__(self, served: Served, protocol: str) -> None:
        self._served = served
        self._lane = PROTOCOLS[protocol]
        self._is_gateway = len(served.line) > 1
        self._port = int(served.line[list(PROTOCOLS).index(protocol)] if self._is_gateway else served.line[0])
        self._lanes = 16 if protocol == "coap" else LANES
        self._protocol = protocol
        self.costs: list[float] = []

    def run(self, requests: int, turn: int) -> None:
        """Load it once and note what a request cost, in seconds."""
        key, secret = self._served.line[3:5] if self._is_gateway else ("k" * 20, "s" * 20)
        bodies = provisioning_bodies(key, secret, f"{self._protocol}{turn}-")
        before = self._served.seconds()
        load(self._lane, self._lanes, 4 if self._protocol == "coap" else 1, self._port, requests, bodies)
        self.costs.append((self._served.seconds() - before) / requests)

    @property
    def cost(self) -> float:
        """The median cost of a request in microseconds; the first round only warms up."""
        return statistics.median(self.costs[1:]) * 1e6


def measure(rounds: int, requests: int) -> dict[str, Subject]:
    """Load every server in turn."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    small, large = (Served("tests.bench.servers", "gateway", str(devices), core=cores[0]) for devices in (SMALL, LARGE))
    bare = {"http": "bare_http", "coap": "stock_coap"}
    subjects = {
        f"{protocol} {name}": Subject(served, protocol)
        for protocol in PROTOCOLS
        for name, served in (("small", small), ("large", large))
    }
    others = {protocol: Served("tests.bench.servers", name, core=cores[0]) for protocol, name in bare.items()}
    subjects |= {f"{protocol} bare": Subject(served, protocol) for protocol, served in others.items()}
    try:
        for turn in range(rounds + 1):
            for name in sorted(subjects):
                subjects[name].run(requests, turn)
    finally:
        for served in (small, large, *others.values()):
            served.stop()
    return subjects


def report(subjects: dict[str, Subject], codec: float) -> bool:
    """Print the table; returns whether every aim is met."""
    cost = {name: subject.cost for name, subject in subjects.items()} | {"mqtt bare": codec * 1e6}
    print(f"{'processor time for one request, in microseconds':<58}{'bare library':>14}{'1 thousand':>12}{'100 thousand':>14}")
    for protocol, bare in (("http", "aiohttp handler"), ("coap", "stock aiocoap server"), ("mqtt", "the codec alone")):
        name = f"{protocol.upper()}: durable provision, beside {bare}"
        print(
            f"{name:<58}{cost[f'{protocol} bare']:>14.0f}{cost[f'{protocol} small']:>12.0f}{cost[f'{protocol} large']:>14.0f}"
        )
    growth = {protocol: cost[f"{protocol} large"] / cost[f"{protocol} small"] - 1 for protocol in PROTOCOLS}
    grown = (
        sum(cost[f"{protocol} large"] for protocol in PROTOCOLS) / sum(cost[f"{protocol} small"] for protocol in PROTOCOLS) - 1
    )
    aims = [
        ("HTTP: bare handler / durable provision", cost["http bare"] / cost["http small"], "at least 0.40", lambda x: x >= 0.4),
        ("CoAP: durable provision / stock server", cost["coap small"] / cost["coap bare"], "at most 0.60", lambda x: x <= 0.6),
        ("growth from 1 thousand to 100 thousand devices", grown, "under 0.10", lambda x: x < 0.1),
    ]
    for name, figure, aim, met in aims:
        print(f"{name:<58}{figure:>8.2f}   {aim}: {'met' if met(figure) else 'NOT MET'}")
    print("  growth by protocol: " + ", ".join(f"{protocol} {share:+.1%}" for protocol, share in growth.items()))
    return all(met(figure) for _, figure, _, met in aims)


def main() -> int:
    """Measure and report; returns 1 where an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4_000)
    chosen = parser.parse_args()
    return 0 if report(measure(chosen.rounds, chosen.requests), codec_seconds()) else 1


if __name__ == "__main__":
    sys.exit(main())
