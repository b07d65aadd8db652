"""The registry's tables as a copy of them sees them: what they hold and in which order they can be filled."""

import sqlite3
from contextlib import closing
from graphlib import TopologicalSorter
from typing import Any

import msgspec

from storage import migration

PROGRESS = "copying"
"""The table in which a copy keeps how far it is; it is there for as long as the copy is unfinished."""

CREATE_PROGRESS = f"""CREATE TABLE {PROGRESS} (
    number     bigint PRIMARY KEY,
    table_name text NOT NULL,
    last_key   {{bytes}} NOT NULL,  -- MessagePack
    row_count  bigint NOT NULL,
    digest     {{bytes}} NOT NULL
)"""
INSERT_PROGRESS = f"INSERT INTO {PROGRESS} (number, table_name, last_key, row_count, digest)"
SELECT_PROGRESS = f"SELECT table_name, last_key, row_count, digest FROM {PROGRESS} ORDER BY number"  # noqa: S608 - of constants

_LEFT = ("probe", PROGRESS)

Key = tuple[Any, ...]
"""Where in a table a row stands: the values of its primary key."""


def shown(key: Key) -> str:
    """Return a key as operators are told of it."""
    return " ".join(map(str, key))


class Table(msgspec.Struct, frozen=True):
    """One table: all of its columns, and those of its primary key, in whose order it is read."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    @property
    def listed(self) -> str:
        """The columns as SQL names them."""
        return ", ".join(f'"{column}"' for column in self.columns)

    @property
    def sorting(self) -> str:
        """The columns of the key as SQL names them."""
        return ", ".join(f'"{column}"' for column in self.key)

    def key_of(self, row: tuple[Any, ...]) -> Key:
        """Return where a row stands."""
        return tuple(row[self.columns.index(column)] for column in self.key)


def tables() -> tuple[Table, ...]:
    """Return every table whose rows belong to the registry, each behind those that its rows point at.

    They are read from the schema itself, made in memory: a table or column that a later step adds is copied without a word
    here. What only one process needs, or only the gateways of one database need among themselves, is in no SQLite schema.
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migration.migrate(connection, migration.steps())
        names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY rowid").fetchall()
        parents = {
            name: _parents(connection, name) for (name,) in names if name not in _LEFT and not name.startswith("sqlite_")
        }
        return tuple(_table(connection, name) for name in TopologicalSorter(parents).static_order())


def _parents(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    found = connection.execute('SELECT DISTINCT "table" FROM pragma_foreign_key_list(?) ORDER BY 1', (table,))
    return tuple(parent for (parent,) in found if parent != table)


def _table(connection: sqlite3.Connection, name: str) -> Table:
    found = connection.execute("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid", (name,)).fetchall()
    key = sorted((place, column) for column, place in found if place)
    return Table(name, tuple(column for column, _ in found), tuple(column for _, column in key))
