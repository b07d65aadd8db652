"""From an unprovisioned device to telemetry at the operator's broker and back, over one port, for each vendor."""

import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.brokers import births
from tests.brokers.births import Birth, Born
from tests.brokers.fronted import Fronted, fronted
from tests.brokers.paho_device import BAD_LOGIN, NOT_AUTHORIZED, V5, VERSIONS, Device, login_code
from tests.brokers.waiting import until
from tests.e2e.operator_api import Operator

Shut = Callable[[Operator, str], Awaitable[object]]


async def revoke(operator: Operator, device: str) -> None:
    assert (await operator.ask("DELETE", f"/v1/devices/{device}/credentials")).status == 204


async def rotate(operator: Operator, device: str) -> None:
    await operator.post(f"/v1/devices/{device}/credentials", {})


async def disable(operator: Operator, device: str) -> None:
    await operator.patch(f"/v1/devices/{device}", {"enabled": False})


async def discard(operator: Operator, device: str) -> None:
    await operator.patch(f"/v1/devices/{device}", {"state": "discarded"})


async def delete(operator: Operator, device: str) -> None:
    assert (await operator.ask("DELETE", f"/v1/devices/{device}")).status == 204


async def deactivate(operator: Operator, device: str) -> None:
    assert (await operator.ask("PUT", f"/default/clients/state/{device}", {"state": 0})).status == 200


ENDS = (revoke, rotate, disable, discard, delete)
BIRTHS: tuple[tuple[Birth, tuple[Shut, ...]], ...] = (
    (births.thingsboard_token, ENDS),
    (births.thingsboard_basic, (revoke, rotate)),
    (births.magistrala, (*ENDS, deactivate)),
    (births.enos, ENDS),
    (births.xively, ENDS),
)


@pytest.mark.parametrize(("birth", "ends"), BIRTHS)
async def test_a_device_goes_on_to_the_broker_until_it_is_shut_out(
    tmp_path: Path, birth: Birth, ends: tuple[Shut, ...]
) -> None:
    async with fronted(tmp_path) as world:
        for shut, version in zip(ends, itertools.cycle(VERSIONS), strict=False):
            born = await birth(world, f"to-{shut.__name__}", version)
            async with born.device(world, version, insists=False) as device:
                await goes_on(world, born, device)
                await is_shut_out(world, born, device, shut)
            refused = await login_code(world.port, born.username, born.password, born.client_id, version)
            assert refused in (NOT_AUTHORIZED, BAD_LOGIN)


async def goes_on(world: Fronted, born: Born, device: Device) -> None:
    """Let a device and the broker talk."""
    assert device.connacks == [0]
    assert list(device.granted.values()) == [[1]]
    for qos, payload in enumerate((b'{"n":0}', b'{"n":1}', b'{"n":2}')):
        assert await device.say(born.says[0], payload, qos) == 0
        await world.watcher.hears(born.says[1], payload)
        world.watcher.send(born.hears[1], payload, qos)
        await device.hears(born.hears[0], payload)


async def is_shut_out(world: Fronted, born: Born, device: Device, shut: Shut) -> None:
    """Shut a device out that goes on talking: its connection ends, and nothing comes through any more."""
    await shut(world.operator, born.id)
    reason = await device.ended()
    assert reason == (NOT_AUTHORIZED if device.version is V5 else 0x80)
    assert device.goodbyes == [reason]
    device.send(born.says[0], b'{"n":3}')
    await world.settled()
    assert (born.says[1], b'{"n":3}') not in world.watcher.heard
    await until(lambda: f"Client {born.id} closed its connection" in world.broker.log())


async def test_who_waits_for_its_configuration_to_be_active_is_not_let_in(tmp_path: Path) -> None:
    async with fronted(tmp_path) as world:
        channel = await world.channel("data")
        thing, secret = await world.thing("aa:bb", channel)
        await deactivate(world.operator, thing)
        assert await login_code(world.port, thing, secret, "any", V5) == BAD_LOGIN
        await world.operator.patch(f"/v1/configs/{thing}", {"active": True})
        async with Device(world.port, thing, secret) as device:
            assert await device.say(f"channels/{channel}/messages", b"on") == 0
            await world.watcher.hears(f"channels/{channel}/messages", b"on")
