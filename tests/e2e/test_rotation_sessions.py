"""Devices that come again, from outside: what they had is good until they use the new, and then ends at once, sessions too."""

import asyncio
from typing import Any

import aiohttp
import aiomqtt

from adapters.app import Running
from tests.e2e.operator_api import Operator

DEADLINE = 30


async def profile(operator: Operator, reprovision: str, *options: str) -> dict[str, str]:
    """Make a profile and return what its devices send."""
    made = await operator.post("/v1/profiles", {"name": "gauges", "reprovision": reprovision, "options": list(options)})
    return {"provisionDeviceKey": made["provision_key"], "provisionDeviceSecret": made["provision_secret"]}


async def provision(gateway: Running, claim: dict[str, str], **headers: str) -> dict[str, Any]:
    """Ask for an identity over HTTP."""
    url = f"http://{gateway.listening.http[0]}/api/v1/provision"
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, json={"deviceName": "gauge-1", **claim}, headers=headers) as response,
    ):
        assert response.status == 200
        answer: dict[str, Any] = await response.json(content_type=None)
        return answer


async def report(gateway: Running, token: str) -> int:
    """Send telemetry over HTTP, and return the status."""
    url = f"http://{gateway.listening.http[0]}/api/v1/{token}/telemetry"
    async with aiohttp.ClientSession() as session, session.post(url, json={"level": 1}) as response:
        return response.status


def client(gateway: Running, token: str) -> aiomqtt.Client:
    address = gateway.listening.mqtt[0]
    return aiomqtt.Client(address.host, address.port, username=token, timeout=DEADLINE)


async def test_the_first_login_with_the_new_credential_ends_the_sessions_of_the_old(
    gateway: Running, operator: Operator
) -> None:
    claim = await profile(operator, "rotate")
    old = (await provision(gateway, claim))["credentialsValue"]
    new = (await provision(gateway, claim))["credentialsValue"]
    async with asyncio.timeout(DEADLINE):
        try:
            async with client(gateway, old) as device:
                await device.publish("v1/devices/me/telemetry", b"{}", qos=1)
                assert [await report(gateway, token) for token in (old, new)] == [200, 200]
                async for _ in device.messages:
                    raise AssertionError("nothing is sent to this device")
        except aiomqtt.MqttError:
            pass  # which ends the wait for messages: the gateway has closed the connection
    assert [await report(gateway, token) for token in (old, new)] == [401, 200]
    device_id = (await operator.get("/v1/devices?name=gauge-1"))["items"][0]["id"]
    (held,) = (await operator.get(f"/v1/devices/{device_id}/credentials"))["items"]
    assert held["trial"] is False
    kinds = [event["kind"] for event in await operator.all("/v1/events")]
    assert kinds.count("credential.adopted") == 1


async def test_a_device_that_proves_itself_or_is_approved_is_given_another_and_nobody_else(
    gateway: Running, operator: Operator
) -> None:
    claim = await profile(operator, "prove")
    old = (await provision(gateway, claim))["credentialsValue"]
    assert (await provision(gateway, claim))["status"] == "FAILURE"
    assert (await provision(gateway, claim, Authorization="Bearer another"))["status"] == "FAILURE"
    new = (await provision(gateway, claim, Authorization=f"Bearer {old}"))["credentialsValue"]
    assert [await report(gateway, token) for token in (old, new)] == [200, 200]
    await operator.patch("/v1/profiles/gauges", {"reprovision": "approve"})
    assert (await provision(gateway, claim))["status"] == "FAILURE"
    await operator.post("/v1/approvals/gauge-1/grant", {})
    latest = (await provision(gateway, claim))["credentialsValue"]
    assert (await provision(gateway, claim))["status"] == "FAILURE"
    assert [await report(gateway, token) for token in (new, latest)] == [200, 200]
