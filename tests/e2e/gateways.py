"""Gateways to test: a whole one in this process, three protocols on free ports, opened on any folder."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from adapters.app import Running, build
from adapters.config import from_environment

ADMIN_TOKEN = "the-admin-token-of-these-tests"
MASTER_KEY = "5e" * 32


def environment(folder: Path, **settings: str | None) -> dict[str, str]:
    """Return the environment of a gateway on free ports with no limit on attempts; `settings` change it, None unsets."""
    given = {
        "HTTP": "127.0.0.1:0",
        "COAP": "127.0.0.1:0",
        "MQTT": "127.0.0.1:0",
        "DATA": str(folder),
        "ADMIN_TOKEN": ADMIN_TOKEN,
        "MASTER_KEY": MASTER_KEY,
        "LIMIT_SOURCE": "0",
        "LIMIT_CLAIM_KEY": "0",
        "LIMIT_FAILURES": "0",
        "LIMIT_EVENTS": "0",
    }
    return {f"FIRSTLIGHT_{name}": value for name, value in (given | settings).items() if value is not None}


@contextlib.asynccontextmanager
async def opened(folder: Path, **settings: str | None) -> AsyncIterator[Running]:
    """Run a gateway over a registry in this folder."""
    async with build(from_environment(environment(folder, **settings))).running() as running:
        yield running
