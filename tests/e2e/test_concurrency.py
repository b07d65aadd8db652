"""Many devices at one moment: one name is given once, every answer reaches the one who asked, and nobody else sees it."""

import asyncio
import contextlib
import json
from collections import Counter
from typing import Any

import aiomqtt
import pytest

from adapters.app import Running
from tests.e2e.load import over_coap, over_http, over_mqtt
from tests.e2e.operator_api import Operator
from tests.protocols.world import FACTORY, METERS, SAME, Known

EVERY_WAY = (over_http, over_coap, over_mqtt)
REQUESTS = 100


async def at_once(gateway: Running, bodies: list[bytes]) -> list[Any]:
    """Send each request on a connection of its own, over the three protocols in turn, all at one moment."""
    async with contextlib.AsyncExitStack() as stack:
        asks = [
            await stack.enter_async_context(EVERY_WAY[number % len(EVERY_WAY)](gateway.listening))
            for number in range(len(bodies))
        ]
        answers = await asyncio.gather(*(ask(body) for ask, body in zip(asks, bodies, strict=True)))
    return [json.loads(answer) for answer in answers]


@pytest.mark.parametrize(("profile", "name"), [(METERS, "new-1"), (FACTORY, "expected-token")], ids=["new", "expected"])
async def test_a_hundred_requests_for_one_name(gateway: Running, operator: Operator, profile: Known, name: str) -> None:
    before = len(await operator.all("/v1/devices"))
    body = json.dumps(profile.claim(deviceName=name)).encode()
    answers = await at_once(gateway, [body] * REQUESTS)
    assert Counter(answer["status"] for answer in answers) == {"SUCCESS": 1, "FAILURE": REQUESTS - 1}
    assert len(await operator.all("/v1/devices")) == before + (profile is METERS)
    events = [event for event in await operator.all("/v1/events") if event["device_name"] == name]
    kinds = Counter(event["kind"] for event in events if event["kind"].startswith("provision"))
    assert kinds == {"provision.succeeded": 1, "provision.refused": REQUESTS - 1}


async def test_a_hundred_requests_for_one_token(gateway: Running, operator: Operator) -> None:
    bodies = [json.dumps(METERS.claim(deviceName=f"new-{number}", token="one-token")).encode() for number in range(REQUESTS)]
    before = len(await operator.all("/v1/devices"))
    answers = await at_once(gateway, bodies)
    assert Counter(answer["status"] for answer in answers) == {"SUCCESS": 1, "FAILURE": REQUESTS - 1}
    assert len(await operator.all("/v1/devices")) == before + 1


async def test_a_hundred_requests_for_one_name_that_may_be_repeated(gateway: Running) -> None:
    body = json.dumps(SAME.claim(deviceName="new-1")).encode()
    answers = await at_once(gateway, [body] * REQUESTS)
    assert {answer["status"] for answer in answers} == {"SUCCESS"}
    assert len({answer["credentialsValue"] for answer in answers}) == 1


async def test_a_hundred_devices_each_get_their_own_answer(gateway: Running) -> None:
    tokens = [f"own-token-{number}" for number in range(REQUESTS)]
    bodies = [json.dumps(METERS.claim(deviceName=f"d-{token}", token=token)).encode() for token in tokens]
    assert [answer["credentialsValue"] for answer in await at_once(gateway, bodies)] == tokens


@pytest.mark.parametrize("version", list(aiomqtt.ProtocolVersion), ids=lambda version: version.name)
async def test_row_28_one_client_id_for_all_and_nobody_overhears(gateway: Running, version: aiomqtt.ProtocolVersion) -> None:
    address = gateway.listening.mqtt[0]

    def client(username: str, client_id: str) -> aiomqtt.Client:
        return aiomqtt.Client(address.host, address.port, username=username, identifier=client_id, protocol=version)

    async with (
        client("provision", "provision") as first,
        client("provision", "provision") as second,
        client("provision", "provision") as guest_ear,
        client("stored-token-of-pump-1", "ear") as device_ear,
    ):
        await listen(guest_ear, "/provision/response", "#", "+/+/+", "/provision/#", "$SYS/#")
        own = "v1/devices/me/attributes", "v1/devices/me/attributes/response/+", "v1/devices/me/rpc/request/+"
        await listen(device_ear, *own, "#", "/provision/response", "/provision/request", "v1/devices/+/attributes")
        for number in range(10):
            await publish_both(first, second, number)
            for mine, who in ((first, "first"), (second, "second")):
                assert json.loads((await anext(mine.messages)).payload)["credentialsValue"] == f"{who}-{number}"
        await alone(guest_ear, "/provision/request", b"", "/provision/response")
        await alone(device_ear, f"{own[0]}/request/1", b"{}", f"{own[0]}/response/1")
        assert [len(each.messages) for each in (first, second)] == [0, 0]


async def publish_both(first: aiomqtt.Client, second: aiomqtt.Client, number: int) -> None:
    bodies = [
        json.dumps(METERS.claim(deviceName=f"{who}-{number}", token=f"{who}-{number}")).encode() for who in ("first", "second")
    ]
    await asyncio.gather(first.publish("/provision/request", bodies[0], 1), second.publish("/provision/request", bodies[1], 1))


async def listen(ear: aiomqtt.Client, *topic_filters: str) -> None:
    """Subscribe to everything that is granted."""
    for topic_filter in topic_filters:
        with contextlib.suppress(aiomqtt.MqttError):  # refused, which is the point
            await ear.subscribe(topic_filter, 1)


async def alone(ear: aiomqtt.Client, topic: str, body: bytes, answer: str) -> None:
    """Ask for something of one's own, last of all: its answer must be the first and only message that ever came."""
    await ear.publish(topic, body, 1)
    assert (await anext(ear.messages)).topic.value == answer
    assert len(ear.messages) == 0
