import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HIDDEN = "jpmwdn8ptlswmf4m29bw"

# A request whose use case meets a fault, in a process that logs as the gateway does.
FAULT = f"""
import asyncio, sys
from adapters import logs
from tests.dialects.thingsboard_server import Server
from adapters.exchange import Carrier
from tests.core.faulty import FaultyRepository
from tests.core.registry import Registry

logs.configure("info", sys.argv[1], 100.0)

async def main():
    server = Server(Registry(FaultyRepository(lambda _: RuntimeError("the disk is gone"))))
    await Registry(server.registry.repository.inner).profile(secret="{HIDDEN}")
    content = b'{{"provisionDeviceSecret":"{HIDDEN}","provisionDeviceKey":"k3y0demo0demo0demo00"}}'
    print((await server.ask(Carrier.HTTP, content)).outcome.value)

asyncio.run(main())
"""


@pytest.mark.parametrize("form", ["console", "json"])
def test_the_log_of_a_fault_shows_the_fault_and_nothing_of_the_request(form: str) -> None:
    run = subprocess.run([sys.executable, "-c", FAULT, form], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert run.stdout == "internal\n"
    assert "the disk is gone" in run.stderr
    assert HIDDEN not in run.stderr
