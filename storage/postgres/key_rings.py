"""The key ring of a registry in PostgreSQL, and what is sealed there: beside the gateways, on a connection of its own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

import asyncpg

from core.crypto.key_ring import RingKey
from core.model import Event
from core.resealing import SealedPlace, SealedRow
from storage import refusals, sealed_rows
from storage.postgres import migration
from storage.postgres.columns import EVENT, insertion, turned
from storage.postgres.connections import AWAY, Connection, connect, fetched, shown
from storage.postgres.spelling import spell

R = TypeVar("R")

_ATTEMPTS = 5
_AGAIN = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError)

ADD = "INSERT INTO key_ring (id, purpose, sealed, created_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING"
RETIRE = "WITH gone AS (DELETE FROM key_ring WHERE id <> $1 RETURNING 1) SELECT count(*) FROM gone"
# First the row, then what its values become, then what they have to be.
REPLACE = {
    SealedPlace.PROFILES: """UPDATE profile SET provision_secret = $2, previous_secret = $3, hook = replace(hook, $7, $4)
        WHERE id = $1 AND provision_secret = $5 AND previous_secret IS NOT DISTINCT FROM $6
        AND (hook IS NULL AND $7::text IS NULL OR position($7 IN hook) > 0)""",
    SealedPlace.CREDENTIALS: "UPDATE credential SET sealed = $2 WHERE id = $1 AND sealed = $3",
    SealedPlace.CONFIGS: "UPDATE config SET external_key = $2 WHERE id = $1 AND external_key = $3",
    SealedPlace.DOCUMENTS: """UPDATE config_document SET content = $2, certificates = $3
        WHERE config = $1 AND content IS NOT DISTINCT FROM $4 AND certificates IS NOT DISTINCT FROM $5""",
}


async def record(connection: Connection, event: Event) -> None:
    """Record an event that no commit of a gateway's does. Raises what asyncpg raises."""
    await connection.execute(insertion(EVENT), *turned(EVENT.rows(event)))


class PostgresKeyRing:
    """A `core.resealing.KeyRing`. Each call is one short transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def keys(self) -> Sequence[RingKey]:
        """Return all keys of the ring. Raises `Refusal` UNAVAILABLE, as the others do."""
        found = await self._run(lambda: fetched(self._connection, sealed_rows.KEYS))
        return [sealed_rows.ring_key(row) for row in found]

    async def add(self, key: RingKey) -> None:
        """Put a key on the ring; one of the same id and purpose that is there stays."""
        await self._run(lambda: self._connection.execute(ADD, key.id, key.purpose, key.sealed, key.created_at))

    async def retire(self, keep: str, event: Event) -> int:
        """Take off the keys under other master keys, and record the event with that; return how many went."""

        async def retired() -> int:
            async with self._connection.transaction():
                gone = await self._connection.fetchval(RETIRE, keep)
                await record(self._connection, event)
            return int(gone or 0)

        return await self._run(retired)

    async def count(self, place: SealedPlace) -> int:
        """Return how many rows of a place have sealed values."""
        return int(await self._run(lambda: self._connection.fetchval(sealed_rows.COUNT[place])) or 0)

    async def batch(self, place: SealedPlace, after: str, limit: int) -> Sequence[SealedRow]:
        """Return rows that have sealed values, by their ids, behind one."""
        found = await self._run(lambda: fetched(self._connection, spell(sealed_rows.BATCH[place]), after, limit))
        return [sealed_rows.sealed_row(place, row) for row in found]

    async def replace(self, place: SealedPlace, changes: Sequence[tuple[SealedRow, SealedRow]]) -> int:
        """Put new values in the place of those that are there still; return in how many rows."""
        parameters = [sealed_rows.parameters(place, *change) for change in changes]

        async def replaced() -> int:
            async with self._connection.transaction():
                statement = await self._connection.prepare(f"{REPLACE[place]} RETURNING 1")
                return len([row for each in parameters for row in await statement.fetch(*each)])

        return await self._run(replaced)

    async def _run(self, work: Callable[[], Awaitable[R]]) -> R:
        """Do something, again where others were in the way. What is done again does no harm: it looks for what is there."""
        try:
            for _ in range(_ATTEMPTS - 1):
                try:
                    return await work()
                except _AGAIN:
                    continue
            return await work()
        except AWAY as error:
            raise refusals.failed(error) from error


@asynccontextmanager
async def open_postgres_ring(url: str) -> AsyncIterator[PostgresKeyRing]:
    """Open the key ring in a database, which has to be of this version. Raises `Refusal` UNAVAILABLE."""
    try:
        connection = await connect(url, name="firstlight keys")
    except AWAY as error:
        raise refusals.unopened(shown(url), error) from error
    try:
        ring = PostgresKeyRing(connection)
        schema = await ring._run(lambda: migration.schema_of(connection))
        migration.require_fit(schema, len(migration.steps()))
        yield ring
    finally:
        try:
            await connection.close(timeout=5.0)
        except AWAY:  # it is away anyhow; what was found out before is not to be covered by that
            connection.terminate()
