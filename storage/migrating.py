"""Schema steps of a database named by a URL, taken or only told, while no gateway needs to be started for it."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path

import msgspec

from core.errors import Refusal
from storage import database_file, migration, refusals
from storage.database_file import FileLock
from storage.hop import Hop
from storage.postgres import migration as postgres

_BUSY_SECONDS = 5.0
_LOCK_SECONDS = 5.0
_LOCK_PAUSE_SECONDS = 0.1


class Schemas(msgspec.Struct, frozen=True):
    """How many schema steps a database had seen `before`, and how many it has seen now; `known` are those of this version."""

    before: int
    after: int
    known: int


async def look(url: str) -> Schemas:
    """Tell how many steps a database has seen, and change nothing in it; one that is not there has seen none.

    Raises `ValueError` for a URL that names no database with a schema, `Refusal` where it cannot be looked at.
    """
    return await _of(url, _look_at_sqlite, _look_at_postgres)


async def migrate(url: str) -> Schemas:
    """Take the steps that a database has not seen; where another process does so, wait for it.

    An SQLite file must not be in use by a gateway, PostgreSQL may be. Raises as `look` does, and `Refusal` for a database of a
    newer version.
    """
    return await _of(url, _migrate_sqlite, _migrate_postgres)


async def _of(
    url: str, sqlite: Callable[[str], Awaitable[Schemas]], postgresql: Callable[[str], Awaitable[Schemas]]
) -> Schemas:
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        return await sqlite(rest)
    if scheme in ("postgresql", "postgres") and rest:
        return await postgresql(url)
    raise ValueError(f"{scheme!r} is no kind of database that has a schema: use sqlite:PATH or postgresql://...")


async def _look_at_sqlite(path: str) -> Schemas:
    known = len(migration.steps())
    try:
        before = await asyncio.to_thread(_schema_of_file, Path(path), known)
    except (OSError, sqlite3.Error) as error:
        raise refusals.unopened(path, error) from error
    return Schemas(before, before, known)


def _schema_of_file(path: Path, known: int) -> int:
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)) as connection:
        migration.require_ours(connection, known)
        return _taken(connection)


def _taken(connection: sqlite3.Connection) -> int:
    ((schema,),) = connection.execute("PRAGMA user_version").fetchall()
    return int(schema)


async def _migrate_sqlite(path: str) -> Schemas:
    found = await _look_at_sqlite(path)
    if found.before == found.known:
        return found
    async with AsyncExitStack() as stack:
        try:
            real = database_file.prepare(Path(path))
            stack.enter_context(await _lock(real))
            hop = await Hop.open(real, _BUSY_SECONDS)
            stack.push_async_callback(hop.close)
            return await hop.run(_take)
        except (OSError, sqlite3.Error) as error:
            raise refusals.unopened(path, error) from error


async def _lock(path: Path) -> FileLock:
    """Wait a while for a file that is in use: another migration ends soon, a gateway does not."""
    deadline = asyncio.get_running_loop().time() + _LOCK_SECONDS
    while True:
        try:
            return FileLock(path)
        except Refusal:
            if asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_LOCK_PAUSE_SECONDS)


def _take(connection: sqlite3.Connection) -> Schemas:
    steps = migration.steps()
    migration.require_ours(connection, len(steps))
    before = _taken(connection)
    migration.use_log(connection)
    migration.migrate(connection, steps)
    return Schemas(before, _taken(connection), len(steps))


async def _look_at_postgres(url: str) -> Schemas:
    taken = (await postgres.look(url)).taken
    return Schemas(taken, taken, len(postgres.steps()))


async def _migrate_postgres(url: str) -> Schemas:
    migrated = await postgres.migrate(url)
    return Schemas(migrated.before, migrated.after, len(postgres.steps()))
