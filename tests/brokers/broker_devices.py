"""Requests through a real broker: the gateway's side of them over a whole gateway, and devices that know the broker alone."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from adapters import spoken
from adapters.app import Running
from adapters.brokers.link import Link, Patience
from adapters.brokers.request_topics import RequestTopics, group_name
from adapters.brokers.requests import RequestBounds, Requests
from adapters.exchange import Exchange
from adapters.facing import Face
from core.model import Secret
from tests.brokers.logged import Logged
from tests.brokers.mosquitto import Mosquitto
from tests.brokers.ports import HOST
from tests.brokers.waiting import PATIENCE_SECONDS, beside, until
from tests.exchange.stand_in import RememberingMeter

DEPLOY = Path(__file__).resolve().parents[2] / "deploy" / "brokers"
ACL = DEPLOY / "mosquitto-requests.acl"
RULES = f"allow_anonymous true\nacl_file {ACL}"
"""The rules that are shipped. Without a password file any user name is believed."""

OWN = "firstlight/devices"
PROVISION = "provision"
QUICK = Patience(0.05, 0.2, 0.3)


class Log(Logged):
    """A log that keeps what is for debugging, too."""

    def debug(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.lines.append(("debug", event, fields))


def new_log() -> Any:
    """Return a log that stands for a structured one, as far as it is used."""
    return Log()


class Served:
    """The gateway's side, with whatever is to stand before its exchange."""

    def __init__(
        self,
        running: Running,
        broker: Mosquitto,
        bounds: RequestBounds | None = None,
        before: Callable[[Exchange], Any] | None = None,
        username: str = "firstlight",
        password: Secret | None = None,
    ) -> None:
        self.log = new_log()
        self.meter = RememberingMeter()
        dialects = [spoken.named(name, running.config, running.own) for name in running.config.dialects]
        routes = [route for dialect in dialects for route in dialect.ROUTES]
        exchange = running.answering.facing(Face(dialects))
        self.exchange: Any = exchange if before is None else before(exchange)
        self.topics = RequestTopics("firstlight", group_name(running.issuer.vault, "firstlight"), routes)
        self.link = Link(broker.address(username), password, "requests", self.log, meter=self.meter, patience=QUICK)
        self.requests = Requests(self.link, self.exchange, self.topics, self.meter, bounds or RequestBounds(), self.log)

    async def subscribed(self, broker: Mosquitto, times: int = 1) -> None:
        """Wait until the broker has the last subscription, so many times in its life."""
        line = f"{self.link.client_id} 1 {self.topics.fixed_filters[-1]}"
        await until(lambda: broker.log().count(line) >= times)


@contextlib.asynccontextmanager
async def serving(
    running: Running,
    broker: Mosquitto,
    *,
    bounds: RequestBounds | None = None,
    before: Callable[[Exchange], Any] | None = None,
    version: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V5,
    password: Secret | None = None,
) -> AsyncIterator[Served]:
    """Serve requests; when this begins, the broker knows all subscriptions."""
    served = Served(running, broker, bounds, before, password=password)
    served.link.protocol = version
    async with beside(served.requests.run()):
        await served.subscribed(broker)
        yield served


class Device:
    """A device at the broker. `heard` are topic, payload and properties of what it was sent."""

    def __init__(self, client: aiomqtt.Client, client_id: str) -> None:
        self.client = client
        self.id = client_id
        self.heard: list[aiomqtt.Message] = []

    def topic(self, path: str) -> str:
        """Return a topic of its own."""
        return f"{OWN}/{self.id}/-/{path}"

    async def send(self, path: str, body: Any, properties: Properties | None = None, *, retain: bool = False) -> None:
        """Publish a request."""
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        await self.client.publish(self.topic(f"{path}/request"), payload, 1, retain, properties)

    async def ask(self, path: str, body: Any, properties: Properties | None = None) -> aiomqtt.Message:
        """Publish a request and wait for what comes next."""
        before = len(self.heard)
        await self.send(path, body, properties)
        await self.hears(before + 1)
        return self.heard[before]

    async def hears(self, count: int) -> None:
        """Wait until so many messages came."""
        await until(lambda: len(self.heard) >= count)

    async def provision(self, claim: dict[str, Any]) -> dict[str, Any]:
        """Ask for credentials."""
        return document(await self.ask(PROVISION, claim))


@contextlib.asynccontextmanager
async def device(
    broker: Mosquitto,
    client_id: str,
    *filters: str,
    version: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V5,
) -> AsyncIterator[Device]:
    """Connect without a user name and subscribe to its answers, or to something else."""
    async with aiomqtt.Client(HOST, broker.port, identifier=client_id, protocol=version, timeout=PATIENCE_SECONDS) as client:
        known = Device(client, client_id)
        for topic_filter in filters or (known.topic("#"),):
            await client.subscribe(topic_filter, qos=1)
        known.client.pending_calls_threshold = 1_000
        async with beside(_hear_answers(known)):
            yield known


async def _hear_answers(known: Device) -> None:
    """Keep everything but its own requests, which a filter for everything of its own brings back."""
    with contextlib.suppress(aiomqtt.MqttError):
        async for message in known.client.messages:
            if not (str(message.topic).endswith("/request") and str(message.topic).startswith(known.topic(""))):
                known.heard.append(message)


def document(message: aiomqtt.Message) -> dict[str, Any]:
    """Return the JSON object in a message."""
    assert isinstance(message.payload, bytes)
    found: dict[str, Any] = json.loads(message.payload)
    return found


def properties(**given: Any) -> Properties:
    """Return properties of a request."""
    made = Properties(PacketTypes.PUBLISH)
    for name, value in given.items():
        setattr(made, name, value)
    return made


async def round_trip(known: Device) -> None:
    """Wait until the broker has handled everything that was published before by this device."""
    topic = known.topic("mark")
    await known.client.publish(topic, b"mark", 1)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not any(str(message.topic) == topic for message in known.heard):  # noqa: ASYNC110 - filled by a task
            await asyncio.sleep(0.01)
    known.heard = [message for message in known.heard if str(message.topic) != topic]
