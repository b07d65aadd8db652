"""Devices that want in, over every protocol, whatever happens to whom they ask: they ask the next one until they are in."""

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import aiocoap
import aiohttp
import aiomqtt
import msgspec
from aiocoap.error import Error as CoapError

from tests.brokers.ports import HOST
from tests.storm.cluster import PROFILE, Cluster, Ports

ANSWER_SECONDS = 5.0
PAUSE_SECONDS = 0.4
MOST_TRIES = 200

_AWAY = (OSError, TimeoutError, aiohttp.ClientError, aiomqtt.MqttError, CoapError)


class Acknowledged(msgspec.Struct, frozen=True):
    """A device that was told it is in, with its access token, and how often it had to ask."""

    name: str
    token: str
    protocol: str
    tries: int


class NotYetError(Exception):
    """The gateway told the device to come back later."""


Ask = Callable[[Ports, bytes], Awaitable[bytes]]


class Fleet:
    """Asks the gateways in turn, the ones that are down included, as a round-robin that knows nothing would have it."""

    def __init__(self, cluster: Cluster, http: aiohttp.ClientSession, coap: aiocoap.Context) -> None:
        self._broker = cluster.broker
        self._turn: Iterator[Ports] = itertools.cycle(cluster.ports)
        self._http = http
        self._coap = coap
        self._asks: dict[str, Ask] = {
            "http": self._by_http,
            "coap": self._by_coap,
            "mqtt": self._by_mqtt,
            "broker": self._by_broker,
        }
        self._marks: dict[int, asyncio.Event] = {}
        self.acknowledged: list[Acknowledged] = []

    async def provision(self, numbers: Iterator[int]) -> None:
        """Let devices in one after the other until there are none left; several tasks may share the numbers."""
        for number in numbers:
            protocol = tuple(self._asks)[number % len(self._asks)]
            self.acknowledged.append(await self._one(f"device-{number:06}", protocol))
            for wanted, reached in self._marks.items():
                if len(self.acknowledged) >= wanted:
                    reached.set()

    async def reached(self, devices: int) -> None:
        """Return when so many devices are in."""
        await self._marks.setdefault(devices, asyncio.Event()).wait()

    async def _one(self, name: str, protocol: str) -> Acknowledged:
        claim = {"provisionDeviceKey": PROFILE["provision_key"], "provisionDeviceSecret": PROFILE["provision_secret"]}
        body = json.dumps({"deviceName": name, **claim}).encode()
        for tries in range(1, MOST_TRIES + 1):
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    answer = json.loads(await self._asks[protocol](next(self._turn), body))
                if answer.get("status") == "SUCCESS":
                    return Acknowledged(name, answer["credentialsValue"], protocol, tries)
                raise AssertionError(f"{name} was refused over {protocol}: {answer}")
            except (NotYetError, *_AWAY):
                await asyncio.sleep(PAUSE_SECONDS * (0.5 + random.random()))
        raise AssertionError(f"{name} was not let in over {protocol} in {MOST_TRIES} tries")

    async def _by_http(self, ports: Ports, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        async with self._http.post(f"http://{HOST}:{ports.http}/api/v1/provision", data=body, headers=headers) as response:
            if response.status in (502, 503, 504):
                assert "Retry-After" in response.headers
                raise NotYetError
            return await response.read()

    async def _by_coap(self, ports: Ports, body: bytes) -> bytes:
        request = aiocoap.Message(code=aiocoap.POST, uri=f"coap://{HOST}:{ports.coap}/api/v1/provision", payload=body)
        response = await self._coap.request(request).response
        if response.code is aiocoap.SERVICE_UNAVAILABLE:
            raise NotYetError
        return bytes(response.payload)

    async def _by_mqtt(self, ports: Ports, body: bytes) -> bytes:
        async with aiomqtt.Client(HOST, ports.mqtt, username="provision", timeout=ANSWER_SECONDS) as client:
            await client.subscribe("/provision/response")
            await client.publish("/provision/request", body, qos=1)
            return await _next(client)

    async def _by_broker(self, _: Ports, body: bytes) -> bytes:
        """Ask through the broker, which gives each request to one of the gateways that share the subscription."""
        name = json.loads(body)["deviceName"]
        own = f"firstlight/devices/{name}/-/provision"
        async with aiomqtt.Client(HOST, self._broker.port, identifier=name, timeout=ANSWER_SECONDS) as client:
            await client.subscribe(f"{own}/response", qos=1)
            await client.publish(f"{own}/request", body, qos=1)
            return await _next(client)


async def _next(client: aiomqtt.Client) -> bytes:
    """Return what comes first; who cannot serve now ends the connection or leaves the device without an answer."""
    async for message in client.messages:
        assert isinstance(message.payload, bytes)
        return message.payload
    raise NotYetError


@contextlib.asynccontextmanager
async def fleet(cluster: Cluster, connections: int) -> AsyncIterator[Fleet]:
    """Make devices for a cluster, so many of whom may ask at once."""
    connector = aiohttp.TCPConnector(limit=connections, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as http:
        coap = await aiocoap.Context.create_client_context()
        try:
            yield Fleet(cluster, http, coap)
        finally:
            await coap.shutdown()
