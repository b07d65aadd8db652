"""Client identifiers in front of the broker: devices that chose the same, and one device that comes twice."""

from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from tests.brokers.fronted import Fronted, fronted
from tests.brokers.paho_device import V5, V311, VERSIONS, Device

TELEMETRY = "v1/devices/me/telemetry"
# What paho says where nothing was told; mosquitto closes without a word when somebody takes a client's place.
TOLD = {V311: 0x80, V5: 0x8B}


async def live(world: Fronted, *devices: tuple[str, Device]) -> None:
    """Let devices talk with the broker."""
    for place, (identity, device) in enumerate(devices):
        payload = f"{identity} {place}".encode()
        await device.say(TELEMETRY, payload)
        await world.watcher.hears(f"v1/devices/{identity}/up/telemetry", payload)
        assert device.goodbyes == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("mode", ["device", "joined"])
async def test_devices_that_chose_the_same_live_side_by_side(tmp_path: Path, version: MQTTProtocolVersion, mode: str) -> None:
    async with fronted(tmp_path, MQTT_UPSTREAM_CLIENT_ID=mode) as world:
        (one, token), (other, other_token) = [await world.device(name) for name in ("one", "other")]
        same: dict[str, Any] = {"version": version, "client_id": "TbDev", "insists": False}
        async with Device(world.port, token, **same) as device, Device(world.port, other_token, **same) as beside:
            await live(world, (one, device), (other, beside), (one, device))


@pytest.mark.parametrize("version", VERSIONS)
async def test_where_the_broker_knows_what_they_chose_they_throw_each_other_out(
    tmp_path: Path, version: MQTTProtocolVersion
) -> None:
    async with fronted(tmp_path, MQTT_UPSTREAM_CLIENT_ID="client") as world:
        (_, token), (other, other_token) = [await world.device(name) for name in ("one", "other")]
        same: dict[str, Any] = {"version": version, "client_id": "TbDev", "insists": False}
        async with Device(world.port, token, **same) as device, Device(world.port, other_token, **same) as beside:
            assert await device.ended() == TOLD[version]
            await live(world, (other, beside))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_device_that_comes_twice_takes_its_own_place(tmp_path: Path, version: MQTTProtocolVersion) -> None:
    async with fronted(tmp_path) as world:
        one, token = await world.device("one")
        for first, second in (("a", "b"), ("a", "a"), ("", "")):
            async with (
                Device(world.port, token, version=version, client_id=first, insists=False) as device,
                Device(world.port, token, version=version, client_id=second, insists=False) as again,
            ):
                assert await device.ended() == TOLD[version]
                await live(world, (one, again))


@pytest.mark.parametrize("version", VERSIONS)
async def test_joined_a_device_has_one_connection_for_each_identifier_that_it_chose(
    tmp_path: Path, version: MQTTProtocolVersion
) -> None:
    async with fronted(tmp_path, MQTT_UPSTREAM_CLIENT_ID="joined") as world:
        one, token = await world.device("one")
        chosen: list[dict[str, Any]] = [
            {"version": version, "client_id": client_id, "insists": False} for client_id in ("a", "b", "")
        ]
        async with (
            Device(world.port, token, **chosen[0]) as first,
            Device(world.port, token, **chosen[1]) as second,
            Device(world.port, token, **chosen[2]) as third,
        ):
            await live(world, *((one, each) for each in (first, second, third)))
            async with Device(world.port, token, **chosen[0]) as again:
                assert await first.ended() == TOLD[version]
                await live(world, *((one, each) for each in (again, second, third)))
