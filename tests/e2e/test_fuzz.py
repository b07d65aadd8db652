"""Mutated requests by the thousand, the same in every run, against the gateway as a process: it stays up, quiet and small."""

import asyncio
import contextlib
import json
import random
import socket
import struct
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import aiohttp

from adapters.listeners import Listening
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS, Unmeasured
from tests.e2e.registry_file import names_of_a_whole_registry
from tests.protocols.coap_peers import CON, POST, block, message
from tests.protocols.mqtt_peer import connect_packet, publish_packet, subscribe_packet
from tests.protocols.scenario_clients import PROVISION, Aiocoap, Aiohttp, Client
from tests.protocols.scenario_mqtt_clients import REQUEST, RESPONSE, TELEMETRY, Paho
from tests.protocols.scenarios import message as protobuf
from tests.protocols.scenarios import protobuf_claim
from tests.protocols.world import METERS
from tests.thorough import often

SEED = 20_261_121
BODIES, DATAGRAMS, STREAMS = often(800, 2_500), often(1_600, 5_000), often(500, 1_500)  # a round; the first one warms up, the second one is measured
GROWTH_KIB = 48 * 1024
LOG_LINES = 20  # a second
PROFILE = {"name": "meters", "provision_key": METERS.key, "provision_secret": METERS.secret, "reprovision": "same"}
GUESTS: tuple[Client, ...] = (Aiohttp(), Aiocoap(), Paho("mqttv311", username="provision"))
BODY_SEEDS = (
    json.dumps(METERS.claim(deviceName="seed")).encode(),
    json.dumps(METERS.claim(deviceName="seed", credentialsType="X509_CERTIFICATE", hash="MIIB")).encode(),
    json.dumps({**METERS.claim(token="tök\0en", gateway=True), "provisionDeviceSecret": None}).encode(),
    protobuf((1, b"seed"), protobuf_claim(*METERS)),
    b'{"temperature":21.5,"on":[true,null,{"a":1e9}]}',
)
DATAGRAM_SEEDS = (
    message(CON, POST, 1, token=b"abcd", payload=BODY_SEEDS[0], path=PROVISION),
    message(CON, POST, 2, (12, b"2"), (17, b"2"), (27, block(0, True, 2)), token=b"x", payload=b"y" * 64, path=PROVISION),
    message(CON, POST, 3, (27, block(1, False, 2)), (60, b"\x80"), token=b"x", payload=b"y" * 9, path=PROVISION),
    message(CON, 1, 4, (15, b"auth=1"), (23, block(3, False, 6)), path="/api/v1/token/attributes"),
)
STREAM_SEEDS = (
    connect_packet(4, username="provision") + subscribe_packet((RESPONSE, 1)) + publish_packet(REQUEST, BODY_SEEDS[0], qos=1),
    connect_packet(5, client_id="provision") + publish_packet(REQUEST, BODY_SEEDS[1], version=5, qos=1) + b"\xe0\x00",
    connect_packet(3, client_id="c", username="token", password=b"pw") + publish_packet(TELEMETRY, b"{}") + b"\xc0\x00",
    connect_packet(4, username="provision") + publish_packet(REQUEST, BODY_SEEDS[3], qos=2) + b"\x62\2\0\1\xa2\5\0\1\0\1#",
)


def mutants(chance: random.Random, seeds: tuple[bytes, ...], count: int) -> Iterator[bytes]:
    """Yield seeds with some bytes changed, doubled, cut, or put in place of others."""
    for _ in range(count):
        mutant = bytearray(chance.choice(seeds))
        for _ in range(chance.randint(0, 5)):
            place = chance.randrange(len(mutant) + 1)
            end = min(len(mutant), place + chance.choice((1, 1, 2, 4, 30)))
            match chance.randrange(6):
                case 0:
                    mutant[place:end] = chance.randbytes(end - place)
                case 1:
                    mutant[place:place] = mutant[place:end] * chance.choice((1, 2, 50))
                case 2:
                    del mutant[place:end]
                case 3:
                    mutant[place:end] = chance.choice((b"\0", b"\xff", b'"', b"{", b"}", b"[" * 40, b"\\ud800", b"9" * 400))
                case 4:
                    del mutant[place:]
                case 5:
                    mutant[place:place] = chance.choice(seeds)[: chance.randrange(40)]
        yield bytes(mutant)


async def fuzz_http(where: Listening, chance: random.Random) -> Counter[int]:
    """Send bodies to every path that takes one; return how often each status came."""
    paths = (
        PROVISION,
        PROVISION,
        "/api/v1/a-token/telemetry",
        "/api/v1/a-token/attributes",
        "/v1/devices:import",
        "/v1/profiles",
    )
    seen: Counter[int] = Counter()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}) as session:
        for body in mutants(chance, BODY_SEEDS, BODIES):
            async with session.post(f"http://{where.http[0]}{chance.choice(paths)}", data=body) as response:
                await response.read()
                seen[response.status] += 1
    return seen


async def fuzz_coap(where: Listening, chance: random.Random) -> Counter[int]:
    """Send datagrams, a few at a time and then a ping to see that they were taken; return how often each code came."""
    loop, seen = asyncio.get_running_loop(), Counter[int]()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
        device.setblocking(False)
        device.connect((where.coap[0].host, where.coap[0].port))
        for number, datagram in enumerate(mutants(chance, DATAGRAM_SEEDS, DATAGRAMS)):
            if datagram:
                await loop.sock_sendall(device, datagram)
            if number % 8 == 0:
                await _ping(device, 0xF000 | number & 0xFFF, seen)
    return seen


async def _ping(device: socket.socket, mid: int, seen: Counter[int]) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(device, struct.pack("!BBH", 0x40, 0, mid))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = await loop.sock_recv(device, 65_536)
            seen[answer[1]] += 1
            if answer[:2] == b"\x70\0" and answer[2:4] == struct.pack("!H", mid):
                return


async def fuzz_mqtt(where: Listening, chance: random.Random) -> None:
    """Send streams, each on a connection of its own, and hang up on what stays open."""
    address = where.mqtt[0]
    for stream in mutants(chance, STREAM_SEEDS, STREAMS):
        reader, writer = await asyncio.open_connection(address.host, address.port)
        writer.write(stream)
        with contextlib.suppress(ConnectionError):
            writer.write_eof()
            await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def fuzz(where: Listening, chance: random.Random) -> None:
    statuses, codes, _ = await asyncio.gather(fuzz_http(where, chance), fuzz_coap(where, chance), fuzz_mqtt(where, chance))
    assert statuses.keys() <= {200, 201, 400, 401, 409}, statuses
    assert sum(statuses.values()) == BODIES
    assert 0xA0 not in codes  # 5.00
    assert codes[0x41] > 0  # some are still what they were


def lines_a_second(log: str) -> Counter[str]:
    return Counter(datetime.fromisoformat(json.loads(line)["timestamp"]).strftime("%X") for line in log.splitlines())


async def test_thousands_of_mutants_do_no_harm(tmp_path: Path) -> None:
    settings = dict.fromkeys(("COAP_SOURCE_BURST_DATAGRAMS", "COAP_GLOBAL_BURST_DATAGRAMS"), "1000000")
    settings |= {"LOG_LINES": str(LOG_LINES), "MQTT_CONNECTS_PER_SECOND": "0"}
    async with Unmeasured(tmp_path / "gateway", **settings) as served:
        async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
            await operator.post("/v1/profiles", PROFILE)
            await fuzz(served.listening, random.Random(SEED))
            warm = served.resident_kib()
            await fuzz(served.listening, random.Random(SEED + 1))
            assert served.resident_kib() - warm < GROWTH_KIB
            for place, client in enumerate(GUESTS):
                reply = await client.provision(served.listening, json.dumps(METERS.claim(deviceName=f"good-{place}")).encode())
                assert json.loads(reply.body)["status"] == "SUCCESS"
            figures = await operator.figures()
            assert figures['firstlight_level{level="mqtt.connections"}'] <= 1
        served.stop()
        assert await served.ended() == 0
    assert "Traceback" not in served.log()
    assert "failed" not in served.log()
    # The budget lets twice the lines of a second through after a pause.
    assert max(lines_a_second(served.log()).values()) <= 3 * LOG_LINES
    names = names_of_a_whole_registry(tmp_path / "gateway/data", tmp_path / "copy")
    assert {f"good-{place}" for place in range(len(GUESTS))} <= names
