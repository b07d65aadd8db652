"""The compose file: valid, with every file and secret that it names, settings that the gateway knows, and few rights."""

import asyncio
import contextlib
import json
import re
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from tests.brokers.mosquitto import is_listening
from tests.brokers.ports import HOST, free_port
from tests.deploy import examples
from tests.deploy.units import DEPLOY
from tests.protocols.scenario_cast import needs

FOLDER = DEPLOY / "compose"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
PATIENCE_SECONDS = 30.0


def test_it_is_what_the_compose_specification_says():
    compose = PyCompose.from_json(json.dumps(COMPOSE))
    compose.validate()
    assert set(compose.service_names()) == {"database", "broker", "migrate", "gateway", "proxy"}


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_few_rights(name):
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["read_only"] is (name != "database")
    assert set(service.get("cap_add", ())) <= {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_names_is_there(name):
    service = SERVICES[name]
    assert set(service.get("secrets", ())) <= COMPOSE["secrets"].keys()
    assert set(service["networks"]) <= COMPOSE["networks"].keys()
    assert set(service.get("depends_on", ())) <= SERVICES.keys()
    for needed, condition in service.get("depends_on", {}).items():
        assert condition["condition"] != "service_healthy" or needed == "gateway" or "test" in SERVICES[needed]["healthcheck"]
    for volume in service.get("volumes", ()):
        source = volume.partition(":")[0]
        assert (FOLDER / source).is_file() if source.startswith(".") else source in COMPOSE["volumes"]
    for variable, value in service.get("environment", {}).items():
        if value.startswith("/run/secrets/"):
            assert Path(value).name in service["secrets"], variable


@pytest.mark.parametrize("name", ["migrate", "gateway"])
def test_the_settings_are_the_gateways(name, tmp_path):
    given = examples.Dockerfile().environment() | SERVICES[name]["environment"]
    config = examples.read(given, tmp_path)
    assert config.database.startswith("postgresql:")


def test_the_gateways_believe_nginx_and_nobody_else(tmp_path):
    config = examples.read(SERVICES["gateway"]["environment"], tmp_path)
    edge = COMPOSE["networks"]["edge"]
    assert [str(network) for network in config.trusted_proxies] == [edge["ipam"]["config"][0]["subnet"]]
    assert {name for name, service in SERVICES.items() if "edge" in service["networks"]} == {"gateway", "proxy"}


def test_the_proxy_publishes_what_nginx_listens_on():
    listens = re.findall(r"^\s+listen (\d+)( udp)?", (DEPLOY / "nginx" / "nginx.conf").read_text("utf-8"), re.MULTILINE)
    published = {port.rpartition(":")[2] for port in SERVICES["proxy"]["ports"]}
    assert published == {f"{port}/udp" if udp else port for port, udp in listens}
    assert "127.0.0.1:8081:8081" in SERVICES["proxy"]["ports"]


def test_stopping_takes_less_than_docker_waits(tmp_path):
    config = examples.read(SERVICES["gateway"]["environment"], tmp_path)
    seconds = int(SERVICES["gateway"]["stop_grace_period"].removesuffix("s"))
    assert seconds > config.drain_seconds + config.coap_bounds.drain_seconds


@needs("openssl")
def test_the_secrets_are_made_once_and_kept_from_others(tmp_path):
    script = tmp_path / "secrets.sh"
    script.write_bytes((FOLDER / "secrets.sh").read_bytes())
    subprocess.run(("sh", script, "gateway.example"), check=True, capture_output=True)
    files = {tmp_path / entry["file"] for entry in COMPOSE["secrets"].values()}
    made = {file: file.read_bytes() for file in files}
    assert set((tmp_path / "secrets").iterdir()) == files
    assert stat.S_IMODE((tmp_path / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o444}
    password = (tmp_path / "secrets" / "database-password").read_text().strip()
    assert (
        tmp_path / "secrets" / "database-url"
    ).read_text().strip() == f"postgresql://firstlight:{password}@database/firstlight"
    subprocess.run(("sh", script, "gateway.example"), check=True, capture_output=True)
    assert {file: file.read_bytes() for file in files} == made


@needs("openssl")
def test_the_gateway_takes_the_secrets_that_were_made(tmp_path):
    script = tmp_path / "secrets.sh"
    script.write_bytes((FOLDER / "secrets.sh").read_bytes())
    subprocess.run(("sh", script), check=True, capture_output=True)
    given = SERVICES["gateway"]["environment"]
    made = {f"/run/secrets/{name}": str(tmp_path / entry["file"]) for name, entry in COMPOSE["secrets"].items()}
    config = examples.from_files({name: made.get(value, value) for name, value in given.items()})
    assert config.tls_cert is not None
    assert config.broker_password is not None


@contextlib.asynccontextmanager
async def broker(folder: Path) -> AsyncIterator[int]:
    """Run mosquitto as the broker's container does, with other paths and another port."""
    port = free_port()
    acl = DEPLOY / "brokers" / "mosquitto-requests.acl"
    text = (FOLDER / "mosquitto.conf").read_text("utf-8")
    text = text.replace("listener 1883", f"user root\nlistener {port} {HOST}").replace("/tmp/", f"{folder}/")
    text = text.replace("/firstlight/mosquitto-requests.acl", str(acl)).replace("/mosquitto/data/", f"{folder}/")
    (folder / "mosquitto.conf").write_text(text)
    (folder / "password").write_text("the-password-of-the-gateways\n")
    variables = {
        "PATH": "/usr/sbin:/usr/bin:/bin",
        "PASSWORD_FILE": str(folder / "password"),
        "PASSWORDS": str(folder / "firstlight.passwd"),
        "CONFIGURATION": str(folder / "mosquitto.conf"),
    }
    process = await asyncio.create_subprocess_exec("sh", FOLDER / "mosquitto.sh", env=variables)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await is_listening(port):
                assert process.returncode is None
                await asyncio.sleep(0.02)
        yield port
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def published(port: int, *arguments: str) -> int:
    command = ("mosquitto_pub", "-h", HOST, "-p", str(port), "-V", "5", "-q", "1", "-m", "x", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)
    return await asyncio.wait_for(process.wait(), PATIENCE_SECONDS)


@needs("mosquitto")
@needs("mosquitto_pub")
async def test_the_broker_lets_the_gateways_in_with_their_password(tmp_path):
    async with broker(tmp_path) as port:
        event = ("-t", "firstlight/events/x")
        assert await published(port, "-u", "firstlight", "-P", "the-password-of-the-gateways", *event) == 0
        assert await published(port, "-u", "firstlight", "-P", "another", *event) != 0
        assert await published(port, "-i", "pump", "-t", "firstlight/devices/pump/-/provision/request") == 0
    # Nobody reads the password from the broker's own file.
    assert "the-password-of-the-gateways" not in (tmp_path / "firstlight.passwd").read_text()
