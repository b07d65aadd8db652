"""Backups of a registry that is written to: the whole of one moment, or nothing at all."""

import asyncio
import contextlib
import fcntl
import os
import shutil
import sqlite3
import stat
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from core.errors import Refusal
from core.ports import Changes, Repository
from storage import backup, migration, open_repository
from tests.storage.entities import a_credential, a_device, a_profile, an_event

NOW = datetime(2026, 11, 21, 4, 0, 0, tzinfo=UTC)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


@pytest.fixture
async def repository(database: Path) -> AsyncIterator[Repository]:
    async with open_repository(f"sqlite:{database}") as opened:
        await opened.commit(Changes(insert=(a_profile(),)))
        yield opened


def reach(done: int, total: int) -> None:
    """Look away."""


def made(database: Path, target: Path) -> backup.BackedUp:
    return backup.back_up(database, target, reach)


def refused(database: Path, target: Path) -> str:
    with pytest.raises(Refusal) as refusal:
        made(database, target)
    return refusal.value.detail


def names(directory: Path, part: str) -> set[str]:
    """Return the files whose names hold something."""
    return {path.name for path in directory.iterdir() if part in path.name}


def damage(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.seek(file.stat().st_size // 2)
        opened.write(os.urandom(20_000))


async def provision(repository: Repository, numbers: range) -> None:
    for number in numbers:
        event = an_event(number, device=f"device-{number:04}")
        await repository.commit(Changes(insert=(a_device(number), a_credential(number)), events=(event,)))


async def test_it_is_one_file_for_this_user_alone_that_says_what_it_is(
    repository: Repository, database: Path, tmp_path: Path
) -> None:
    await provision(repository, range(1, 4))
    target = tmp_path / "copy.db"
    done = made(database, target)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert (done.rows["device"], done.rows["event"], done.schema) == (3, 3, len(migration.steps()))
    assert done.bytes == target.stat().st_size
    assert names(tmp_path, "copy") == {"copy.db"}
    with contextlib.closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("delete",)]
        assert connection.execute("PRAGMA application_id").fetchall() == [(migration.BACKUP_ID,)]
    with pytest.raises(Refusal, match="is a backup; put it in its place with firstlight restore"):
        async with open_repository(f"sqlite:{target}"):
            pass


async def test_it_is_of_one_moment_while_commits_go_on(
    repository: Repository, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each device comes with its credential and event, so that a copy of two moments would show."""
    await provision(repository, range(1, 200))
    steps: list[int] = []
    between, go_on = threading.Event(), threading.Event()

    def stop_and_go(done: int, total: int) -> None:
        steps.append(done)
        if len(steps) == 1:
            between.set()
            assert go_on.wait(60)

    monkeypatch.setattr(backup, "PAGES_AT_ONCE", 4)
    copying = asyncio.create_task(asyncio.to_thread(backup.back_up, database, tmp_path / "copy.db", stop_and_go))
    await asyncio.to_thread(between.wait, 60)
    await provision(repository, range(200, 300))
    go_on.set()
    done = await copying
    assert (done.rows["device"], done.rows["credential"], done.rows["event"]) == (199, 199, 199)
    assert steps == sorted(steps)


async def test_a_registry_that_nobody_uses(repository: Repository, database: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    await repository.close()  # type: ignore[attr-defined]  # of the SQLite one
    assert made(database, target).rows["profile"] == 1


async def test_commits_that_are_in_the_log_alone_are_in_it(repository: Repository, database: Path, tmp_path: Path) -> None:
    await provision(repository, range(1, 20))
    killed = tmp_path / "killed"
    killed.mkdir()
    for name in names(tmp_path, "registry.db"):
        shutil.copy(tmp_path / name, killed)
    assert made(killed / "registry.db", tmp_path / "copy.db").rows["device"] == 19


@pytest.mark.parametrize("name", ["registry.db", "there.db"])
async def test_nothing_is_overwritten(repository: Repository, database: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "there.db").write_text("something of value")
    assert "is there already" in refused(database, tmp_path / name)
    assert (tmp_path / "there.db").read_text() == "something of value"


async def test_a_name_that_is_taken_meanwhile(repository: Repository, database: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"

    def take_the_name(done: int, total: int) -> None:
        target.write_text("something of value")

    with pytest.raises(Refusal, match="is there already"):
        backup.back_up(database, target, take_the_name)
    assert target.read_text() == "something of value"
    assert names(tmp_path, "partial") == set()


async def test_a_directory_that_is_missing(repository: Repository, database: Path, tmp_path: Path) -> None:
    assert refused(database, tmp_path / "away" / "copy.db") == f"{tmp_path}/away: there is no such file or directory"


def test_a_database_that_is_missing(database: Path, tmp_path: Path) -> None:
    assert refused(database, tmp_path / "copy.db") == f"{database}: there is no such file or directory"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("shopping list: milk, eggs, flour\n" * 200, "the database file is not an SQLite database"), ("", "is empty")],
)
def test_what_is_no_registry(database: Path, tmp_path: Path, content: str, sentence: str) -> None:
    database.write_text(content)
    assert sentence in refused(database, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


def test_a_database_of_another_program(database: Path, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    assert "belongs to another program" in refused(database, tmp_path / "copy.db")


async def test_damage_is_found_and_no_backup_is_made(repository: Repository, database: Path, tmp_path: Path) -> None:
    await provision(repository, range(1, 300))
    broken = tmp_path / "broken.db"
    made(database, broken)
    damage(broken)
    assert "damaged" in refused(broken, tmp_path / "copy.db") or "malformed" in refused(broken, tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


async def test_a_reference_to_nothing_is_damage(repository: Repository, database: Path, tmp_path: Path) -> None:
    await provision(repository, range(1, 3))
    broken = tmp_path / "broken.db"
    made(database, broken)
    with contextlib.closing(sqlite3.connect(broken, isolation_level=None)) as connection:
        connection.execute("DELETE FROM device WHERE id = 'device-0001'")
    assert refused(broken, tmp_path / "copy.db") == ("the database is damaged: a row of credential points at nothing in device")


async def test_no_room(repository: Repository, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "_ROOM_BYTES", 2**62)
    assert "there is no room in" in refused(database, tmp_path / "copy.db")


async def test_what_a_killed_one_left_is_removed_and_that_of_one_that_runs_is_not(
    repository: Repository, database: Path, tmp_path: Path
) -> None:
    left, running = (tmp_path / f".firstlight-backup-{number}-x.db.partial" for number in (1, 2))
    left.write_text("half")
    running.write_text("half")
    with running.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        made(database, tmp_path / "copy.db")
    assert not left.exists()
    assert running.exists()


async def test_names_tell_the_time_and_are_free(repository: Repository, database: Path, tmp_path: Path) -> None:
    names = []
    for _ in range(3):
        target = backup.name_of(tmp_path, NOW)
        made(database, target)
        names.append(target.name)
    stem = "firstlight-20261121T040000Z"
    assert names == [f"{stem}.db", f"{stem}-2.db", f"{stem}-3.db"]


def test_the_newest_are_kept_and_what_has_another_name_is_nobodys_to_remove(tmp_path: Path) -> None:
    stem = "firstlight-20261121T040000Z"
    ours = [f"{stem}.db", f"{stem}-2.db", f"{stem}-10.db", "firstlight-20261120T040000Z.db", "firstlight-20261122T040000Z.db"]
    others = ["firstlight.db", "firstlight-20261119T040000Z.db.gz", "firstlight-mine.db"]
    for name in (*ours, *others):
        (tmp_path / name).touch()
    assert backup.prune(tmp_path, 3) == (f"{stem}.db", "firstlight-20261120T040000Z.db")
    assert {path.name for path in tmp_path.iterdir()} == {
        f"{stem}-2.db",
        f"{stem}-10.db",
        "firstlight-20261122T040000Z.db",
        *others,
    }
    assert backup.prune(tmp_path, 9) == ()


async def test_a_file_system_without_links(
    repository: Repository, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    assert made(database, tmp_path / "copy.db").rows["profile"] == 1
    assert names(tmp_path, "partial") == set()


async def test_a_copy_that_lost_rows_is_no_backup(
    repository: Repository, database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_pages = backup.copy_pages

    def lose(source: sqlite3.Connection, copy: sqlite3.Connection, reach: object) -> None:
        copy_pages(source, copy, lambda done, total: None)
        copy.execute("DELETE FROM probe")

    monkeypatch.setattr(backup, "copy_pages", lose)
    assert refused(database, tmp_path / "copy.db") == "the copy does not have the rows of the database"
