"""Prints, in one run, what a durable provision costs on each protocol beside its bare library. `make bench` runs it.

The servers take turns under the same load, and what is compared is always of one run: the ratios hold where the machine's
speed does not. Processor time is the server's for one request, all threads counted. Options: `--rounds`, `--requests`.
"""

import argparse
import statistics
import time
from collections import defaultdict
from collections.abc import Callable

from tests.bench.codec import codec_seconds
from tests.bench.lanes import CoapLane, HttpLane, Lane, MqttLane, load, provisioning_bodies
from tests.bench.served import Served

SERVERS = (
    ("small", "gateway", "1000"),
    ("large", "gateway", "100000"),
    ("bare", "bare_http"),
    ("bare", "stock_coap"),
)
PROTOCOLS: dict[str, Callable[[int, int], Lane]] = {"http": HttpLane, "coap": CoapLane, "mqtt": MqttLane}
LANES = {"http": 128, "coap": 32, "mqtt": 128}
WINDOW = {"http": 1, "coap": 4, "mqtt": 1}  # requests on their way for each lane


class Figures:
    """What one server was found to cost under one protocol's load, a figure for each round."""

    def __init__(self) -> None:
        self._costs: list[float] = []
        self._rates: list[float] = []

    def take(self, served: Served, protocol: str, requests: int) -> None:
        """Warm the server up, load it once, and note what a request cost."""
        _load(served, protocol, requests // 5, "warm")
        spent, started = served.seconds(), time.perf_counter()
        _load(served, protocol, requests, "")
        self._rates.append(requests / (time.perf_counter() - started))
        self._costs.append((served.seconds() - spent) / requests)

    @property
    def cost(self) -> float:
        """The median processor time of a request in microseconds."""
        return statistics.median(self._costs) * 1e6

    @property
    def rate(self) -> float:
        """The median of requests answered in a second."""
        return statistics.median(self._rates)


def measure(rounds: int, requests: int) -> dict[str, Figures]:
    """Load every server in turn, each started anew for each round: a load adds devices, and few are to stay few.

    The figures are named `protocol small`, `protocol large` and `protocol bare`.
    """
    figures: dict[str, Figures] = defaultdict(Figures)
    for _ in range(rounds):
        for size, name, *arguments in SERVERS:
            served = Served(name, *arguments)
            try:
                _warm(served, int(arguments[0]) if arguments else 0)
                for protocol in served.ports:
                    figures[f"{protocol} {size}"].take(served, protocol, requests)
            finally:
                served.stop()
    return figures


def _warm(served: Served, devices: int) -> None:
    """Provision as many devices as it takes to have the pages of the file that are used in memory, a twentieth of them."""
    if devices:
        _load(served, "mqtt", max(devices // 20, LANES["mqtt"]), "first")


def _load(served: Served, protocol: str, requests: int, prefix: str) -> None:
    bodies = provisioning_bodies(served.key, served.secret, f"{protocol}{prefix}-")
    load(PROTOCOLS[protocol], LANES[protocol], WINDOW[protocol], [served.ports[protocol]], requests, bodies)


def report(figures: dict[str, Figures], codec: float) -> None:
    """Print the table, and beside each aim whether it is met."""
    cost = {name: subject.cost for name, subject in figures.items()} | {"mqtt bare": codec * 1e6}
    print(f"{'a durable provision':<42}{'bare library':>24}{'1 thousand':>14}{'100 thousand':>14}")
    for protocol, bare in (("http", "aiohttp handler"), ("coap", "stock aiocoap"), ("mqtt", "codec alone")):
        row = "".join(
            f"{cost[f'{protocol} {name}']:>{width}.0f}" for name, width in (("bare", 8), ("small", 14), ("large", 14))
        )
        print(f"{protocol.upper() + ', processor time in microseconds':<42}{bare:>16}{row}")
    for protocol, bare in (("http", "aiohttp handler"), ("coap", "stock aiocoap")):
        row = "".join(
            f"{figures[f'{protocol} {name}'].rate:>{width}.0f}" for name, width in (("bare", 8), ("small", 14), ("large", 14))
        )
        print(f"{protocol.upper() + ', requests a second':<42}{bare:>16}{row}")
    growth = {protocol: cost[f"{protocol} large"] / cost[f"{protocol} small"] - 1 for protocol in PROTOCOLS}
    overall = (
        sum(cost[f"{protocol} large"] for protocol in PROTOCOLS) / sum(cost[f"{protocol} small"] for protocol in PROTOCOLS) - 1
    )
    http = figures["http small"].rate / figures["http bare"].rate
    coap = cost["coap small"] / cost["coap bare"]
    aims = (
        ("HTTP: requests a second, to the bare handler", http, "at least 0.40", http >= 0.4),
        ("CoAP: processor time, to the stock server", coap, "at most 0.60", coap <= 0.6),
        ("growth from 1 to 100 thousand devices", overall, "under 0.10", overall < 0.1),
    )
    for name, figure, aim, met in aims:
        print(f"{name:<50}{figure:>6.2f}   {aim}: {'met' if met else 'NOT MET'}")
    print("  growth by protocol: " + ", ".join(f"{protocol} {share:+.1%}" for protocol, share in growth.items()))


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2_000)
    chosen = parser.parse_args()
    report(measure(chosen.rounds, chosen.requests), codec_seconds())


if __name__ == "__main__":
    main()
