"""Prints how fast messages get to a broker through the gateway, beside going there directly: `python -m tests.bench.front`.

One mosquitto, one run, both ways in turns; what counts is the ratio. Bytes are made before the clock starts and sent many
messages at a time; a subscriber at the broker itself counts what arrives, and the run fails where something is missing. At
QoS 1 each connection has `WINDOW` messages unacknowledged at most. Latency is that of one message at a time, at QoS 0, from
the publisher to the subscriber. The best rate of each way is what others on the machine disturbed least. ThingsBoard's topics
are rewritten on the way, Xively's are not. Options: `--rounds`, `--messages`.
"""

import argparse
import itertools
import selectors
import socket
import statistics
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import msgspec

from tests.bench import fleet
from tests.bench.fleet import Member
from tests.bench.mqtt_cost import packet, text
from tests.bench.processes import PATIENCE_SECONDS, Process, daemon, mosquitto

CONNECTIONS = 50
PAYLOADS = tuple(b"x" * size for size in range(64, 204, 7))
WINDOW = len(PAYLOADS)
STEP = WINDOW // 2  # messages that are sent at once when as many were acknowledged
RINGS_AT_ONCE = 10
GULP = 1 << 18
PINGS = 1_000
PUBACK_SIZE = 4
AIM = 0.7


class Traffic(msgspec.Struct, frozen=True):
    """How the devices of one vendor log in and where they publish; `subscribed` is the filter that has all of it."""

    name: str
    connect: Callable[[Member], bytes]
    topic: Callable[[Member], str]
    upstream: Callable[[Member], str]
    subscribed: str


TRAFFICS = (
    Traffic(
        "ThingsBoard, topic rewritten",
        Member.thingsboard_connect,
        lambda _: "v1/devices/me/telemetry",
        lambda member: f"v1/devices/{member.device}/up/telemetry",
        "v1/devices/+/up/telemetry",
    ),
    Traffic(
        "Xively, topic unchanged",
        Member.xively_connect,
        lambda member: f"{member.space}/temperature",
        lambda member: f"{member.space}/temperature",
        "xi/blue/v1/default/d/+/temperature",
    ),
)


class Way(msgspec.Struct, frozen=True):
    """A way to the broker: how a device connects there, and on which topic it publishes."""

    name: str
    port: int
    connect: Callable[[Member], bytes]
    topic: Callable[[Member], str]


class Site(msgspec.Struct, frozen=True):
    """The broker, the gateway in front of it, the devices, and how many messages they send in a round."""

    broker: Process
    gateway: Process
    members: tuple[Member, ...]
    messages: int


def ways(traffic: Traffic, site: Site) -> tuple[Way, Way]:
    """Return the direct way, on which a device proves nothing and has the broker's topic, and the way through the gateway."""
    direct = Way("direct", site.broker.port, lambda member: fleet.connect(member.device), traffic.upstream)
    return direct, Way("front", site.gateway.port, traffic.connect, traffic.topic)


class Publisher:
    """One device: a ring of messages made beforehand, of which some are on their way."""

    def __init__(self, way: Way, member: Member, qos: int) -> None:
        self.socket = connected(way.port, way.connect(member))
        frames = [publish(way.topic(member), body, number * bool(qos)) for number, body in enumerate(PAYLOADS, 1)]
        self.ring = b"".join(frames)
        self._twice = memoryview(self.ring * 2)
        self._starts = list(itertools.accumulate(map(len, frames * 2), initial=0))
        self._next = 0
        # To be woken for each acknowledgement would make this process the slowest of all.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, STEP * PUBACK_SIZE)

    def send(self, count: int) -> None:
        """Send some more of the ring, as many as it has at most."""
        first, self._next = self._next, (self._next + count) % WINDOW
        self.socket.sendall(self._twice[self._starts[first] : self._starts[first + count]])

    def receive(self) -> None:
        """Take a step's acknowledgements, which are here."""
        assert len(self.socket.recv(STEP * PUBACK_SIZE)) == STEP * PUBACK_SIZE, "the server hung up"


class Subscriber(threading.Thread):
    """Reads at the broker itself until so many bytes came; every message has a length known beforehand."""

    def __init__(self, broker: Process, topic_filter: str, expected: int) -> None:
        super().__init__(daemon=True)
        self.missing = expected
        self.done_at = 0.0
        self.socket = subscribed(broker.port, topic_filter)

    def run(self) -> None:
        """Count bytes."""
        buffer = bytearray(GULP)
        while self.missing > 0:
            # To be woken for each message would take from the servers what they need.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, min(GULP // 4, self.missing))
            received = self.socket.recv_into(buffer)
            if not received:
                return
            self.missing -= received
        self.done_at = time.perf_counter()


def publish(topic: str, body: bytes, packet_id: int = 0) -> bytes:
    """Return a PUBLISH: QoS 1 with a packet id, otherwise QoS 0."""
    head = text(topic) + (packet_id.to_bytes(2, "big") if packet_id else b"")
    return packet(0x32 if packet_id else 0x30, head + body)


def connected(port: int, connect: bytes) -> socket.socket:
    """Connect. Raises `AssertionError` where that is refused."""
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(connect)
    assert connection.recv(4, socket.MSG_WAITALL) == b"\x20\x02\x00\x00"
    return connection


def subscribed(port: int, topic_filter: str) -> socket.socket:
    """Connect to the broker and subscribe at QoS 0."""
    connection = connected(port, fleet.connect("the subscriber"))
    connection.sendall(packet(0x82, b"\x00\x01" + text(topic_filter) + b"\x00"))
    assert connection.recv(5, socket.MSG_WAITALL) == b"\x90\x03\x00\x01\x00"
    return connection


def rate(way: Way, traffic: Traffic, site: Site, qos: int) -> float:
    """Return how many messages a second arrive; at QoS 1 all of them were acknowledged too."""
    rings = site.messages // (CONNECTIONS * WINDOW)
    expected = rings * sum(len(publish(traffic.upstream(member), body)) for member in site.members for body in PAYLOADS)
    publishers = [Publisher(way, member, qos) for member in site.members]
    subscriber = Subscriber(site.broker, traffic.subscribed, expected)
    subscriber.start()
    started = time.perf_counter()
    (send_acknowledged if qos else send_all)(publishers, rings)
    acknowledged_at = time.perf_counter() if qos else 0.0
    subscriber.join(PATIENCE_SECONDS)
    assert not subscriber.missing, f"{way.name}, QoS {qos}: {subscriber.missing} of {expected} bytes did not arrive"
    for connection in (subscriber.socket, *(publisher.socket for publisher in publishers)):
        connection.close()
    return site.messages / (max(acknowledged_at, subscriber.done_at) - started)


def send_all(publishers: list[Publisher], rings: int) -> None:
    """Send every ring so many times, as fast as it is taken."""
    with selectors.DefaultSelector() as ready:
        for publisher in publishers:
            publisher.socket.setblocking(False)
            ready.register(publisher.socket, selectors.EVENT_WRITE, [memoryview(publisher.ring * min(rings, RINGS_AT_ONCE)), 0])
        ends = {publisher.socket: len(publisher.ring) * rings for publisher in publishers}
        while ready.get_map():
            for key, _ in ready.select(PATIENCE_SECONDS):
                chunk, sent = key.data
                place = sent % len(chunk)
                key.data[1] += key.fileobj.send(chunk[place : place + ends[key.fileobj] - sent])  # type: ignore[union-attr, index] # a socket
                if key.data[1] == ends[key.fileobj]:  # type: ignore[index] # the same
                    ready.unregister(key.fileobj)


def send_acknowledged(publishers: list[Publisher], rings: int) -> None:
    """Send every ring so many times, a window at a time, until the last message is acknowledged."""
    with selectors.DefaultSelector() as ready:
        missing = dict.fromkeys(publishers, rings * WINDOW)
        for publisher in publishers:
            ready.register(publisher.socket, selectors.EVENT_READ, publisher)
            publisher.send(WINDOW)
        while missing:
            events = ready.select(PATIENCE_SECONDS)
            assert events, f"{sum(missing.values())} messages were not acknowledged"
            for key, _ in events:
                key.data.receive()
                missing[key.data] -= STEP
                if missing[key.data] >= WINDOW:
                    key.data.send(STEP)
                elif not missing[key.data]:
                    del missing[key.data]
                    ready.unregister(key.fileobj)


def latencies(way: Way, traffic: Traffic, site: Site) -> list[float]:
    """Return how many seconds each of some messages took, one at a time."""
    member, broker = site.members[0], site.broker
    with connected(way.port, way.connect(member)) as publisher, subscribed(broker.port, traffic.subscribed) as subscriber:
        found = []
        for number in range(PINGS):
            body = b"%064d" % number
            sent, awaited = publish(way.topic(member), body), publish(traffic.upstream(member), body)
            started = time.perf_counter()
            publisher.sendall(sent)
            received = subscriber.recv(len(awaited), socket.MSG_WAITALL)
            found.append(time.perf_counter() - started)
            assert received == awaited, received
    return found


class Figures:
    """What was found, by what was measured and the way."""

    def __init__(self) -> None:
        self.rates: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.latencies: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.costs: dict[str, list[float]] = defaultdict(list)

    def take(self, traffic: Traffic, site: Site, turn: int) -> None:
        """Measure one round of a vendor's traffic, both ways; which comes first changes from turn to turn."""
        both = ways(traffic, site)[:: -1 if turn % 2 else 1]
        for qos, way in itertools.product((0, 1), both):
            name = f"{traffic.name}, QoS {qos}"
            spent = site.gateway.seconds()
            self.rates[name, way.name].append(rate(way, traffic, site, qos))
            if way.name == "front":
                self.costs[name].append((site.gateway.seconds() - spent) / site.messages)
        for way in both:
            self.latencies[traffic.name, way.name] += latencies(way, traffic, site)

    def report(self) -> None:
        """Print the tables."""
        print(f"{'messages a second, medians':<40}{'direct':>10}{'front':>10}{'ratio':>8}{'best':>8}{'CPU us':>8}")
        for name in self.costs:
            direct, front = self.rates[name, "direct"], self.rates[name, "front"]
            shares = [ours / theirs for ours, theirs in zip(front, direct, strict=True)]
            medians = "".join(f"{statistics.median(some):>10.0f}" for some in (direct, front))
            share = statistics.median(shares)
            verdict = f"at least {AIM}: {'met' if share >= AIM else 'NOT MET'}"
            cost = statistics.median(self.costs[name]) * 1e6
            print(f"{name:<40}{medians}{share:>8.2f}{max(front) / max(direct):>8.2f}{cost:>8.1f}   {verdict}")
        print(f"{'one message at a time, microseconds':<40}{'p50':>10}{'p99':>10}")
        for (name, way), found in self.latencies.items():
            cuts = statistics.quantiles(found, n=100)
            print(f"{name + ', ' + way:<40}{cuts[49] * 1e6:>10.0f}{cuts[98] * 1e6:>10.0f}")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--messages", type=int, default=100_000)
    chosen = parser.parse_args()
    messages = max(1, chosen.messages // (CONNECTIONS * WINDOW)) * CONNECTIONS * WINDOW
    figures = Figures()
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as name:
        folder = Path(name)
        members = fleet.make(folder, CONNECTIONS)
        with mosquitto(folder) as broker, daemon(folder, **fleet.upstream(broker.port)) as gateway:
            for turn, traffic in itertools.product(range(chosen.rounds), TRAFFICS):
                figures.take(traffic, Site(broker, gateway, members, messages), turn)
    figures.report()


if __name__ == "__main__":
    main()
