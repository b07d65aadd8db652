"""Registries put back: in their place whole or not at all, and nothing in them is used a second time."""

import contextlib
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from core.errors import Refusal
from core.model import DEFAULT_TENANT, CredentialId, CredentialKind, Event, EventKind
from core.oscore_states import LAST, OscoreStates
from core.ports import Changes, Repository
from core.queries import DevicePage, EventPage, OscoreQuery
from storage import backup, migration, open_repository, restoring
from storage.postgres import connections
from storage.postgres import restoring as postgres_restoring
from tests.postgres_server import PostgresServer
from tests.storage.entities import a_credential, a_device, a_profile, an_event, an_oscore_state

RESTORED: Event = an_event(900, kind=EventKind.REGISTRY_RESTORED)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "data" / "registry.db"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, database: Path) -> str:
    if request.param == "postgres":
        found: str = request.getfixturevalue("postgres_url")
        return found
    return f"sqlite:{database}"


def reach(done: int, total: int) -> None:
    """Look away."""


async def fill(repository: Repository) -> None:
    """Put in three OSCORE contexts: one left in good order, one that is all but used up, one that was never used."""
    devices = tuple(a_device(number) for number in (1, 2, 3, 4))
    contexts = tuple(a_credential(number, kind=CredentialKind.OSCORE) for number in (1, 2, 3))
    states = (an_oscore_state(1, sequence=100, window=(4, 7)), an_oscore_state(2, sequence=LAST - 100))
    await repository.commit(Changes(insert=(a_profile(), *devices, *contexts, a_credential(4), *states)))


async def made(database: Path, target: Path) -> Path:
    """Make a registry and a backup of it; then the registry has one device more."""
    async with open_repository(f"sqlite:{database}") as repository:
        await fill(repository)
        backup.back_up(database, target, reach)
        await repository.commit(Changes(insert=(a_device(5),)))
    return target


async def devices_in(database: Path) -> int:
    async with open_repository(f"sqlite:{database}") as repository:
        devices = await repository.read(DevicePage(DEFAULT_TENANT))
        return len(devices)


def put(source: Path, database: Path) -> restoring.Restored:
    with restoring.staged(source, database, "before", reach) as staged:
        return staged.put(RESTORED)


def refused(source: Path, database: Path) -> str:
    with pytest.raises(Refusal) as refusal:
        put(source, database)
    return refusal.value.detail


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


async def test_no_number_is_used_a_second_time_and_no_window_is_trusted(url: str) -> None:
    async with open_repository(url) as repository:
        await fill(repository)
    assert (await restoring.mark_at(url, RESTORED)).contexts == 3
    async with open_repository(url) as repository:
        used, nearly, unused = [
            await repository.read(OscoreQuery(CredentialId(f"credential-000{number}"))) for number in (1, 2, 3)
        ]
        assert used is not None
        assert unused is not None
        assert nearly is not None
        assert (used.sequence, used.window) == (100 + restoring.LEAP, None)
        assert (unused.sequence, unused.window) == (restoring.LEAP, None)
        assert nearly.sequence > LAST
        assert await repository.read(OscoreQuery(CredentialId("credential-0004"))) is None
        states = OscoreStates(repository)
        lease = await states.open(unused.id)
        assert (lease.first, lease.window) == (restoring.LEAP, None)
        with pytest.raises(Refusal, match="not known"):
            await states.open(nearly.id)


async def test_it_is_recorded_and_may_be_done_again(url: str) -> None:
    async with open_repository(url) as repository:
        await fill(repository)
    again = an_event(901, kind=EventKind.REGISTRY_RESTORED)
    for event in (RESTORED, again):
        assert (await restoring.mark_at(url, event)).contexts == 3
    async with open_repository(url) as repository:
        events = await repository.read(EventPage(tenant=DEFAULT_TENANT, kind=EventKind.REGISTRY_RESTORED))
        assert [event.id for event in events] == [RESTORED.id, again.id]


async def test_not_while_a_gateway_uses_it(url: str) -> None:
    async with open_repository(url) as repository:
        await fill(repository)
        with pytest.raises(Refusal, match="Firstlight process"):
            await restoring.mark_at(url, RESTORED)


@contextlib.asynccontextmanager
async def closed_in_the_end(connection: connections.Connection) -> AsyncIterator[None]:
    try:
        yield
    finally:
        await connection.close()


async def test_what_replicas_shared_is_forgotten(postgres: PostgresServer, postgres_url: str) -> None:
    """Challenges that were spent since the backup are good for nothing: their epoch is over."""
    connection = await connections.connect(postgres_url, name="somebody else")
    async with closed_in_the_end(connection):
        await connection.execute("INSERT INTO epoch (lone, value) VALUES (1, $1)", b"before")
        await connection.execute("INSERT INTO spent VALUES ($1, now())", b"challenge")
        await postgres_restoring.mark(postgres_url, RESTORED)
        for table in ("epoch", "spent", "notice", "kept_answer"):
            assert await connection.fetchval(f"SELECT count(*) FROM {table}") == 0


async def test_a_database_server_that_is_away() -> None:
    with pytest.raises(Refusal, match="cannot be opened"):
        await restoring.mark_at("postgresql://nobody@127.0.0.1:1/nothing", RESTORED)


async def test_a_registry_without_a_disk() -> None:
    with pytest.raises(ValueError, match="no store is named 'memory'"):
        await restoring.mark_at("memory:", RESTORED)


async def test_a_file_that_is_missing(database: Path) -> None:
    with pytest.raises(Refusal, match="there is no such file"):
        await restoring.mark_at(f"sqlite:{database}", RESTORED)


async def test_a_backup_takes_the_place_of_the_registry_which_stays_beside_it(database: Path, tmp_path: Path) -> None:
    source = await made(database, tmp_path / "copy.db")
    done = put(source, database)
    assert (done.file, done.aside, done.contexts) == (str(database), f"{database}.before", 3)
    assert (done.rows["device"], done.rows["event"]) == (4, 1)
    assert names(database.parent) == {"registry.db", "registry.db.before", "registry.db.lock"}
    assert stat.S_IMODE(os.stat(database).st_mode) == 0o600
    assert await devices_in(database) == 4
    assert await devices_in(database.with_name("registry.db.before")) == 5
    assert source.name in names(tmp_path)


@pytest.mark.parametrize("former", [True, False])
async def test_what_root_restores_belongs_to_the_gateways_user(database: Path, tmp_path: Path, former: bool) -> None:
    source = await made(database, tmp_path / "copy.db")
    place = database if former else tmp_path / "elsewhere" / "firstlight.db"
    os.makedirs(place.parent, exist_ok=True)
    user = given_away(place if former else place.parent)
    put(source, place)
    assert {path.stat().st_uid for path in (place, place.with_name(f"{place.name}.lock"))} == {user}


def given_away(path: Path) -> int:
    """Let another user have a file, where root runs the tests; return who has it."""
    if os.geteuid() == 0:
        os.chown(path, 4711, -1)
    return path.stat().st_uid


async def test_into_an_empty_place(database: Path, tmp_path: Path) -> None:
    source = await made(database, tmp_path / "copy.db")
    done = put(source, tmp_path / "elsewhere" / "firstlight.db")
    assert done.aside == ""
    assert await devices_in(tmp_path / "elsewhere" / "firstlight.db") == 4


async def test_a_backup_that_was_copied_to_its_place_by_hand(database: Path, tmp_path: Path) -> None:
    source = await made(database, tmp_path / "copy.db")
    os.replace(source, database)
    with pytest.raises(Refusal, match="is a backup"):
        await devices_in(database)
    await restoring.mark_at(f"sqlite:{database}", RESTORED)
    assert await devices_in(database) == 4


async def test_a_registry_that_was_copied_with_its_log(database: Path, tmp_path: Path) -> None:
    """A snapshot of a disk is no backup of ours, and as good."""
    async with open_repository(f"sqlite:{database}") as repository:
        await fill(repository)
        copied = copy_of(database, tmp_path / "snapshot")
    assert put(copied, database).rows["device"] == 4


def copy_of(database: Path, folder: Path) -> Path:
    folder.mkdir()
    for ending in ("", "-wal"):
        (folder / f"{database.name}{ending}").write_bytes(database.with_name(database.name + ending).read_bytes())
    return folder / database.name


async def test_one_of_an_older_schema(database: Path, tmp_path: Path) -> None:
    source = await made(database, tmp_path / "copy.db")
    with contextlib.closing(sqlite3.connect(source)) as connection:
        connection.executescript("DROP TABLE key_ring; PRAGMA user_version = 5;")
    put(source, database)
    assert await devices_in(database) == 4


async def test_not_in_the_place_of_a_registry_that_is_in_use(database: Path, tmp_path: Path) -> None:
    source = await made(database, tmp_path / "copy.db")
    async with open_repository(f"sqlite:{database}"):
        assert "in use by another Firstlight process" in refused(source, database)
    assert await devices_in(database) == 5


@pytest.fixture(params=["no database", "of a newer version", "damaged", "missing", "another program's"])
def useless(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Callable[[Path], None], str]:
    return {
        "no database": (spoil, "not an SQLite database"),
        "of a newer version": (lambda path: run(path, f"PRAGMA user_version = {len(migration.steps()) + 1}"), "newer"),
        "damaged": (lambda path: run(path, "DELETE FROM profile"), "damaged: a row of device points at nothing"),
        "missing": (lambda path: path.unlink(), "there is no such file"),
        "another program's": (lambda path: run(path, "PRAGMA application_id = 77"), "another program"),
    }[request.param]


def run(path: Path, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement)


async def test_nothing_changes_for_a_backup_that_is_of_no_use(
    database: Path, tmp_path: Path, useless: tuple[Callable[[Path], None], str]
) -> None:
    source = await made(database, tmp_path / "copy.db")
    ruin, sentence = useless
    ruin(source)
    assert sentence in refused(source, database)
    assert names(database.parent) == {"registry.db", "registry.db.lock"}
    assert await devices_in(database) == 5


async def test_what_is_not_put_leaves_nothing(database: Path, tmp_path: Path) -> None:
    source = await made(database, tmp_path / "copy.db")
    with restoring.staged(source, database, "before", reach) as staged:
        assert staged.path.name in names(database.parent)
    assert names(database.parent) == {"registry.db", "registry.db.lock"}
    assert await devices_in(database) == 5


async def test_what_a_killed_one_left_is_in_nobodys_way(database: Path, tmp_path: Path) -> None:
    source = await made(database, tmp_path / "copy.db")
    for ending in ("", "-wal", "-shm"):
        spoil(database.with_name(f"registry.db.restoring{ending}"))
    put(source, database)
    assert names(database.parent) == {"registry.db", "registry.db.before", "registry.db.lock"}


async def test_nothing_takes_the_place_of_an_older_former_one(database: Path, tmp_path: Path) -> None:
    source = await made(database, tmp_path / "copy.db")
    spoil(database.with_name("registry.db.before"))
    assert "is there already; move it away" in refused(source, database)
    assert await devices_in(database) == 5


async def test_a_former_file_that_another_program_reads_goes_aside_with_its_log(database: Path, tmp_path: Path) -> None:
    """SQLite would take a log that stays for that of the file in its place now."""
    source = await made(database, tmp_path / "copy.db")
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("DELETE FROM device WHERE id = 'device-0005'")
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM device").fetchall()
        put(source, database)
        expected = {f"registry.db{ending}" for ending in ("", ".before", ".before-wal", ".before-shm", ".lock")}
        assert names(database.parent) == expected
    assert await devices_in(database) == 4
    assert await devices_in(database.with_name("registry.db.before")) == 4


async def test_a_former_file_that_is_no_database_any_more(database: Path, tmp_path: Path) -> None:
    source = await made(database, tmp_path / "copy.db")
    spoil(database)
    put(source, database)
    assert await devices_in(database) == 4


def spoil(path: Path) -> None:
    path.write_text("shopping list: milk, eggs, flour\n" * 500)


async def test_a_file_system_without_links(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    source = await made(database, tmp_path / "copy.db")
    monkeypatch.setattr(os, "link", link)
    put(source, database)
    assert await devices_in(database) == 4
    assert await devices_in(database.with_name("registry.db.before")) == 5


async def test_a_disk_that_fails(database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def sync(path: Path) -> None:
        raise OSError(5, "Input/output error")

    source = await made(database, tmp_path / "copy.db")
    monkeypatch.setattr(backup, "sync", sync)
    assert "cannot be restored" in refused(source, database)
    assert await devices_in(database) == 5
