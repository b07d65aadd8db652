"""A registry is copied from any database into any other, whole or not at all, and what differs is found."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from core.errors import Reason, Refusal
from storage import copying_batches, copying_mark, migration, open_repository
from storage.copying import Copied, open_copy
from storage.copying_tables import tables
from storage.postgres import copying as copying_postgres
from tests.postgres_server import PostgresServer
from tests.storage.copied import answers, dump, rows_of, stock


class Quiet:
    """Follows a copy, and breaks it off behind a number of rows."""

    def __init__(self, until: int | None = None) -> None:
        self.reached: list[int] = []
        self.tables: dict[str, int] = {}
        self._until = until

    def reach(self, rows: int) -> None:
        self.reached.append(rows)
        if self._until is not None and rows >= self._until:
            raise Broken

    def done(self, table: str, rows: int) -> None:
        self.tables[table] = rows


class Broken(Exception):
    """The copy is broken off."""


@pytest.fixture
def server(postgres: PostgresServer) -> PostgresServer:
    return postgres


@pytest.fixture
def database(server: PostgresServer, empty_registry: str) -> str:
    """The URL of a database that has its tables and nothing else."""
    return server.url(server.make_database(empty_registry))


@pytest.fixture
def other(tmp_path: Path) -> str:
    """The URL of a file that is not there."""
    return f"sqlite:{tmp_path / 'other.db'}"


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stocked") / "registry.db"
    asyncio.run(stock(path))
    return path


@pytest.fixture
def source(stocked: Path, tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    path.write_bytes(stocked.read_bytes())
    return path


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches of few rows, read a few at a time."""
    monkeypatch.setattr(copying_batches, "BATCH_ROWS", 7)
    monkeypatch.setattr("storage.copying_sqlite.CHUNK", 3)
    monkeypatch.setattr("storage.postgres.copying.CHUNK", 3)


async def carry(source: str | Path, destination: str, *, restart: bool = False) -> tuple[Copied, ...]:
    async with open_copy(url(source), destination, restart=restart) as copy:
        await copy.run(Quiet())
        return await copy.verify(Quiet())


async def break_off(source: str | Path, destination: str, until: int) -> None:
    async with open_copy(url(source), destination, restart=False) as copy:
        with pytest.raises(Broken):
            await copy.run(Quiet(until))


def url(database: str | Path) -> str:
    return f"sqlite:{database}" if isinstance(database, Path) else database


async def refused(source: str | Path, destination: str, reason: Reason, *, restart: bool = False) -> str:
    with pytest.raises(Refusal) as caught:
        await carry(source, destination, restart=restart)
    assert caught.value.reason is reason
    return caught.value.detail


@asynccontextmanager
async def connected(database: str, **settings: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(database, server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()


async def sql(database: str, *statements: str) -> None:
    async with connected(database) as connection:
        for statement in statements:
            await connection.execute(statement)


async def is_unfinished(database: str) -> bool:
    async with connected(database) as connection:
        return await copying_mark.unfinished_in_postgres(connection)


async def test_from_sqlite_to_postgresql_and_back_everything_is_the_same(source: Path, database: str, tmp_path: Path) -> None:
    there = await carry(source, database)
    assert not await is_unfinished(database)
    back = await carry(database, f"sqlite:{tmp_path / 'back.db'}")
    assert there == back
    assert {each.table: each.rows for each in there}["device"] == 41
    assert [each.table for each in there if not each.rows] == ["key_ring"], "a table was not tried"
    assert dump(tmp_path / "back.db") == dump(source)
    assert await answers(database) == await answers(f"sqlite:{tmp_path / 'back.db'}") == await answers(url(source))


async def test_from_file_to_file_in_small_batches(source: Path, tmp_path: Path, small: None) -> None:
    await carry(source, f"sqlite:{tmp_path / 'new' / 'other.db'}")
    assert dump(tmp_path / "new" / "other.db") == dump(source)
    with rows_of(tmp_path / "new" / "other.db") as connection:
        assert not copying_mark.unfinished(connection)
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


async def test_large_rows_make_small_batches(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying_batches, "BATCH_BYTES", 1_000)
    monkeypatch.setattr("storage.copying_sqlite.CHUNK", 1)
    async with open_copy(url(source), f"sqlite:{tmp_path / 'other.db'}", restart=False) as copy:
        quiet = Quiet()
        await copy.run(quiet)
        assert len(quiet.reached) > len(quiet.tables)
        await copy.verify(Quiet())
    assert dump(tmp_path / "other.db") == dump(source)


async def test_from_postgresql_to_postgresql(source: Path, server: PostgresServer, database: str, small: None) -> None:
    first = await carry(source, database)
    other = server.url(server.make_database())  # which has no tables yet
    second = await carry(database, other)
    assert [(each.table, each.rows) for each in first] == [(each.table, each.rows) for each in second]


async def test_a_source_is_left_as_it_was(source: Path, other: str) -> None:
    before = dump(source)
    await carry(source, other)
    assert dump(source) == before


@pytest.mark.parametrize("until", [1, 110, 190])
async def test_a_copy_goes_on_wherever_it_was_broken_off(
    source: Path, database: str, tmp_path: Path, small: None, until: int
) -> None:
    await break_off(source, database, until)
    assert await is_unfinished(database)
    async with open_copy(url(source), database, restart=False) as copy:
        assert until <= copy.resumed < copy.total
        quiet = Quiet()
        await copy.run(quiet)
        assert quiet.reached[0] > copy.resumed
        assert quiet.reached[-1] == copy.total == sum(quiet.tables.values())
        await copy.verify(Quiet())
    await carry(database, f"sqlite:{tmp_path / 'back.db'}")
    assert dump(tmp_path / "back.db") == dump(source)


async def test_a_copy_that_is_verified_late_needs_nothing_copied(source: Path, other: str) -> None:
    async with open_copy(url(source), other, restart=False) as copy:
        await copy.run(Quiet())
    async with open_copy(url(source), other, restart=False) as copy:
        assert copy.resumed == copy.total
        quiet = Quiet()
        await copy.run(quiet)
        assert quiet.reached == []
        assert sum(each.rows for each in await copy.verify(Quiet())) == copy.total


async def test_a_source_that_changed_is_found_and_copied_anew(source: Path, database: str, tmp_path: Path, small: None) -> None:
    await break_off(source, database, 150)
    with rows_of(source) as connection:
        connection.execute("UPDATE device SET label = 'another' WHERE id = 'device-0012'")
    detail = await refused(source, database, Reason.STALE)
    assert detail.startswith("the source has changed since the copy began (device between device-0009 and device-0018); ")
    assert "--restart" in detail
    await carry(source, database, restart=True)
    await carry(database, f"sqlite:{tmp_path / 'back.db'}")
    assert dump(tmp_path / "back.db") == dump(source)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM event WHERE seq = 3",
        "INSERT INTO tenant VALUES ('a', 'first of all', NULL, 0, 1, 1, NULL)",
        "UPDATE event SET detail = detail || 'x' WHERE seq = 20",
    ],
)
async def test_rows_that_came_or_went_are_found(source: Path, other: str, small: None, change: str) -> None:
    await break_off(source, other, 60)
    with rows_of(source) as connection:
        connection.execute(change)
    assert "the source has changed" in await refused(source, other, Reason.STALE)


async def test_what_came_behind_the_rest_meanwhile_is_copied_too(source: Path, other: str, small: None) -> None:
    await break_off(source, other, 60)
    with rows_of(source) as connection:
        connection.execute("INSERT INTO tenant VALUES ('zzz', 'last of all', NULL, 0, 1, 1, NULL)")
    copied = await carry(source, other)
    assert copied[0] == Copied("tenant", 3, copied[0].digest)


DIFFERENCES: dict[str, tuple[str, str]] = {
    "a byte of a text": ("UPDATE device SET label = 'B' || substr(label, 2) WHERE id = 'device-0001'", "device between"),
    "a byte of a secret": ("UPDATE config_document SET content = set_byte(content, 1, 7)", "config_document between"),
    "nothing for an empty text": ("UPDATE entry SET role = '' WHERE role IS NULL", "entry between"),
    "a row less": ("DELETE FROM config_channel WHERE config = 'device-0003' AND place = 1", "config_channel between"),
    "the last row": ("DELETE FROM issued WHERE id = (SELECT max(id) FROM issued)", "issued between"),
    "a row more": ("INSERT INTO channel VALUES ('zzz', 'default', '', NULL, 1, 1, 1, NULL)", "the number of rows of channel"),
}


async def test_whatever_differs_is_found(source: Path, database: str) -> None:
    for statement, where in DIFFERENCES.values():
        async with open_copy(url(source), database, restart=await is_unfinished(database)) as copy:
            await copy.run(Quiet())
            await sql(database, statement)
            with pytest.raises(Refusal, match=f"the copy differs from its source: {where}") as caught:
                await copy.verify(Quiet())
        assert caught.value.reason is Reason.CONFLICT
        assert await is_unfinished(database)
    await carry(source, database, restart=True)


async def test_the_keys_around_a_difference_are_named(source: Path, database: str, small: None) -> None:
    async with open_copy(url(source), database, restart=False) as copy:
        await copy.run(Quiet())
        await sql(database, "UPDATE config_channel SET channel = 'channel-0002' WHERE config = 'device-0001'")
        with pytest.raises(Refusal, match="config_channel between its beginning and device-0006 1; "):
            await copy.verify(Quiet())


async def test_a_destination_with_anything_in_it_is_left_alone(source: Path, database: str, tmp_path: Path) -> None:
    await carry(source, database)
    detail = await refused(source, database, Reason.CONFLICT)
    assert detail.startswith("the destination is not empty (tenant 2, event 40, issued 3, profile 1")
    assert "wrong way" not in detail
    assert "the destination is not empty" in await refused(source, database, Reason.CONFLICT, restart=True)
    async with open_repository(f"sqlite:{tmp_path / 'empty.db'}"):
        pass
    assert detail + "; the source is empty: are --from and --to the wrong way round?" == await refused(
        tmp_path / "empty.db", database, Reason.CONFLICT
    )


@pytest.mark.parametrize(
    "change", ["UPDATE tenant SET version = 2", "INSERT INTO tenant VALUES ('other', 'other', NULL, 0, 1, 1, NULL)"]
)
async def test_tenants_that_somebody_made_count_as_something(source: Path, tmp_path: Path, change: str) -> None:
    other = f"sqlite:{tmp_path / 'other.db'}"
    async with open_repository(other):
        pass
    with rows_of(tmp_path / "other.db") as connection:
        connection.execute(change)
    assert "the destination is not empty (tenant" in await refused(source, other, Reason.CONFLICT)


async def test_a_source_that_a_gateway_uses_is_not_copied(source: Path, other: str) -> None:
    async with open_repository(url(source)):
        detail = await refused(source, other, Reason.UNAVAILABLE)
    assert detail.startswith("the source ")
    assert detail.endswith("is in use by another Firstlight process: stop that one first, a copy needs it to stand still")


async def test_a_destination_file_that_a_gateway_uses_is_not_filled(source: Path, tmp_path: Path) -> None:
    other = f"sqlite:{tmp_path / 'other.db'}"
    async with open_repository(other):
        assert "the destination" in await refused(source, other, Reason.UNAVAILABLE)


async def test_a_database_that_a_gateway_is_connected_to_is_not_filled(source: Path, database: str) -> None:
    async with connected(database, application_name="firstlight"):
        assert "a gateway is connected to the destination" in await refused(source, database, Reason.CONFLICT)
    await carry(source, database)


async def test_one_copy_at_a_time_fills_a_database(source: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying_postgres, "_LOCK_SECONDS", 0.1)
    async with connected(database) as connection:
        await connection.execute("SELECT pg_advisory_lock($1)", copying_postgres.LOCK)
        assert "another firstlight copy" in await refused(source, database, Reason.CONFLICT)


def older(path: Path) -> None:
    with rows_of(path) as connection:
        migration.use_log(connection)
        migration.migrate(connection, migration.steps()[:3])


async def test_a_source_of_an_older_schema_is_to_be_migrated_first(other: str, tmp_path: Path) -> None:
    older(tmp_path / "old.db")
    known = len(migration.steps())
    assert (
        await refused(tmp_path / "old.db", other, Reason.UNAVAILABLE)
        == f"the source has schema 3, this version needs {known}: run firstlight migrate on it first"
    )


@pytest.mark.parametrize(
    ("change", "mend"),
    [
        ("DELETE FROM schema_step WHERE number = (SELECT max(number) FROM schema_step)", "run firstlight migrate on it first"),
        ("INSERT INTO schema_step (number, serves) VALUES (99, 1)", "use the version that it is of"),
    ],
)
async def test_a_database_of_another_schema_is_not_touched(source: Path, database: str, change: str, mend: str) -> None:
    await sql(database, change)
    assert mend in await refused(source, database, Reason.UNAVAILABLE)
    assert mend in await refused(database, url(source), Reason.UNAVAILABLE)


async def test_databases_of_others_are_not_touched(source: Path, server: PostgresServer, tmp_path: Path) -> None:
    foreign = server.url(server.make_database())
    await sql(foreign, "CREATE TABLE mine (id int)")
    assert "belongs to another program" in await refused(source, foreign, Reason.UNAVAILABLE)
    with rows_of(tmp_path / "foreign.db") as connection:
        connection.execute("CREATE TABLE mine (id int)")
    assert "belongs to another program" in await refused(source, f"sqlite:{tmp_path / 'foreign.db'}", Reason.UNAVAILABLE)


async def test_what_is_half_a_copy_is_no_source(source: Path, database: str, tmp_path: Path, small: None) -> None:
    await break_off(source, database, 20)
    assert "unfinished" in await refused(database, f"sqlite:{tmp_path / 'a.db'}", Reason.UNAVAILABLE)
    await break_off(source, f"sqlite:{tmp_path / 'half.db'}", 20)
    assert "unfinished" in await refused(tmp_path / "half.db", f"sqlite:{tmp_path / 'b.db'}", Reason.UNAVAILABLE)
    await carry(source, f"sqlite:{tmp_path / 'half.db'}")
    assert dump(tmp_path / "half.db") == dump(source)


async def test_databases_that_cannot_be_reached_are_told_of(source: Path, database: str, tmp_path: Path) -> None:
    nowhere = "postgresql://somebody:hidden@127.0.0.1:1/registry"
    for detail in (
        await refused(source, nowhere, Reason.UNAVAILABLE),
        await refused(nowhere, f"sqlite:{tmp_path / 'a.db'}", Reason.UNAVAILABLE),
    ):
        assert "127.0.0.1:1/registry cannot be opened" in detail
        assert "hidden" not in detail
    assert "there is no database" in await refused(tmp_path / "missing.db", database, Reason.UNAVAILABLE)
    assert not (tmp_path / "missing.db").exists()
    (tmp_path / "file").write_text("")
    assert "the destination cannot be used" in await refused(source, f"sqlite:{tmp_path / 'file' / 'a.db'}", Reason.UNAVAILABLE)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("memory:", "sqlite:a"),
        ("sqlite:a", "memory:"),
        ("sqlite:", "sqlite:a"),
        ("mysql://a", "sqlite:a"),
        ("sqlite:a", "sqlite:a"),
    ],
)
async def test_urls_that_name_nothing_to_copy_are_refused(first: str, second: str) -> None:
    with pytest.raises(ValueError, match=r"same database|no kind of database"):
        await carry(first, second)


async def test_rows_that_point_nowhere_stop_the_copy(source: Path, database: str, small: None) -> None:
    with rows_of(source) as connection:
        connection.execute("UPDATE credential SET device = 'nobody' WHERE id = 'credential-0010'")
    detail = await refused(source, database, Reason.CONFLICT)
    assert detail.startswith("the destination does not take rows of credential up to credential-0018: ")
    assert "credential_device_fkey" in detail
    with rows_of(source) as connection:
        connection.execute("UPDATE credential SET device = 'device-0010' WHERE id = 'credential-0010'")
    await carry(source, database)


async def test_a_connection_that_is_cut_leaves_what_was_written(source: Path, database: str, small: None) -> None:
    async with open_copy(url(source), database, restart=False) as copy:
        with pytest.raises(Refusal, match="the destination cannot be used") as caught:
            await copy.run(_Cutting(database, 60))
    assert caught.value.reason is Reason.UNAVAILABLE
    async with open_copy(url(source), database, restart=False) as copy:
        assert 60 <= copy.resumed < copy.total
        await copy.run(Quiet())
        await copy.verify(Quiet())


class _Cutting(Quiet):
    """Has the database end the copy's session behind a number of rows."""

    def __init__(self, database: str, behind: int) -> None:
        super().__init__()
        self._server, self._name = database.rpartition("/")[0], database.rpartition("/")[2]
        self._behind = behind

    def reach(self, rows: int) -> None:
        super().reach(rows)
        if rows >= self._behind:
            statement = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                f"WHERE application_name = 'firstlight copy' AND datname = '{self._name}'"
            )
            ending = threading.Thread(target=lambda: asyncio.run(sql(f"{self._server}/postgres", statement)))
            ending.start()
            ending.join()
            self._behind = 10**9


async def test_events_go_on_behind_the_last(source: Path, database: str) -> None:
    await carry(source, database)
    async with connected(database) as connection:
        last = await connection.fetchval("SELECT max(seq) FROM event")
        assert await connection.fetchval("SELECT nextval(pg_get_serial_sequence('event', 'seq'))") == last + 1
        analyzed = "SELECT reltuples FROM pg_class WHERE oid = 'device'::regclass"
        assert await connection.fetchval(analyzed) == 41


async def test_an_empty_registry_is_copied_too(database: str, tmp_path: Path) -> None:
    async with open_repository(f"sqlite:{tmp_path / 'empty.db'}"):
        pass
    copied = await carry(tmp_path / "empty.db", database)
    assert sum(each.rows for each in copied) == 1
    async with connected(database) as connection:
        assert await connection.fetchval("SELECT nextval(pg_get_serial_sequence('event', 'seq'))") == 1


async def test_a_gateway_does_not_serve_from_half_a_file(source: Path, tmp_path: Path, small: None) -> None:
    half = f"sqlite:{tmp_path / 'half.db'}"
    await break_off(source, half, 50)
    with pytest.raises(Refusal, match="a copy into this database is unfinished; run firstlight copy again"):
        await answers(half)
    await carry(source, half)
    assert await answers(half) == await answers(url(source))


async def test_both_schemas_have_the_same_tables_and_columns(database: str) -> None:
    async with connected(database) as connection:
        for table in tables():
            found = await connection.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0", table.name
            )
            assert {name for (name,) in found} == set(table.columns), table.name
            key = await connection.fetchval(
                "SELECT array_agg(attname::text ORDER BY array_position(indkey, attnum)) FROM pg_index, pg_attribute "
                "WHERE indrelid = $1::regclass AND attrelid = indrelid AND indisprimary AND attnum = ANY (indkey)",
                table.name,
            )
            assert tuple(key) == table.key, table.name


def test_tables_stand_behind_those_that_their_rows_point_at() -> None:
    listed = [table.name for table in tables()]
    assert len(set(listed)) == len(listed)
    assert not {"probe", "copying"} & set(listed)
    for first, second in (("tenant", "profile"), ("profile", "device"), ("device", "config"), ("channel", "config_channel")):
        assert listed.index(first) < listed.index(second)


async def test_keys_are_in_the_same_order_on_both_sides(database: str, tmp_path: Path) -> None:
    """Show it for texts that sort otherwise in most languages, and for those that are escaped."""
    names = ["", "\x00", "\x00\x01", "\x01", "\x01\x00", "\x02", " ", "A", "B", "a", "a\x00", "a\x01", "ab", "Ä", "ä", "ß", "𝄞"]
    async with open_repository(f"sqlite:{tmp_path / 'names.db'}"):
        pass
    with rows_of(tmp_path / "names.db") as connection:
        rows = [(name, name, None, 0, 1, 1, None) for name in names]
        connection.executemany("INSERT INTO tenant VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    await carry(tmp_path / "names.db", database)
    await carry(database, f"sqlite:{tmp_path / 'back.db'}")
    assert dump(tmp_path / "back.db") == dump(tmp_path / "names.db")
