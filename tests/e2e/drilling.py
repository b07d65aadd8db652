"""Commands that work on a registry itself, as processes of their own, and devices that come back to a gateway."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import aiomqtt

from adapters.listeners import Listening
from tests.e2e.gateways import environment
from tests.e2e.process import PATIENCE_SECONDS, PROGRAM


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    def json(self) -> Any:
        assert self.status == 0, self
        return json.loads(self.out)


async def command(folder: Path, *arguments: str, **settings: str | None) -> Done:
    """Run a command with the settings of the gateway over this folder."""
    process = await begin(folder, *arguments, **settings)
    async with asyncio.timeout(PATIENCE_SECONDS):
        out, err = await process.communicate()
    return Done(process.returncode or 0, out.decode(), err.decode())


async def begin(folder: Path, *arguments: str, **settings: str | None) -> asyncio.subprocess.Process:
    """Begin a command and wait for nothing."""
    inherited = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME") or name.startswith("COVERAGE_")}
    return await asyncio.create_subprocess_exec(
        *(str(PROGRAM), *arguments),
        env=inherited | environment(folder / "data", **settings),
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def log_in(where: Listening, token: str) -> int:
    """Come back with a token over HTTP and return the status."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{where.http[0]}/api/v1/{token}/attributes") as answer:
        return answer.status


async def connects(where: Listening, token: str) -> bool:
    """Come back with a token over MQTT."""
    try:
        async with aiomqtt.Client(where.mqtt[0].host, where.mqtt[0].port, username=token):
            return True
    except aiomqtt.MqttCodeError:
        return False
