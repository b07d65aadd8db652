"""The steps that lead a PostgreSQL database to the schema of this version.

Steps expand only: they add tables, columns that may be left out, and indexes, and take nothing away that the version before
reads or writes. So they are taken while older gateways serve, and those go on serving. A step that cannot be like that says in
a line at its head which versions may go on beside it: `-- serves: 4` stops gateways that know fewer than four steps when they
start next; without the line it is as with the step before. Where `-- concurrently` stands in the head, the statements of the
step run one by one without a transaction, for `CREATE INDEX CONCURRENTLY`; each has to do no harm when it is done twice.

Who takes steps holds an advisory lock meanwhile; others ask for it again and again and never wait in the database: a session
that waits there holds a snapshot, which an index that is made concurrently waits for in turn.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import asyncpg

from core.model import DEFAULT_TENANT, Tenant
from storage import refusals, rows
from storage.clock import now
from storage.postgres.connections import AWAY, UNHURRIED, Connection, connect, shown

SCHEMA = Path(__file__).with_name("schema")
LOCK = 0x46_4C_52_47_01
"""Of the one who takes steps (https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS)."""

_ATTEMPTS = 40
_PAUSE_SECONDS = 0.5

_STEPS = """CREATE TABLE IF NOT EXISTS schema_step (
    number   bigint PRIMARY KEY,
    taken_at timestamptz NOT NULL DEFAULT now(),
    serves   bigint NOT NULL  -- how many steps a gateway has to know at least that serves beside this one
)"""
_TAKEN = "SELECT count(*), coalesce(max(serves), 0) FROM schema_step"
_OBJECTS = """SELECT count(*) FROM pg_class
    WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p', 'v', 'm')"""
_INVALID = """SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
    WHERE NOT indisvalid AND relnamespace = current_schema()::regnamespace"""
_FOUND = """INSERT INTO tenant (id, name, device_limit, devices, created_at, version, secure_bootstrap)
    SELECT $1, $2, $3, $4, $5, $6, $7 WHERE NOT EXISTS (SELECT 1 FROM tenant)"""


class Step(NamedTuple):
    """One step: its number from 1 on, what is done, and how many steps older gateways have to know beside it."""

    number: int
    text: str
    serves: int
    concurrently: bool


class Schema(NamedTuple):
    """How many steps a database has seen, and how many a gateway has to know to serve from it. 0 steps: it is empty."""

    taken: int
    serves: int


class Migrated(NamedTuple):
    """How many steps a database had seen before, and how many now."""

    before: int
    after: int


def steps(folder: Path = SCHEMA) -> tuple[Step, ...]:
    """Return the schema's steps in order."""
    found: list[Step] = []
    serves = 1
    for number, path in enumerate(sorted(folder.glob("*.sql")), 1):
        text = path.read_text("utf-8")
        head = [line.removeprefix("--").strip() for line in text.splitlines() if line.startswith("--")]
        for line in head:
            serves = int(line.removeprefix("serves:")) if line.startswith("serves:") else serves
        found.append(Step(number, text, serves, "concurrently" in head))
    return tuple(found)


async def migrate(url: str, sequence: Sequence[Step] | None = None) -> Migrated:
    """Take the steps that a database has not seen, and give an empty one its first tenant.

    Waits while another does so. Raises `Refusal` UNAVAILABLE where the database is out of reach, not ours or of a newer
    version, or refuses a step.
    """
    async with _open(url) as connection:
        return await take(connection, sequence if sequence is not None else steps())


async def look(url: str) -> Schema:
    """Return what a database has seen, and change nothing. Raises `Refusal` UNAVAILABLE as `migrate` does."""
    async with _open(url) as connection:
        return await schema_of(connection)


async def prepare(url: str, sequence: Sequence[Step] | None = None) -> None:
    """See to it that a gateway can serve from a database: an empty one is made whole, another has to fit.

    Raises `Refusal` UNAVAILABLE where steps are missing, or it is of a version that this one cannot serve beside.
    """
    known = sequence if sequence is not None else steps()
    async with _open(url) as connection:
        schema = await schema_of(connection)
        if schema.taken == 0:
            await take(connection, known)
            schema = await schema_of(connection)
        elif schema.taken < len(known):
            async with _alone(connection):  # whoever takes steps now has taken them then
                schema = await schema_of(connection)
        require_fit(schema, len(known))


def require_fit(schema: Schema, known: int) -> None:
    """Refuse to serve from a database that lacks steps, or that needs a version that knows more of them."""
    if schema.taken < known:
        sentence = f"the database has schema {schema.taken}, this version needs {known}: run firstlight migrate first"
        raise refusals.schema(sentence)
    if schema.serves > known:
        raise refusals.schema(
            f"the database is of a newer Firstlight (schema {schema.taken}, which versions of schema {schema.serves} and later "
            f"can serve; this one knows {known}); use that version"
        )


async def schema_of(connection: Connection) -> Schema:
    """Return what the database of a connection has seen. Raises `Refusal` UNAVAILABLE where it is another program's."""
    if await _is_empty_of_ours(connection):
        if await connection.fetchval(_OBJECTS) and await _is_empty_of_ours(connection):  # another gateway may begin just now
            raise refusals.schema("the database belongs to another program; give Firstlight a database of its own")
        return Schema(0, 0)
    return Schema(*await connection.fetchrow(_TAKEN) or (0, 0))


async def _is_empty_of_ours(connection: Connection) -> bool:
    return bool(await connection.fetchval("SELECT to_regclass('schema_step') IS NULL"))


async def take(connection: Connection, sequence: Sequence[Step]) -> Migrated:
    """Take the steps that the database of a connection has not seen, alone.

    Raises `Refusal` UNAVAILABLE as `migrate` does, and what asyncpg raises.
    """
    async with _alone(connection):
        before = (await schema_of(connection)).taken
        await connection.execute(_STEPS)
        for step in sequence[before:]:
            await _take(connection, step)
        schema = await schema_of(connection)
        require_fit(schema, len(sequence))
        await connection.execute(_FOUND, *rows.tenant_row(_first_tenant()))
        return Migrated(before, schema.taken)


def _first_tenant() -> Tenant:
    return Tenant(id=DEFAULT_TENANT, name="default", created_at=now(), secure_bootstrap=True)


async def _take(connection: Connection, step: Step) -> None:
    if step.concurrently:
        for (name,) in await connection.fetch(_INVALID):
            await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        for statement in filter(str.strip, step.text.split(";\n")):
            await connection.execute(statement)
        await _note(connection, step)
        return
    for attempt in range(_ATTEMPTS):
        try:
            async with connection.transaction():
                await connection.execute(step.text)
                await _note(connection, step)
        except asyncpg.LockNotAvailableError:
            # Whoever wants the table waits behind who waits for it, so it is asked for briefly and often.
            if attempt == _ATTEMPTS - 1:
                raise
            await asyncio.sleep(_pause())
        else:
            return


async def _note(connection: Connection, step: Step) -> None:
    await connection.execute("INSERT INTO schema_step (number, serves) VALUES ($1, $2)", step.number, step.serves)


@asynccontextmanager
async def _alone(connection: Connection) -> AsyncIterator[None]:
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):  # noqa: ASYNC110 - another process holds it
        await asyncio.sleep(_pause())
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", LOCK)


@asynccontextmanager
async def _open(url: str) -> AsyncIterator[Connection]:
    try:
        connection = await connect(url, name="firstlight migrate", patience=UNHURRIED)
        try:
            yield connection
        finally:
            await connection.close(timeout=UNHURRIED.connect)
    except AWAY as error:
        raise refusals.unopened(shown(url), error) from error


def _pause() -> float:
    return _PAUSE_SECONDS * (0.5 + random.random())  # noqa: S311 - spreads attempts, keeps no secret
