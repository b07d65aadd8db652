"""The example configuration, as it is but for its ports and its file, set up with the commands it names."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.brokers.address import BrokerAddress
from adapters.brokers.dynamic_security.keeper import DynamicSecurity, Terms
from adapters.brokers.dynamic_security.reading import Reader
from adapters.brokers.link import Link
from core.model import Secret
from tests.brokers.mosquitto import HOST, Mosquitto, free_port, is_listening
from tests.brokers.security_world import ADMIN, ADMIN_PASSWORD, QUICK, SPACES, World
from tests.brokers.waiting import beside, until, until_so

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
def text() -> str:
    return EXAMPLE.read_text()


async def test_the_example_works_as_it_says(tmp_path: Path, text: str) -> None:
    broker = Example(tmp_path, text)
    await administer(0, "init", str(tmp_path / "dynamic-security.json"), ADMIN, ADMIN_PASSWORD)
    await broker.start()
    try:
        await until_so(lambda: is_listening(broker.administration))
        await administer(broker.administration, "createClient", "firstlight", "-p", "the gateway's")
        await administer(broker.administration, "addClientRole", "firstlight", "admin")
        world = World(broker)
        thing, secret = await world.thing("one")
        other, other_secret = await world.thing("other")
        log: Any = world.log
        link = Link(
            BrokerAddress(HOST, broker.administration, "firstlight"), Secret("the gateway's"), "test", log, patience=QUICK
        )
        reader = Reader(world.desk.repository, world.desk.issuer, world.desk.permit, SPACES)
        async with beside(DynamicSecurity(link, reader, world.watches, log, Terms()).run()):
            await until(lambda: log.said("is in step"))
            async with world.device(thing, secret, "the same") as client, world.device(other, other_secret, thing):
                await client.publish("nobody/throws/me/out", qos=1)
    finally:
        await broker.stop()
