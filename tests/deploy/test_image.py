"""The image: built from locked packages alone, nobody's root, and as healthy as its gateway is ready."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from tests.deploy import examples
from tests.deploy.examples import Dockerfile
from tests.deploy.units import DEPLOY, ROOT
from tests.e2e.gateways import opened

HADOLINT = Path(sys.executable).with_name("hadolint")


def test_the_linter_has_nothing_to_say():
    told = subprocess.run((HADOLINT, DEPLOY / "Dockerfile"), capture_output=True, text=True, check=False)
    assert (told.stdout, told.returncode) == ("", 0)


def test_every_package_is_installed_by_its_hash():
    installs = [step for line in Dockerfile().all("RUN") for step in line.split("&&") if "install" in step and "pip" in step]
    assert len(installs) == 3
    for step in installs:
        assert "--require-hashes" in step or "--no-deps --no-index" in step
    lock = (DEPLOY / "docker-build.lock").read_text("utf-8")
    assert lock.count("==") == lock.count("--hash=sha256:") > 0


def test_the_build_needs_what_the_project_says_it_needs():
    wanted = re.search(r'requires = \["setuptools>=(\d+)"\]', (ROOT / "pyproject.toml").read_text("utf-8"))
    locked = re.search(r"^setuptools==(\d+)", (DEPLOY / "docker-build.lock").read_text("utf-8"), re.MULTILINE)
    assert wanted is not None
    assert locked is not None
    assert int(locked[1]) >= int(wanted[1])


def test_what_is_copied_is_there_and_let_through():
    let_through = {
        line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line.startswith("!")
    }
    sources = {source for line in Dockerfile().all("COPY") if not line.startswith("--from=") for source in line.split()[:-1]}
    assert sources == let_through
    assert all((ROOT / source).exists() for source in sources)


def test_data_and_secrets_of_a_checkout_stay_out():
    lines = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"


def test_it_runs_as_a_number_that_is_not_root():
    dockerfile = Dockerfile()
    assert dockerfile.all("USER") == ["10001:10001"]
    assert dockerfile.all("STOPSIGNAL") == ["SIGTERM"]
    assert dockerfile.all("VOLUME") == ["/data"]


def test_its_settings_are_the_gateways_and_its_ports_are_exposed(tmp_path):
    dockerfile = Dockerfile()
    config = examples.read(dockerfile.environment(), tmp_path)
    assert str(config.data) == "/data"
    exposed = set(dockerfile.all("EXPOSE")[0].split())
    assert {f"{config.http[0].port}/tcp", f"{config.mqtt[0].port}/tcp", f"{config.coap[0].port}/udp"} <= exposed


async def test_its_health_is_whether_the_gateway_is_ready(tmp_path):
    async with opened(tmp_path) as running:
        port = running.listening.http[0].port
        assert await healthy(port)
    assert not await healthy(port)


async def test_alive_but_not_ready_is_not_healthy():
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        assert not await healthy(server.sockets[0].getsockname()[1])


async def healthy(port: int) -> bool:
    _, *arguments = Dockerfile().health_check(port)
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=asyncio.subprocess.DEVNULL)
    return await asyncio.wait_for(process.wait(), 30) == 0
