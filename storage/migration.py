"""The steps that lead a database file to the schema of this version."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from core.model import DEFAULT_TENANT, Tenant
from storage import refusals, rows
from storage.clock import now

APPLICATION_ID = 0x46_4C_52_47
"""`FLRG` in the file's header (https://www.sqlite.org/fileformat.html#application_id): this file is a registry of ours."""

BACKUP_ID = 0x46_4C_52_42
"""`FLRB`: this file is a copy of a registry, and no gateway takes it for one: what happened since it was made is missing."""

SCHEMA = Path(__file__).with_name("schema")


def steps() -> tuple[str, ...]:
    """Return the schema's steps in order: the first leads an empty file to schema 1, each further one to the next."""
    return tuple(path.read_text("utf-8") for path in sorted(SCHEMA.glob("*.sql")))


def require_ours(connection: sqlite3.Connection, known: int, *, backups: bool = False) -> None:
    """Refuse a file that another program or a newer version made, before anything in it is touched; also what is a backup."""
    try:
        ((application,),) = connection.execute("PRAGMA application_id").fetchall()
        ((schema,),) = connection.execute("PRAGMA user_version").fetchall()
        ((objects,),) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname != "SQLITE_NOTADB":
            raise
        raise refusals.schema("the database file is not an SQLite database") from error
    if application == BACKUP_ID and not backups:
        raise refusals.schema("the database file is a backup; put it in its place with firstlight restore")
    if application not in (APPLICATION_ID, BACKUP_ID) and (application or schema or objects):
        raise refusals.schema("the database file belongs to another program; give Firstlight a file of its own")
    if schema > known:
        sentence = f"the database file is of a newer Firstlight (schema {schema}; this one knows {known}); use that version"
        raise refusals.schema(sentence)


def use_log(connection: sqlite3.Connection) -> None:
    """Switch the file to a write-ahead log, which lets readers go on beside the writer; the file keeps it."""
    ((mode,),) = connection.execute("PRAGMA journal_mode = WAL").fetchall()
    if mode != "wal":
        raise refusals.schema(f"the database file lies where no write-ahead log can be kept (journal mode {mode})")


def migrate(connection: sqlite3.Connection, sequence: Sequence[str]) -> None:
    """Take the steps that the file has not seen, each in a transaction of its own; they may call `casefold(text)`."""
    connection.create_function("casefold", 1, str.casefold, deterministic=True)
    ((schema,),) = connection.execute("PRAGMA user_version").fetchall()
    for number, step in enumerate(sequence[schema:], schema + 1):
        try:
            connection.executescript(
                f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; PRAGMA application_id = {APPLICATION_ID}; COMMIT;"
            )
        except sqlite3.Error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def found(connection: sqlite3.Connection) -> None:
    """Give an empty registry its first tenant."""
    tenant = Tenant(id=DEFAULT_TENANT, name="default", created_at=now(), secure_bootstrap=True)
    connection.execute(
        "INSERT INTO tenant SELECT ?, ?, ?, ?, ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM tenant)", rows.tenant_row(tenant)
    )
