"""Devices that want to hear of every new configuration, over CoAP and over MQTT, and remember what they heard last."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiocoap
import aiomqtt

from adapters.settings import Address
from tests.e2e.bootstrap_writers import KEY

DEADLINE = 60


class Heard:
    """What one device was told, in order."""

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []

    @property
    def last(self) -> dict[str, Any]:
        return self.documents[-1]

    def take(self, payload: bytes) -> None:
        self.documents.append(json.loads(payload))

    async def until(self, true: Callable[[dict[str, Any]], bool]) -> None:
        """Wait until the last document is so; fails rather than hangs."""
        async with asyncio.timeout(DEADLINE):
            while not true(self.last):  # noqa: ASYNC110 - filled by a task of the device
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def observing(address: Address, devices: str, external_id: str) -> AsyncIterator[Heard]:
    """Observe the version of a configuration over CoAP."""
    context = await aiocoap.Context.create_client_context(transports=["simple6"])
    uri = f"coap://{address}/{devices}/bootstrap/{external_id}/version?auth={KEY.replace(' ', '%20')}"
    request = context.request(aiocoap.Message(code=aiocoap.GET, uri=uri, observe=0))
    heard = Heard()
    try:
        async with asyncio.timeout(DEADLINE):
            heard.take((await request.response).payload)
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(_hear(request, heard))
            yield heard
            hearing.cancel()
        request.observation.cancel()
    finally:
        await context.shutdown()


async def _hear(request: aiocoap.protocol.BaseUnicastRequest, heard: Heard) -> None:
    async for notification in request.observation:
        heard.take(notification.payload)


@contextlib.asynccontextmanager
async def listening(address: Address, devices: str, external_id: str) -> AsyncIterator[Heard]:
    """Fetch a configuration over MQTT and listen for the next ones."""
    topic, heard = f"{devices}/bootstrap/{external_id}", Heard()
    async with aiomqtt.Client(address.host, address.port, username="bootstrap", timeout=DEADLINE) as client:
        await client.subscribe(f"{topic}/response", qos=1)
        await client.publish(f"{topic}/request", json.dumps({"authorization": KEY}), qos=1)
        async with asyncio.timeout(DEADLINE):
            heard.take(bytes((await anext(aiter(client.messages))).payload))
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(_listen(client, heard))
            yield heard
            hearing.cancel()


async def _listen(client: aiomqtt.Client, heard: Heard) -> None:
    async for message in client.messages:
        heard.take(bytes(message.payload))
