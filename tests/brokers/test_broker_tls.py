"""Brokers that are spoken to over TLS, and devices that come to the front over it."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from adapters.brokers.address import BrokerAddress, client_context
from adapters.brokers.link import Link
from adapters.mqtt.config import MqttConfig
from adapters.mqtt.front.broker_line import BrokerLine, connect
from tests.brokers.logged import Logged
from tests.brokers.mosquitto import Mosquitto, mosquitto
from tests.brokers.ports import HOST
from tests.brokers.waiting import beside
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.tls.tls_parties import Place, place


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Place:
    return place(tmp_path_factory.mktemp("broker-tls"))


@contextlib.asynccontextmanager
async def secured(folder: Path, home: Place) -> AsyncIterator[Mosquitto]:
    """Run a broker that speaks TLS alone."""
    async with mosquitto(folder, f"allow_anonymous true\ncertfile {home.certificate}\nkeyfile {home.key}") as broker:
        yield broker


async def test_a_link_over_tls(tmp_path: Path, home: Place) -> None:
    log: Any = Logged()
    heard = asyncio.Event()
    async with secured(tmp_path, home) as broker:
        address = BrokerAddress(HOST, broker.port, secure=True)
        link = Link(address, None, "test", log, tls=client_context(address, home.authority))

        async def work(client: aiomqtt.Client) -> None:
            await client.subscribe("t", 1)
            await client.publish("t", b"x", 1)
            async for _ in client.messages:
                heard.set()

        async with beside(link.keep(work)):
            await asyncio.wait_for(heard.wait(), 15)


class Nobody:
    """The device's side of a line that does not come about."""

    def from_broker(self, data: bytes) -> None:
        raise AssertionError

    def broker_takes(self) -> None:
        raise AssertionError

    def bound(self, name: str) -> None:
        raise AssertionError

    def broker_lost(self) -> None:
        pass


async def test_devices_are_not_passed_on_to_a_stranger(tmp_path: Path, home: Place) -> None:
    async with secured(tmp_path, home) as broker:
        with pytest.raises(OSError, match="certificate verify failed"):
            await connect(BrokerLine(Nobody(), MqttConfig()), HOST, broker.port, ssl.create_default_context())


async def test_a_device_goes_on_over_tls_on_both_sides(tmp_path: Path, home: Place) -> None:
    async with secured(tmp_path, home) as broker:
        settings = {
            "MQTT_UPSTREAM": f"mqtts://{HOST}:{broker.port}",
            "MQTT_UPSTREAM_CA": str(home.authority),
            "TLS_CERT": str(home.certificate),
            "TLS_KEY": str(home.key),
            "HTTPS": "",
            "COAPS": "",
            "MQTTS": f"{HOST}:0",
        }
        async with (
            opened(tmp_path / "data", **settings) as gateway,
            Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator,
        ):
            await operator.post("/v1/profiles", {"name": "things"})
            made = await operator.post("/v1/devices", {"name": "pump", "profile": "things"})
            token, port = made["credentials"][0]["token"], gateway.listening.mqtts[0].port
            watcher = aiomqtt.Client(HOST, broker.port, tls_context=home.client())
            device = aiomqtt.Client(HOST, port, username=token, tls_context=home.client())
            async with asyncio.timeout(20), watcher, device:
                await watcher.subscribe("#", 1)
                await device.subscribe("v1/devices/me/attributes", 1)
                for size in (10, 100_000):
                    await device.publish("v1/devices/me/telemetry", b"7" * size, 1)
                    message = await anext(watcher.messages)
                    assert message.payload == b"7" * size
                await watcher.publish(str(message.topic).replace("up", "down").replace("telemetry", "attributes"), b"back", 1)
