"""SQL as it is put to a database: a statement with its parameters, and one that takes any number of parameter rows at once."""

import sqlite3
from collections.abc import Collection
from itertools import chain
from typing import NamedTuple

from storage.rows import Row

MOST = 256
"""Parameter rows of one of SQLite's statements; more are given to several."""


BY_INDEX = "id COLLATE BINARY"
"""Ids in the order of an index that ends with them, as pages are.

SQLite orders them so anyway. To PostgreSQL they are those of such an index (`id COLLATE "POSIX"`, which is the same order under
another name) and not the table's key, a walk along which has the order too but meets the rows of every tenant.
"""


class Statement(NamedTuple):
    """SQL with its parameters, and what PostgreSQL is given where that is not the same text in its own spelling."""

    text: str
    parameters: Row
    postgres: "Statement | None" = None

    def run(self, connection: sqlite3.Connection) -> list[Row]:
        """Execute the statement and return what it answers."""
        return connection.execute(self.text, self.parameters).fetchall()


class Grouped:
    """One statement for many parameter rows, written out once for each power of two of them.

    Rows that fill up the number are NULL in their first column, and so must match nothing; not in the others, as it takes
    sqlite3 ten times as long to bind NULL as a number. `VALUES` takes bytes, which a JSON array would not, and a statement is
    one step of the database: `executemany` gives up and takes back the interpreter's lock for every row.

    PostgreSQL takes the columns of the rows as arrays instead: `types` are what it calls their elements, text where none are
    given, and `postgres` is the template where its own is not what `storage.postgres.spelling` makes of the other.
    """

    def __init__(self, template: str, width: int, types: tuple[str, ...] = (), postgres: str | None = None) -> None:
        row = f"({', '.join('?' * width)})"
        self.texts = tuple(template.format(rows=", ".join([row] * (1 << bits))) for bits in range(MOST.bit_length()))
        self.template = template if postgres is None else postgres
        self.types = types or ("text",) * width
        self._width = width

    def asked(self, rows: Collection[Row]) -> "Asked":
        """Return the statement with parameter rows, to be put to a database."""
        return Asked(self, rows)

    def run(self, connection: sqlite3.Connection, rows: Collection[Row]) -> list[Row]:
        """Execute the statement for all rows and return what it answers, in no order that can be relied upon."""
        number = len(rows)
        if number > MOST:
            return self._run_in_parts(connection, list(rows))
        if not number:
            return []
        bits = (number - 1).bit_length()
        spare = (None, *(0,) * (self._width - 1)) * ((1 << bits) - number)
        return connection.execute(self.texts[bits], (*chain.from_iterable(rows), *spare)).fetchall()

    def _run_in_parts(self, connection: sqlite3.Connection, rows: list[Row]) -> list[Row]:
        parts = (rows[start : start + MOST] for start in range(0, len(rows), MOST))
        return [answer for part in parts for answer in self.run(connection, part)]


class Asked(NamedTuple):
    """A grouped statement with its parameter rows. None at all ask for nothing, and are answered so."""

    statement: Grouped
    rows: Collection[Row]

    def run(self, connection: sqlite3.Connection) -> list[Row]:
        """Execute the statement and return what it answers, in no order that can be relied upon."""
        statement, rows = self
        if len(rows) == 1:  # which is how operators ask, and devices of a calm gateway
            return connection.execute(statement.texts[0], *rows).fetchall()
        return statement.run(connection, rows) if rows else []
