"""A database put back as it was, by PostgreSQL's own means: what has to be done to it before gateways serve from it."""

from core.errors import Reason, Refusal
from core.model import Event
from storage import refusals
from storage.postgres import migration
from storage.postgres.connections import AWAY, UNHURRIED, Connection, connect, shown
from storage.postgres.key_rings import record
from storage.restoring import BEGIN_BEHIND, LEAP, SKIP, Marked

NAME = "firstlight restore"

# Those of this program, by what their connections call themselves; one that a pooler holds is seen as the pooler's.
OTHERS = """SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name LIKE 'firstlight%'"""
# What was spent since the backup could be spent again, so nothing that was made before counts any more; and what was told or
# answered then is of a world that is gone.
FORGET = "TRUNCATE notice, spent, epoch, kept_answer"


async def mark(url: str, event: Event) -> Marked:
    """Do what has to be done to a database that was put back; no gateway may use it meanwhile. Twice does no harm.

    Raises `Refusal`.
    """
    await migration.migrate(url)
    try:
        connection = await connect(url, name=NAME, patience=UNHURRIED)
        try:
            return await _mark(connection, event)
        finally:
            await connection.close(timeout=UNHURRIED.connect)
    except AWAY as error:
        raise refusals.unopened(shown(url), error) from error


async def _mark(connection: Connection, event: Event) -> Marked:
    if await connection.fetchval(OTHERS):
        detail = "the database is in use by a Firstlight process; stop all gateways first"
        raise Refusal(Reason.CONFLICT, detail, check="storage.restore")
    async with connection.transaction():
        contexts = 0
        for text in (SKIP, BEGIN_BEHIND):
            contexts += int((await connection.execute(text.format(leap=LEAP))).rpartition(" ")[2])
        await connection.execute(FORGET)
        await record(connection, event)
    return Marked(contexts)
