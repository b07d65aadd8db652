"""Rows gathered into batches, read ahead, counted and digested."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

import msgspec

from core.errors import Refusal
from storage.copying_ends import Batch, Bounds, Range, Readable
from storage.copying_tables import Key, Table
from storage.rows import Row

BATCH_ROWS = 10_000
BATCH_BYTES = 8 << 20


class Tally:
    """Counts rows and digests them."""

    def __init__(self, table: Table) -> None:
        self.rows = 0
        self.bytes = 0
        self._table = table
        self._digest = hashlib.sha256()
        self._encoder = msgspec.msgpack.Encoder()
        self._buffer = bytearray()
        self._last: Key = ()

    def add(self, rows: Sequence[Row]) -> None:
        """Take further rows, the next in the order of their keys."""
        self._buffer.clear()
        for row in rows:
            self._encoder.encode_into(row, self._buffer, -1)
        self._digest.update(self._buffer)
        self.bytes += len(self._buffer)
        self.rows += len(rows)
        self._last = self._table.key_of(rows[-1])

    def range(self) -> Range:
        """Return what all of them come to; there is at least one."""
        return Range(self._table.name, self._last, self.rows, self._digest.digest())


async def batches(source: Readable, table: Table, after: Key | None) -> AsyncGenerator[Batch, None]:
    """Yield the rows of a table behind a key, as many at a time as go well into one transaction and into memory."""
    rows: list[Row] = []
    tally = Tally(table)
    async with aclosing(source.rows(table, Bounds(after))) as chunks:
        async for chunk in chunks:
            rows.extend(chunk)
            tally.add(chunk)
            if tally.rows >= BATCH_ROWS or tally.bytes >= BATCH_BYTES:
                yield Batch(table, rows, tally.range())
                rows, tally = [], Tally(table)
    if rows:
        yield Batch(table, rows, tally.range())


async def ahead(following: AsyncGenerator[Batch, None]) -> AsyncGenerator[Batch, None]:
    """Yield batches, and read the next one while the one before it is being written."""
    upcoming = asyncio.ensure_future(_next(following))
    try:
        while (batch := await upcoming) is not None:
            upcoming = asyncio.ensure_future(_next(following))
            yield batch
    finally:
        upcoming.cancel()
        with contextlib.suppress(asyncio.CancelledError, Refusal):
            await upcoming
        with contextlib.suppress(Refusal):
            await following.aclose()


async def _next(following: AsyncGenerator[Batch, None]) -> Batch | None:
    return await anext(following, None)


async def digested(end: Readable, table: Table, bounds: Bounds) -> Range | None:
    """Return what an end has within bounds, None where that is nothing."""
    tally = Tally(table)
    async for chunk in end.rows(table, bounds):
        tally.add(chunk)
    return tally.range() if tally.rows else None
