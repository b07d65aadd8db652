"""Groups of changes written to PostgreSQL: each is answered for itself, whatever becomes of those beside it."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg

from core.errors import registry_busy
from core.ports import Changes
from storage.postgres import faults
from storage.postgres.careful import write_carefully
from storage.postgres.connections import Connection
from storage.postgres.swift import is_swift, touched, write_swiftly

R = TypeVar("R")

Outcomes = list[Exception | None]
"""One for each set of changes, None where it was written."""

ATTEMPTS = 6
"""How often a transaction is begun that the database undoes for the sake of others; each time it waits a little longer."""

_PAUSE_SECONDS = 0.01


async def write(connection: Connection, group: Sequence[Changes], origin: str) -> Outcomes:
    """Write changes and return what became of each; those that have to do with one another take effect in the order given.

    Once the connection is in doubt, so is what was under way, and all that is left is refused.
    """
    outcomes: Outcomes = []
    try:
        while len(outcomes) < len(group):
            together = _together(group, len(outcomes))
            if together:
                await _write_together(connection, together, origin, outcomes)
            else:
                outcomes.append(await _write_alone(connection, group[len(outcomes)], origin))
    except Exception as error:
        outcomes += [faults.outcome(error) for _ in group[len(outcomes) :]]
    return outcomes


def _together(group: Sequence[Changes], start: int) -> Sequence[Changes]:
    """Return the changes from a place on that one statement can write, up to the first that it cannot write with the others."""
    seen: set[object] = set()
    for place, changes in enumerate(group[start:], start):
        if not is_swift(changes):
            return group[start:place]
        mine = touched(changes)
        if not seen.isdisjoint(mine):
            return group[start:place]
        seen |= mine
    return group[start:]


async def _write_together(connection: Connection, group: Sequence[Changes], origin: str, outcomes: Outcomes) -> None:
    """Write changes by one statement; where one of them is at fault, by halves, and that one alone.

    What became of each is added to `outcomes` at once: it is true whatever happens to the rest.
    """
    try:
        await _again(lambda: write_swiftly(connection, group, origin))
    except Exception as error:
        if not _is_of_values(error):
            outcomes += _failed(error, group)
            return
    else:
        outcomes += [None] * len(group)
        return
    if len(group) == 1:
        outcomes.append(await _write_alone(connection, group[0], origin))
        return
    middle = len(group) // 2
    for half in (group[:middle], group[middle:]):
        await _write_together(connection, half, origin, outcomes)


async def _write_alone(connection: Connection, changes: Changes, origin: str) -> Exception | None:
    try:
        await _again(lambda: write_carefully(connection, changes, origin))
    except Exception as error:
        return _failed(error, [changes])[0]
    return None


def _failed(error: Exception, group: Sequence[Changes]) -> Outcomes:
    if faults.ends_connection(error):
        raise error
    if faults.is_undone(error):
        return [registry_busy() for _ in group]
    return [faults.outcome(error) for _ in group]


def _is_of_values(error: Exception) -> bool:
    """Tell whether an error may be one change's alone: a guard that failed, or a value that has no place."""
    return isinstance(error, asyncpg.DivisionByZeroError) or not (faults.breaks_all(error) or faults.is_undone(error))


async def _again(work: Callable[[], Awaitable[R]]) -> R:
    """Do work, again where the database undid it for the sake of others. Nothing else is known not to have been written."""
    for attempt in range(1, ATTEMPTS):
        try:
            return await work()
        except Exception as error:
            if not faults.is_undone(error):
                raise
            await asyncio.sleep(_PAUSE_SECONDS * random.uniform(0.5, 1.5) * 2**attempt)  # noqa: S311 - spreads attempts
    return await work()
