"""What devices live through when the broker, the way to it or the gateway is away for a while: they come back by themselves."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from tests.brokers import births
from tests.brokers.black_hole import black_hole
from tests.brokers.fronted import WATCHER, Fronted, before, broker_with_rules, free_address, fronted, watcher
from tests.brokers.paho_device import UNAVAILABLE, V5, V311, VERSIONS, Device, login_code
from tests.brokers.traffic import numbers, sending
from tests.brokers.waiting import until

TELEMETRY, RPC = "v1/devices/me/telemetry", "v1/devices/me/rpc/request/1"
SHUTTING_DOWN = 0x8B
LOST = 0x80  # what paho says where nothing was told
BLACK_HOLE_SECONDS = 1.0
TOLD = {V311: LOST, V5: SHUTTING_DOWN}


@contextlib.asynccontextmanager
async def devices(world: Fronted, *, clean: bool = True) -> AsyncIterator[dict[str, Device]]:
    """Let one device of each version in, which come back whenever they are thrown out; by their ids."""
    options: dict[str, Any] = {"client_id": "chosen", "filters": (RPC,), "clean": clean}
    async with contextlib.AsyncExitStack() as leaving:
        known = {}
        for version in VERSIONS:
            identity, token = await world.device(f"device-{version}")
            known[identity] = await leaving.enter_async_context(Device(world.port, token, version=version, **options))
        yield known


async def back(world: Fronted, device: Device, identity: str, payload: bytes) -> None:
    """Wait until a device came back by itself and talks with the broker."""
    await until(lambda: device.is_in and len(device.granted) == device.connacks.count(0))
    device.send(TELEMETRY, payload)
    await world.watcher.hears(f"v1/devices/{identity}/up/telemetry", payload)
    world.watcher.send(f"v1/devices/{identity}/down/rpc/request/1", payload)
    await device.hears(RPC, payload)


async def test_while_the_broker_is_away_devices_are_told_and_provisioning_goes_on(tmp_path: Path) -> None:
    async with fronted(tmp_path) as world, devices(world) as known:
        for identity, device in known.items():
            await back(world, device, identity, b"before")
        _, token = await world.device("new")
        await world.broker.stop()
        for device in known.values():
            assert await device.ended() == TOLD[device.version]
        for version in VERSIONS:
            assert await login_code(world.port, token, None, "", version) == UNAVAILABLE
        assert (await births.thingsboard_token(world, "born meanwhile", V311)).id
        assert (await births.magistrala(world, "born, too", V5)).id
        await world.broker.start()
        for identity, device in known.items():
            await back(world, device, identity, b"after")
            assert set(device.connacks) <= {0, UNAVAILABLE}


async def test_when_the_gateway_comes_back_so_do_its_devices_and_hear_what_was_said_meanwhile(tmp_path: Path) -> None:
    async with broker_with_rules(tmp_path / "broker") as broker, watcher(broker) as watching:
        address = free_address()
        async with before(tmp_path, broker, MQTT=address) as (gateway, operator):
            world = Fronted(broker, gateway, operator, watching)
            leaving = contextlib.AsyncExitStack()
            known = await leaving.enter_async_context(devices(world, clean=False))
            for identity, device in known.items():
                await back(world, device, identity, b"before")
        async with leaving:
            for identity, device in known.items():
                assert await device.ended() == TOLD[device.version]
                watching.send(f"v1/devices/{identity}/down/rpc/request/1", b"meanwhile")
            async with before(tmp_path, broker, MQTT=address) as (gateway, operator):
                world = Fronted(broker, gateway, operator, watching)
                for identity, device in known.items():
                    await device.hears(RPC, b"meanwhile")
                    await back(world, device, identity, b"after")


async def test_a_way_that_swallows_everything_costs_no_message(tmp_path: Path) -> None:
    async with (
        broker_with_rules(tmp_path / "broker") as broker,
        black_hole(broker.port) as way,
        before(tmp_path, broker, MQTT_UPSTREAM=f"mqtt://127.0.0.1:{way.port}", MQTT_UPSTREAM_SECONDS="1") as (
            gateway,
            operator,
        ),
        watcher(broker) as watching,
    ):
        world = Fronted(broker, gateway, operator, watching)
        async with devices(world) as known:
            way.swallow()
            sent = [(device, device.send(TELEMETRY, f"{n}".encode())) for n in range(50) for device in known.values()]
            _, token = await world.device("new")
            assert await login_code(world.port, token, None, "", V5) == UNAVAILABLE
            await asyncio.sleep(BLACK_HOLE_SECONDS)
            assert not any(message in device.acknowledged for device, message in sent)
            way.reset()
            for device in known.values():
                assert await device.ended() == TOLD[device.version]
            await until(lambda: all(message in device.acknowledged for device, message in sent))
            for identity, device in known.items():
                await back(world, device, identity, b"after")
                assert contains(watching, f"v1/devices/{identity}/up/telemetry", {f"{n}".encode() for n in range(50)})


async def test_whatever_was_acknowledged_arrives_through_restarts_of_broker_and_gateway(tmp_path: Path) -> None:
    kept = {"persistence": "true", "persistence_location": f"{tmp_path}/broker/"}
    durable: dict[str, Any] = {"client_id": "durable", "clean": False, "filters": ("v1/#",)}
    address = free_address()
    async with (
        broker_with_rules(tmp_path / "broker", **kept) as broker,
        Device(broker.port, WATCHER, **durable) as listener,
        contextlib.AsyncExitStack() as leaving,
    ):
        async with before(tmp_path, broker, MQTT=address) as (gateway, operator):
            world = Fronted(broker, gateway, operator, listener)
            known = await leaving.enter_async_context(devices(world))
            senders = {each: await leaving.enter_async_context(sending(device, TELEMETRY)) for each, device in known.items()}
            await until(lambda: len(listener.heard) > 20)
            await broker.restart()
            await until(lambda: all(device.connacks.count(0) > 1 for device in known.values()))
        async with before(tmp_path, broker, MQTT=address):
            await until(lambda: all(device.connacks.count(0) > 2 for device in known.values()))
            for identity, stop in senders.items():
                acknowledged = set(await stop())
                assert len(acknowledged) > 20
                await until(partial(contains, listener, f"v1/devices/{identity}/up/telemetry", acknowledged))


def contains(listener: Device, topic: str, payloads: set[bytes]) -> bool:
    return payloads <= set(numbers(listener, topic))
