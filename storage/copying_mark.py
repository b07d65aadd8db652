"""The mark of a copy that is under way: as long as it is in a database, no gateway is to serve from there."""

import sqlite3
from typing import TYPE_CHECKING

from core.errors import Refusal
from storage import refusals
from storage.copying_tables import PROGRESS

if TYPE_CHECKING:
    import asyncpg


def unfinished(connection: sqlite3.Connection) -> bool:
    """Tell whether a copy into this SQLite file was begun and is not complete."""
    return connection.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (PROGRESS,)).fetchone() is not None


async def unfinished_in_postgres(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
    """Tell whether a copy into this PostgreSQL database was begun and is not complete."""
    return bool(await connection.fetchval("SELECT to_regclass($1::text) IS NOT NULL", PROGRESS))


def refusal() -> Refusal:
    """A gateway is not to serve what is there in part."""
    return refusals.schema("a copy into this database is unfinished; run firstlight copy again")
