"""What a confirmable POST costs the CoAP server in processor time, beside what it costs a stock aiocoap server.

Both servers run at the same time in processes of their own on one core, the load comes from another core, in turns; only the
ratio means anything. Run `.venv/bin/python tests/bench/coap_cost.py` in the project's folder.
"""

import argparse
import asyncio
import os
import selectors
import socket
import statistics
import subprocess
import sys
from pathlib import Path

import uvloop

ROOT = Path(__file__).resolve().parents[2]
BODY = b'{"deviceName":"sensor-1","key":"0123456789abcdef0123","secret":"0123456789abcdef0123"}'
REQUEST_TAIL = b"\xb3api\x02v1\x09provision\xff" + BODY  # Uri-Path api, v1, provision
REPLY = b'{"status":"SUCCESS"}'
SOCKETS = 16
WINDOW = 4  # requests on their way for each socket
GIVE_UP_SECONDS = 10


async def serve_ours() -> None:
    """Serve with an exchange that answers at once."""
    from adapters.coap.config import CoapConfig
    from adapters.coap.server import CoapServer
    from adapters.exchange import Outbound, Success

    class Meter:
        def request(self, *_: object) -> None: ...
        def bound(self, name: str) -> None: ...
        def level(self, name: str, value: float) -> None: ...

    class Exchange:
        async def handle(self, inbound: object) -> Outbound:
            return Outbound(outcome=Success.CREATED, body=REPLY, content_type="application/json")

        async def refuse(self, inbound: object, refusal: Exception) -> Outbound:
            raise refusal

    everything = {"source_datagrams_per_second": 1e9, "source_burst_datagrams": 10**9}
    everything |= {"global_datagrams_per_second": 1e9, "global_burst_datagrams": 10**9}
    server = CoapServer(Exchange(), Meter(), CoapConfig(**everything))  # type: ignore[arg-type] # one table, two types
    _, port = await server.start("127.0.0.1", 0)
    print(port, flush=True)
    await asyncio.Event().wait()


async def serve_stock() -> None:
    """Serve with aiocoap as it comes."""
    import aiocoap
    from aiocoap import resource

    class Provision(resource.Resource):  # type: ignore[misc] # aiocoap ships no types
        async def render_post(self, request: aiocoap.Message) -> aiocoap.Message:
            return aiocoap.Message(code=aiocoap.CREATED, payload=REPLY, content_format=50)

    site = resource.Site()
    site.add_resource(["api", "v1", "provision"], Provision())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    await aiocoap.Context.create_server_context(site, bind=("127.0.0.1", port), transports=["udp6"])
    print(port, flush=True)
    await asyncio.Event().wait()


SERVERS = {"ours": serve_ours, "stock": serve_stock}


class Served:
    """A server in a process of its own."""

    def __init__(self, name: str, core: int) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, __file__, "--serve", name, "--core", str(core)], stdout=subprocess.PIPE, env=environment, text=True
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.costs: list[float] = []

    def seconds(self) -> float:
        """Return the processor time used so far."""
        return int(Path(f"/proc/{self.process.pid}/schedstat").read_text().split()[0]) / 1e9

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


class Lane:
    """A device that keeps a window of requests on their way, with message ids that never repeat within a run."""

    def __init__(self, port: int, first_mid: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.mid = first_mid

    def send(self) -> None:
        """Send one more request."""
        self.mid = (self.mid + 1) & 0xFFFF
        mid = self.mid.to_bytes(2, "big")
        self.socket.send(b"\x42\x02" + mid + mid + REQUEST_TAIL)


def load(port: int, requests: int, first_mid: int) -> None:
    """Have this many requests answered with 2.01."""
    lanes = [Lane(port, first_mid) for _ in range(SOCKETS)]
    with selectors.DefaultSelector() as ready:
        for lane in lanes:
            ready.register(lane.socket, selectors.EVENT_READ, lane)
        for lane in lanes * WINDOW:
            lane.send()
        unsent, missing = requests - SOCKETS * WINDOW, requests
        while missing:  # to the last answer: a closed socket would draw ICMP errors, which are no part of this
            events = ready.select(GIVE_UP_SECONDS)
            if not events:
                raise RuntimeError(f"{missing} of {requests} answers from port {port} missing after {GIVE_UP_SECONDS} s")
            for key, _ in events:
                answer = key.data.socket.recv(2048)
                if answer[0] != 0x62 or answer[1] != 0x41:
                    raise RuntimeError(f"unexpected answer {answer!r}")
                missing -= 1
                if unsent:
                    unsent -= 1
                    key.data.send()
    for lane in lanes:
        lane.socket.close()


def measure(rounds: int, requests: int) -> float:
    """Print what each server spent on a request, in microseconds; return ours over stock."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[-1]})
    served = {name: Served(name, cores[0]) for name in SERVERS}
    try:
        for turn in range(rounds + 1):
            for server in served.values():
                before = server.seconds()
                load(server.port, requests, turn * requests // SOCKETS)
                if turn:  # the first turn warms up
                    server.costs.append((server.seconds() - before) / requests * 1e6)
    finally:
        for server in served.values():
            server.stop()
    medians = {name: statistics.median(server.costs) for name, server in served.items()}
    for name, median in medians.items():
        print(f"{name:6} {median:7.1f} us a request   ({', '.join(f'{cost:.1f}' for cost in served[name].costs)})")
    return medians["ours"] / medians["stock"]


def main() -> None:
    """Measure, or serve for a measurement."""
    parser = argparse.ArgumentParser(description="Processor time of a CoAP request, ours over stock aiocoap.")
    parser.add_argument("--serve", choices=sorted(SERVERS), help=argparse.SUPPRESS)
    parser.add_argument("--core", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=5000, help="in each round and for each server")
    arguments = parser.parse_args()
    if arguments.serve:
        os.sched_setaffinity(0, {arguments.core})
        uvloop.run(SERVERS[arguments.serve]())
    else:
        print(f"ratio  {measure(arguments.rounds, arguments.requests):7.3f}")


if __name__ == "__main__":
    main()
