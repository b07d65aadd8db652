"""The key ring of a registry in an SQLite file, and what is sealed there: beside the gateway, on a connection of its own."""

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from core.crypto.key_ring import RingKey
from core.model import Event
from core.ports import Changes
from core.resealing import SealedPlace, SealedRow
from storage import database_file, migration, refusals, sealed_rows, tables, writing
from storage.hop import Hop

R = TypeVar("R")

# FULL as for the registry itself; what waits for the writer waits for one group of requests at a time.
_SETTINGS = "PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;"
_BUSY_SECONDS = 10.0

ADD = "INSERT OR IGNORE INTO key_ring (id, purpose, sealed, created_at) VALUES (?, ?, ?, ?)"
RETIRE = "DELETE FROM key_ring WHERE id <> ?"
# First the row, then what its values become, then what they have to be.
REPLACE = {
    SealedPlace.PROFILES: """UPDATE profile SET provision_secret = ?2, previous_secret = ?3, hook = replace(hook, ?7, ?4)
        WHERE id = ?1 AND provision_secret = ?5 AND previous_secret IS ?6
        AND (hook IS NULL AND ?7 IS NULL OR instr(hook, ?7) > 0)""",
    SealedPlace.CREDENTIALS: "UPDATE credential SET sealed = ?2 WHERE id = ?1 AND sealed = ?3",
    SealedPlace.CONFIGS: "UPDATE config SET external_key = ?2 WHERE id = ?1 AND external_key = ?3",
    SealedPlace.DOCUMENTS: """UPDATE config_document SET content = ?2, certificates = ?3
        WHERE config = ?1 AND content IS ?4 AND certificates IS ?5""",
}


class SqliteKeyRing:
    """A `core.resealing.KeyRing`. Each call is one short transaction: the gateway's own have their turn between them."""

    def __init__(self, hop: Hop) -> None:
        self._hop = hop

    async def keys(self) -> Sequence[RingKey]:
        """Return all keys of the ring. Raises `Refusal` UNAVAILABLE, as the others do."""
        found = await self._run(lambda connection: connection.execute(sealed_rows.KEYS).fetchall())
        return [sealed_rows.ring_key(row) for row in found]

    async def add(self, key: RingKey) -> None:
        """Put a key on the ring; one of the same id and purpose that is there stays."""
        row = (key.id, key.purpose, key.sealed, key.created_at)
        await self._run(lambda connection: writing.transact(connection, lambda: connection.execute(ADD, row)))

    async def retire(self, keep: str, event: Event) -> int:
        """Take off the keys under other master keys, and record the event with that; return how many went."""

        def retired(connection: sqlite3.Connection) -> int:
            gone = connection.execute(RETIRE, (keep,)).rowcount
            tables.insert(connection, [Changes(events=(event,))])
            return gone

        return await self._run(lambda connection: writing.transact(connection, lambda: retired(connection)))

    async def count(self, place: SealedPlace) -> int:
        """Return how many rows of a place have sealed values."""
        ((rows,),) = await self._run(lambda connection: connection.execute(sealed_rows.COUNT[place]).fetchall())
        return int(rows)

    async def batch(self, place: SealedPlace, after: str, limit: int) -> Sequence[SealedRow]:
        """Return rows that have sealed values, by their ids, behind one."""
        found = await self._run(lambda connection: connection.execute(sealed_rows.BATCH[place], (after, limit)).fetchall())
        return [sealed_rows.sealed_row(place, row) for row in found]

    async def replace(self, place: SealedPlace, changes: Sequence[tuple[SealedRow, SealedRow]]) -> int:
        """Put new values in the place of those that are there still; return in how many rows."""
        parameters = [sealed_rows.parameters(place, *change) for change in changes]

        def replaced(connection: sqlite3.Connection) -> int:
            return connection.executemany(REPLACE[place], parameters).rowcount

        return await self._run(lambda connection: writing.transact(connection, lambda: replaced(connection)))

    async def _run(self, work: Callable[[sqlite3.Connection], R]) -> R:
        try:
            return await self._hop.run(work)
        except sqlite3.Error as error:
            raise refusals.failed(error) from error


@asynccontextmanager
async def open_sqlite_ring(path: Path) -> AsyncIterator[SqliteKeyRing]:
    """Open the key ring in a registry's file, which has to be there, of this version, and may be in use by a gateway.

    Raises `Refusal` UNAVAILABLE.
    """
    try:
        hop = await Hop.open(database_file.existing(path), _BUSY_SECONDS)
    except (OSError, sqlite3.Error) as error:
        raise refusals.unopened(str(path), error) from error
    try:
        ring = SqliteKeyRing(hop)
        await ring._run(_set_up)
        yield ring
    finally:
        await hop.close()


def _set_up(connection: sqlite3.Connection) -> None:
    known = len(migration.steps())
    migration.require_ours(connection, known)
    ((schema,),) = connection.execute("PRAGMA user_version").fetchall()
    if schema < known:
        raise refusals.schema(f"the database has schema {schema}, this version needs {known}: start the gateway with it first")
    connection.executescript(_SETTINGS)
