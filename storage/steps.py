"""Queries in steps: each yields what is to be asked of a database, is sent the rows, and returns the answer in the end.

So what is asked and what is made of the rows is said once, whichever database is asked and however it is waited for.
"""

import sqlite3
from collections.abc import Generator
from typing import TypeVar

from storage.rows import Row
from storage.statements import Asked, Statement

T = TypeVar("T")

Steps = Generator[Statement | Asked, list[Row], T]
"""The way to an answer. Within one query, all rows are to be from one moment."""


def carry_out(connection: sqlite3.Connection, steps: Steps[T]) -> T:
    """Take all steps on an SQLite connection, on the connection's thread, and return the answer."""
    send = steps.send
    try:
        asked = next(steps)
        while True:
            asked = send(asked.run(connection))
    except StopIteration as done:
        answer: T = done.value
        return answer
