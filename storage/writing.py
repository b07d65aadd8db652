"""Changes written through an SQLite connection, on the connection's thread: many requests in one transaction."""

import sqlite3
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import TypeVar

from core.errors import Conflict
from core.model import ProfileId
from core.ports import Changes
from storage import faults, tables
from storage.bounds import EXPIRED_KEPT_MS, TOMBSTONE_KEPT_MS
from storage.clock import now
from storage.guards import Held, Present, device_balance, examine, examine_additions, made_balance, only_adds
from storage.stored import GroupStored, RowStored

R = TypeVar("R")

Outcomes = list[Exception | None]
"""One for each set of changes, None where it was written."""

PROVE = "UPDATE probe SET count = count + 1"
PRUNE_ISSUED = """DELETE FROM issued WHERE id IN
    (SELECT id FROM issued INDEXED BY issued_not_after WHERE not_after < ? ORDER BY not_after LIMIT ?)"""
PRUNE_APPROVALS = """DELETE FROM approval WHERE id IN
    (SELECT id FROM approval INDEXED BY approval_expires WHERE expires_at < ? ORDER BY expires_at LIMIT ?)"""
PRUNE_TOMBSTONES = """DELETE FROM tombstone WHERE id IN
    (SELECT id FROM tombstone INDEXED BY tombstone_created WHERE created_at < ? ORDER BY created_at LIMIT ?)"""
PRUNE = "DELETE FROM event WHERE seq <= min((SELECT max(seq) FROM event) - ?, (SELECT min(seq) FROM event) + ? - 1)"


def write(connection: sqlite3.Connection, group: Sequence[Changes]) -> Outcomes:
    """Write a group in one transaction and return what became of each; they take effect in the order given.

    Where something fails that no guard foresaw, nothing of the transaction stays and the group is written again with a
    savepoint for each of its members, so that one bad one does not fail its neighbours. What even then shows only at the end
    (a foreign key is looked at by the commit) is found by giving each a transaction.
    """
    try:
        return transact(connection, lambda: _in_runs(connection, group))
    except Exception as error:
        if faults.breaks_all(error):
            return [faults.outcome(error) for _ in group]
    try:
        return transact(connection, lambda: [_apart(connection, changes) for changes in group])
    except Exception as error:
        if faults.breaks_all(error) or len(group) == 1:
            return [faults.outcome(error) for _ in group]
    return [outcome for changes in group for outcome in write(connection, [changes])]


def transact(connection: sqlite3.Connection, work: Callable[[], R]) -> R:
    """Do work in a transaction of its own, durable when this returns, undone when it raises."""
    if connection.in_transaction:  # left behind where even undoing failed
        connection.execute("ROLLBACK")
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work()
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return result


def prove(connection: sqlite3.Connection) -> None:
    """Write one row, so that a file that takes no more is found out."""
    transact(connection, lambda: connection.execute(PROVE))


def prune(connection: sqlite3.Connection, keep: int, most: int) -> int:
    """Delete at most `most` of the oldest events beyond the newest `keep`, and as many expired certificates.

    Returns how many events went.
    """

    def pruned() -> int:
        connection.execute(PRUNE_ISSUED, (now() - EXPIRED_KEPT_MS, most))
        connection.execute(PRUNE_APPROVALS, (now(), most))
        connection.execute(PRUNE_TOMBSTONES, (now() - TOMBSTONE_KEPT_MS, most))
        return connection.execute(PRUNE, (keep, most)).rowcount

    return transact(connection, pruned)


def _in_runs(connection: sqlite3.Connection, group: Sequence[Changes]) -> Outcomes:
    """Write those that only add together and the others where they stand between them, all in the order given."""
    outcomes: Outcomes = []
    for together, run in groupby(group, key=only_adds):
        if together:
            outcomes += _together(connection, list(run))
        else:
            outcomes += [_alone(connection, changes) for changes in run]
    return outcomes


def _together(connection: sqlite3.Connection, run: Sequence[Changes]) -> Outcomes:
    stored = GroupStored(connection, run)
    outcomes: Outcomes = []
    accepted: list[Changes] = []
    for changes in run:
        held: Held = {}
        guard = examine_additions(changes, stored, held)
        outcomes.append(None if guard is None else Conflict(guard))
        if guard is None:
            stored.accept(changes, held)
            accepted.append(changes)
    tables.insert(connection, accepted)
    tables.count(connection, stored.grown)
    tables.count_made(connection, stored.made)
    return outcomes


def _alone(connection: sqlite3.Connection, changes: Changes) -> Exception | None:
    stored = RowStored(connection)
    guard = examine(changes, stored)
    if guard is not None:
        return Conflict(guard)
    tables.delete(connection, changes)
    for entity in changes.replace:
        tables.replace(connection, entity)
    tables.insert(connection, [changes])
    tables.count(connection, device_balance(changes))
    tables.count_made(connection, _counted(changes, stored))
    return None


def _counted(changes: Changes, stored: Present) -> dict[ProfileId, int]:
    """Return how many devices the changes make by a claim key of which somebody counts that."""
    return {profile: made for profile, made in made_balance(changes).items() if stored.allowance(profile) is not None}


def _apart(connection: sqlite3.Connection, changes: Changes) -> Exception | None:
    connection.execute("SAVEPOINT apart")
    try:
        outcome = _alone(connection, changes)
    except Exception as error:
        if faults.breaks_all(error):
            raise
        connection.execute("ROLLBACK TO apart")
        outcome = faults.outcome(error)
    connection.execute("RELEASE apart")
    return outcome
