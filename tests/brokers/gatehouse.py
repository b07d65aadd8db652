"""A whole gateway that a real RabbitMQ asks, and clients of that broker."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from adapters.app import Running
from tests.brokers.rabbitmq import RabbitMq
from tests.e2e.gateways import opened

DEADLINE = 30


@contextlib.asynccontextmanager
async def guarding(node: RabbitMq, folder: Path, **settings: str | None) -> AsyncIterator[Running]:
    """Run the gateway that this node asks."""
    async with opened(folder, **(node.settings() | settings)) as running:
        yield running
