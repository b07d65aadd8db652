"""`serve --demo`: every command that it prints works as printed, from a shell in the same directory, again and again."""

import asyncio
import json
import os
from pathlib import Path

from tests.e2e.gateways import ADMIN_TOKEN
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS, Served
from tests.protocols.scenario_cast import needs
from tests.protocols.scenario_clients import COAP_CLIENT

pytestmark = [needs("curl"), needs(COAP_CLIENT), needs("mosquitto_rr")]


def commands(printed: str) -> list[str]:
    """Return what is printed to be pasted."""
    programs = ("curl ", "coap-client", "mosquitto_rr ")
    return [line for line in printed.splitlines() if line.startswith(programs) or " enroll thingsboard " in line]


def operators_command(printed: str) -> str:
    """Return the command that is printed for the operator."""
    (line,) = [line for line in printed.splitlines() if "the operator's commands find it there: " in line]
    return line.rpartition(": ")[2]


async def paste(command: str, folder: Path, **environ: str) -> str:
    """Run a line in a shell and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, cwd=folder, env={"PATH": os.environ["PATH"], **environ}, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    assert process.returncode == 0, command
    return out.decode()


async def printed_by(served: Served) -> str:
    """Wait until the newcomer's lines are there."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while "README.md" not in served.printed():  # noqa: ASYNC110 - a file announces nothing
            await asyncio.sleep(0.01)
    return served.printed()


async def test_what_the_demo_prints_can_be_pasted(tmp_path: Path) -> None:
    async with Served(tmp_path, "--demo", ADMIN_TOKEN=None, MASTER_KEY=None) as served:
        printed = await printed_by(served)
        assert len(commands(printed)) == 6
        first = [json.loads(await paste(command, tmp_path)) for command in commands(printed)]
        assert {answer["status"] for answer in first} == {"SUCCESS"}
        again = [json.loads(await paste(command, tmp_path)) for command in commands(printed)]
        assert again == first
        url = f"http://{served.listening.http[0]}"
        listed = await paste(operators_command(printed), tmp_path, FIRSTLIGHT_URL=url)
        names = [f"demo-{protocol}{suffix}" for protocol in ("http", "coap", "mqtt") for suffix in ("", "-2")]
        assert all(name in listed for name in names)
    async with Served(tmp_path, "--demo", ADMIN_TOKEN=None, MASTER_KEY=None) as served:
        printed = await printed_by(served)
        assert [json.loads(await paste(command, tmp_path)) for command in commands(printed)] == first


async def test_the_demo_leaves_an_operators_registry_alone(tmp_path: Path) -> None:
    async with Served(tmp_path) as served, Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.post("/v1/profiles", {"name": "meters"})
    async with Served(tmp_path, "--demo") as served, Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
        assert commands(await printed_by(served)) == []
        assert [profile["name"] for profile in await operator.all("/v1/profiles")] == ["meters"]
