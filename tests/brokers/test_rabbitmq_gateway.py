"""From nothing to telemetry at a subscriber of a real RabbitMQ that asks the gateway, and to the end of it, for each vendor."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import aiomqtt
import pytest

from adapters.app import Running
from adapters.brokers.rabbitmq_api import ManagementApi
from core.model import Secret
from tests.brokers.gatehouse import DEADLINE, guarding
from tests.brokers.rabbitmq import PASSWORD, USER, RabbitMq
from tests.brokers.waiting import until_so
from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.test_from_nothing import Account, account, get, post, signed, triple_login, web


class Issued(NamedTuple):
    """What a device was given, and the topic that it may publish to and, where `hears`, subscribe to."""

    device: str
    login: tuple[str, str, str]  # client id, user name, password
    topic: str
    hears: str


class Place(NamedTuple):
    """A gateway, its operator, and the broker that asks it."""

    gateway: Running
    operator: Operator
    node: RabbitMq
    makers: list[Account]  # one, from when it is wanted first

    def client(self, login: tuple[str, str, str], **options: Any) -> aiomqtt.Client:
        """Return a client of the broker."""
        client_id, username, password = login
        return aiomqtt.Client(
            "127.0.0.1",
            self.node.mqtt,
            identifier=client_id,
            username=username,
            password=password,
            timeout=DEADLINE,
            **options,
        )

    @contextlib.asynccontextmanager
    async def connected(self, login: tuple[str, str, str], **options: Any) -> AsyncIterator[aiomqtt.Client]:
        """Connect; that the other side closes is no error when the client leaves."""
        is_done = False
        try:
            async with self.client(login, **options) as device:
                yield device
                is_done = True
        except aiomqtt.MqttError:
            if not is_done:
                raise

    async def is_let_in(self, login: tuple[str, str, str]) -> bool:
        """Tell whether the broker takes a login now."""
        try:
            async with self.client(login):
                return True
        except aiomqtt.MqttError:
            return False

    async def is_listed(self) -> bool:
        """Tell whether the broker's list, which lags, has a connection on it."""
        async with ManagementApi(self.node.api, Secret(PASSWORD)) as api:
            return bool([each async for each in api.connections()])

    @contextlib.asynccontextmanager
    async def subscriber(self) -> AsyncIterator["Subscriber"]:
        """Listen to everything, as an application beside the broker does."""
        async with self.client((f"application {id(self)}", USER, PASSWORD)) as client:
            await client.subscribe("#", qos=1)
            yield Subscriber(client)


class Subscriber:
    """Takes what arrives, one at a time."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._messages = aiter(client.messages)

    async def next(self) -> tuple[str, bytes]:
        """Return topic and payload of the next message."""
        async with asyncio.timeout(DEADLINE):
            message = await anext(self._messages)
        assert isinstance(message.payload, bytes)
        return str(message.topic), message.payload


@contextlib.asynccontextmanager
async def place(node: RabbitMq, folder: Path) -> AsyncIterator[Place]:
    async with guarding(node, folder) as gateway, Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator:
        yield Place(gateway, operator, node, [])


@pytest.fixture
async def here(node: RabbitMq, tmp_path: Path) -> AsyncIterator[Place]:
    async with place(node, tmp_path) as opened:
        yield opened


async def thingsboard(here: Place, name: str) -> Issued:
    profile = await here.operator.post("/v1/profiles", {"name": f"meters of {name}"})
    claim = {
        "deviceName": name,
        "provisionDeviceKey": profile["provision_key"],
        "provisionDeviceSecret": profile["provision_secret"],
    }
    given = await post(f"{web(here.gateway)}/api/v1/provision", claim)
    device = await here.operator.get(f"/v1/devices/name:{name}")
    down = f"v1/devices/{device['id']}/down/attributes"
    # RabbitMQ lets nobody in who sends no password; what it is does not matter beside a token.
    return Issued(device["id"], ("", given["credentialsValue"], ""), "v1/devices/me/telemetry", down)


async def magistrala(here: Place, name: str) -> Issued:
    channel = (await here.operator.post("/v1/channels", {"name": f"messages of {name}"}))["id"]
    config = {"external_id": name, "external_key": "key from the factory", "channels": [channel]}
    made = await here.operator.post("/v1/configs", config)
    await here.operator.patch(f"/v1/configs/{made['id']}", {"active": True})
    given = await get(f"{web(here.gateway)}/clients/bootstrap/{name}", {"Authorization": "Client key from the factory"})
    topic = f"channels/{channel}/messages"
    return Issued(given["client_id"], (f"any {name}", given["client_id"], given["client_secret"]), topic, topic)


async def enos(here: Place, name: str) -> Issued:
    group = await here.operator.post("/v1/profiles", {"name": f"pumps of {name}", "strategy": "signed"})
    body = signed(name, group["provision_key"], group["provision_secret"])
    triple = await post(f"{web(here.gateway)}/dev/bootstrap", body)
    device = await here.operator.get(f"/v1/devices/name:{name}")
    topic = f"/sys/{triple['pk']}/{triple['dk']}/thing/event/measurepoint/post"
    return Issued(device["id"], triple_login(triple, name), topic, f"{topic}_reply")


async def xively(here: Place, name: str) -> Issued:
    if not here.makers:
        here.makers.append(await account(here.gateway, here.operator))
    maker = here.makers[0]
    made = await maker.device(name)
    topic = f"xi/blue/v1/default/d/{made['id']}/temperature"
    return Issued(made["id"], (made["id"], made["id"], await maker.secret(made["id"])), topic, topic)


async def revoke(here: Place, device: str) -> None:
    assert (await here.operator.ask("DELETE", f"/v1/devices/{device}/credentials")).status == 204


async def rotate(here: Place, device: str) -> None:
    await here.operator.post(f"/v1/devices/{device}/credentials", {})


async def disable(here: Place, device: str) -> None:
    await here.operator.patch(f"/v1/devices/{device}", {"enabled": False})


async def delete(here: Place, device: str) -> None:
    assert (await here.operator.ask("DELETE", f"/v1/devices/{device}")).status == 204


async def state_0(here: Place, device: str) -> None:
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    url = f"{web(here.gateway)}/default/clients/state/{device}"
    async with aiohttp.ClientSession() as session, session.put(url, json={"state": 0}, headers=headers) as response:
        assert response.status == 200, await response.text()


async def ended(device: aiomqtt.Client) -> None:
    """Wait until the broker closes the connection."""
    async with asyncio.timeout(DEADLINE):
        with contextlib.suppress(aiomqtt.MqttError):
            async for _ in device.messages:
                pass  # what it published itself may still be on its way to it


Issue = Callable[[Place, str], Awaitable[Issued]]
Shut = Callable[[Place, str], Awaitable[None]]


@pytest.mark.parametrize(
    ("issue", "shut"),
    [
        (thingsboard, revoke),
        (thingsboard, rotate),
        (thingsboard, disable),
        (magistrala, state_0),
        (magistrala, rotate),
        (enos, revoke),
        (enos, disable),
        (xively, rotate),
        (xively, delete),
    ],
)
async def test_it_works_at_the_broker_until_it_is_shut_out(here: Place, issue: Issue, shut: Shut) -> None:
    other, issued = await issue(here, "other-1"), await issue(here, "device-1")
    async with here.subscriber() as subscriber, here.client(other.login) as witness:
        async with here.connected(issued.login) as device:
            await device.subscribe(issued.hears, qos=1)
            await device.publish(issued.topic, b"21", qos=1)
            assert await subscriber.next() == (issued.topic, b"21")
            await shut(here, issued.device)
            await ended(device)
        assert not await here.is_let_in(issued.login)
        await witness.publish(other.topic, b"22", qos=1)
        assert await subscriber.next() == (other.topic, b"22")


Attempt = Callable[[aiomqtt.Client], Awaitable[Any]]


def publishes(topic: str, payload: bytes) -> Attempt:
    return lambda device: device.publish(topic, payload, qos=1)


def subscribes(topic_filter: str) -> Attempt:
    return lambda device: device.subscribe(topic_filter, qos=1)


async def is_thrown_out(here: Place, login: tuple[str, str, str], attempt: Attempt) -> bool:
    """Tell whether the broker answers an attempt by closing the connection, which is its way to refuse a topic."""
    async with here.connected(login) as device:
        trying, closed = asyncio.ensure_future(attempt(device)), asyncio.ensure_future(ended(device))
        done, waiting = await asyncio.wait((trying, closed), timeout=DEADLINE, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return done == {closed}


@pytest.mark.parametrize("issue", [thingsboard, magistrala, enos, xively])
async def test_beyond_its_own_topics_it_is_thrown_out(here: Place, issue: Issue) -> None:
    victim, intruder = await issue(here, "victim-1"), await issue(here, "intruder-1")
    topics = {victim.topic, victim.hears, "free", "amq/topic", intruder.topic.replace("t", "*")}
    own = victim.hears.split("/")
    filters = {
        "#",
        "+/+/+/#",
        "/".join([*own[:-1], "+"]),
        "/".join([*own[:-2], "#"]),
        victim.hears,
        f"{victim.hears}/#",
        f"$share/g/{intruder.hears}",
        victim.hears.replace("/", "."),
        victim.hears.replace(own[-2], "*"),
    }
    async with here.subscriber() as subscriber, here.client(victim.login) as talking:
        for topic in sorted(topics - {intruder.topic}):
            assert await is_thrown_out(here, intruder.login, publishes(topic, b"forged"))
        for each in sorted(filters):
            assert await is_thrown_out(here, intruder.login, subscribes(each))
        await talking.publish(victim.topic, b"last", qos=1)
        assert await subscriber.next() == (victim.topic, b"last")


async def test_a_channel_that_is_taken_away_is_not_used_any_more(here: Place) -> None:
    issued = await magistrala(here, "taken-1")
    async with here.subscriber() as subscriber:
        async with here.connected(issued.login) as device:
            await device.publish(issued.topic, b"1", qos=1)
            assert await subscriber.next() == (issued.topic, b"1")
            await here.operator.patch(f"/v1/configs/{issued.device}", {"channels": []})
            await ended(device)
        assert await is_thrown_out(here, issued.login, publishes(issued.topic, b"2"))
        async with here.client(("speaker", USER, PASSWORD)) as application:
            await application.publish("end", b"", qos=1)
        assert await subscriber.next() == ("end", b"")


async def test_while_the_gateway_is_away_nobody_new_comes_in_and_then_all_is_as_before(node: RabbitMq, tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with place(node, tmp_path) as here:
            issued = await magistrala(here, "waits-1")
            device = await stack.enter_async_context(here.connected(issued.login))
            await device.subscribe(issued.hears, qos=1)
            await until_so(here.is_listed)
        assert not await here.is_let_in(("second", *issued.login[1:]))
        async with here.client(("speaker", USER, PASSWORD)) as application:
            await application.publish(issued.hears, b"while it is away", qos=1)
        assert (await Subscriber(device).next()) == (issued.hears, b"while it is away")
        async with place(node, tmp_path) as again:
            assert await again.is_let_in(("second", *issued.login[1:]))

            async def is_attended_to() -> bool:
                return (await again.operator.figures()).get('firstlight_level{level="rabbitmq.admissions"}', 0) == 2

            await until_so(is_attended_to)
            await rotate(again, issued.device)
            await ended(device)
            assert not await again.is_let_in(issued.login)
