"""Devices that provision over all three protocols until they are stopped, and remember what they were promised."""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import aiocoap
import aiohttp
import aiomqtt

from adapters.listeners import Listening
from tests.protocols.world import Known

Ask = Callable[[bytes], Awaitable[bytes]]


class Fleet:
    """`asked` are the names that set out, `answered` the tokens of those that were told SUCCESS."""

    def __init__(self, profile: Known, prefix: str) -> None:
        self.asked: set[str] = set()
        self.answered: dict[str, str] = {}
        self._profile = profile
        self._names = (f"{prefix}-{number}" for number in itertools.count())

    async def provision(self, where: Listening) -> None:
        """Provision one device after the other over each of three protocols, twice in parallel, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for connect in (over_http, over_coap, over_mqtt) * 2:
                group.create_task(self._one_after_the_other(connect(where)))

    async def _one_after_the_other(self, connected: contextlib.AbstractAsyncContextManager[Ask]) -> None:
        # What fails, fails because the gateway is gone; the devices it left unanswered are asked about later.
        with contextlib.suppress(aiohttp.ClientError, aiocoap.error.Error, aiomqtt.MqttError, OSError):
            async with connected as ask:
                for name in self._names:
                    self.asked.add(name)
                    self.keep(name, await ask(self.request(name)))

    def request(self, name: str) -> bytes:
        return json.dumps(self._profile.claim(deviceName=name)).encode()

    def keep(self, name: str, body: bytes) -> None:
        """Remember an answer, which must be a good one."""
        answer = json.loads(body)
        assert answer["status"] == "SUCCESS", answer
        self.answered[name] = answer["credentialsValue"]


@contextlib.asynccontextmanager
async def over_http(where: Listening) -> AsyncIterator[Ask]:
    async with aiohttp.ClientSession() as session:

        async def ask(body: bytes) -> bytes:
            async with session.post(f"http://{where.http[0]}/api/v1/provision", data=body) as response:
                assert response.status == 200
                return await response.read()

        yield ask


@contextlib.asynccontextmanager
async def over_coap(where: Listening) -> AsyncIterator[Ask]:
    context = await aiocoap.Context.create_client_context(transports=["simple6"])

    async def ask(body: bytes) -> bytes:
        request = aiocoap.Message(code=aiocoap.POST, uri=f"coap://{where.coap[0]}/api/v1/provision", payload=body)
        payload: bytes = (await context.request(request).response).payload
        return payload

    try:
        yield ask
    finally:
        await context.shutdown()


@contextlib.asynccontextmanager
async def over_mqtt(where: Listening) -> AsyncIterator[Ask]:
    async with aiomqtt.Client(where.mqtt[0].host, where.mqtt[0].port, username="provision", identifier="provision") as client:
        await client.subscribe("/provision/response", 1)

        async def ask(body: bytes) -> bytes:
            await client.publish("/provision/request", body, 1)
            return bytes((await anext(client.messages)).payload)

        yield ask
