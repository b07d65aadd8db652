"""What stops a start: one line that names the setting and the mend, and an exit status; and what `check` shows."""

import asyncio
import os
import socket
from pathlib import Path

import pytest

from adapters.cli import main
from tests.e2e.gateways import ADMIN_TOKEN, MASTER_KEY, environment
from tests.e2e.operator_api import Operator
from tests.e2e.process import PROGRAM, Served, files_in

ANOTHER_KEY = "6f" * 32


async def refused_start(folder: Path, **settings: str) -> str:
    """Start a gateway that must not come up; returns the one line it leaves on standard error."""
    served = Served(folder, LOG_LEVEL="error", **settings)
    await served.spawn()
    assert await served.ended() == 1
    (line,) = served.log().splitlines()
    assert line.startswith("firstlight: ")
    assert served.printed() == ""
    return line


async def command(folder: Path, *arguments: str, **settings: str) -> tuple[int, str, str]:
    """Run a command of the program; returns its exit status and both streams."""
    process = await asyncio.create_subprocess_exec(
        str(PROGRAM),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.environ["PATH"], **environment(folder / "data", **settings)},
        cwd=folder,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("name", ["HTTP", "COAP", "MQTT"])
async def test_a_port_that_is_taken(tmp_path: Path, name: str) -> None:
    kind = socket.SOCK_DGRAM if name == "COAP" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        line = await refused_start(tmp_path, **{name: address})
    assert f"FIRSTLIGHT_{name}: {address} is taken by another program" in line


async def test_another_master_key(tmp_path: Path) -> None:
    async with Served(tmp_path) as served, Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
        await operator.post("/v1/profiles", {"name": "meters"})
        served.stop()
        assert await served.ended() == 0
    line = await refused_start(tmp_path, MASTER_KEY=ANOTHER_KEY)
    assert "FIRSTLIGHT_MASTER_KEY" in line
    assert ANOTHER_KEY not in line
    async with Served(tmp_path) as served:
        assert served.listening.http


async def test_a_second_process_on_one_database(tmp_path: Path) -> None:
    async with Served(tmp_path) as served:
        line = await refused_start(tmp_path / "second", DATABASE=f"sqlite:{tmp_path}/data/firstlight.db")
        assert (
            f"FIRSTLIGHT_DATABASE: the database {tmp_path}/data/firstlight.db is in use by another Firstlight process" in line
        )
        async with Operator(served.listening.http[0], ADMIN_TOKEN) as operator:
            assert (await operator.ask("GET", "/readyz")).status == 200


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "notes.db").write_text("shopping list: milk, eggs, flour\n" * 200)
    before = (tmp_path / "notes.db").read_bytes()
    line = await refused_start(tmp_path, DATABASE=f"sqlite:{tmp_path}/notes.db")
    assert line == "firstlight: FIRSTLIGHT_DATABASE: the database file is not an SQLite database"
    assert (tmp_path / "notes.db").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HTTP", "8080"),
        ("DATABASE", "mysql://localhost/x"),
        ("MASTER_KEY", "5e5e5e5e"),
        ("ADMIN_TOKEN", "Zx9-Zx9"),
        ("LIMIT_SOURCE", "many"),
        ("HTTP_MAX_BODY_BYTES", "1k"),
        ("MQTT_MAX_PACKET_BYTES", "1"),
        ("MQTTS", "127.0.0.1:8883"),
    ],
)
async def test_a_setting_that_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.chdir(tmp_path)
    checked = main(["check"], environment(tmp_path / "data", **{name: value}))
    for status, out, err in ((checked, *capsys.readouterr()), await command(tmp_path, "serve", **{name: value})):
        assert status == 2
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("firstlight: FIRSTLIGHT_")
        assert name.partition("_MAX")[0] in line
        assert name not in ("MASTER_KEY", "ADMIN_TOKEN") or value not in line
    assert files_in(tmp_path) == []


async def test_check_shows_the_settings_and_starts_nothing(tmp_path: Path) -> None:
    status, out, err = await command(tmp_path, "check", HTTP="0.0.0.0:8080", MQTT="", DEVICE_LIMT="5")
    assert status == 0
    shown = dict(line.split(None, 1) for line in out.splitlines())
    assert shown["FIRSTLIGHT_HTTP"] == "0.0.0.0:8080"
    assert shown["FIRSTLIGHT_MASTER_KEY"] == shown["FIRSTLIGHT_ADMIN_TOKEN"] == "(set)"
    assert shown["FIRSTLIGHT_LIMIT_SOURCE"] == "0 (no limit)"
    assert "FIRSTLIGHT_DEVICE_LIMT is not a setting; did you mean FIRSTLIGHT_DEVICE_LIMIT?" in err
    assert "carries secrets in the clear" in err
    assert MASTER_KEY not in out + err
    assert ADMIN_TOKEN not in out + err
    assert files_in(tmp_path) == []


async def test_protocols_can_be_switched_off(tmp_path: Path) -> None:
    async with Served(tmp_path, COAP="", MQTT="") as served:
        assert (bool(served.listening.http), served.listening.coap, served.listening.mqtt) == (True, (), ())
