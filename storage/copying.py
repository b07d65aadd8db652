"""A whole registry copied from one database into another: table by table, batch by batch, to be resumed and verified."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from hashlib import sha256
from typing import Protocol, TypeVar

import msgspec

from core.errors import Reason, Refusal
from core.model import DEFAULT_TENANT
from storage import copying_sqlite
from storage.copying_batches import ahead, batches, digested
from storage.copying_ends import Bounds, Range, Readable, Writable
from storage.copying_tables import Key, Table, shown, tables
from storage.postgres import copying as copying_postgres

T = TypeVar("T")

_FOUNDED = ("tenant", "key_ring")
"""Where a registry that nobody has used yet has rows."""

_RESTART = "run it again with --restart to copy from the beginning"


class Copied(msgspec.Struct, frozen=True):
    """What a table came to: how many rows, and SHA-256 over the digests of its ranges."""

    table: str
    rows: int
    digest: str


class Followed(Protocol):
    """Who wants to know how far it is."""

    def reach(self, rows: int) -> None:
        """Take note of how many rows are done, in all tables."""
        ...

    def done(self, table: str, rows: int) -> None:
        """Take note of a table that is done."""
        ...


class Copy:
    """One copy under way. `total` is how many rows there are to copy, `resumed` how many of them were there already."""

    def __init__(self, source: Readable, destination: Writable, listed: Sequence[Table], ranges: Sequence[Range]) -> None:
        self._source = source
        self._destination = destination
        self._tables = listed
        self._ranges = list(ranges)
        self.resumed = sum(each.rows for each in ranges)
        self.total = 0

    async def look(self) -> None:
        """Count what there is to copy, and see that what was copied is still what the source has.

        Raises `Refusal` STALE where it is not.
        """
        for table in self._tables:
            self.total += await self._source.count(table)
            for bounds, noted in self._bounds(table):
                if await digested(self._source, table, bounds) != noted:
                    raise _stale(f"the source has changed since the copy began ({_where(table, bounds)}); {_RESTART}")

    async def run(self, followed: Followed) -> None:
        """Copy what is not copied yet. Broken off anywhere, it goes on from there when it is done again."""
        done = self.resumed
        for table in self._tables:
            async with aclosing(ahead(batches(self._source, table, self._last(table)))) as following:
                async for batch in following:
                    await self._destination.append(batch, len(self._ranges))
                    self._ranges.append(batch.range)
                    done += batch.range.rows
                    followed.reach(done)
            followed.done(table.name, sum(noted.rows for _, noted in self._bounds(table)))
        await self._destination.settle(self._tables)

    async def verify(self, followed: Followed) -> tuple[Copied, ...]:
        """Read back all that was written, and only then let gateways serve from it.

        Raises `Refusal` CONFLICT naming the table and the keys between which the destination differs from the source.
        """
        copied: list[Copied] = []
        done = 0
        for table in self._tables:
            ranges = self._bounds(table)
            for bounds, noted in ranges:
                if await digested(self._destination, table, bounds) != noted:
                    raise _differs(_where(table, bounds))
                done += noted.rows
                followed.reach(done)
            rows = sum(noted.rows for _, noted in ranges)
            if rows != await self._destination.count(table) or rows != await self._source.count(table):
                raise _differs(f"the number of rows of {table.name}")
            copied.append(Copied(table.name, rows, sha256(b"".join(noted.digest for _, noted in ranges)).hexdigest()))
            followed.done(table.name, rows)
        await self._destination.finish()
        return tuple(copied)

    def _bounds(self, table: Table) -> list[tuple[Bounds, Range]]:
        """Return a table's ranges with their bounds: each begins behind the one before."""
        noted = [each for each in self._ranges if each.table == table.name]
        firsts: list[Key | None] = [None, *(each.last for each in noted)]
        return [(Bounds(first, each.last), each) for first, each in zip(firsts, noted, strict=False)]

    def _last(self, table: Table) -> Key | None:
        return next((each.last for each in reversed(self._ranges) if each.table == table.name), None)


@asynccontextmanager
async def open_copy(source: str, destination: str, *, restart: bool) -> AsyncIterator[Copy]:
    """Open both ends of a copy, `sqlite:PATH` or `postgresql://...` each, and find out where it begins.

    A destination has to be empty, or filled in part by a copy that was broken off: that one is resumed, or with `restart`
    begun again. Raises `ValueError` for a URL that names neither, `Refusal` where one of the two does not fit.
    """
    if source == destination:
        raise ValueError("source and destination are the same database")
    from_end, to_end = _opener(source, _SOURCES), _opener(destination, _DESTINATIONS)
    listed = tables()
    async with from_end as readable, to_end as writable:
        ranges = await writable.ranges()
        if ranges is None:
            await _require_empty(readable, writable, listed)
        if ranges is None or restart:
            await writable.begin(listed)
        copy = Copy(readable, writable, listed, () if restart or ranges is None else ranges)
        await copy.look()
        yield copy


_SOURCES: dict[str, Callable[[str], AbstractAsyncContextManager[Readable]]] = {
    "sqlite": lambda url: copying_sqlite.open_source(url.partition(":")[2]),
    "postgresql": copying_postgres.open_source,
    "postgres": copying_postgres.open_source,
}
_DESTINATIONS: dict[str, Callable[[str], AbstractAsyncContextManager[Writable]]] = {
    "sqlite": lambda url: copying_sqlite.open_destination(url.partition(":")[2]),
    "postgresql": copying_postgres.open_destination,
    "postgres": copying_postgres.open_destination,
}


def _opener(url: str, openers: dict[str, Callable[[str], AbstractAsyncContextManager[T]]]) -> AbstractAsyncContextManager[T]:
    scheme, _, rest = url.partition(":")
    if scheme not in openers or not rest:
        raise ValueError(f"{scheme!r} is no kind of database that is copied: use sqlite:PATH or postgresql://...")
    return openers[scheme](url)


async def _require_empty(source: Readable, destination: Writable, listed: Sequence[Table]) -> None:
    """Refuse a destination in which there is anything but the first tenant, which is replaced."""
    there = {table.name: await destination.count(table) for table in listed}
    if not any(rows for name, rows in there.items() if name not in _FOUNDED) and await _is_founded(destination, listed):
        return
    what = ", ".join(f"{name} {rows:,}" for name, rows in there.items() if rows)
    counts = [await source.count(table) for table in listed if table.name not in _FOUNDED]
    hint = "" if any(counts) else "; the source is empty: are --from and --to the wrong way round?"
    raise Refusal(Reason.CONFLICT, f"the destination is not empty ({what}){hint}", check="storage.copying")


async def _is_founded(destination: Writable, listed: Sequence[Table]) -> bool:
    """Tell whether the tenants are those of a registry that nobody has used yet."""
    (table,) = (table for table in listed if table.name == "tenant")
    found = [row async for chunk in destination.rows(table, Bounds()) for row in chunk]
    version = table.columns.index("version")
    return all(table.key_of(row) == (DEFAULT_TENANT,) and row[version] == 1 for row in found)


def _where(table: Table, bounds: Bounds) -> str:
    first = "its beginning" if bounds.after is None else shown(bounds.after)
    last = "its end" if bounds.until is None else shown(bounds.until)
    return f"{table.name} between {first} and {last}"


def _stale(sentence: str) -> Refusal:
    return Refusal(Reason.STALE, sentence, check="storage.copying")


def _differs(what: str) -> Refusal:
    sentence = f"the copy differs from its source: {what}; {_RESTART}"
    return Refusal(Reason.CONFLICT, sentence, check="storage.copying")
