"""The units: systemd reads them, grants them little, and a gateway that may do no more than they allow serves devices."""

import asyncio
import datetime
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from adapters.tls.founding import found
from tests.deploy import examples
from tests.deploy.confinement import allowed_calls
from tests.deploy.units import DEPLOY, ROOT, settings_of
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.e2e.process import PATIENCE_SECONDS, PROGRAM, Served
from tests.protocols.scenario_cast import needs

SYSTEMD = DEPLOY / "systemd"
SERVICE, BACKUP = SYSTEMD / "firstlight.service", SYSTEMD / "firstlight-backup.service"
COAP_CLIENT = "coap-client-openssl"
EXPOSURE_TENTHS = 15  # of 100; systemd calls it OK below 50

pytestmark = needs("systemd-analyze")


class Confined(Served):
    """A gateway under what seccomp forbids the service."""

    def __init__(self, folder: Path, **settings: str | None) -> None:
        super().__init__(folder, **settings)
        self._command = (*confined(SERVICE), str(PROGRAM), "serve")


def confined(unit: Path) -> tuple[str, ...]:
    """Return the words before a command that confine it as a unit does."""
    return (str(shutil.which("env")), f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.deploy.confinement", str(unit))


def test_systemd_reads_the_units(tmp_path):
    units = []
    drop_in = tmp_path / "firstlight.service.d" / "postgresql.conf"
    drop_in.parent.mkdir()
    drop_in.write_text(found_at((SYSTEMD / "postgresql.conf").read_text("utf-8")), "utf-8")
    for unit in (SERVICE, BACKUP, SYSTEMD / "firstlight-backup.timer"):
        units.append(tmp_path / unit.name)
        units[-1].write_text(found_at(unit.read_text("utf-8")), "utf-8")
    told = subprocess.run(("systemd-analyze", "verify", *units), capture_output=True, text=True, check=False)
    assert (told.stderr, told.returncode) == ("", 0)


def found_at(text: str) -> str:
    """Return a unit whose program is where it is on this machine; systemd wants it to be there."""
    return text.replace("/opt/firstlight/bin/firstlight", str(PROGRAM))


@pytest.mark.parametrize("unit", [SERVICE, BACKUP], ids=lambda unit: unit.stem)
def test_systemd_finds_them_confined(unit):
    command = ("systemd-analyze", "security", "--offline=true", "--no-pager", f"--threshold={EXPOSURE_TENTHS}", unit)
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


def test_there_is_time_to_drain():
    service = settings_of(SERVICE)["Service"]
    config = examples.read({}, SYSTEMD)
    assert int(service["TimeoutStopSec"][0]) > config.drain_seconds + config.coap_bounds.drain_seconds
    assert service["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert int(service["LimitNOFILE"][0]) > config.mqtt_bounds.connections + config.http_bounds.connections


@pytest.mark.parametrize(
    "names", [("firstlight.service",), ("firstlight.service", "postgresql.conf"), ("firstlight-backup.service",)]
)
def test_the_settings_are_the_gateways(names, tmp_path):
    given = environment_of(*(SYSTEMD / name for name in names))
    file = (SYSTEMD / "firstlight.env").read_text("utf-8")
    given |= dict(re.findall(r"^#?(FIRSTLIGHT_\w+)=(.*)$", file, re.MULTILINE))
    config = examples.read(given, tmp_path)
    assert str(config.data) == "/var/lib/firstlight"
    assert config.database.partition(":")[0] == ("postgresql" if "postgresql.conf" in names else "sqlite")
    assert config.tls_cert is not None


@pytest.mark.parametrize("name", ["firstlight.service", "postgresql.conf"])
def test_secrets_come_as_credentials(name):
    loaded = {line.partition(":")[0] for line in settings_of(SYSTEMD / name)["Service"]["LoadCredential"]}
    given = environment_of(SYSTEMD / name)
    assert {value.removeprefix("%d/") for variable, value in given.items() if variable.endswith("_FILE")} == loaded


def environment_of(*units: Path) -> dict[str, str]:
    words = [word for unit in units for line in settings_of(unit)["Service"]["Environment"] for word in line.split()]
    return dict(word.split("=", 1) for word in words)


def test_the_filter_leaves_out_what_is_privileged():
    allowed = allowed_calls(settings_of(SERVICE)["Service"]["SystemCallFilter"])
    assert {"read", "sendto", "accept4", "execve"} <= allowed
    assert not {"mount", "ptrace", "bpf", "setuid", "chroot", "reboot", "init_module"} & allowed


def test_what_is_forbidden_fails():
    attempts = "import os, socket\nfor each in (lambda: os.chroot('/'), lambda: socket.socket(socket.AF_NETLINK)):\n"
    attempts += "    try:\n        each()\n    except OSError as error:\n        print(error.errno)\n"
    command = (*confined(SERVICE), sys.executable, "-c", attempts)
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["1", "97"]  # EPERM, EAFNOSUPPORT


@needs(COAP_CLIENT)
async def test_a_confined_gateway_serves_every_protocol(tmp_path):
    pair = found(["localhost"], 1, datetime.datetime.now(datetime.UTC))
    certificate, key = tmp_path / "server.pem", tmp_path / "server-key.pem"
    certificate.write_bytes(pair.certificate)
    key.write_text(pair.key.reveal())
    trusted = ssl.create_default_context(cadata=pair.authority.decode())
    listeners = dict.fromkeys(("HTTPS", "COAPS", "MQTTS"), "127.0.0.1:0")
    async with Confined(tmp_path / "run", TLS_CERT=str(certificate), TLS_KEY=str(key), **listeners) as served:
        async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
            profile = await operator.post("/v1/profiles", {"name": "meters", "strategy": "create_new"})
        claim = (profile["provision_key"], profile["provision_secret"])
        assert await over_https(served.listening.https[0].port, trusted, body("first", *claim)) == "SUCCESS"
        assert "SUCCESS" in await over_dtls(served.listening.coaps[0].port, body("second", *claim), *claim)
        served.stop()
        assert await served.ended() == 0


async def test_a_confined_backup_is_made_beside_the_gateway(tmp_path):
    backups = tmp_path / "backups"
    backups.mkdir()
    command = (*confined(BACKUP), str(PROGRAM), *settings_of(BACKUP)["Service"]["ExecStart"][0].split()[1:])
    command = tuple(str(backups) if word == "/var/backups/firstlight" else word for word in command)
    async with opened(tmp_path / "data"):
        variables = os.environ | {"FIRSTLIGHT_DATA": str(tmp_path / "data")}
        process = await asyncio.create_subprocess_exec(*command, env=variables)
        assert await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) == 0
    assert len(list(backups.iterdir())) == 1


def body(name: str, key: str, secret: str) -> str:
    return json.dumps({"deviceName": name, "provisionDeviceKey": key, "provisionDeviceSecret": secret})


async def over_https(port: int, trusted: ssl.SSLContext, body: str) -> str:
    url = f"https://localhost:{port}/api/v1/provision"
    async with aiohttp.ClientSession() as session, session.post(url, data=body, ssl=trusted) as answer:
        return str(json.loads(await answer.read())["status"])


async def over_dtls(port: int, body: str, key: str, secret: str) -> str:
    command = (COAP_CLIENT, "-m", "post", "-u", key, "-k", secret, "-e", body, f"coaps://127.0.0.1:{port}/api/v1/provision")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    return printed.decode()
