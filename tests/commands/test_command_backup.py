"""`firstlight backup` and `firstlight restore`, as operators use them beside a gateway and without one."""

import asyncio
import contextlib
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Result, Terminal
from tests.e2e.gateways import ADMIN_TOKEN, MASTER_KEY, environment, opened
from tests.e2e.operator_api import Operator

OTHER_KEY = "a9" * 32


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the registry of a gateway that is stopped: a profile and a device with an OSCORE context are in it."""
    folder = tmp_path / "data"

    async def fill() -> None:
        async with opened(folder) as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
            await operator.post("/v1/profiles", {"name": "meters"})
            credential = {"type": "oscore", "device_id": "01", "server_id": "02", "secret": "00" * 16}
            await operator.post("/v1/devices", {"name": "meter-1", "profile": "meters", "credential": credential})

    asyncio.run(fill())
    return folder


@pytest.fixture
def gateway_command(run: Callable[..., Result], data: Path) -> Callable[..., Result]:
    """Run a command with the settings of the gateway."""

    def command(*argv: str, on: tuple[Terminal, Terminal] | None = None, **settings: str | None) -> Result:
        return run(*argv, on=on, **environment(data, **settings))

    return command


@pytest.fixture
def copy(tmp_path: Path, gateway_command: Callable[..., Result]) -> Path:
    """A backup."""
    assert gateway_command("backup", "--to", str(tmp_path / "copy.db")).status == 0
    return tmp_path / "copy.db"


def test_a_file(tmp_path: Path, gateway_command: Callable[..., Result]) -> None:
    done = gateway_command("backup", "--to", str(tmp_path / "copy.db"))
    shown = dict(line.split(maxsplit=1) for line in done.out.splitlines())
    assert (done.status, shown["file"], shown["devices"]) == (0, str(tmp_path / "copy.db"), "1")
    assert "the master key is not in it" in done.err
    assert "deploy/backup.md" in done.err
    assert stat.S_IMODE((tmp_path / "copy.db").stat().st_mode) == 0o600
    assert MASTER_KEY.encode() not in (tmp_path / "copy.db").read_bytes()


def test_a_directory_keeps_the_newest(tmp_path: Path, gateway_command: Callable[..., Result]) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    made = [gateway_command("backup", "--to", str(folder), "--keep", "2", "--json").json() for _ in range(3)]
    assert made[2]["removed"] == [Path(made[0]["file"]).name]
    assert sorted(map(str, folder.iterdir())) == sorted(each["file"] for each in made[1:])
    assert made[0]["rows"] | {"device": 1, "credential": 1, "profile": 1, "key_ring": 1} == made[0]["rows"]
    assert "removed" in gateway_command("backup", "--to", str(folder), "--keep", "1").out


def test_how_far_it_is_on_a_terminal(
    tmp_path: Path, gateway_command: Callable[..., Result], terminal: tuple[Terminal, Terminal]
) -> None:
    done = gateway_command("backup", "--to", str(tmp_path / "copy.db"), on=terminal)
    assert "copying" in done.err
    assert "KiB" in done.err


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["--to", "{tmp}/data/firstlight.db"], 1, "firstlight.db is there already: backups do not take the place of anything"),
        (["--to", "{tmp}/away/copy.db"], 1, "{tmp}/away: there is no such file or directory"),
        (["--to", "{tmp}/new.db", "--keep", "3"], 2, "--keep is about the backups in a directory"),
        (["--to", "{tmp}", "--keep", "0"], 2, "at least 1"),
        (["--to", "{tmp}/new.db", "--database", "sqlite:{tmp}/none.db"], 1, "none.db: there is no such file or directory"),
        (["--to", "{tmp}/new.db", "--database", "sqlite:{tmp}/notes"], 1, "the database file is not an SQLite database"),
        (["--to", "{tmp}/new.db", "--database", "postgresql://h/d"], 1, "pg_dump and pg_basebackup; see deploy/backup.md"),
        (["--to", "{tmp}/new.db", "--database", "memory:"], 1, "a registry in memory cannot be backed up"),
        (["--to", "{tmp}/new.db", "--database", "mysql://h/d"], 2, "no store is named 'mysql'"),
        ([], 2, "--to"),
    ],
)
def test_what_cannot_be_backed_up(
    tmp_path: Path, gateway_command: Callable[..., Result], arguments: list[str], status: int, sentence: str
) -> None:
    (tmp_path / "notes").write_text("shopping list: milk, eggs, flour\n" * 200)
    done = gateway_command("backup", *(each.format(tmp=tmp_path) for each in arguments))
    assert (done.status, done.out) == (status, ""), done
    assert sentence.format(tmp=tmp_path) in done.err
    assert not (tmp_path / "new.db").exists()


def test_it_is_put_in_its_place(copy: Path, data: Path, gateway_command: Callable[..., Result]) -> None:
    done = gateway_command("restore", "--from", str(copy))
    shown = dict(line.rsplit(maxsplit=1) for line in done.out.splitlines())
    assert (done.status, shown["file"], shown["OSCORE contexts"]) == (0, str(data / "firstlight.db"), "1")
    assert Path(shown["former"]).exists()
    assert "good again" in done.err
    assert asyncio.run(_events(data)) == ["registry.restored"]


async def _events(data: Path) -> list[Any]:
    async with opened(data) as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
        return [event["kind"] for event in await operator.all("/v1/events?kind=registry.restored")]


def test_into_an_empty_folder(copy: Path, tmp_path: Path, gateway_command: Callable[..., Result]) -> None:
    done = gateway_command("restore", "--from", str(copy), DATA=str(tmp_path / "other"))
    assert "there was none" in done.out
    assert gateway_command("restore", "--in-place", "--json", DATA=str(tmp_path / "other")).json()["contexts"] == 1


def test_what_was_put_there_by_other_means(data: Path, gateway_command: Callable[..., Result]) -> None:
    done = gateway_command("restore", "--in-place")
    assert (done.status, "1 OSCORE contexts go on" in done.out) == (0, True)
    assert asyncio.run(_events(data)) == ["registry.restored"]


@pytest.mark.parametrize(
    ("arguments", "settings", "status", "sentence"),
    [
        (["--from", "{tmp}/none.db"], {}, 1, "none.db: there is no such file or directory"),
        (["--from", "{tmp}/notes"], {}, 1, "the database file is not an SQLite database"),
        (["--from", "{tmp}/copy.db"], {"MASTER_KEY": OTHER_KEY}, 2, "the registry was sealed with another master key"),
        (["--from", "{tmp}/copy.db"], {"MASTER_KEY": None}, 2, "FIRSTLIGHT_MASTER_KEY: set it as for the gateway"),
        (["--from", "{tmp}/copy.db"], {"DATABASE": "postgresql://h/d"}, 1, "pg_dump and pg_basebackup"),
        (["--from", "{tmp}/copy.db"], {"HTTP": "8080"}, 2, "FIRSTLIGHT_HTTP"),
        (["--in-place"], {"DATABASE": "memory:"}, 1, "a registry in memory cannot be restored"),
        (["--in-place"], {"DATABASE": "sqlite:{tmp}/none.db"}, 1, "there is no such file"),
        (["--in-place", "--from", "{tmp}/copy.db"], {}, 2, "not allowed with"),
        ([], {}, 2, "is required"),
    ],
)
def test_what_cannot_be_restored(
    copy: Path,
    data: Path,
    tmp_path: Path,
    gateway_command: Callable[..., Result],
    arguments: list[str],
    settings: dict[str, str | None],
    status: int,
    sentence: str,
) -> None:
    (tmp_path / "notes").write_text("shopping list: milk, eggs, flour\n" * 200)
    given = {name: value and value.format(tmp=tmp_path) for name, value in settings.items()}
    done = gateway_command("restore", *(each.format(tmp=tmp_path) for each in arguments), **given)
    assert (done.status, done.out, sentence in done.err) == (status, "", True), done
    assert [path.name for path in data.iterdir() if "restoring" in path.name or "before" in path.name] == []


def test_a_value_that_the_keys_at_hand_do_not_open(data: Path, tmp_path: Path, gateway_command: Callable[..., Result]) -> None:
    """A backup of an older version has no key ring: what is sealed in it says whether the key is right."""
    copy = tmp_path / "old.db"
    gateway_command("backup", "--to", str(copy))
    _without_ring(copy)
    done = gateway_command("restore", "--from", str(copy), MASTER_KEY=OTHER_KEY)
    assert (done.status, "the registry was sealed with another master key" in done.err) == (2, True)
    assert gateway_command("restore", "--from", str(copy)).status == 0


def _without_ring(copy: Path) -> None:
    with contextlib.closing(sqlite3.connect(copy)) as connection:
        connection.executescript("DROP TABLE key_ring; PRAGMA user_version = 5;")
