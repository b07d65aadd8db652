"""The two ends of a copy as ports, and what is noted of the rows that went from one to the other."""

from collections.abc import AsyncGenerator, Sequence
from typing import Protocol

import msgspec

from storage.copying_tables import Key, Table
from storage.rows import Row

CHUNK = 250
"""Rows that are asked for at once; the largest configurations of so many fit into memory."""


class Range(msgspec.Struct, frozen=True):
    """Rows of one table that are copied: those behind the range before, up to the one at `last`.

    `digest` is SHA-256 over the rows in the order of their keys, each as MessagePack: texts, bytes, numbers and nothing.
    """

    table: str
    last: Key
    rows: int
    digest: bytes


class Batch(msgspec.Struct):
    """Rows on their way, in the order of their keys."""

    table: Table
    rows: list[Row]
    range: Range


class Bounds(msgspec.Struct, frozen=True):
    """Which rows of a table are meant: those behind `after` up to and with `until`, None being either end of the table."""

    after: Key | None = None
    until: Key | None = None


class Readable(Protocol):
    """A registry whose rows can be read. Every method raises `Refusal` UNAVAILABLE where it cannot be reached any more."""

    async def count(self, table: Table) -> int:
        """Return how many rows a table has."""
        ...

    def rows(self, table: Table, bounds: Bounds) -> AsyncGenerator[Sequence[Row], None]:
        """Yield rows in the order of their keys, `CHUNK` at most at a time."""
        ...


class Writable(Readable, Protocol):
    """A registry that is being filled. Each method is one transaction."""

    async def ranges(self) -> tuple[Range, ...] | None:
        """Return what was copied so far in the order in which it was; None: no copy was begun here."""
        ...

    async def begin(self, tables: Sequence[Table]) -> None:
        """Take out everything and note that a copy is under way: from now on no gateway serves from here."""
        ...

    async def append(self, batch: Batch, number: int) -> None:
        """Write a batch, and with it that it is the range of this number."""
        ...

    async def settle(self, tables: Sequence[Table]) -> None:
        """Bring in order what follows from the rows: where numbers go on, and what is known for planning queries."""
        ...

    async def finish(self) -> None:
        """Note that the copy is complete: gateways may serve from here."""
        ...
