"""SQL that takes any number of parameter rows at once."""

import sqlite3
from collections.abc import Sequence
from itertools import chain

from storage.rows import Row

MOST = 256
"""Parameter rows of one statement; more are given to several."""


class Grouped:
    """One statement for many parameter rows, written out once for each power of two of them.

    Rows that fill up the number are NULL and must match nothing. `VALUES` takes bytes, which a JSON array would not, and a
    statement is one step of the database: `executemany` gives up and takes back the interpreter's lock for every row.
    """

    def __init__(self, template: str, width: int) -> None:
        row = f"({', '.join('?' * width)})"
        self.texts = tuple(template.format(rows=", ".join([row] * (1 << bits))) for bits in range(MOST.bit_length()))
        self._width = width

    def run(self, connection: sqlite3.Connection, rows: Sequence[Row]) -> list[Row]:
        """Execute the statement for all rows and return what it answers, in no order that can be relied upon."""
        answers: list[Row] = []
        for start in range(0, len(rows), MOST):
            part = rows[start : start + MOST]
            bits = (len(part) - 1).bit_length()
            spare = (None,) * (self._width * ((1 << bits) - len(part)))
            answers += connection.execute(self.texts[bits], (*chain.from_iterable(part), *spare)).fetchall()
        return answers
