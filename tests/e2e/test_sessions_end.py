"""Whoever is shut out is shut out at once: an open MQTT connection ends with the login behind it."""

import asyncio
from collections.abc import Awaitable, Callable

import aiomqtt
import pytest

from adapters.app import Running
from tests.e2e.operator_api import Operator

DEADLINE = 30
NOT_AUTHORIZED = 0x87
Shut = Callable[[Operator, str], Awaitable[object]]


async def _revoke(operator: Operator, device: str) -> None:
    assert (await operator.ask("DELETE", f"/v1/devices/{device}/credentials")).status == 204


async def _rotate(operator: Operator, device: str) -> None:
    await operator.post(f"/v1/devices/{device}/credentials", {})


async def _disable(operator: Operator, device: str) -> None:
    await operator.patch(f"/v1/devices/{device}", {"enabled": False})


async def _discard(operator: Operator, device: str) -> None:
    await operator.patch(f"/v1/devices/{device}", {"state": "discarded"})


async def _delete(operator: Operator, device: str) -> None:
    assert (await operator.ask("DELETE", f"/v1/devices/{device}")).status == 204


def client(gateway: Running, username: str, password: str | None, **options: object) -> aiomqtt.Client:
    address = gateway.listening.mqtt[0]
    return aiomqtt.Client(address.host, address.port, username=username, password=password, timeout=DEADLINE, **options)  # type: ignore[arg-type] # options of a test


async def ended(device: aiomqtt.Client) -> str:
    """Wait until the gateway closes the connection and return what the client says of it."""
    try:
        async with asyncio.timeout(DEADLINE):
            async for _ in device.messages:
                raise AssertionError("nothing is sent to this device")
    except aiomqtt.MqttError as error:
        return str(error)
    raise AssertionError("the messages came to an end without an error")


@pytest.mark.parametrize("protocol", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])
@pytest.mark.parametrize("shut", [_revoke, _rotate, _disable, _discard, _delete])
async def test_a_device_that_is_shut_out_is_disconnected_and_others_stay(
    gateway: Running, operator: Operator, shut: Shut, protocol: aiomqtt.ProtocolVersion
) -> None:
    await operator.post("/v1/profiles", {"name": "gauges"})
    made = [await operator.post("/v1/devices", {"name": f"gauge-{number}", "profile": "gauges"}) for number in range(2)]
    tokens = [device["credentials"][0]["token"] for device in made]
    async with client(gateway, tokens[1], None, protocol=protocol) as other:
        async with asyncio.timeout(DEADLINE):
            try:
                async with client(gateway, tokens[0], None, protocol=protocol) as device:
                    await shut(operator, made[0]["id"])
                    await ended(device)
            except aiomqtt.MqttError:
                pass  # the client says so again when it leaves
        with pytest.raises(aiomqtt.MqttError):
            async with client(gateway, tokens[0], None, protocol=protocol):
                pass
        await other.publish("v1/devices/me/telemetry", b"{}", qos=1)


async def test_with_its_configuration_ends_the_session_that_the_external_key_opened(
    gateway: Running, operator: Operator
) -> None:
    made = await operator.post("/v1/configs", {"external_id": "aa:bb", "external_key": "external key"})
    async with asyncio.timeout(DEADLINE):
        try:
            async with client(gateway, "aa:bb", "external key") as device:
                await operator.patch(f"/v1/configs/{made['id']}", {"content": "changed, and the session stays"})
                await device.subscribe("clients/bootstrap/aa:bb/response")
                assert (await operator.ask("DELETE", f"/v1/configs/{made['id']}")).status == 204
                await ended(device)
        except aiomqtt.MqttError:
            pass  # the client says so again when it leaves
