"""What the gateway answers itself on a connection that goes on to the broker, in the middle of what passes there."""

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from tests.brokers import births
from tests.brokers.fronted import Fronted, fronted
from tests.brokers.paho_device import VERSIONS, Device
from tests.brokers.traffic import numbers, sending
from tests.brokers.waiting import until
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.test_from_nothing import post, web

IMAGE = {"version": "1.3.0", "url": "https://images.example.org/1.3.0", "size": 7, "sha256": "ab" * 32}


@contextlib.asynccontextmanager
async def busy(world: Fronted, device: Device, up: tuple[str, str], down: tuple[str, str]) -> AsyncIterator[None]:
    """Let numbers pass both ways meanwhile: all of them arrive, once and in order."""
    assert await device.subscribe(down[0]) == [1]
    async with sending(device, up[0]) as stop_up, sending(world.watcher, down[1]) as stop_down:
        yield
        sent_up, sent_down = await stop_up(), await stop_down()
    await until(lambda: numbers(world.watcher, up[1]) == sent_up)
    await until(lambda: numbers(device, down[0]) == sent_down)
    assert device.goodbyes == []


async def next_document(device: Device, topic: str, known: int) -> Any:
    """Return the JSON of a message on a topic, after so many."""
    await until(lambda: len(numbers(device, topic)) > known)
    return json.loads(numbers(device, topic)[known])


@pytest.mark.parametrize("version", VERSIONS)
async def test_firmware_and_claims_of_a_thingsboard_device(tmp_path: Path, version: MQTTProtocolVersion) -> None:
    async with fronted(tmp_path) as world:
        identity, token = await world.device("pump 1")
        own, there = "v1/devices/me", f"v1/devices/{identity}"
        firmware = f"{own}/firmware"
        up, down = (f"{own}/telemetry", f"{there}/up/telemetry"), (f"{own}/rpc/request/1", f"{there}/down/rpc/request/1")
        async with (
            Device(world.port, token, version=version, filters=(f"{firmware}/response",)) as device,
            busy(world, device, up, down),
        ):
            await device.say(f"{firmware}/request", b'{"running":"1.2.0"}', 2)
            assert await next_document(device, f"{firmware}/response", 0) == {"update": None}
            path = f"/v1/devices/{identity}/firmware"
            assert (await world.operator.ask("PUT", path, IMAGE)).status == 200
            assert await next_document(device, f"{firmware}/response", 1) == {"update": IMAGE}
            await device.say(f"{firmware}/request", b'{"version":"1.3.0"}')
            await device.say(f"{own}/claim", b'{"secretKey":"open sesame","durationMs":60000}')
            claim = f"{web(world.gateway)}/api/customer/device/pump%201/claim"
            claimed = await post(claim, {"secretKey": "open sesame"}, ADMIN_TOKEN)
            assert claimed["response"] == "SUCCESS"
            assert (await world.operator.get(f"/v1/devices/{identity}"))["firmware"]["version"] == "1.3.0"
        await world.settled()
        assert {topic for topic, _ in world.watcher.heard} == {up[1], down[1], "marks"}


@pytest.mark.parametrize("version", VERSIONS)
async def test_fields_of_a_xively_device(tmp_path: Path, version: MQTTProtocolVersion) -> None:
    async with fronted(tmp_path) as world:
        born = await births.xively(world, "LINE3-000483", version)
        own = f"xi/blue/v1/default/d/{born.id}"
        updates, rejected = f"{own}/_updates/fields", f"{own}/_rejected"
        async with (
            born.device(world, version, filters=(updates, rejected)) as device,
            busy(world, device, born.says, born.hears),
        ):
            assert (await next_document(device, updates, 0))["state"]["name"] is None
            await device.say(f"{own}/_set/fields", b'{"state":{"name":"x"}}')
            assert await next_document(device, updates, 1) == {"state": {"name": "x"}}
            await device.say(f"{own}/_set/fields", b'{"state":{"organizationId":"o"}}')
            assert "error" in await next_document(device, rejected, 0)
            await world.operator.patch(f"/v1/devices/{born.id}", {"metadata": {"note": "y"}})
            assert await next_document(device, updates, 2) == {"state": {"note": "y"}}
        await world.settled()
        assert {topic for topic, _ in world.watcher.heard} == {born.says[1], born.hears[1], "marks"}


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_configuration_of_a_magistrala_client(tmp_path: Path, version: MQTTProtocolVersion) -> None:
    async with fronted(tmp_path) as world:
        channel = await world.channel("data")
        thing, secret = await world.thing("aa:bb", channel)
        up, down = (f"channels/{channel}/messages/{way}" for way in ("up", "down"))
        asked, answered = "clients/bootstrap/aa:bb/request", "clients/bootstrap/aa:bb/response"
        async with (
            Device(world.port, thing, secret, version=version, filters=(answered,)) as device,
            busy(world, device, (up, up), (down, down)),
        ):
            await world.operator.patch(f"/v1/configs/{thing}", {"content": "first"})
            assert (await next_document(device, answered, 0))["content"] == "first"
            await device.say(asked, b"")
            assert (await next_document(device, answered, 1))["content"] == "first"
            await world.operator.patch(f"/v1/configs/{thing}", {"content": "second"})
            assert (await next_document(device, answered, 2))["content"] == "second"
