"""The example configuration, as it is but for its ports and its file, set up with the commands it names."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.brokers.address import BrokerAddress
from adapters.brokers.dynamic_security.keeper import DynamicSecurity, Terms
from adapters.brokers.dynamic_security.reading import Reader
from adapters.brokers.link import Link
from core.model import Secret
from tests.brokers.mosquitto import Mosquitto, is_listening
from tests.brokers.ports import HOST, free_port
from tests.brokers.security_world import ADMIN, ADMIN_PASSWORD, QUICK, SPACES, World, is_cut
from tests.brokers.waiting import beside, until, until_so
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator

GATEWAY_PASSWORD = "the gateway's password"
EXAMPLE = Path(__file__).resolve().parents[2] / "deploy" / "brokers" / "mosquitto-dynamic-security.conf"


class Example(Mosquitto):
    """A broker that runs the example; `administration` is where the gateway connects."""

    def __init__(self, folder: Path, text: str) -> None:
        self.administration = free_port()
        super().__init__(folder, "")
        text = text.replace("listener 1883", "").replace("listener 1884", f"listener {self.administration}")
        text = text.replace("/var/lib/mosquitto/dynamic-security.json", str(folder / "dynamic-security.json"))
        # Settings of a listener follow it, and the first one is the harness's own.
        self.config = text


async def administer(port: int, *words: str) -> None:
    """Run mosquitto_ctrl as the example says, with the passwords that it would ask for."""
    arguments = ("-h", HOST, "-p", str(port), "-u", ADMIN, "-P", ADMIN_PASSWORD) if port else ()
    process = await asyncio.create_subprocess_exec(
        "mosquitto_ctrl", *arguments, "dynsec", *words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Example]:
    """The example at work, with a client for the gateway."""
    broker = Example(tmp_path, EXAMPLE.read_text())
    await administer(0, "init", str(tmp_path / "dynamic-security.json"), ADMIN, ADMIN_PASSWORD)
    await broker.start()
    try:
        await until_so(lambda: is_listening(broker.administration))
        await administer(broker.administration, "createClient", "firstlight", "-p", GATEWAY_PASSWORD)
        await administer(broker.administration, "addClientRole", "firstlight", "admin")
        yield broker
    finally:
        await broker.stop()


async def test_no_device_throws_out_another(broker: Example) -> None:
    world = World(broker)
    thing, secret = await world.thing("one")
    other, other_secret = await world.thing("other")
    log: Any = world.log
    address = BrokerAddress(HOST, broker.administration, "firstlight")
    link = Link(address, Secret(GATEWAY_PASSWORD), "test", log, patience=QUICK)
    reader = Reader(world.desk.repository, world.desk.issuer, world.desk.permit, SPACES)
    async with beside(DynamicSecurity(link, reader, world.watches, log, Terms()).run()):
        await until(lambda: log.said("is in step"))
        async with world.device(thing, secret, "the same") as client, world.device(other, other_secret, thing):
            await client.publish("nobody/throws/me/out", qos=1)


async def test_a_whole_gateway_with_its_registry_in_a_file(broker: Example, tmp_path: Path) -> None:
    world = World(broker)
    settings = {
        "BROKER": f"mqtt://firstlight@{HOST}:{broker.administration}",
        "BROKER_PASSWORD": GATEWAY_PASSWORD,
        "BROKER_FOR": "dynamic-security",
    }
    async with opened(tmp_path / "data", **settings) as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.post("/v1/profiles", {"name": "meters", "strategy": "create_new"})
        for name in ("kept", "dropped"):
            credential = {"type": "mqtt_basic", "username": name, "password": f"the password of {name}"}
            await operator.post("/v1/devices", {"name": name, "profile": "meters", "credential": credential})
        await world.admitted("kept", "the password of kept")
        await world.admitted("dropped", "the password of dropped")
        async with world.device("dropped", "the password of dropped") as client:
            await operator.patch("/v1/devices/dropped", {"enabled": False})
            assert await is_cut(client)
        assert not await world.lets_in("dropped", "the password of dropped")
    async with opened(tmp_path / "data") as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.patch("/v1/devices/dropped", {"enabled": True})
        await operator.patch("/v1/devices/kept", {"enabled": False})
    async with opened(tmp_path / "data", **settings):
        await world.admitted("dropped", "the password of dropped")
        await world.refused("kept", "the password of kept")
