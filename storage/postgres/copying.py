"""A PostgreSQL database as one end of a copy."""

# ruff: noqa: S608 - SQL is put together from the names of tables and columns alone; values go in as parameters

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import msgspec

from core.errors import Reason, Refusal
from storage import copying_mark, refusals
from storage.copying_ends import CHUNK, Batch, Bounds, Range
from storage.copying_tables import CREATE_PROGRESS, INSERT_PROGRESS, PROGRESS, SELECT_PROGRESS, Key, Table, shown
from storage.postgres import migration
from storage.postgres.connections import AWAY, UNHURRIED, connect
from storage.rows import Row

NAME = "firstlight copy"
LOCK = 0x46_4C_52_47_43
"""Of the one who copies into a database (https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS)."""

_ALONG_INDEXES = {"enable_seqscan": "off", "enable_sort": "off", "enable_bitmapscan": "off"}
"""Rows are read in the order of their keys, of tables about which nothing may be known yet."""

_NOTICE_DEATH = """SELECT set_config('client_connection_check_interval', '1s', false)
    WHERE current_setting('client_connection_check_interval', true) IS NOT NULL"""
"""A command that was killed is to be noticed amid a long statement too, where the version can do so (14): it holds a lock."""

_LOCK_SECONDS = 10.0
_LOCK_PAUSE_SECONDS = 0.2
_GATEWAYS = """SELECT count(DISTINCT (application_name, client_addr)) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name LIKE 'firstlight%'
    AND application_name NOT IN ('firstlight copy', 'firstlight migrate')"""


class PostgresEnd:
    """A `Readable` and `Writable` over one connection."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]", role: str) -> None:
        self._connection = connection
        self._role = role

    async def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        with _failing(self._role):
            return int(await self._connection.fetchval(f"SELECT count(*) FROM {table.name}"))

    async def rows(self, table: Table, bounds: Bounds) -> AsyncGenerator[Sequence[Row], None]:
        """Yield rows in the order of their keys."""
        text, parameters = _selection(table, bounds)
        with _failing(self._role):
            async with self._connection.transaction():
                cursor = await self._connection.cursor(text, *parameters)
                while chunk := await cursor.fetch(CHUNK):
                    yield [tuple(row) for row in chunk]

    async def ranges(self) -> tuple[Range, ...] | None:
        """Return what was copied so far, None where no copy was begun."""
        with _failing(self._role):
            if not await copying_mark.unfinished_in_postgres(self._connection):
                return None
            found = await self._connection.fetch(SELECT_PROGRESS)
        return tuple(Range(name, tuple(msgspec.msgpack.decode(last)), rows, digest) for name, last, rows, digest in found)

    async def begin(self, tables: Sequence[Table]) -> None:
        """Take out everything and note that a copy is under way."""
        with _failing(self._role):
            async with self._connection.transaction():
                await self._connection.execute(f"DROP TABLE IF EXISTS {PROGRESS}")
                await self._connection.execute(f"TRUNCATE {', '.join(table.name for table in tables)}")
                await self._connection.execute(CREATE_PROGRESS.format(bytes="bytea"))

    async def append(self, batch: Batch, number: int) -> None:
        """Write a batch and its range."""
        table, noted = batch.table, batch.range
        row = (number, table.name, msgspec.msgpack.encode(noted.last), noted.rows, noted.digest)
        with _failing(self._role, batch.range):
            async with self._connection.transaction():
                await self._connection.copy_records_to_table(table.name, records=batch.rows, columns=table.columns)
                await self._connection.execute(f"{INSERT_PROGRESS} VALUES ($1, $2, $3, $4, $5)", *row)

    async def settle(self, tables: Sequence[Table]) -> None:
        """Let the numbers of events go on behind the last, and tell the planner of queries what the tables hold."""
        with _failing(self._role):
            await self._connection.execute(
                "SELECT setval(pg_get_serial_sequence('event', 'seq'), max(seq)) FROM event HAVING max(seq) IS NOT NULL"
            )
            for table in tables:
                await self._connection.execute(f"ANALYZE {table.name}")

    async def finish(self) -> None:
        """Note that the copy is complete."""
        with _failing(self._role):
            await self._connection.execute(f"DROP TABLE {PROGRESS}")


@asynccontextmanager
async def open_source(url: str) -> AsyncIterator[PostgresEnd]:
    """Open a registry to be read as it is at this moment; gateways may go on serving, what they write is not copied.

    Raises `Refusal`, also where the database is not of this version's schema.
    """
    await _require_current(url, "source")
    async with _connected(url, "source") as connection:
        if await copying_mark.unfinished_in_postgres(connection):
            raise copying_mark.refusal()
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield PostgresEnd(connection, "source")


@asynccontextmanager
async def open_destination(url: str) -> AsyncIterator[PostgresEnd]:
    """Open a database to be filled, given its tables where it has none. Raises `Refusal`, also while gateways are there."""
    if (await migration.look(url)).taken == 0:
        await migration.migrate(url)
    await _require_current(url, "destination")
    async with _connected(url, "destination") as connection:
        await _be_alone(connection)
        yield PostgresEnd(connection, "destination")


async def _require_current(url: str, role: str) -> None:
    taken, known = (await migration.look(url)).taken, len(migration.steps())
    if taken != known:
        mend = "run firstlight migrate on it first" if taken < known else "use the version that it is of"
        raise refusals.schema(f"the {role} has schema {taken}, this version needs {known}: {mend}")


@asynccontextmanager
async def _connected(url: str, role: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    with _failing(role):
        connection = await connect(url, name=NAME, patience=UNHURRIED, settings=_ALONG_INDEXES)
        await connection.execute(_NOTICE_DEATH)
    try:
        yield connection
    except BaseException:
        connection.terminate()  # what is under way there is of no use any more, and to wait for its end may take for ever
        raise
    await connection.close(timeout=UNHURRIED.connect)


async def _be_alone(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """See to it that nobody else fills this database or serves from it.

    A copy that was killed a moment ago may still hold its lock: the database has yet to notice.
    """
    deadline = asyncio.get_running_loop().time() + _LOCK_SECONDS
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK):
        if asyncio.get_running_loop().time() > deadline:
            raise _conflict("another firstlight copy fills the destination now; wait for it to end")
        await asyncio.sleep(_LOCK_PAUSE_SECONDS)
    if await connection.fetchval(_GATEWAYS):
        raise _conflict("a gateway is connected to the destination; stop it first")


def _selection(table: Table, bounds: Bounds) -> tuple[str, Row]:
    conditions = ["true"]
    parameters: list[Key] = []
    for sign, key in ((">", bounds.after), ("<=", bounds.until)):
        if key is not None:
            first = len(parameters) * len(table.key) + 1
            marks = ", ".join(f"${number}" for number in range(first, first + len(table.key)))
            conditions.append(f"({table.sorting}) {sign} ({marks})")
            parameters.append(key)
    text = f"SELECT {table.listed} FROM {table.name} WHERE {' AND '.join(conditions)} ORDER BY {table.sorting}"
    return text, tuple(value for key in parameters for value in key)


def _conflict(sentence: str) -> Refusal:
    return Refusal(Reason.CONFLICT, sentence, check="storage.copying")


@contextmanager
def _failing(role: str, behind: Range | None = None) -> Iterator[None]:
    """Tell of the database what goes wrong there."""
    try:
        yield
    except asyncpg.IntegrityConstraintViolationError as error:
        rows = f"rows of {behind.table} up to {shown(behind.last)}" if behind is not None else "rows"
        sentence = f"the {role} does not take {rows}: {_message(error)}"
        raise Refusal(Reason.CONFLICT, sentence, check="storage.copying") from error
    except AWAY as error:
        raise Refusal(Reason.UNAVAILABLE, f"the {role} cannot be used: {_message(error)}", check="storage.failed") from error


def _message(error: Exception) -> str:
    """Return what the database said without its details, which may quote the rows."""
    return str(getattr(error, "message", None) or error or type(error).__name__)
