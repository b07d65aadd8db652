"""A client secret is a credential like any other: ThingsBoard's firmware is given it, and it logs in over MQTT."""

import asyncio

import aiohttp
import aiomqtt
import pytest

from adapters.app import Running
from tests.e2e.operator_api import Operator

DEADLINE = 30
CLAIM = {"provision_key": "client-secrets-key-00", "provision_secret": "client-secrets-secret"}


async def test_a_device_that_was_defined_with_a_client_secret_provisions_as_thingsboards_do(
    gateway: Running, operator: Operator
) -> None:
    await operator.post("/v1/profiles", {"name": "line 4", "strategy": "pre_provisioned", **CLAIM})
    credential = {"type": "client_secret", "secret": "the secret of press 7"}
    device = await operator.post("/v1/devices", {"name": "press-7", "profile": "line 4", "credential": credential})
    asked = {
        "deviceName": "press-7",
        "provisionDeviceKey": CLAIM["provision_key"],
        "provisionDeviceSecret": CLAIM["provision_secret"],
    }
    address = gateway.listening.http[0]
    async with aiohttp.ClientSession() as session, session.post(f"http://{address}/api/v1/provision", json=asked) as answer:
        given = await answer.json(content_type=None)
    value = {"clientId": "", "userName": device["id"], "password": "the secret of press 7"}
    assert given == {"credentialsValue": value, "credentialsType": "MQTT_BASIC", "status": "SUCCESS"}
    where = gateway.listening.mqtt[0]
    async with asyncio.timeout(DEADLINE):
        async with aiomqtt.Client(where.host, where.port, username=value["userName"], password=value["password"]) as client:
            await client.publish("v1/devices/me/telemetry", b"{}", qos=1)
        with pytest.raises(aiomqtt.MqttError):
            async with aiomqtt.Client(where.host, where.port, username=value["userName"], password="another"):
                pass
    assert (await operator.get(f"/v1/devices/{device['id']}"))["state"] == "connected"
