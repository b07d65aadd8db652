"""A configuration on its way to a device over every protocol of a whole gateway: fetched, unchanged, pushed, and large."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiocoap
import aiohttp
import aiomqtt
import cbor2
import pytest

from adapters.app import Running
from tests.e2e.operator_api import Operator

EXTERNAL_ID = "aa:bb"
KEY = "external key"
DEADLINE = 30
PATHS = ["things", "clients"]


async def configured(operator: Operator, content: str = "first", **fields: Any) -> str:
    """Make a configuration with a channel and return its id."""
    channel = await operator.post("/v1/channels", {"name": "data"})
    body = {"external_id": EXTERNAL_ID, "external_key": KEY, "content": content, "channels": [channel["id"]], **fields}
    made = await operator.post("/v1/configs", body)
    return str(made["id"])


def http_headers(path: str) -> dict[str, str]:
    return {"Authorization": f"{'Thing' if path == 'things' else 'Client'} {KEY}"}


@contextlib.asynccontextmanager
async def coap_client() -> AsyncIterator[aiocoap.Context]:
    context = await aiocoap.Context.create_client_context()
    try:
        yield context
    finally:
        await context.shutdown()


def coap_url(gateway: Running, path: str) -> str:
    address = gateway.listening.coap[0]
    return f"coap://{address.host}:{address.port}/{path}?auth={KEY.replace(' ', '%20')}"


def mqtt_client(gateway: Running, username: str = "bootstrap", password: str | None = None, **options: Any) -> aiomqtt.Client:
    address = gateway.listening.mqtt[0]
    return aiomqtt.Client(address.host, address.port, username=username, password=password, timeout=DEADLINE, **options)


async def next_message(client: aiomqtt.Client) -> tuple[str, Any]:
    async with asyncio.timeout(DEADLINE):
        message = await anext(aiter(client.messages))
    assert isinstance(message.payload, bytes)
    return str(message.topic), json.loads(message.payload)


@pytest.mark.parametrize("path", PATHS)
async def test_http_tells_what_is_unchanged(gateway: Running, operator: Operator, path: str) -> None:
    identity = await configured(operator)
    url = f"http://{gateway.listening.http[0]}/{path}/bootstrap/{EXTERNAL_ID}"
    async with aiohttp.ClientSession(headers=http_headers(path)) as device:
        first = await device.get(url)
        assert (first.status, (await first.json())["content"]) == (200, "first")
        same = await device.get(url, headers={"If-None-Match": first.headers["ETag"]})
        assert (same.status, await same.read(), same.headers["ETag"]) == (304, b"", first.headers["ETag"])
        await operator.patch(f"/v1/configs/{identity}", {"content": "second"})
        second = await device.get(url, headers={"If-None-Match": first.headers["ETag"]})
        assert (second.status, (await second.json())["content"]) == (200, "second")
        assert second.headers["ETag"] != first.headers["ETag"]
        wrong = await device.get(url, headers={"If-None-Match": "*", "Authorization": "Client wrong"})
        assert wrong.status in (401, 403)
        as_cbor = await device.get(url, headers={"Accept": "application/cbor"})
        assert as_cbor.content_type == "application/cbor"
        assert cbor2.loads(await as_cbor.read()) == await second.json()


@pytest.mark.parametrize("path", PATHS)
async def test_coap_observes_the_version_and_fetches_what_is_new(gateway: Running, operator: Operator, path: str) -> None:
    identity = await configured(operator)
    async with coap_client() as context, asyncio.timeout(DEADLINE):
        url = coap_url(gateway, f"{path}/bootstrap/{EXTERNAL_ID}")
        first = await context.request(aiocoap.Message(code=aiocoap.GET, uri=url)).response
        assert (str(first.code), json.loads(first.payload)["content"]) == ("2.05 Content", "first")
        held = aiocoap.Message(code=aiocoap.GET, uri=url)
        held.opt.etags = [first.opt.etag]
        assert str((await context.request(held).response).code) == "2.03 Valid"

        watched = aiocoap.Message(code=aiocoap.GET, uri=coap_url(gateway, f"{path}/bootstrap/{EXTERNAL_ID}/version"), observe=0)
        request = context.request(watched)
        version = json.loads((await request.response).payload)
        assert version == {"version": 1, "etag": first.opt.etag.hex()}
        notifications = aiter(request.observation)
        for number, content in ((2, "second"), (3, "third")):
            await operator.patch(f"/v1/configs/{identity}", {"content": content})
            notified = await anext(notifications)
            told = json.loads(notified.payload)
            assert told["version"] == number
            fetched = await context.request(aiocoap.Message(code=aiocoap.GET, uri=url)).response
            assert json.loads(fetched.payload)["content"] == content
            assert fetched.opt.etag.hex() == told["etag"]
        request.observation.cancel()

        wanted = aiocoap.Message(code=aiocoap.GET, uri=url, accept=60)
        as_cbor = await context.request(wanted).response
        assert (as_cbor.opt.content_format, cbor2.loads(as_cbor.payload)["content"]) == (60, "third")


@pytest.mark.parametrize("protocol", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])
@pytest.mark.parametrize("path", PATHS)
async def test_mqtt_is_sent_what_changed(
    gateway: Running, operator: Operator, path: str, protocol: aiomqtt.ProtocolVersion
) -> None:
    identity = await configured(operator)
    topic = f"{path}/bootstrap/{EXTERNAL_ID}"
    async with mqtt_client(gateway, protocol=protocol) as device:
        await device.subscribe(f"{topic}/response", qos=1)
        await device.publish(f"{topic}/request", json.dumps({"authorization": KEY}), qos=1)
        where, document = await next_message(device)
        assert (where, document["content"]) == (f"{topic}/response", "first")
        for content in ("second", "third"):
            await operator.patch(f"/v1/configs/{identity}", {"content": content})
            assert (await next_message(device))[1]["content"] == content
        await operator.patch(f"/v1/configs/{identity}", {"name": "seen by the operator alone"})
        assert (await next_message(device))[1]["content"] == "third"
        channels = document["mainflux_channels" if path == "things" else "channels"]
        await operator.patch(f"/v1/channels/{channels[0]['id']}", {"name": "renamed"})
        assert "renamed" in json.dumps((await next_message(device))[1])


@pytest.mark.parametrize("path", PATHS)
async def test_a_device_that_is_connected_as_itself_need_not_ask(gateway: Running, operator: Operator, path: str) -> None:
    identity = await configured(operator)
    await operator.patch(f"/v1/configs/{identity}", {"active": True})
    shown = await operator.get(f"/v1/configs/{identity}")
    logins = ((EXTERNAL_ID, KEY), (identity, shown["secret"]))
    for number, (username, password) in enumerate(logins, 1):
        async with mqtt_client(gateway, username, password) as device:
            await device.subscribe(f"{path}/bootstrap/{EXTERNAL_ID}/response", qos=1)
            await operator.patch(f"/v1/configs/{identity}", {"content": f"number {number}"})
            assert (await next_message(device))[1]["content"] == f"number {number}"
            await device.publish(f"{path}/bootstrap/{EXTERNAL_ID}/request", b"", qos=1)
            assert (await next_message(device))[1]["content"] == f"number {number}"


async def test_who_is_shut_out_is_pushed_nothing_any_more(gateway: Running, operator: Operator) -> None:
    identity = await configured(operator)
    topic = f"clients/bootstrap/{EXTERNAL_ID}"
    async with mqtt_client(gateway) as device:
        await device.subscribe(f"{topic}/response", qos=1)
        await device.publish(f"{topic}/request", json.dumps({"authorization": KEY}), qos=1)
        assert (await next_message(device))[1]["content"] == "first"
        await operator.patch(f"/v1/devices/{identity}", {"enabled": False})
        await operator.patch(f"/v1/configs/{identity}", {"content": "second"})
        await device.publish(f"{topic}/request", json.dumps({"authorization": KEY}), qos=1)
        refused = (await next_message(device))[1]
        assert "content" not in refused
        assert set(refused) <= {"error", "message"}


@pytest.mark.parametrize("over", ["http", "coap", "mqtt"])
async def test_a_configuration_of_a_megabyte_arrives_whole(gateway: Running, operator: Operator, over: str) -> None:
    content = json.dumps({"blob": "0123456789abcdef" * 62_000})
    await configured(operator, content)
    path = f"clients/bootstrap/{EXTERNAL_ID}"
    async with asyncio.timeout(3 * DEADLINE):
        if over == "http":
            async with aiohttp.ClientSession(headers=http_headers("clients")) as device:
                answer = await device.get(f"http://{gateway.listening.http[0]}/{path}")
                document = await answer.json()
        elif over == "coap":
            async with coap_client() as context:
                request = aiocoap.Message(code=aiocoap.GET, uri=coap_url(gateway, path))
                document = json.loads((await context.request(request).response).payload)
        else:
            async with mqtt_client(gateway) as device:
                await device.subscribe(f"{path}/response")
                await device.publish(f"{path}/request", json.dumps({"authorization": KEY}))
                document = (await next_message(device))[1]
    assert document["content"] == content
