"""Two gateways before one broker, over one registry: what is changed at one holds at the other."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiomqtt
import pytest

from adapters.app import Running, build
from adapters.config import from_environment
from tests.brokers.fronted import Fronted, fronted
from tests.brokers.paho_device import NOT_AUTHORIZED, V5, Device
from tests.brokers.waiting import PATIENCE_SECONDS, until_so
from tests.e2e.gateways import environment

VERSIONS = [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5]
TELEMETRY = "v1/devices/me/telemetry"


@contextlib.asynccontextmanager
async def replica(world: Fronted, folder: Path) -> AsyncIterator[Fronted]:
    """Run another gateway over the registry of the first, and let each tell the other of changes."""
    first = world.gateway
    config = from_environment(environment(folder, MQTT_UPSTREAM=str(world.broker.address())))
    second = Running(build(config), first.repository, first.issuer.vault, first.secrets)
    unfollow = first.watches.follow(second.watches.tell)
    await second.start()
    try:
        yield Fronted(world.broker, second, world.operator, world.watcher)
    finally:
        await second.stop()
        unfollow()


def client(world: Fronted, token: str, version: aiomqtt.ProtocolVersion) -> aiomqtt.Client:
    """Return a device at one of the gateways."""
    address = world.gateway.listening.mqtt[0]
    return aiomqtt.Client(address.host, address.port, username=token, protocol=version, timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_device_moves_between_replicas_and_is_shut_out_at_both(
    tmp_path: Path, version: aiomqtt.ProtocolVersion
) -> None:
    async with fronted(tmp_path) as world, replica(world, tmp_path) as other:
        identity, token = await world.device("one")
        with contextlib.suppress(aiomqtt.MqttError):  # the client says so again when it leaves
            async with client(world, token, version) as here:
                await here.publish(TELEMETRY, b"here", 1)
                await world.watcher.hears(f"v1/devices/{identity}/up/telemetry", b"here")
                async with client(other, token, version) as there:
                    await ended(here)
                    await there.publish(TELEMETRY, b"there", 1)
                    await world.watcher.hears(f"v1/devices/{identity}/up/telemetry", b"there")
                    await world.operator.patch(f"/v1/devices/{identity}", {"enabled": False})
                    await ended(there)
        for gateway in (world, other):
            with pytest.raises(aiomqtt.MqttError):
                async with client(gateway, token, version):
                    pass


async def ended(device: aiomqtt.Client) -> None:
    """Wait until a connection is closed."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with pytest.raises(aiomqtt.MqttError):
            await anext(aiter(device.messages))


async def test_a_channel_that_is_taken_away_at_one_replica_is_gone_at_the_other(tmp_path: Path) -> None:
    async with fronted(tmp_path) as world, replica(world, tmp_path) as other:
        channel = await world.channel("data")
        thing, secret = await world.thing("aa", channel)
        topic = f"channels/{channel}/messages"
        async with Device(other.port, thing, secret, version=V5, filters=(topic,)) as device:
            assert await device.may_say(topic)
            await world.connect(thing)
            await until_so(lambda: device.may_not_say(topic))
            assert await device.subscribe(topic) == [NOT_AUTHORIZED]
            await world.connect(thing, channel)
            await until_so(lambda: device.may_hear(topic))
            assert device.goodbyes == []
