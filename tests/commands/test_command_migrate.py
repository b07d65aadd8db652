"""`firstlight migrate` takes the steps that are missing, says which, and tells in one line why it cannot."""

import asyncio
import json
import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from storage import migration, open_repository
from storage.database_file import FileLock
from storage.postgres import migration as postgres
from tests.postgres_server import PostgresServer, postgres_server

Run = Callable[..., Any]
KNOWN = len(migration.steps())
STEPS = len(postgres.steps())


@pytest.fixture(scope="module")
def server(postgres: PostgresServer) -> PostgresServer:
    return postgres


@pytest.fixture
def database(server: PostgresServer) -> str:
    """The URL of an empty database."""
    return server.url(server.make_database())


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A file of schema 3."""
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        migration.use_log(connection)
        migration.migrate(connection, migration.steps()[:3])
    return path


def test_a_file_takes_the_steps_it_lacks(run: Run, old: Path) -> None:
    url = f"sqlite:{old}"
    missing = run("migrate", "--check", "--database", url)
    assert (missing.status, missing.out) == (1, f"schema 3 -> {KNOWN} is to be done\n")
    taken = run("migrate", FIRSTLIGHT_DATABASE=url)
    assert (taken.status, taken.out) == (0, f"schema 3 -> {KNOWN}\n")
    again = run("migrate", "--database", url)
    assert (again.status, again.out) == (0, f"schema {KNOWN}, nothing to do\n")
    checked = run("migrate", "--check", "--json", "--database", url)
    assert (checked.status, json.loads(checked.out)) == (0, {"before": KNOWN, "after": KNOWN, "known": KNOWN})


def test_a_file_that_is_not_there_is_made(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "new" / "registry.db"
    missing = run("migrate", "--check", "--json", "--database", f"sqlite:{path}")
    assert (missing.status, json.loads(missing.out)) == (1, {"before": 0, "after": 0, "known": KNOWN})
    assert not path.parent.exists()
    assert run("migrate", "--database", f"sqlite:{path}").out == f"schema 0 -> {KNOWN}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_in_use_is_looked_at_and_not_changed(run: Run, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storage.migrating._LOCK_SECONDS", 0.2)
    with FileLock(old.resolve()):
        assert run("migrate", "--check", "--database", f"sqlite:{old}").status == 1
        result = run("migrate", "--database", f"sqlite:{old}")
    assert result.status == 1
    assert "is in use by another Firstlight process; stop that one first" in result.err
    assert len(result.err.splitlines()) == 1


def test_a_gateway_whose_file_is_whole_does_not_have_to_be_stopped(run: Run, tmp_path: Path) -> None:
    async def with_gateway() -> Any:
        async with open_repository(f"sqlite:{tmp_path / 'registry.db'}"):
            return await asyncio.to_thread(run, "migrate", "--database", f"sqlite:{tmp_path / 'registry.db'}")

    result = asyncio.run(with_gateway())
    assert (result.status, result.out) == (0, f"schema {KNOWN}, nothing to do\n")


def test_two_migrations_of_a_file_wait_for_each_other(run: Run, old: Path) -> None:
    other = threading.Timer(0.3, FileLock(old.resolve()).__exit__)
    other.start()
    result = run("migrate", "--database", f"sqlite:{old}")
    other.join()
    assert (result.status, result.out) == (0, f"schema 3 -> {KNOWN}\n")


def test_a_database_takes_its_steps(run: Run, database: str) -> None:
    missing = run("migrate", "--check", "--database", database)
    assert (missing.status, missing.out) == (1, f"schema 0 -> {STEPS} is to be done\n")
    assert run("migrate", "--database", database).out == f"schema 0 -> {STEPS}\n"
    again = run("migrate", "--database", database.replace("postgresql:", "postgres:"))
    assert (again.status, again.out) == (0, f"schema {STEPS}, nothing to do\n")
    assert run("migrate", "--check", "--database", database).status == 0


def test_two_migrations_of_a_database_wait_for_each_other(database: str) -> None:
    async def both() -> Any:
        from storage import migrating

        return await asyncio.gather(migrating.migrate(database), migrating.migrate(database))

    found = sorted((schemas.before, schemas.after) for schemas in asyncio.run(both()))
    assert found == [(0, STEPS), (STEPS, STEPS)]


def test_a_newer_schema_is_told_of(run: Run, database: str, server: PostgresServer, old: Path) -> None:
    run("migrate", "--database", database)
    server.sql(database.rpartition("/")[2], "INSERT INTO schema_step (number, serves) VALUES (99, 99)")
    result = run("migrate", "--database", database)
    assert result.status == 1
    assert "newer Firstlight" in result.err
    with closing(sqlite3.connect(old)) as connection:
        connection.execute("PRAGMA user_version = 99")
    result = run("migrate", "--database", f"sqlite:{old}")
    assert result.status == 1
    assert "newer Firstlight (schema 99" in result.err


def test_who_has_no_rights_is_told_so(run: Run, database: str, server: PostgresServer) -> None:
    server.sql("postgres", "CREATE ROLE stranger LOGIN")
    result = run("migrate", "--database", database.replace("//postgres@", "//stranger@"))
    assert result.status == 1
    assert len(result.err.splitlines()) == 1
    assert "permission denied" in result.err


@pytest.mark.parametrize(
    ("url", "status", "says"),
    [
        ("postgresql://somebody:hidden@127.0.0.1:1/registry", 1, "the database 127.0.0.1:1/registry cannot be opened"),
        ("memory:", 2, "'memory' is no kind of database that has a schema"),
        ("sqlite:", 2, "'sqlite' is no kind of database that has a schema"),
    ],
)
def test_what_cannot_be_migrated_is_told_in_one_line(run: Run, url: str, status: int, says: str) -> None:
    result = run("migrate", "--database", url)
    assert (result.status, result.out) == (status, "")
    assert says in result.err
    assert len(result.err.splitlines()) == 1
    assert "hidden" not in result.err


def test_files_that_are_no_databases_are_told_of(run: Run, tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"this is a text and as long as one that could be a database" * 100)
    for words in (("--check",), ()):
        result = run("migrate", *words, "--database", f"sqlite:{tmp_path / 'text'}")
        assert result.status == 1
        assert "is not an SQLite database" in result.err
    folder = run("migrate", "--check", "--database", f"sqlite:{tmp_path}")
    assert folder.status == 1
    assert "cannot be opened" in folder.err
    beneath = run("migrate", "--database", f"sqlite:{tmp_path / 'text' / 'registry.db'}")
    assert beneath.status == 1
    assert "cannot be opened" in beneath.err


def test_settings_that_are_wrong_are_told_of(run: Run) -> None:
    result = run("migrate", FIRSTLIGHT_DATABASE="nonsense")
    assert result.status == 2
    assert "FIRSTLIGHT_DATABASE" in result.err
