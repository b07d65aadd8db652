"""Configurations full of secrets, handled rightly and wrongly, for the search of what leaks."""

import json
from collections.abc import Callable

import aiocoap
import aiohttp
import aiomqtt

from adapters.listeners import Listening
from core.crypto.cfb import Envelope
from tests.e2e.operator_api import Operator

ENCRYPT_KEY = "marked-bootstrap-encryption-key!"
Mark = Callable[[str], str]


async def configure(operator: Operator, where: Listening, mark: Mark) -> None:
    """Make configurations, let their devices fetch them and strangers try to."""
    key = mark("marked-external-key")
    body = {
        "external_id": "searchable-external-id",
        "external_key": key,
        "content": mark("marked-content"),
        "client_cert": mark("marked-client-certificate"),
        "client_key": mark("marked-client-private-key"),
        "ca_cert": "no secret",
    }
    made = await operator.post("/v1/configs", body)
    shown = await operator.get(f"/v1/configs/{made['id']}")
    assert shown["client_key"] == body["client_key"]
    mark(shown["secret"])
    await operator.patch(f"/v1/configs/{made['id']}", {"content": mark("marked-content-of-version-2")})
    for refused in ({**body, "external_key": mark("marked-key-of-a-taken-id")}, {**body, "external_id": [key]}):
        assert (await operator.ask("POST", "/v1/configs", refused)).status in (400, 409)
    rotated = await operator.post(f"/v1/devices/{made['id']}/credentials", {})
    mark(rotated["items"][0]["secret"])
    await _vendors_paths(operator, where, mark)
    await _trust(operator, mark)
    await _devices(where, key, mark("marked-wrong-external-key"))


async def _vendors_paths(operator: Operator, where: Listening, mark: Mark) -> None:
    client = {"name": "searchable-client", "credentials": {"secret": mark("marked-client-secret")}}
    assert (await operator.ask("POST", "/default/clients", client)).status == 201
    assert (await operator.ask("POST", "/default/clients", client)).status >= 400
    mapping = {"external_id": "searchable-gateway", "external_key": mark("marked-gateway-key"), "name": "searchable"}
    answer = await operator.ask("POST", "/default/mapping", mapping)
    assert answer.status == 201
    for made in json.loads(answer.body)["clients"]:
        mark(made["credentials"]["secret"])
    for path in ("/default/clients/configs", "/default/clients"):
        assert (await operator.ask("GET", path)).status == 200
    broken = {"external_id": "x", "external_key": {"key": mark("marked-key-in-an-object")}}
    assert (await operator.ask("POST", "/default/clients/configs", broken)).status == 400


async def _trust(operator: Operator, mark: Mark) -> None:
    """Make a profile with a hook that cannot be reached, try to get in, and give a device an OSCORE context."""
    hook = {"url": "https://127.0.0.1:9/", "secret": mark("marked-secret-of-a-hook"), "seconds": 1}
    profile = await operator.post("/v1/profiles", {"name": "searchable-hooked", "hook": hook})
    claim = {"provisionDeviceKey": profile["provision_key"], "provisionDeviceSecret": mark(profile["provision_secret"])}
    assert b"SUCCESS" not in (await operator.ask("POST", "/api/v1/provision", claim)).body
    context = {"type": "oscore", "device_id": "a1", "secret": mark("5ec2e75ec2e75ec2e75ec2e75ec2e75e")}
    await operator.post("/v1/devices", {"name": "searchable-oscore", "profile": "searchable-hooked", "credential": context})


async def _devices(where: Listening, right: str, wrong: str) -> None:
    path = "clients/bootstrap/searchable-external-id"
    secure = "clients/bootstrap/secure/searchable-external-id"
    encrypted = {key: Envelope(ENCRYPT_KEY.encode(), bytes(16)).close(key.encode()).hex() for key in (right, wrong)}
    async with aiohttp.ClientSession() as device:
        for key in (right, wrong):
            for target, text in ((path, key), (secure, encrypted[key]), (secure, key), (path + "/version", key)):
                await device.get(f"http://{where.http[0]}/{target}", headers={"Authorization": f"Client {text}"})
    context = await aiocoap.Context.create_client_context()
    try:
        for key in (right, wrong):
            for target, text in ((path, key), (secure, encrypted[key]), (secure, key)):
                request = aiocoap.Message(code=aiocoap.GET, uri=f"coap://{where.coap[0]}/{target}?auth={text}")
                await context.request(request).response
    finally:
        await context.shutdown()
    for key in (right, wrong):
        async with aiomqtt.Client(where.mqtt[0].host, where.mqtt[0].port, username="bootstrap", timeout=20) as client:
            await client.subscribe(f"{path}/response")
            await client.publish(f"{path}/request", json.dumps({"authorization": key}), qos=1)
            await anext(aiter(client.messages))
    try:
        async with aiomqtt.Client(where.mqtt[0].host, where.mqtt[0].port, username="searchable-external-id", password=wrong):
            raise AssertionError("a wrong external key was let in")
    except aiomqtt.MqttError:
        pass
