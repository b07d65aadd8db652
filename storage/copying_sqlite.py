"""An SQLite file as one end of a copy."""

# ruff: noqa: S608 - SQL is put together from the names of tables and columns alone; values go in as parameters

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from core.errors import Reason, Refusal
from storage import copying_mark, database_file, migration, refusals, writing
from storage.copying_ends import CHUNK, Batch, Bounds, Range
from storage.copying_tables import CREATE_PROGRESS, INSERT_PROGRESS, PROGRESS, SELECT_PROGRESS, Table
from storage.hop import Hop
from storage.rows import Row

R = TypeVar("R")

_BUSY_SECONDS = 5.0
_STANDS_STILL = "PRAGMA query_only = ON; BEGIN; SELECT 1 FROM sqlite_schema;"
_FILLED = "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;"


class SqliteEnd:
    """A `Readable` and `Writable` over one connection, whose thread does the work."""

    def __init__(self, hop: Hop, role: str) -> None:
        self._hop = hop
        self._role = role

    async def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        return await self._run(lambda connection: int(connection.execute(f"SELECT count(*) FROM {table.name}").fetchone()[0]))

    async def rows(self, table: Table, bounds: Bounds) -> AsyncGenerator[Sequence[Row], None]:
        """Yield rows in the order of their keys."""
        text, parameters = _selection(table, bounds)
        cursor = await self._run(lambda connection: connection.execute(text, parameters))
        while chunk := await self._run(lambda _: cursor.fetchmany(CHUNK)):
            yield chunk

    async def ranges(self) -> tuple[Range, ...] | None:
        """Return what was copied so far, None where no copy was begun."""
        return await self._run(_ranges)

    async def begin(self, tables: Sequence[Table]) -> None:
        """Take out everything and note that a copy is under way."""

        def begin(connection: sqlite3.Connection) -> None:
            connection.execute(f"DROP TABLE IF EXISTS {PROGRESS}")
            for table in reversed(tables):
                connection.execute(f"DELETE FROM {table.name}")
            connection.execute(CREATE_PROGRESS.format(bytes="blob"))

        await self._transact(begin)

    async def append(self, batch: Batch, number: int) -> None:
        """Write a batch and its range."""
        table, noted = batch.table, batch.range
        marks = ", ".join("?" * len(table.columns))

        def append(connection: sqlite3.Connection) -> None:
            connection.executemany(f"INSERT INTO {table.name} ({table.listed}) VALUES ({marks})", batch.rows)
            row = (number, table.name, msgspec.msgpack.encode(noted.last), noted.rows, noted.digest)
            connection.execute(f"{INSERT_PROGRESS} VALUES (?, ?, ?, ?, ?)", row)

        await self._transact(append)

    async def settle(self, tables: Sequence[Table]) -> None:
        """Write the log back into the file; SQLite numbers events by what is there and plans by its indexes alone."""
        await self._run(lambda connection: connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall())

    async def finish(self) -> None:
        """Note that the copy is complete."""
        await self._transact(lambda connection: connection.execute(f"DROP TABLE {PROGRESS}"))

    async def _run(self, work: Callable[[sqlite3.Connection], R]) -> R:
        with _failing(self._role):
            return await self._hop.run(work)

    async def _transact(self, work: Callable[[sqlite3.Connection], object]) -> None:
        await self._run(lambda connection: writing.transact(connection, lambda: work(connection)))


@asynccontextmanager
async def open_source(path: str) -> AsyncIterator[SqliteEnd]:
    """Open the registry of a file to be read at one moment, and keep every gateway from it meanwhile.

    Raises `Refusal`, also where the file is missing, not ours, or not of this version's schema.
    """
    _require_there(Path(path))
    async with _opened(path, "source") as hop:
        await hop.run(_require_current)
        await hop.run(lambda connection: connection.executescript(_STANDS_STILL))
        yield SqliteEnd(hop, "source")


@asynccontextmanager
async def open_destination(path: str) -> AsyncIterator[SqliteEnd]:
    """Open a file to be filled, made where it is missing, and keep every gateway from it meanwhile. Raises `Refusal`."""
    async with _opened(path, "destination") as hop:
        await hop.run(_make_whole)
        yield SqliteEnd(hop, "destination")


@asynccontextmanager
async def _opened(path: str, role: str) -> AsyncIterator[Hop]:
    async with AsyncExitStack() as stack:
        with _failing(role):
            real = database_file.prepare(Path(path))
            stack.enter_context(_alone(real, role))
            hop = await Hop.open(real, _BUSY_SECONDS)
            stack.push_async_callback(hop.close)
            await hop.run(lambda connection: migration.require_ours(connection, len(migration.steps())))
        yield hop


def _require_there(path: Path) -> None:
    if not path.is_file():
        raise refusals.schema(f"there is no database {path}")


def _alone(path: Path, role: str) -> database_file.FileLock:
    try:
        return database_file.FileLock(path)
    except Refusal as refusal:
        sentence = (
            f"the {role} {path} is in use by another Firstlight process: stop that one first, a copy needs it to stand still"
        )
        raise Refusal(Reason.UNAVAILABLE, sentence, check="storage.lock") from refusal


def _require_current(connection: sqlite3.Connection) -> None:
    """Refuse a source that cannot be read as it is: a copy changes nothing in it, its schema neither."""
    known = len(migration.steps())
    ((schema,),) = connection.execute("PRAGMA user_version").fetchall()
    if schema != known:
        raise refusals.schema(f"the source has schema {schema}, this version needs {known}: run firstlight migrate on it first")
    if copying_mark.unfinished(connection):
        raise copying_mark.refusal()


def _make_whole(connection: sqlite3.Connection) -> None:
    migration.use_log(connection)
    connection.executescript(_FILLED)
    migration.migrate(connection, migration.steps())


def _selection(table: Table, bounds: Bounds) -> tuple[str, Row]:
    marks = ", ".join("?" * len(table.key))
    conditions = ["1"]
    if bounds.after is not None:
        conditions.append(f"({table.sorting}) > ({marks})")
    if bounds.until is not None:
        conditions.append(f"({table.sorting}) <= ({marks})")
    text = f"SELECT {table.listed} FROM {table.name} WHERE {' AND '.join(conditions)} ORDER BY {table.sorting}"
    return text, (*(bounds.after or ()), *(bounds.until or ()))


def _ranges(connection: sqlite3.Connection) -> tuple[Range, ...] | None:
    if not copying_mark.unfinished(connection):
        return None
    found = connection.execute(SELECT_PROGRESS).fetchall()
    return tuple(Range(name, tuple(msgspec.msgpack.decode(last)), rows, digest) for name, last, rows, digest in found)


@contextmanager
def _failing(role: str) -> Iterator[None]:
    """Tell of the database what goes wrong there."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise Refusal(Reason.UNAVAILABLE, f"the {role} cannot be used: {error}", check="storage.failed") from error
