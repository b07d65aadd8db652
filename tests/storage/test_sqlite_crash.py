"""What is left when a process is killed or a disk is full: all that was acknowledged, and nothing by half."""

import asyncio
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from core.model import DEFAULT_TENANT
from core.ports import Changes
from core.queries import DevicePage, LoginQuery, TenantQuery
from storage import open_repository
from tests.storage.entities import a_device, a_lookup, a_profile

CHILD = Path(__file__).with_name("child.py")
DEADLINE = 60


async def start(part: str, path: Path) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(CHILD), part, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    return process, process.stdout


async def make(path: Path) -> None:
    async with open_repository(f"sqlite:{path}") as repository:
        await repository.commit(Changes(insert=(a_profile(), a_device(1))))


def require_whole(path: Path) -> set[int]:
    """Return the numbers of the devices, each with its credential and event and all of them counted."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        devices = {int(row[0][7:]) for row in connection.execute("SELECT id FROM device WHERE id <> 'device-0001'")}
        credentials = {int(device[7:]) for (device,) in connection.execute("SELECT device FROM credential")}
        events = {int(device[7:]) for (device,) in connection.execute("SELECT device FROM event")}
        ((counted,),) = connection.execute("SELECT devices FROM tenant").fetchall()
    assert devices == credentials == events
    assert counted == len(devices) + 1
    return devices


@pytest.mark.parametrize("lines", [1, 40, 700])
async def test_what_was_acknowledged_outlives_a_kill_under_load(tmp_path: Path, lines: int) -> None:
    path = tmp_path / "registry.db"
    await make(path)
    process, output = await start("provision", path)
    acknowledged = {int(await asyncio.wait_for(output.readline(), DEADLINE)) for _ in range(lines)}
    process.kill()
    rest = await asyncio.wait_for(output.read(), DEADLINE)
    await process.wait()
    acknowledged |= {int(line) for line in rest.split(b"\n")[:-1]}
    assert acknowledged <= require_whole(path)
    async with open_repository(f"sqlite:{path}") as repository:
        found = await repository.read(LoginQuery(tuple(a_lookup(number) for number in sorted(acknowledged))))
        assert [login and login.device.id for login in found] == [a_device(number).id for number in sorted(acknowledged)]
        await repository.commit(Changes(insert=(a_device(900_000),)))


async def test_a_kill_between_write_and_commit_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "registry.db"
    await make(path)
    process, output = await start("pause", path)
    assert await asyncio.wait_for(output.readline(), DEADLINE) == b"written\n"
    process.kill()
    await process.wait()
    assert require_whole(path) == set()
    async with open_repository(f"sqlite:{path}") as repository:
        tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
        assert tenant is not None
        assert tenant.devices == 1
        assert await repository.read(DevicePage(DEFAULT_TENANT)) == (a_device(1),)


async def test_a_full_disk_refuses_and_is_forgotten_when_it_has_room(tmp_path: Path) -> None:
    process, output = await start("fill", tmp_path / "registry.db")
    said = (await asyncio.wait_for(output.read(), DEADLINE)).decode().splitlines()
    assert await process.wait() == 0
    assert said == ["unavailable storage.failed OperationalError", "unavailable storage.failed", "True", "True"]
