"""The database file: made, reopened, migrated, guarded against other programs, other versions and other processes."""

import asyncio
import os
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.errors import Reason, Refusal
from core.model import DEFAULT_TENANT
from core.ports import Changes, Repository
from core.queries import DeviceQuery, EventPage, TenantQuery
from storage import migration, open_repository
from storage.hop import Hop
from storage.sqlite import SqliteSettings, open_sqlite
from tests.storage.entities import a_credential, a_device, a_profile, an_event

CHILD = Path(__file__).with_name("child.py")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "registry.db"


def plain(path: Path) -> "closing[sqlite3.Connection]":
    """Open the file as any other program would."""
    return closing(sqlite3.connect(path, isolation_level=None))


def content(path: Path) -> bytes:
    return path.read_bytes()


def modes(directory: Path) -> dict[str, int]:
    """Return what lies in a directory, with the permissions of each."""
    return {entry.name: stat.S_IMODE(entry.stat().st_mode) for entry in directory.iterdir()}


async def refusal_to_open(path: Path) -> Refusal:
    with pytest.raises(Refusal) as caught:
        async with open_repository(f"sqlite:{path}"):
            pass
    assert caught.value.reason is Reason.UNAVAILABLE
    assert "\n" not in caught.value.detail
    return caught.value


async def put_in(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_profile(), a_device(), a_credential()), events=(an_event(),)))


async def require_in(repository: Repository) -> None:
    found = await repository.read(DeviceQuery(DEFAULT_TENANT, a_device().id))
    assert found is not None
    assert (found.device, found.profile, found.credentials) == (a_device(), a_profile(), (a_credential(),))
    assert await repository.read(EventPage(DEFAULT_TENANT)) == (an_event(),)
    tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
    assert tenant is not None
    assert tenant.devices == 1


async def test_what_is_in_the_file_is_there_again(path: Path) -> None:
    async with open_repository(f"sqlite:{path}") as repository:
        await put_in(repository)
        before = await repository.read(TenantQuery(DEFAULT_TENANT))
    assert sorted(modes(path.parent)) == ["registry.db", "registry.db.lock"]
    async with open_repository(f"sqlite:{path}") as repository:
        await require_in(repository)
        assert await repository.read(TenantQuery(DEFAULT_TENANT)) == before


async def test_the_file_says_whose_it_is_and_how_durable(path: Path) -> None:
    async with open_repository(f"sqlite:{path}") as repository:
        await put_in(repository)
        with plain(path) as connection:
            pragmas = ("application_id", "user_version", "journal_mode", "quick_check", "foreign_key_check")
            found = [connection.execute(f"PRAGMA {pragma}").fetchall() for pragma in pragmas]
            tables = connection.execute("SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main'").fetchall()
    assert found == [[(migration.APPLICATION_ID,)], [(len(migration.steps()),)], [("wal",)], [("ok",)], []]
    ours = [table for table in tables if not table[0].startswith("sqlite_")]
    assert all(strict for _, _, strict in ours)
    assert {name for name, without_rowid, _ in ours if not without_rowid} == {"event", "probe", "config_document"}


async def test_a_relative_path_lies_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_repository("sqlite:data/registry.db") as repository:
        await put_in(repository)
    assert "registry.db" in modes(tmp_path / "data")


@pytest.fixture
def no_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("no_umask")
async def test_what_is_made_is_for_this_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "one" / "two" / "registry.db"
    async with open_repository(f"sqlite:{path}") as repository:
        await put_in(repository)
        assert modes(path.parent) == dict.fromkeys(
            ("registry.db", "registry.db-wal", "registry.db-shm", "registry.db.lock"), 0o600
        )
    assert modes(tmp_path) == {"one": 0o700}
    assert modes(tmp_path / "one") == {"two": 0o700}


@pytest.mark.parametrize("statement", ["CREATE TABLE theirs (x)", "PRAGMA application_id = 77", "PRAGMA user_version = 1"])
async def test_a_file_of_another_program_is_left_as_it_is(path: Path, statement: str) -> None:
    with plain(path) as connection:
        connection.execute(statement)
    before = content(path)
    refusal = await refusal_to_open(path)
    assert refusal.check == "storage.schema"
    assert "another program" in refusal.detail
    assert content(path) == before


async def test_a_file_that_is_no_database_is_left_as_it_is(path: Path) -> None:
    text = b"this is no database, it only has the length of one" * 100
    path.write_bytes(text)  # noqa: ASYNC240 - nobody else runs in this loop
    refusal = await refusal_to_open(path)
    assert (refusal.check, "not an SQLite database" in refusal.detail) == ("storage.schema", True)
    assert content(path) == text


async def test_a_file_of_a_newer_version_is_left_as_it_is(path: Path) -> None:
    async with open_repository(f"sqlite:{path}") as repository:
        await put_in(repository)
    with plain(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    before = content(path)
    refusal = await refusal_to_open(path)
    assert refusal.check == "storage.schema"
    assert f"newer Firstlight (schema 7; this one knows {len(migration.steps())})" in refusal.detail
    assert content(path) == before


async def test_an_older_file_takes_the_steps_it_lacks(path: Path) -> None:
    async with open_repository(f"sqlite:{path}") as repository:
        await put_in(repository)
    further = "CREATE TABLE novelty (x INTEGER) STRICT; INSERT INTO novelty VALUES (1)"
    with plain(path) as connection:
        migration.migrate(connection, (*migration.steps(), further))
        assert connection.execute("PRAGMA user_version").fetchall() == [(len(migration.steps()) + 1,)]
        assert connection.execute("SELECT x FROM novelty").fetchall() == [(1,)]
        migration.migrate(connection, (*migration.steps(), further))  # each step once
        connection.execute(f"PRAGMA user_version = {len(migration.steps())}")
    async with open_repository(f"sqlite:{path}") as repository:
        await require_in(repository)


async def test_a_step_that_fails_leaves_nothing_behind(path: Path) -> None:
    async with open_repository(f"sqlite:{path}") as repository:
        await put_in(repository)
    with plain(path) as connection:
        with pytest.raises(sqlite3.OperationalError):
            migration.migrate(connection, (*migration.steps(), "CREATE TABLE novelty (x); INSERT INTO nowhere VALUES (1)"))
        with pytest.raises(sqlite3.OperationalError):
            migration.migrate(connection, (*migration.steps(), "COMMIT; INSERT INTO nowhere VALUES (1)"))
        assert connection.execute("PRAGMA user_version").fetchall() == [(len(migration.steps()),)]
        assert connection.execute("SELECT * FROM sqlite_schema WHERE name = 'novelty'").fetchall() == []
    async with open_repository(f"sqlite:{path}") as repository:
        await require_in(repository)


def test_a_place_that_cannot_keep_a_log_is_refused() -> None:
    with plain(Path(":memory:")) as connection, pytest.raises(Refusal, match="journal mode memory"):
        migration.use_log(connection)


async def test_a_place_where_no_file_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")
    for path in (tmp_path, tmp_path / "file" / "registry.db"):
        refusal = await refusal_to_open(path)
        assert refusal.check == "storage.open"
        assert str(path) in refusal.detail


async def test_a_broken_file_is_refused(path: Path) -> None:
    async with open_repository(f"sqlite:{path}") as repository:
        await put_in(repository)
    whole = content(path)
    path.write_bytes(whole[:100] + b"\xff" * 3000 + whole[3100:])  # noqa: ASYNC240 - nobody else runs in this loop
    assert (await refusal_to_open(path)).check == "storage.open"


async def test_a_file_that_another_program_keeps_is_refused(path: Path) -> None:
    async with open_repository(f"sqlite:{path}") as repository:
        await put_in(repository)
    with plain(path) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(Refusal) as caught:
            async with open_sqlite(path, SqliteSettings(busy_seconds=0.0)):
                pass
    assert (caught.value.check, "locked" in caught.value.detail) == ("storage.open", True)
    async with open_repository(f"sqlite:{path}") as repository:
        await require_in(repository)


async def test_a_file_in_use_is_refused(path: Path) -> None:
    link = path.with_name("link.db")
    link.symlink_to(path)
    async with open_repository(f"sqlite:{path}") as repository:
        await put_in(repository)
        for name in (path, link):
            refusal = await refusal_to_open(name)
            assert (refusal.check, str(path) in refusal.detail) == ("storage.lock", True)
        await require_in(repository)
    async with open_repository(f"sqlite:{link}") as repository:
        await require_in(repository)


async def test_a_process_that_dies_lets_go_of_the_file(path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", str(CHILD), "hold", str(path), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), 30) == b"open\n"
    assert (await refusal_to_open(path)).check == "storage.lock"
    process.kill()
    await process.wait()
    async with open_repository(f"sqlite:{path}") as repository:
        await put_in(repository)


async def test_a_hop_raises_what_the_work_raises_and_goes_on(path: Path) -> None:
    hop = await Hop.open(path, 1.0)
    with pytest.raises(ZeroDivisionError):
        await hop.run(lambda _: 1 // 0)
    numbers = await asyncio.gather(*(hop.run(lambda c, n=n: c.execute("SELECT ?", (n,)).fetchone()) for n in range(20)))  # type: ignore[misc]  # the default binds n
    assert numbers == [(n,) for n in range(20)]
    await hop.close()
