"""A gateway that its database can no longer be reached from: it says so, stores nothing in secret, and comes back by itself."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from adapters.settings import Address
from tests.brokers.ports import HOST, free_ports
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.process import Unmeasured
from tests.postgres_server import PostgresServer, postgres_server
from tests.storm.cluster import PROFILE
from tests.storm.namespaces import HERE, NETWORK, Namespace, namespace

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces want root")

PATIENCE_SECONDS = 60
WRITERS = 8


class Scene:
    """A gateway in a namespace, another beside the database, and devices of the first."""

    def __init__(self, cable: Namespace, postgres: PostgresServer, database: str, folder: Path) -> None:
        self.cable = cable
        self.postgres = postgres
        self.database = database
        http, coap, mqtt, self.other_http = free_ports(4)
        self.http, self.coap, self.mqtt = http, coap, mqtt
        at = {"HTTP": f"{HOST}:{http}", "COAP": f"{HOST}:{coap}", "MQTT": f"{HOST}:{mqtt}"}
        url = postgres.url(database)
        self.cut = Unmeasured(folder / "cut", DATABASE=url.replace(HOST, HERE), DRAIN_SECONDS="3", **at)
        self.cut.within = cable.within
        beside = {"HTTP": f"{HOST}:{self.other_http}", "COAP": "", "MQTT": ""}
        self.other = Unmeasured(folder / "other", DATABASE=url, DRAIN_SECONDS="3", **beside)
        self.acknowledged: list[str] = []

    async def status(self, path: str) -> int:
        """Return the status of a path of the gateway in there, 0 where there was no answer."""
        done = await self.cable.run(
            *("curl", "-s", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", f"http://{HOST}:{self.http}{path}")
        )
        return int(done.out or 0)

    async def provision(self, name: str) -> str:
        """Ask for a device over HTTP and return all that curl shows."""
        url = f"http://{HOST}:{self.http}/api/v1/provision"
        done = await self.cable.run(
            "curl", "-s", "-i", "-m", "30", "-H", "Content-Type: application/json", "-d", claim(name), url
        )
        if '"SUCCESS"' in done.out:
            self.acknowledged.append(name)
        return done.out

    def stored(self) -> set[str]:
        """Return the names of all devices, as the database itself has them."""
        return set(self.postgres.sql(self.database, "SELECT name FROM device").split())


def claim(name: str) -> str:
    """Return the request of a device."""
    secrets = {"provisionDeviceKey": PROFILE["provision_key"], "provisionDeviceSecret": PROFILE["provision_secret"]}
    return json.dumps({"deviceName": name, **secrets})


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something holds; fails instead of waiting for ever."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.1)


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with contextlib.AsyncExitStack() as stack:
        cable = await stack.enter_async_context(namespace())
        listening = f"listen_addresses={HOST},{HERE}"
        postgres = stack.enter_context(postgres_server(durable=True, settings=(listening,), trusted=(str(NETWORK),)))
        made = Scene(cable, postgres, postgres.make_database(), tmp_path)
        await stack.enter_async_context(made.other)
        async with Operator(Address(HOST, made.other_http), ADMIN_TOKEN) as operator:
            await operator.post("/v1/profiles", PROFILE)
        await stack.enter_async_context(made.cut)
        yield made


async def test_a_gateway_cut_off_from_its_database(scene: Scene) -> None:
    assert await scene.status("/readyz") == 200
    writing = [asyncio.create_task(write(scene, f"writer-{number}")) for number in range(WRITERS)]
    await until(lambda: answered(scene, 2 * WRITERS))

    scene.cable.pull()
    await until(lambda: is_status(scene, "/readyz", 503))
    assert await scene.status("/healthz") == 200  # it lives, and is not to be killed for what is not its fault
    await refused_over_every_protocol(scene)
    acknowledged = len(scene.acknowledged)
    assert set(scene.acknowledged) <= scene.stored()
    await beside(scene)
    assert len(scene.acknowledged) == acknowledged

    scene.cable.plug()
    await until(lambda: is_status(scene, "/readyz", 200))
    await until(lambda: answered(scene, acknowledged + 2 * WRITERS))
    for writer in writing:
        writer.cancel()
    await asyncio.gather(*writing, return_exceptions=True)
    assert len(set(scene.acknowledged)) == len(scene.acknowledged)
    assert set(scene.acknowledged) <= scene.stored()


async def write(scene: Scene, prefix: str) -> None:
    """Let one device in after the other; each asks until it is in."""
    number = 0
    while True:
        number += '"SUCCESS"' in await scene.provision(f"{prefix}-{number}")


async def answered(scene: Scene, devices: int) -> bool:
    """Tell whether so many devices have been told that they are in."""
    return len(scene.acknowledged) >= devices


async def is_status(scene: Scene, path: str, status: int) -> bool:
    """Tell whether a path is answered so."""
    return await scene.status(path) == status


async def refused_over_every_protocol(scene: Scene) -> None:
    """Ask as devices do: each is told to come back, in the words of its protocol."""
    answer = await scene.provision("cut-http")
    assert answer.startswith("HTTP/1.1 503"), answer
    assert "\nretry-after: " in answer.lower()
    coap = f"coap://{HOST}:{scene.coap}/api/v1/provision"
    done = await scene.cable.run("coap-client-notls", "-v", "7", "-B", "30", "-m", "post", "-e", claim("cut-coap"), coap)
    assert "5.03" in done.out, done.out
    assert "Max-Age" in done.out, done.out
    mqtt = (
        "-h",
        HOST,
        "-p",
        str(scene.mqtt),
        "-u",
        "provision",
        "-W",
        "20",
        "-t",
        "/provision/request",
        "-e",
        "/provision/response",
    )
    done = await scene.cable.run("mosquitto_rr", *mqtt, "-m", claim("cut-mqtt"))
    assert "SUCCESS" not in done.out, done.out
    assert not scene.stored() & {"cut-http", "cut-coap", "cut-mqtt"}


async def beside(scene: Scene) -> None:
    """Let a device in at the gateway that still reaches the database: nothing that was cut off is in its way for long."""
    url = f"http://{HOST}:{scene.other_http}/api/v1/provision"

    async def is_let_in() -> bool:
        process = await asyncio.create_subprocess_exec(
            *("curl", "-s", "-m", "30", "-H", "Content-Type: application/json", "-d", claim("beside"), url),
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate()
        return b'"SUCCESS"' in out

    await until(is_let_in)
