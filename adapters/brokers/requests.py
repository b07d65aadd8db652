"""Answers devices that reach nothing but their broker: requests that arrive there, on a topic of the device's own.

A message says nothing of its sender, and a response topic is whatever the sender writes. The one thing that is known is the
topic: the broker's own rules let each client publish and listen below its own name alone (mosquitto: `pattern readwrite
firstlight/devices/%c/-/#`). So the request's topic says who asks and where the answer goes, and nothing else does.

A request is what a guest may send to the MQTT endpoint. What needs a device that proved itself is not served: a name is no
proof. Nor are changes pushed, for nobody says who is still there, and `Outbound.closing` concerns nobody's connection here.

Answers go out at QoS 0. They hold credentials, and a broker keeps messages of QoS 1 on its disk for whoever is away; a device
that hears nothing asks again, as after any lost answer. Replicas share the work by one shared subscription (OASIS MQTT 5.0,
section 4.8.2).
"""

import asyncio
from typing import Final

import aiomqtt
import msgspec
from structlog.typing import FilteringBoundLogger

from adapters.brokers import request_messages as messages
from adapters.brokers.cancelling import unless_cancelled
from adapters.brokers.link import Link, Refused, size_of
from adapters.brokers.request_topics import RequestTopics
from adapters.brokers.seldom import Seldom
from adapters.brokers.waiting import Waiting
from adapters.exchange import Exchange, Inbound, Meter

_REFUSED: Final = 0x80  # from here on a SUBACK says no (OASIS MQTT 5.0, section 3.9.3)


class RequestBounds(msgspec.Struct, frozen=True, kw_only=True):
    """What clients of a broker may use up here.

    `workers` answer requests at the same time. `waiting` requests may wait for them, `waiting_of_client` of one client and
    `waiting_bytes` of all together; beyond that they are dropped. `packet_bytes` are topic and payload together,
    `user_properties` those of one message.
    """

    workers: int = 16
    waiting: int = 1_000
    waiting_of_client: int = 64
    waiting_bytes: int = 16_777_216
    topic_bytes: int = 1_024
    packet_bytes: int = 135_168
    user_properties: int = 32


class _Request(msgspec.Struct, frozen=True):
    message: aiomqtt.Message
    inbound: Inbound
    answer: str


class Requests:
    """Requests through a broker. `topics` are those of the routes that `exchange` has."""

    def __init__(
        self,
        link: Link,
        exchange: Exchange,
        topics: RequestTopics,
        meter: Meter,
        bounds: RequestBounds,
        log: FilteringBoundLogger,
    ) -> None:
        self._link = link
        self._exchange = exchange
        self._topics = topics
        self._meter = meter
        self._bounds = bounds
        self._log = log
        self._waiting: Waiting[_Request] = Waiting(bounds.waiting, bounds.waiting_of_client, bounds.waiting_bytes)
        self._fixed = Seldom(log.warning, "a topic whose answers everyone could read is not served")
        self._unproved = Seldom(log.warning, "a request that needs a device's own login is not served through the broker")
        self._retained = Seldom(log.warning, "a retained request is ignored, it would come again and again")

    async def run(self) -> None:
        """Answer requests until this is cancelled, over as many connections as it takes."""
        await self._link.keep(self._serve)

    async def _serve(self, client: aiomqtt.Client) -> None:
        workers = [asyncio.create_task(self._work(client)) for _ in range(self._bounds.workers)]
        try:
            await self._subscribe(client)
            async for message in client.messages:
                self._receive(message)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def _subscribe(self, client: aiomqtt.Client) -> None:
        """Subscribe. Raises `Refused` where the broker does not let us, unless it is about fixed topics alone."""
        for topic_filter in (*self._topics.filters, *self._topics.fixed_filters):
            if self._link.protocol is aiomqtt.ProtocolVersion.V5:
                subscribing = client.subscribe(topic_filter, options=messages.subscribe_options())
            else:
                subscribing = client.subscribe(topic_filter, qos=messages.QOS)
            granted = await unless_cancelled(subscribing)
            if topic_filter in self._topics.filters and any(map(_refuses, granted)):
                raise Refused(f"the broker's rules have to let this user subscribe to {topic_filter}")

    def _receive(self, message: aiomqtt.Message) -> None:
        """Let a message wait for its answer, or drop it and count why."""
        bound = self._bound(message)
        if bound:
            self._meter.bound(f"broker.{bound}")

    def _bound(self, message: aiomqtt.Message) -> str:
        topic = str(message.topic)
        if topic in self._topics.fixed:
            self._fixed(topic=topic, instead=self._topics.instead_of(topic))
            return "fixed_topic"
        if len(topic.encode()) > self._bounds.topic_bytes:
            return "topic_bytes"
        size = size_of(message)
        if size > self._bounds.packet_bytes:
            return "packet_bytes"
        if message.retain:
            self._retained(topic=topic)
            return "retained"
        return self._enter(message, topic, size)

    def _enter(self, message: aiomqtt.Message, topic: str, size: int) -> str:
        asked = self._topics.read(topic)
        if asked is None:
            return "path"
        for path in asked.paths:
            for guest in self._topics.guests:
                inbound = messages.inbound(message, asked, path, guest, self._bounds.user_properties)
                if self._exchange.understands(inbound):
                    return self._waiting.put(asked.client, size, _Request(message, inbound, asked.answer))
        if any(self._exchange.understands(messages.inbound(message, asked, path, "", 0)) for path in asked.paths):
            self._unproved(topic=topic)
            return "unproved"
        self._log.debug("nothing is served on this topic", topic=topic)
        return "path"

    async def _work(self, client: aiomqtt.Client) -> None:
        while True:
            request = await self._waiting.take()
            try:
                await self._answer(client, request)
            except aiomqtt.MqttError as error:
                self._log.info("an answer was lost with the link to the broker", topic=request.answer, fault=str(error))
            except Exception:
                self._log.exception("an answer could not be sent", topic=request.answer)  # the next one may

    async def _answer(self, client: aiomqtt.Client, request: _Request) -> None:
        wanted = messages.response_topic(request.message)
        if wanted is not None and wanted != request.answer:
            self._log.debug("a response topic is not followed", wanted=wanted, answered=request.answer)
        out = await self._exchange.handle(request.inbound)
        if out.topic is None:
            return
        properties = messages.answer_properties(request.message, out)
        await unless_cancelled(client.publish(request.answer, out.body, qos=0, properties=properties))


def _refuses(code: object) -> bool:
    """Tell whether a code of a SUBACK says no; the library has them as numbers or as objects, by the version."""
    number = code if isinstance(code, int) else getattr(code, "value", _REFUSED)
    return number >= _REFUSED
