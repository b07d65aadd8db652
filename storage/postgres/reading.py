"""Groups of queries answered by a PostgreSQL connection."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import asyncpg

from core.queries import (
    ApprovalPage,
    ApprovalsQuery,
    EntryLoginQuery,
    EventPage,
    NamedApprovalsQuery,
    ProfilePage,
    Query,
    TenantPage,
    TenantQuery,
    TokenPage,
    TokenQuery,
    TombstonePage,
    UnknownPage,
)
from storage.postgres import faults
from storage.postgres.foreseen import FORESEEN, answer
from storage.postgres.spelling import arrays, spell
from storage.reading import EACH, TOGETHER, places_by_kind
from storage.statements import Asked, Statement
from storage.steps import Steps

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

_OF_ONE_STATEMENT = frozenset(
    {
        *(TenantQuery, TokenQuery, EntryLoginQuery, NamedApprovalsQuery, ApprovalsQuery),
        *(ApprovalPage, EventPage, ProfilePage, TenantPage, TokenPage, TombstonePage, UnknownPage),
    }
)
"""Of what operators ask, that which needs no transaction to be answered from one moment."""


async def answer_together(connection: "Connection", queries: Sequence[Query[Any]]) -> list[Any]:
    """Answer a group; where one of the queries cannot be put to the database, each on its own.

    Each kind of query is one statement, so each query is answered from one moment, and each kind by one round trip.
    """
    try:
        return await _by_kind(connection, queries)
    except Exception as error:
        if faults.breaks_all(error) or len(queries) == 1:
            return [faults.outcome(error) for _ in queries]
        return [found for query in queries for found in await answer_together(connection, [query])]


async def answer_each(connection: "Connection", queries: Sequence[Query[Any]]) -> list[Any]:
    """Answer queries one after the other."""
    return [await _one(connection, query) for query in queries]


def snapshot(connection: "Connection") -> AbstractAsyncContextManager[Any]:
    """Make everything that is read within come from one moment. Costs two round trips."""
    return connection.transaction(isolation="repeatable_read", readonly=True)


async def carry_out(connection: "Connection", steps: Steps[Any]) -> Any:
    """Take all steps on a connection and return the answer."""
    try:
        asked = next(steps)
        while True:
            asked = steps.send(await run(connection, asked))
    except StopIteration as done:
        return done.value


async def run(connection: "Connection", asked: Statement | Asked) -> list[Any]:
    """Execute a statement and return what it answers; of a grouped one, in no order that can be relied upon."""
    if isinstance(asked, Statement):
        own = asked.postgres or asked
        return await connection.fetch(spell(own.text), *own.parameters)
    if not asked.rows:
        return []
    text, parameters = arrays(asked.statement, asked.rows)
    return await connection.fetch(text, *parameters)


async def _by_kind(connection: "Connection", queries: Sequence[Query[Any]]) -> list[Any]:
    answers: list[Any] = [None] * len(queries)
    for kind, places in places_by_kind(queries).items():
        found = await _of_kind(connection, kind, [queries[place] for place in places])
        for place, each in zip(places, found, strict=True):
            answers[place] = each
    return answers


async def _of_kind(connection: "Connection", kind: type[Query[Any]], queries: Sequence[Query[Any]]) -> Sequence[Any]:
    steps = TOGETHER[kind](queries)
    foreseen = FORESEEN.get(kind)
    found: Sequence[Any]
    if foreseen is None:
        found = await _in_one(connection, steps)
    else:
        found = answer(await foreseen.ask(connection, queries), steps)
    return found


async def _one(connection: "Connection", query: Query[Any]) -> Any:
    try:
        steps = EACH[type(query)](query)
        if type(query) in _OF_ONE_STATEMENT:
            return await _in_one(connection, steps)
        async with snapshot(connection):
            return await carry_out(connection, steps)
    except Exception as error:
        return faults.outcome(error)


async def _in_one(connection: "Connection", steps: Steps[Any]) -> Any:
    """Take the one step there is, outside of a transaction."""
    rows = await run(connection, next(steps))
    try:
        steps.send(rows)
    except StopIteration as done:
        return done.value
    raise AssertionError("a query of one statement asks for another")
