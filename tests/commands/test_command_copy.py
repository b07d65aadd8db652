"""`firstlight copy` as a process: killed, interrupted and cut off it goes on, and what it made is what was there."""

import asyncio
import io
import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storage.postgres import migration
from tests.bench import copying
from tests.bench.fleet import Member
from tests.bench.registries import make_registry
from tests.postgres_server import PostgresServer, postgres_server

Run = Callable[..., Any]
DEVICES = 600
PATIENCE_SECONDS = 60.0
# The database takes its time for one credential: whatever happens to the copy happens then.
SLOW = """
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.created_at = 300 THEN PERFORM pg_sleep(60); END IF; RETURN NEW; END $$;
    CREATE TRIGGER wait BEFORE INSERT ON credential FOR EACH ROW EXECUTE FUNCTION wait();
"""
FAST = "DROP TRIGGER wait ON credential; DROP FUNCTION wait"


@pytest.fixture
def server(postgres: PostgresServer) -> PostgresServer:
    return postgres


@pytest.fixture
def database(postgres: PostgresServer, empty_registry: str) -> str:
    return postgres.make_database(empty_registry)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def members(folder: Path) -> tuple[Member, ...]:
    return make_registry(folder, DEVICES)


@pytest.fixture
def registry(folder: Path, members: tuple[Member, ...]) -> Path:
    return folder / "firstlight.db"


def begin(registry: Path, server: PostgresServer, database: str) -> "subprocess.Popen[str]":
    """Begin a copy and return when it hangs in the middle."""
    server.sql(database, SLOW)
    begun = subprocess.Popen(
        copying.command(registry, server.url(database)), env=copying.environment(), stderr=subprocess.PIPE, text=True
    )
    asleep = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}' AND wait_event = 'PgSleep'"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while server.sql(database, asleep).strip() == "0":
        assert begun.poll() is None, begun.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return begun


def go_on(registry: Path, server: PostgresServer, database: str) -> None:
    """Run the copy again, undisturbed, and see that it went on and that everything is there."""
    server.sql(database, FAST)
    report = copying.carry_over(registry, server.url(database))
    assert 0 < report["resumed"] < report["rows"]
    assert report["verified"] is True
    rows = {each["table"]: each["rows"] for each in report["tables"]}
    compared = copying.compare(registry, server.url(database))
    assert compared == {table: rows[table] for table in compared}
    assert server.sql(database, "SELECT to_regclass('copying') IS NULL").strip() == "t"


def test_killed_in_the_middle_it_goes_on(registry: Path, server: PostgresServer, database: str) -> None:
    begun = begin(registry, server, database)
    begun.kill()
    begun.communicate()
    assert copying.copied(server, database) > 0
    go_on(registry, server, database)


def test_devices_log_in_at_the_copy(
    registry: Path, members: tuple[Member, ...], server: PostgresServer, database: str, run: Run
) -> None:
    assert run("copy", "--from", f"sqlite:{registry}", "--to", server.url(database)).status == 0
    with copying.gateway(registry.parent, server.url(database)) as port:
        assert copying.log_in(port, members[:2]) == 4


def test_interrupted_it_goes_on(registry: Path, server: PostgresServer, database: str) -> None:
    begun = begin(registry, server, database)
    begun.send_signal(signal.SIGINT)
    _, said = begun.communicate(timeout=PATIENCE_SECONDS)
    assert begun.returncode == 130
    assert said.splitlines()[-1] == "stopped: what is copied stays, and the same command goes on from there"
    go_on(registry, server, database)


def test_a_gateway_does_not_serve_from_half_a_copy(registry: Path, server: PostgresServer, database: str) -> None:
    server.sql(database, "CREATE TABLE copying ()")
    with (
        pytest.raises(AssertionError, match="a copy into this database is unfinished; run firstlight copy again"),
        copying.gateway(registry.parent, server.url(database)),
    ):
        pass


def test_a_connection_that_is_cut_ends_it_in_one_line(registry: Path, server: PostgresServer, database: str) -> None:
    begun = begin(registry, server, database)
    server.sql("postgres", f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'")
    _, said = begun.communicate(timeout=PATIENCE_SECONDS)
    assert begun.returncode == 1
    last = said.splitlines()[-1]
    assert last.startswith("firstlight: the destination cannot be used: ")
    assert last.endswith("; what is copied stays, and the same command goes on from there")
    go_on(registry, server, database)


def test_what_differs_is_an_error(registry: Path, server: PostgresServer, database: str, run: Run) -> None:
    server.sql(
        database,
        "CREATE FUNCTION forge() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.created_at = 300 THEN NEW.verifier = '\\x01'; END IF; RETURN NEW; END $$;"
        "CREATE TRIGGER forge BEFORE INSERT ON credential FOR EACH ROW EXECUTE FUNCTION forge();",
    )
    result = run("copy", "--from", f"sqlite:{registry}", "--to", server.url(database))
    assert result.status == 1
    assert result.err.splitlines()[-1].startswith(
        "firstlight: the copy differs from its source: credential between its beginning and "
    )
    again = run("copy", "--from", f"sqlite:{registry}", "--to", server.url(database))
    assert again.status == 1
    server.sql(database, "DROP TRIGGER forge ON credential")
    mended = run("copy", "--restart", "--from", f"sqlite:{registry}", "--to", server.url(database))
    assert mended.status == 0
    copying.compare(registry, server.url(database))


def test_what_it_prints(registry: Path, run: Run, tmp_path: Path, terminal: tuple[io.TextIOWrapper, io.TextIOWrapper]) -> None:
    plain = run("copy", "--from", f"sqlite:{registry}", "--to", f"sqlite:{tmp_path / 'plain.db'}")
    assert plain.status == 0
    header, *rows, summary = plain.out.splitlines()
    assert header.split() == ["TABLE", "ROWS", "SHA-256"]
    assert ["device", "840"] in [row.split()[:2] for row in rows]
    assert summary.endswith(" s")
    assert "rows, all found equal, in" in summary
    assert "copied device: 840 rows" in plain.err.splitlines()
    assert "verified device: 840 rows" in plain.err.splitlines()
    assert "tombstone" not in plain.err, "there are none"
    drawn = run("copy", "--from", f"sqlite:{registry}", "--to", f"sqlite:{tmp_path / 'drawn.db'}", on=terminal)
    assert drawn.status == 0
    assert "copying" in drawn.err
    assert "verifying" in drawn.err
    assert "copied device" not in drawn.err
    told = run("copy", "--json", "--from", f"sqlite:{registry}", "--to", f"sqlite:{tmp_path / 'told.db'}")
    report = json.loads(told.out)
    assert {"table", "rows", "digest"} == set(report["tables"][0])
    assert (report["resumed"], report["verified"]) == (0, True)


@pytest.mark.parametrize(
    ("source", "destination", "status", "says"),
    [
        ("memory:", "sqlite:a.db", 2, "'memory' is no kind of database that is copied: use sqlite:PATH or postgresql://..."),
        ("sqlite:a.db", "sqlite:a.db", 2, "source and destination are the same database"),
        ("sqlite:missing.db", "sqlite:a.db", 1, "there is no database missing.db"),
    ],
)
def test_what_cannot_be_copied_is_told_in_one_line(
    run: Run, source: str, destination: str, status: int, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("copy", "--from", source, "--to", destination)
    assert (result.status, result.out, result.err) == (status, "", f"firstlight: {says}\n")


def test_no_password_is_shown(run: Run, registry: Path) -> None:
    result = run("copy", "--from", f"sqlite:{registry}", "--to", "postgresql://somebody:hidden@127.0.0.1:1/registry")
    assert result.status == 1
    assert len(result.err.splitlines()) == 1
    assert "127.0.0.1:1/registry cannot be opened" in result.err
    assert "hidden" not in result.err


def test_both_ends_have_to_be_named(run: Run) -> None:
    assert run("copy", "--from", "sqlite:a.db").status == 2
