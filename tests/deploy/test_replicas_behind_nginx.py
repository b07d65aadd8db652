"""Two gateways over one PostgreSQL behind nginx, brought up as the examples do: one goes, and devices are served all along."""

import asyncio
import json
import os
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from adapters.app import Running
from adapters.settings import Address
from tests.brokers.ports import HOST
from tests.deploy.proxied import AUTHORITY, PATIENCE_SECONDS, Nginx, certificates, nginx
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.e2e.process import PROGRAM
from tests.postgres_server import postgres_server
from tests.protocols.scenario_cast import needs

PROFILE = {
    "name": "meters",
    "strategy": "create_new",
    "provision_key": "meters-key-0000000000",
    "provision_secret": "meters-secret-0000000",
}

pytestmark = needs("nginx")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Path]:
    """A file with the URL of an empty database, as `FIRSTLIGHT_DATABASE_FILE` wants it."""
    file = tmp_path / "database-url"
    with postgres_server() as server:
        file.write_text(server.url(server.make_database()))
        yield file


@pytest.fixture
async def going(database: Path, tmp_path: Path) -> AsyncIterator[tuple[AsyncExitStack, Running]]:
    """A gateway over the database, which the command brought to its form, and what ends it."""
    variables = {"PATH": os.environ["PATH"], "FIRSTLIGHT_DATABASE_FILE": str(database)}
    command = await asyncio.create_subprocess_exec(PROGRAM, "migrate", env=variables, stdout=asyncio.subprocess.PIPE)
    printed, _ = await asyncio.wait_for(command.communicate(), PATIENCE_SECONDS)
    assert command.returncode == 0, printed
    async with AsyncExitStack() as stack:
        yield stack, await stack.enter_async_context(gateway(database, tmp_path / "going"))


@pytest.fixture
async def staying(going: tuple[AsyncExitStack, Running], database: Path, tmp_path: Path) -> AsyncIterator[Running]:
    """Another gateway over the same database."""
    async with gateway(database, tmp_path / "staying") as running:
        yield running


def gateway(database: Path, folder: Path):
    own = {"HTTP": f"{HOST}:0=thingsboard,{HOST}:0=operator", "TRUSTED_PROXIES": HOST, "MQTT": "", "COAP": ""}
    return opened(folder, DATABASE_FILE=str(database), **own)


@pytest.fixture
async def proxy(going: tuple[AsyncExitStack, Running], staying: Running, tmp_path: Path) -> AsyncIterator[Nginx]:
    """Let nginx stand before both."""
    certificates(tmp_path)
    listening = [running.listening.http for running in (going[1], staying)]
    ports = {8080: [devices.port for devices, _ in listening], 8081: [operators.port for _, operators in listening]}
    async with nginx(tmp_path, ports) as running:
        yield running


async def test_a_gateway_goes_and_devices_get_their_credentials_from_the_other(going, staying, proxy, tmp_path):
    stack, first = going
    trusted = ssl.create_default_context(cafile=str(tmp_path / AUTHORITY))
    url = f"https://localhost:{proxy.ports[8443]}/api/v1/provision"
    async with operator_of(staying) as operator, aiohttp.ClientSession() as session:
        await operator.post("/v1/profiles", PROFILE)

        async def provision(number: int) -> None:
            """Ask as devices do: again after a while when told to come back, or told nothing."""
            body = {"deviceName": f"meter-{number}", "provisionDeviceKey": PROFILE["provision_key"]}
            body["provisionDeviceSecret"] = PROFILE["provision_secret"]
            async with asyncio.timeout(PATIENCE_SECONDS):
                while True:
                    async with session.post(url, json=body, ssl=trusted) as answer:
                        if answer.status == 200:
                            assert json.loads(await answer.read())["status"] == "SUCCESS"
                            return
                        assert answer.status in (502, 503)
                    await asyncio.sleep(0.05)

        await asyncio.gather(*map(provision, range(20)))
        assert await answered(first) > 0
        assert await answered(staying) > 0
        await asyncio.gather(stack.aclose(), *map(provision, range(20, 60)))
        await asyncio.gather(*map(provision, range(60, 80)))
        names = [device["name"] for device in await operator.all("/v1/devices")]
    assert sorted(names) == sorted(f"meter-{number}" for number in range(80))


def operator_of(running: Running) -> Operator:
    """Return an operator who asks one gateway, past nginx."""
    return Operator(Address(HOST, running.listening.http[1].port), ADMIN_TOKEN)


async def answered(running: Running) -> int:
    """Return how many provisions a gateway has granted."""
    async with operator_of(running) as operator:
        shown = (await operator.ask("GET", "/metrics")).body.decode()
    granted = re.findall(r'^firstlight_requests_total{.*operation="provision",outcome="ok".*} ([\d.]+)$', shown, re.MULTILINE)
    return sum(int(float(count)) for count in granted)
