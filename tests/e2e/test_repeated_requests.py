"""A request with a key, sent again over the same and over other protocols to a whole gateway by real clients."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiocoap
import aiohttp
import aiomqtt
import pytest
from aiocoap.numbers.optionnumbers import OptionNumber
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from adapters.listeners import Listening
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS
from tests.protocols.world import METERS

KEY = "8e03978e"  # as much as a Request-Tag takes
PROFILE = {
    "name": "meters",
    "provision_key": METERS.key,
    "provision_secret": METERS.secret,
    "strategy": "create_new",
    "reprovision": "rotate",
}
Send = Callable[[dict[str, Any], str], Awaitable[dict[str, Any]]]


@contextlib.asynccontextmanager
async def http(where: Listening) -> AsyncIterator[Send]:
    async with aiohttp.ClientSession() as session:

        async def send(claim: dict[str, Any], key: str) -> dict[str, Any]:
            headers = {"Idempotency-Key": f'"{key}"'} if key else {}
            url = f"http://{where.http[0]}/api/v1/provision"
            async with session.post(url, json=claim, headers=headers) as response:
                return dict(await response.json())

        yield send


@contextlib.asynccontextmanager
async def coap(where: Listening) -> AsyncIterator[Send]:
    context = await aiocoap.Context.create_client_context(transports=["simple6"])

    async def send(claim: dict[str, Any], key: str) -> dict[str, Any]:
        uri = f"coap://{where.coap[0]}/api/v1/provision"
        request = aiocoap.Message(code=aiocoap.POST, uri=uri, payload=json.dumps(claim).encode())
        if key:
            request.opt.add_option(OptionNumber.REQUEST_TAG.create_option(value=key.encode()))
        return dict(json.loads((await context.request(request).response).payload))

    try:
        yield send
    finally:
        await context.shutdown()


@contextlib.asynccontextmanager
async def mqtt(where: Listening) -> AsyncIterator[Send]:
    host, port = where.mqtt[0].host, where.mqtt[0].port
    async with aiomqtt.Client(host, port, username="provision", protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe("/provision/response", 1)

        async def send(claim: dict[str, Any], key: str) -> dict[str, Any]:
            properties = Properties(PacketTypes.PUBLISH)
            if key:
                properties.UserProperty = [("idempotency-key", key)]
            await client.publish("/provision/request", json.dumps(claim).encode(), 1, properties=properties)
            return dict(json.loads(bytes((await anext(client.messages)).payload)))

        yield send


@contextlib.asynccontextmanager
async def three_ways(folder: Path, **settings: str) -> AsyncIterator[tuple[tuple[Send, ...], Operator]]:
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(opened(folder, **settings))
        operator = await stack.enter_async_context(Operator(running.listening.http[0], ADMIN_TOKEN))
        await operator.post("/v1/profiles", PROFILE)
        sends = [await stack.enter_async_context(connect(running.listening)) for connect in (http, coap, mqtt)]
        await stack.enter_async_context(asyncio.timeout(PATIENCE_SECONDS))
        yield tuple(sends), operator


async def test_one_key_is_one_request_over_three_protocols(tmp_path: Path) -> None:
    async with three_ways(tmp_path) as (sends, operator):
        claim = METERS.claim(deviceName="m-1")
        answers = [await send(claim, KEY) for send in (*sends, *sends)]
        assert answers[0]["status"] == "SUCCESS"
        assert answers == answers[:1] * 6
        other = [await send(claim, "") for send in sends]
        assert len({each["credentialsValue"] for each in (*answers, *other)}) == 4
        refused = await sends[0](METERS.claim(deviceName="m-2"), KEY)
        assert (refused["status"], refused["errorCode"]) == (422, 31)
        assert await operator.device("m-2") is None


async def test_the_key_may_be_a_member_of_the_body(tmp_path: Path) -> None:
    async with three_ways(tmp_path) as (sends, _):
        claim = METERS.claim(deviceName="m-1", idempotency_key="a key of any length up to 255")
        answers = [await send(claim, "") for send in (*sends, *sends)]
        assert answers == answers[:1] * 6
        assert answers[0]["status"] == "SUCCESS"


async def test_sixty_at_once_over_three_protocols_make_one_credential(tmp_path: Path) -> None:
    async with three_ways(tmp_path) as (sends, operator):
        claim = METERS.claim(deviceName="m-1")
        one, two, three = sends
        await two(METERS.claim(deviceName="m-0"), "")  # the client makes a socket for each of its first requests at once
        many = [send(claim, KEY) for send in (one, two) for _ in range(30)]
        answers = [*await asyncio.gather(*many), await three(claim, KEY)]
        assert answers == answers[:1] * 61
        device = await operator.device("m-1") or {}
        assert len((await operator.get(f"/v1/devices/{device['id']}/credentials"))["items"]) == 1


@pytest.mark.parametrize("setting", ["REQUESTS_REPEAT_SECONDS", "REQUESTS_REPEAT_KEYS"])
async def test_it_can_be_switched_off(setting: str, tmp_path: Path) -> None:
    async with three_ways(tmp_path, **{setting: "0"}) as (sends, _):
        claim = METERS.claim(deviceName="m-1")
        answers = [await send(claim, KEY) for send in sends]
        assert len({each["credentialsValue"] for each in answers}) == 3
