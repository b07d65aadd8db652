"""What MQTT costs the server in processor time, beside what the codec alone costs for the same packets.

The server runs in a process of its own with an exchange that answers at once; its processor time is read from the kernel before
and after each round. Rounds of both event loops take turns, and the codec is measured in the same run: only ratios mean
anything on a shared machine. Run `.venv/bin/python tests/bench/mqtt_cost.py` in the project's folder.
"""

import argparse
import asyncio
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import uvloop

ROOT = Path(__file__).resolve().parents[2]
REQUEST, RESPONSE = "/join/request", "/join/response"
BODY = b'{"deviceName":"sensor-1","key":"0123456789abcdef0123","secret":"0123456789abcdef0123"}'
REPLY = b'{"status":"SUCCESS","credentialsType":"ACCESS_TOKEN","credentialsValue":"0123456789abcdef0123"}'
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
CLIENTS = 8
PATIENCE_SECONDS = 30


def text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def packet(first: int, body: bytes) -> bytes:
    assert len(body) < 16_384
    length = bytes((len(body),)) if len(body) < 128 else bytes((len(body) & 127 | 128, len(body) >> 7))
    return bytes((first,)) + length + body


CONNECT = packet(0x10, text("MQTT") + b"\x04\x82\x00\x3c" + text("joining") + text("joining"))
SUBSCRIBE = packet(0x82, b"\0\x01" + text(RESPONSE) + b"\x01")
PUBLISH = packet(0x32, text(REQUEST) + b"\0\x02" + BODY)
REPORT = packet(0x32, text("report") + b"\0\x03" + BODY)
DISCONNECT = b"\xe0\x00"
CONNACK_SIZE, SUBACK_SIZE, PUBACK_SIZE = 4, 5, 4
ANSWER_SIZE = len(packet(0x32, text(RESPONSE) + b"\0\x01" + REPLY))


async def serve() -> None:
    """Serve with an exchange that answers at once; print the port."""
    from adapters.exchange import Guest, Inbound, Outbound, Peer, Success
    from adapters.mqtt.config import MqttConfig
    from adapters.mqtt.server import MqttServer
    from core.messages import Identity

    guest = Guest(name="join", login="joining", subscriptions=(RESPONSE,))

    class Meter:
        def request(self, *_: object) -> None: ...
        def bound(self, name: str) -> None:
            print("bound", name, file=sys.stderr)

        def level(self, name: str, value: float) -> None: ...

    class Exchange:
        def guest(self, username: str, client_id: str) -> Guest:
            return guest

        def attend(self, identity: Identity, peer: Peer, ended: Callable[[], None]) -> Callable[[], None]:
            return lambda: None

        def understands(self, inbound: Inbound) -> bool:
            return inbound.method != "SUBSCRIBE"

        def may_subscribe(self, topic_filter: str, identity: Identity) -> bool:
            return False

        async def handle(self, inbound: Inbound) -> Outbound:
            topic = RESPONSE if inbound.path == REQUEST else None
            return Outbound(outcome=Success.OK, body=REPLY if topic else b"", topic=topic)

    config = MqttConfig(connects_per_second=0)
    server = MqttServer(Exchange(), Meter(), config)  # type: ignore[arg-type] # a guest needs no more of it
    _, port = await server.start("127.0.0.1", 0)
    print(port, flush=True)
    await asyncio.Event().wait()


class Served:
    """A server in a process of its own."""

    def __init__(self, loop: str) -> None:
        self.loop = loop
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__, "--serve", loop], stdout=subprocess.PIPE, cwd=ROOT, env={**os.environ}
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def processor_seconds(self) -> float:
        """Return user and system time so far (proc(5), /proc/pid/stat, fields 14 and 15)."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    def resident_kib(self) -> float:
        """Return the memory in use (field 24)."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return int(fields[21]) * os.sysconf("SC_PAGE_SIZE") / 1024

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)


def exactly(connection: socket.socket, size: int) -> None:
    while size:
        received = len(connection.recv(size))
        if not received:
            raise EOFError("the server hung up")
        size -= received


def connected(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), PATIENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(CONNECT)
    exactly(connection, CONNACK_SIZE)
    return connection


def flows(port: int, times: int) -> None:
    """TCP, CONNECT, SUBSCRIBE and PUBLISH at once, the answer, the end."""
    for _ in range(times):
        with connected(port) as connection:
            connection.sendall(SUBSCRIBE + PUBLISH)
            exactly(connection, SUBACK_SIZE + PUBACK_SIZE + ANSWER_SIZE)
            connection.sendall(DISCONNECT)


def round_trips(port: int, times: int) -> None:
    """Request and answer on an open connection."""
    with connected(port) as connection:
        for _ in range(times):
            connection.sendall(PUBLISH)
            exactly(connection, PUBACK_SIZE + ANSWER_SIZE)


def reports(port: int, times: int) -> None:
    """PUBLISH at QoS 1 and its acknowledgement, several on their way."""
    with connected(port) as connection:
        for _ in range(times // 10):
            connection.sendall(REPORT * 10)
            exactly(connection, PUBACK_SIZE * 10)


def microseconds(served: Served, load: Callable[[int, int], None], times: int) -> float:
    """Return the server's processor time for one operation, with several clients at once."""
    before = served.processor_seconds()
    clients = [threading.Thread(target=load, args=(served.port, times // CLIENTS)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    return (served.processor_seconds() - before) / times * 1e6


def codec_microseconds(times: int) -> float:
    """Return what it takes to decode one request and to encode its acknowledgement and answer."""
    from adapters.mqtt import encode
    from adapters.mqtt.wire import Decoder

    decoder = Decoder(65_536)
    decoder.version = 4
    started = time.process_time()
    for _ in range(times):
        for _ in decoder.feed(PUBLISH):
            encode.puback(4, 2, 0)
            encode.publish(4, RESPONSE, REPLY, 1)
    return (time.process_time() - started) / times * 1e6


def idle_kib(served: Served, connections: int) -> float:
    """Return the memory of one connection that is open and silent."""
    before = served.resident_kib()
    opened = [connected(served.port) for _ in range(connections)]
    grown = served.resident_kib() - before
    for connection in opened:
        connection.close()
    return grown / connections


def measure(rounds: int) -> None:
    """Print the medians of all rounds."""
    servers = [Served("asyncio"), Served("uvloop")]
    loads: list[tuple[str, Callable[[int, int], None], int]] = [
        ("whole flow", flows, 2_000),
        ("round trip", round_trips, 10_000),
        ("report QoS 1", reports, 20_000),
    ]
    try:
        print(f"{'CPU microseconds':<18}" + "".join(f"{served.loop:>10}" for served in servers))
        for name, load, times in loads:
            found = [[microseconds(served, load, times) for served in servers] for _ in range(rounds)]
            print(f"{name:<18}" + "".join(f"{statistics.median(column):>10.1f}" for column in zip(*found, strict=True)))
        codec = statistics.median(codec_microseconds(20_000) for _ in range(rounds))
        print(f"{'codec alone':<18}{codec:>10.1f}{codec:>10.1f}")
        print(f"{'idle KiB':<18}" + "".join(f"{idle_kib(served, 500):>10.1f}" for served in servers))
    finally:
        for served in servers:
            served.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--serve", choices=("asyncio", "uvloop"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve == "uvloop":
        uvloop.run(serve())
    elif arguments.serve:
        asyncio.run(serve())
    else:
        measure(arguments.rounds)


if __name__ == "__main__":
    main()
