"""The schema steps of a PostgreSQL database: who takes them, who waits, who may go on serving beside them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from core.errors import Refusal
from core.model import DEFAULT_TENANT
from core.queries import TenantQuery
from storage import open_repository
from storage.postgres import migration
from storage.postgres.connections import connect
from storage.postgres.migration import Migrated, Step
from tests.postgres_server import PostgresServer

ONE = Step(1, "CREATE TABLE tenant AS SELECT 'a' AS id WHERE false; CREATE TABLE one ()", 1, False)
FOUND = """ALTER TABLE tenant ADD name text, ADD device_limit bigint, ADD devices bigint, ADD created_at bigint,
    ADD version bigint, ADD secure_bootstrap smallint"""
FIRST = Step(1, f"{ONE.text}; {FOUND}", 1, False)
SECOND = Step(2, "CREATE TABLE two (a bigint)", 1, False)


@pytest.fixture
def empty_url(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a database that holds nothing."""
    name = postgres.make_database()
    yield postgres.url(name)
    postgres.sql("postgres", f"DROP DATABASE {name} WITH (FORCE)")


async def test_gateways_that_start_together_make_an_empty_database_whole_once(empty_url: str) -> None:
    async def serve() -> str:
        async with open_repository(empty_url) as repository:
            tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
            assert tenant is not None
            return tenant.name

    assert await asyncio.gather(*(serve() for _ in range(4))) == ["default"] * 4
    known = len(migration.steps())
    assert (await migration.look(empty_url)).taken == known
    assert await migration.migrate(empty_url) == Migrated(known, known)


async def test_nothing_is_changed_by_looking(empty_url: str) -> None:
    assert await migration.look(empty_url) == (0, 0)
    assert await migration.look(empty_url) == (0, 0)


async def test_an_old_database_is_not_served_from_until_it_is_migrated(empty_url: str) -> None:
    assert await migration.migrate(empty_url, [FIRST]) == Migrated(0, 1)
    with pytest.raises(Refusal, match="the database has schema 1, this version needs 2: run firstlight migrate first"):
        await migration.prepare(empty_url, [FIRST, SECOND])
    assert await migration.migrate(empty_url, [FIRST, SECOND]) == Migrated(1, 2)
    await migration.prepare(empty_url, [FIRST, SECOND])


async def test_older_gateways_go_on_beside_a_newer_schema_as_far_as_it_says(empty_url: str) -> None:
    await migration.migrate(empty_url, [FIRST, SECOND])
    await migration.prepare(empty_url, [FIRST])
    await migration.migrate(empty_url, [FIRST, SECOND, Step(3, "CREATE TABLE three ()", 2, False)])
    await migration.prepare(empty_url, [FIRST, SECOND])
    with pytest.raises(Refusal, match=r"of a newer Firstlight \(schema 3, which versions of schema 2 and later can serve"):
        await migration.prepare(empty_url, [FIRST])


async def test_a_gateway_that_starts_while_steps_are_taken_waits_for_them(empty_url: str) -> None:
    await migration.migrate(empty_url, [FIRST])
    slow = Step(2, "SELECT pg_sleep(0.5); CREATE TABLE two ()", 1, False)
    taking = asyncio.create_task(migration.migrate(empty_url, [FIRST, slow]))
    connection = await connect(empty_url, name="test")
    locked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"
    while not await connection.fetchval(locked):  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)
    await migration.prepare(empty_url, [FIRST, slow])
    assert await taking == Migrated(1, 2)
    await connection.close()


async def test_a_step_that_fails_leaves_nothing(empty_url: str) -> None:
    await migration.migrate(empty_url, [FIRST])
    broken = Step(2, "CREATE TABLE two (); SELECT 1 / 0", 1, False)
    with pytest.raises(Refusal, match="division by zero"):
        await migration.migrate(empty_url, [FIRST, broken])
    assert await migration.migrate(empty_url, [FIRST, SECOND]) == Migrated(1, 2)


async def test_a_step_waits_for_a_table_in_use_without_standing_in_the_way(empty_url: str) -> None:
    await migration.migrate(empty_url, [FIRST, SECOND])
    holder = await connect(empty_url, name="holder")
    transaction = holder.transaction()
    await transaction.start()
    await holder.execute("INSERT INTO two VALUES (1)")
    third = Step(3, "SET LOCAL lock_timeout = '50ms'; ALTER TABLE two ADD b bigint", 1, False)
    taking = asyncio.create_task(migration.migrate(empty_url, [FIRST, SECOND, third]))
    other = await connect(empty_url, name="other")
    for _ in range(20):
        await asyncio.sleep(0.03)
        await other.fetchval("SELECT count(*) FROM two")
    assert not taking.done()
    await transaction.rollback()
    assert await taking == Migrated(2, 3)
    await holder.close()
    await other.close()


async def test_an_index_is_made_beside_writers_and_again_where_it_was_broken_off(empty_url: str) -> None:
    await migration.migrate(empty_url, [FIRST, SECOND])
    connection = await connect(empty_url, name="test")
    await connection.execute("INSERT INTO two VALUES (1), (1)")
    with pytest.raises(asyncpg.UniqueViolationError):
        await connection.execute("CREATE UNIQUE INDEX CONCURRENTLY two_a ON two (a)")
    text = "-- concurrently\nCREATE INDEX CONCURRENTLY IF NOT EXISTS two_a ON two (a);\nANALYZE two;\n"
    assert await migration.migrate(empty_url, [FIRST, SECOND, Step(3, text, 1, True)]) == Migrated(2, 3)
    assert await connection.fetchval("SELECT indisvalid FROM pg_index WHERE indexrelid = 'two_a'::regclass")
    await connection.close()


def test_the_head_of_a_step_says_how_it_is_taken(tmp_path: Path) -> None:
    (tmp_path / "001_one.sql").write_text("-- One.\nSELECT 1;\n")
    (tmp_path / "002_two.sql").write_text("-- serves: 2\n-- concurrently\nSELECT 2;\n")
    (tmp_path / "003_three.sql").write_text("SELECT 3;\n")
    assert [(step.number, step.serves, step.concurrently) for step in migration.steps(tmp_path)] == [
        (1, 1, False),
        (2, 2, True),
        (3, 2, False),
    ]


async def test_the_database_of_another_program_is_left_alone(empty_url: str) -> None:
    connection = await connect(empty_url, name="test")
    await connection.execute("CREATE TABLE theirs ()")
    await connection.close()
    with pytest.raises(Refusal, match="belongs to another program"):
        await migration.migrate(empty_url)
    with pytest.raises(Refusal, match="belongs to another program"):
        async with open_repository(empty_url):
            pass


async def test_a_database_out_of_reach_is_named_without_its_password(postgres: PostgresServer) -> None:
    url = f"postgresql://postgres:secret@127.0.0.1:{postgres.port}/missing"
    with pytest.raises(Refusal, match=f"the database 127.0.0.1:{postgres.port}/missing cannot be opened") as caught:
        await migration.look(url)
    assert "secret" not in str(caught.value)
    with pytest.raises(Refusal, match="cannot be opened"):
        async with open_repository("postgresql://postgres:secret@127.0.0.1:1/missing"):
            pass


async def test_a_copy_that_is_unfinished_is_not_served_from(empty_url: str) -> None:
    await migration.migrate(empty_url)
    connection = await connect(empty_url, name="test")
    await connection.execute("CREATE TABLE copying ()")
    await connection.close()
    with pytest.raises(Refusal, match="a copy into this database is unfinished"):
        async with open_repository(empty_url):
            pass
