"""Numbered messages, all the time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.brokers.paho_device import Device
from tests.brokers.waiting import beside, until

Stop = Callable[[], Awaitable[list[bytes]]]


@contextlib.asynccontextmanager
async def sending(device: Device, topic: str) -> AsyncIterator[Stop]:
    """Send numbers at QoS 1; what this yields stops that, waits for the last acknowledgement and returns what was sent."""
    sent: dict[int, bytes] = {}

    async def send() -> None:
        while True:
            payload = str(len(sent)).encode()
            sent[device.send(topic, payload)] = payload
            await asyncio.sleep(0.01)

    async with beside(send()) as task:

        async def stop() -> list[bytes]:
            task.cancel()
            await until(lambda: sent.keys() <= device.acknowledged.keys())
            return list(sent.values())

        yield stop


def numbers(device: Device, topic: str) -> list[bytes]:
    """Return what a device heard on a topic."""
    return [payload for heard, payload in device.heard if heard == topic]
