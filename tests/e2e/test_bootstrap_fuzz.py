"""Mutated observers and listeners by the thousand, while what they watch changes: no fault, no growth, and others are told."""

import asyncio
import contextlib
import json
import random
import socket
from pathlib import Path

from adapters.listeners import Listening
from tests.e2e.bootstrap_fleet import QUERY, Listener, Observer
from tests.e2e.bootstrap_writers import KEY
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS, Unmeasured
from tests.e2e.test_fuzz import mutants
from tests.protocols.coap_peers import (
    ACCEPT,
    ACK,
    BLOCK2,
    CON,
    ETAG,
    GET,
    NON,
    OBSERVE,
    RST,
    URI_QUERY,
    block,
    message,
)
from tests.protocols.mqtt_peer import connect_packet, packet, publish_packet, subscribe_packet, text
from tests.thorough import often

SEED = 20_261_124
DATAGRAMS, STREAMS = often(700, 2_000), often(200, 600)  # a round; the first one warms up, the second one is measured
SOCKETS = 30
GROWTH_KIB = 48 * 1024  # two passwords of 16 MiB each may be at work, which comes and goes
PATH = "things/bootstrap/device"
ASK = publish_packet(f"{PATH}/request", json.dumps({"authorization": KEY}).encode(), qos=1)
LISTEN = subscribe_packet((f"{PATH}/response", 1), (f"{PATH}/version/response", 0))
VERSION = publish_packet(f"{PATH}/version/request", json.dumps({"authorization": KEY}).encode())
DEAF = packet(0xA2, b"\0\2", text(f"{PATH}/response"))
DATAGRAM_SEEDS = (
    message(CON, GET, 1, (OBSERVE, b""), (URI_QUERY, QUERY), token=b"abcd", path=f"{PATH}/version"),
    message(NON, GET, 2, (OBSERVE, b""), (URI_QUERY, QUERY), (ACCEPT, b"\x3c"), token=b"", path=f"{PATH}/version"),
    message(CON, GET, 3, (OBSERVE, b"\x01"), (URI_QUERY, QUERY), token=b"abcd", path=f"{PATH}/version"),
    message(CON, GET, 4, (OBSERVE, b""), (ETAG, bytes(8)), (URI_QUERY, QUERY), token=b"x", path=f"{PATH}/version"),
    message(CON, GET, 5, (OBSERVE, b""), (BLOCK2, block(0, False, 0)), (URI_QUERY, QUERY), token=b"y", path=PATH),
    message(ACK, 0, 6),
    message(RST, 0, 7),
)
STREAM_SEEDS = (
    connect_packet(4, username="bootstrap") + LISTEN + ASK + VERSION,
    connect_packet(5, username="bootstrap", properties=b"\x21\0\1\x27\0\0\0\x40")
    + subscribe_packet((f"{PATH}/response", 1), version=5)
    + publish_packet(f"{PATH}/request", b"", version=5, qos=1, properties=b"\x26" + text("authorization") + text(KEY)),
    connect_packet(4, username="device", password=KEY.encode()) + LISTEN + ASK + DEAF,
    connect_packet(3, username="device", password=KEY.encode()) + LISTEN + b"\x40\2\0\1\xc0\0" + LISTEN + ASK,
)


async def observe(where: Listening, chance: random.Random) -> None:
    """Send datagrams from a few sockets, answer whatever comes with noise, and see at the end that a ping is answered."""
    loop, address = asyncio.get_running_loop(), where.coap[0]
    with contextlib.ExitStack() as stack:
        devices = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(SOCKETS)]
        for device in devices:
            device.setblocking(False)
            device.connect((address.host, address.port))
        for number, datagram in enumerate(mutants(chance, DATAGRAM_SEEDS, DATAGRAMS)):
            device = chance.choice(devices)
            if datagram:
                await loop.sock_sendall(device, datagram)
            if number % 4 == 0:
                await _answer(device, chance)
        await _ping(devices[0])


async def _answer(device: socket.socket, chance: random.Random) -> None:
    """Acknowledge, reset or ignore what waits here."""
    await asyncio.sleep(0)
    with contextlib.suppress(BlockingIOError):
        while notification := device.recv(65_536):
            answer = chance.choice((b"\x60\0", b"\x70\0", b"\x60\x45", b"")) + notification[2:4]
            if len(answer) == 4 and notification[0] >> 4 & 3 == CON:
                device.send(answer)


async def _ping(device: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await loop.sock_sendall(device, message(CON, 0, 0xFFFF))
        while await loop.sock_recv(device, 65_536) != message(RST, 0, 0xFFFF):
            pass


async def listen(where: Listening, chance: random.Random) -> None:
    """Send streams, each on a connection of its own, a few at a time; some hang up in the middle of a push."""
    streams = list(mutants(chance, STREAM_SEEDS, STREAMS))

    async def some() -> None:
        while streams:
            await _stream(where, streams.pop(), chance.random() < 0.3)

    await asyncio.gather(*(some() for _ in range(8)))


async def _stream(where: Listening, stream: bytes, vanishes: bool) -> None:
    reader, writer = await asyncio.open_connection(where.mqtt[0].host, where.mqtt[0].port)
    writer.write(stream)
    with contextlib.suppress(ConnectionError):
        if vanishes:
            await asyncio.sleep(0.005)
            writer.transport.abort()
        else:
            writer.write_eof()
            await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
            writer.close()
        await writer.wait_closed()


async def fuzz(operator: Operator, identity: str, where: Listening, seed: int) -> None:
    """Let strangers observe and listen while an operator writes."""

    async def write() -> None:
        for number in range(1_000_000):
            await operator.patch(f"/v1/configs/{identity}", {"content": f"{seed} {number}"})
            await asyncio.sleep(0.005)

    writing = asyncio.create_task(write())
    await asyncio.gather(observe(where, random.Random(seed)), listen(where, random.Random(seed)))
    assert not writing.done(), writing.exception()
    writing.cancel()
    await asyncio.wait({writing})


async def test_mutants_that_are_pushed_to_do_no_harm(tmp_path: Path) -> None:
    settings = dict.fromkeys(("COAP_SOURCE_BURST_DATAGRAMS", "COAP_GLOBAL_BURST_DATAGRAMS"), "1000000")
    async with Unmeasured(tmp_path / "gateway", MQTT_CONNECTS_PER_SECOND="0", **settings) as served:
        where = served.listening
        async with Operator(where.http[0], ADMIN_TOKEN) as operator:
            identity = str((await operator.post("/v1/configs", {"external_id": "device", "external_key": KEY}))["id"])
            async with Listener.at(where.mqtt[0], PATH) as listener, Observer.at(where.coap[0], PATH) as observer:
                await fuzz(operator, identity, where, SEED)
                warm = served.resident_kib()
                await fuzz(operator, identity, where, SEED + 1)
                assert served.resident_kib() - warm < GROWTH_KIB
                now = await operator.patch(f"/v1/configs/{identity}", {"content": "the last"})
                while listener.last.get("content") != "the last":
                    await listener.more_than(listener.told)
                while observer.last["version"] != now["version"]:
                    await observer.more_than(observer.told)
            figures = await operator.figures()
            assert 'firstlight_bounds_total{bound="coap.internal"}' not in figures
        served.stop()
        assert await served.ended() == 0
    assert "Traceback" not in served.log()
    assert "failed" not in served.log()
