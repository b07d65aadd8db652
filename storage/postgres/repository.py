"""The registry in PostgreSQL: lanes to the database, each serving whole groups of requests."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple, TypeVar, cast

import msgspec

from core.errors import Refusal
from core.ports import Changes
from core.queries import Query
from core.replicas import Replicas
from storage import copying_mark, reading, refusals
from storage.bounds import GROUP, PRUNED_AT_ONCE, QUEUE
from storage.grouping import Group
from storage.postgres import faults, migration, pruning
from storage.postgres.commons import Commons, open_commons
from storage.postgres.connections import AWAY, Connection, Patience, connect, shown
from storage.postgres.lanes import Lane
from storage.postgres.reading import answer_each, answer_together
from storage.postgres.writing import write

Q = TypeVar("Q")
S = TypeVar("S")

# What is asked by key is to go by an index whatever the statistics say, which a new database has none of.
BY_KEY = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "join_collapse_limit": "1",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
}
"""Settings of the connections on which devices are served."""

# Pages go along the index that has their order, however little the statistics say of what lies at its beginning. Each is
# planned anew: what is asked decides, and how large the tables are by now.
OF_OPERATORS = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
    "enable_hashagg": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "join_collapse_limit": "1",
    "plan_cache_mode": "force_custom_plan",
    "jit": "off",
}
"""Settings of the connection on which operators read."""


class PostgresSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How a database is used.

    `queue` and `group` bound what waits and what is served at once. `devices` and `operators` are how long the ones and the
    others wait for an answer.
    """

    queue: int = QUEUE
    group: int = GROUP
    devices: Patience = Patience()
    operators: Patience = Patience(command=30.0, statement=28.0)


class Lanes(NamedTuple):
    """Connections: to write, to read for devices, and to read for operators and do what takes long."""

    writer: Lane
    device_reader: Lane
    operator_reader: Lane


class PostgresRepository:
    """A `core.ports.Repository` on three connections to one database, which other gateways may use as well.

    What is held against what others do at the same time: `storage.postgres.swift` and `storage.postgres.careful`.
    """

    def __init__(self, lanes: Lanes, settings: PostgresSettings, commons: Commons) -> None:
        self._lanes = lanes
        self._commons = commons
        self._closed = False
        size, queue = settings.group, settings.queue
        self._commits = Group(self._write, size=size, queue=queue)
        self._checks = Group(self._prove, size=size, queue=queue)
        self._together = Group(self._answer_together, size=size, queue=queue)
        self._each = Group(self._answer_each, size=1, queue=queue)

    @property
    def replicas(self) -> Replicas:
        """Return what gateways over this database have in common beside the registry."""
        return self._commons.replicas

    async def read(self, query: Query[S]) -> S:
        """Answer a query from committed state. Raises `Refusal` UNAVAILABLE."""
        readers = self._together if type(query) in reading.TOGETHER else self._each
        return cast("S", await readers.ask(query))

    async def commit(self, changes: Changes) -> None:
        """Write all of the changes or none, durable when this returns as far as the database is told to be.

        Raises `Conflict` and `Refusal` UNAVAILABLE. Where the connection broke before the answer came nobody knows whether it
        was written; that is UNAVAILABLE too.
        """
        await self._commits.ask(changes)

    async def prune_events(self, keep: int) -> int:
        """Forget the oldest events beyond the newest `keep`, and expired certificates; returns how many events went.

        Raises `Refusal` UNAVAILABLE.
        """
        if self._closed:
            raise refusals.closed()
        (pruned,) = await _served(self._lanes.operator_reader, [keep], _prune)
        if isinstance(pruned, Exception):
            raise pruned
        return cast("int", pruned)

    async def check(self) -> None:
        """Write to the database and wait until it has it. Raises `Refusal` UNAVAILABLE where that does not work."""
        await self._checks.ask(None)

    async def close(self) -> None:
        """Serve what was asked before and refuse the rest. The connections are left open."""
        self._closed = True
        await asyncio.gather(*(group.close() for group in (self._together, self._each, self._checks, self._commits)))

    async def _write(self, group: list[Changes]) -> Sequence[Exception | None]:
        origin = self._commons.replicas.id
        outcomes = await _served(self._lanes.writer, group, lambda connection, some: write(connection, some, origin))
        if None in outcomes:
            self._commons.told()
        return outcomes

    async def _prove(self, group: list[None]) -> Sequence[Exception | None]:
        return await _served(self._lanes.writer, group, _prove)

    async def _answer_together(self, group: list[Query[Any]]) -> Sequence[Any]:
        return await _served(self._lanes.device_reader, group, answer_together)

    async def _answer_each(self, group: list[Query[Any]]) -> Sequence[Any]:
        return await _served(self._lanes.operator_reader, group, answer_each)


async def _served(
    lane: Lane, group: list[Q], serve: Callable[[Connection, list[Q]], Awaitable[Sequence[Any]]]
) -> Sequence[Any]:
    """Serve a group on a lane; an answer after which the connection is in doubt ends that."""

    async def work(connection: Connection) -> Sequence[Any]:
        answers = await serve(connection, group)
        for answer in answers:
            cause = answer.__cause__ if isinstance(answer, Refusal) else None
            if isinstance(cause, Exception) and faults.ends_connection(cause):
                lane.lose(connection, cause)
        return answers

    try:
        return await lane.run(work)
    except Exception as error:
        return [faults.outcome(error) for _ in group]


async def _prune(connection: Connection, group: list[int]) -> Sequence[int]:
    return [await pruning.prune(connection, keep, PRUNED_AT_ONCE) for keep in group]


async def _prove(connection: Connection, group: list[None]) -> Sequence[None]:
    await connection.execute(pruning.PROVE)
    return group


@asynccontextmanager
async def open_postgres(url: str, settings: PostgresSettings | None = None) -> AsyncIterator[PostgresRepository]:
    """Open the registry in a database, which is made whole where it is empty.

    On the way out what was asked is served. Raises `Refusal` UNAVAILABLE where the database cannot be used: out of reach, not
    ours, of a version that this one cannot serve beside, a copy into it unfinished.
    """
    chosen = settings if settings is not None else PostgresSettings()
    async with AsyncExitStack() as stack:
        try:
            repository = await _assemble(url, chosen, stack)
        except AWAY as error:
            raise refusals.unopened(shown(url), error) from error
        stack.push_async_callback(repository.close)
        yield repository


async def _assemble(url: str, settings: PostgresSettings, stack: AsyncExitStack) -> PostgresRepository:
    await migration.prepare(url)
    lanes = Lanes(
        writer=_lane(url, "commits", settings.devices, BY_KEY),
        device_reader=_lane(url, "devices", settings.devices, BY_KEY),
        operator_reader=_lane(url, "operators", settings.operators, OF_OPERATORS),
    )
    for lane in lanes:
        stack.push_async_callback(lane.close)
        await lane.open()
    if await lanes.writer.run(copying_mark.unfinished_in_postgres):
        raise copying_mark.refusal()
    commons = await stack.enter_async_context(open_commons(lambda: connect(url, name="firstlight replica")))
    return PostgresRepository(lanes, settings, commons)


def _lane(url: str, name: str, patience: Patience, settings: Mapping[str, str]) -> Lane:
    return Lane(name, lambda: connect(url, name=f"firstlight {name}", patience=patience, settings=settings))
