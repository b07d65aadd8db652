"""What other replicas committed: the rows of the table `notice`, each read once.

A commit writes its row itself, so none is lost with a replica; a notification only says that there are rows to be read, and may
be lost. Rows of transactions that began earlier may become visible later: so each reading begins at the oldest transaction that
was still open at the one before (https://www.postgresql.org/docs/15/functions-info.html#FUNCTIONS-PG-SNAPSHOT).
"""

import logging
from collections.abc import Callable
from typing import Final

import asyncpg

from core.notices import EVERYTHING, read
from storage.postgres.connections import Connection

KEPT_SECONDS: Final = 600.0
MOST: Final = 5_000
"""How many rows are read at once; where there are more, everything counts as changed."""

AGAIN_SECONDS: Final = 30.0
"""After so long no transaction is open any more that was when rows were left out: the database ends them sooner."""

_MARGIN_SECONDS: Final = 60.0
_PRUNED: Final = 5_000

_BEGIN: Final = """SELECT pg_snapshot_xmin(pg_current_snapshot())::text, pg_postmaster_start_time()::text,
    coalesce(inet_server_addr()::text, '')"""
_READ: Final = """SELECT pg_snapshot_xmin(now.seen)::text AS oldest, pg_snapshot_xmax(now.seen)::text AS next,
    seq, xact::text, names FROM (SELECT pg_current_snapshot() AS seen) now LEFT JOIN LATERAL
    (SELECT * FROM notice WHERE xact >= $1::text::xid8 AND origin <> $2 ORDER BY xact, seq LIMIT $3) rows ON true"""
_PRUNE: Final = """DELETE FROM notice WHERE (xact, seq) IN (SELECT xact, seq FROM notice ORDER BY xact, seq LIMIT $1)
    AND at < now() - make_interval(secs => $2)"""

Told = Callable[[frozenset[str]], None]

log = logging.getLogger(__name__)


class Notices:
    """Satisfies `core.ports.Notifier`. `wake` is called when the others are to be told that there is something to read."""

    def __init__(self, replica: str, wake: Callable[[], None], most: int = MOST) -> None:
        self.everything = 0
        """How often everything counted as changed."""
        self._replica = replica
        self._wake = wake
        self._most = most
        self._told: dict[int, Told] = {}
        self._last = 0
        self._server: tuple[str, str] | None = None
        self._from = ""
        self._floor = 0
        self._seen: dict[int, int] = {}
        self._heard_at = 0.0
        self._again_at: float | None = None
        self._then_at: float | None = None

    def silence(self, now: float) -> float:
        """Return for how many seconds nothing of the others was known, at a monotonic time."""
        return now - self._heard_at if self._server is not None else 0.0

    def tell(self, names: frozenset[str]) -> None:
        """Have the others look: what there is to know was written by the commit."""
        if names:
            self._wake()

    def listen(self, told: Told) -> Callable[[], None]:
        """Call `told`, from the loop, with what the others committed, or with `EVERYTHING`; returns what ends that."""
        self._last += 1
        number = self._last
        self._told[number] = told
        return lambda: self._ended(number)

    async def begin(self, connection: Connection, now: float) -> None:
        """Go on over a new connection, at a monotonic time in seconds.

        Everything counts as changed where rows may be gone that were not read, or where another server answers: one that took
        over may lack the last rows of the one before.
        """
        start, *server = _only(await connection.fetch(_BEGIN))
        is_known = (server[0], server[1]) == self._server and now - self._heard_at < KEPT_SECONDS - _MARGIN_SECONDS
        if self._server is None:
            self._from = start  # what there is already is read from the registry as it is
        elif not is_known:
            self._skip_to(start, floor=0)  # another server counts its transactions anew
        self._server, self._heard_at = (server[0], server[1]), now

    async def read(self, connection: Connection, now: float) -> int:
        """Read what is there and was not read before, and tell it; returns how many rows of others that were."""
        rows = await connection.fetch(_READ, self._from, self._replica, self._most + 1)
        self._heard_at = now
        if self._again_at is not None and now >= self._again_at:
            self._again_at, self._then_at = self._then_at, None
            self._tell(frozenset({EVERYTHING}))
        if len(rows) > self._most:
            self._tell_again(now + AGAIN_SECONDS)
            self._skip_to(rows[0]["next"], floor=int(rows[0]["next"]))
            return self._most
        fresh = [row for row in rows if row["seq"] is not None and row["seq"] not in self._seen]
        self._seen |= {row["seq"]: int(row["xact"]) for row in fresh}
        self._go_on(rows[0]["oldest"])
        if fresh:
            self._tell(frozenset[str]().union(*(read(row["names"]) for row in fresh)))
        return len(fresh)

    async def prune(self, connection: Connection) -> None:
        """Delete rows that every replica has read by now, or has to do without."""
        while await connection.execute(_PRUNE, _PRUNED, KEPT_SECONDS) == f"DELETE {_PRUNED}":
            pass  # others had their turn meanwhile

    def _ended(self, number: int) -> None:
        self._told.pop(number, None)

    def _go_on(self, oldest: str) -> None:
        """Begin the next reading at the oldest open transaction, but after what was left out: that would be too much again.

        A transaction anywhere in the cluster counts as open, for as long as it takes.
        """
        horizon = max(int(oldest), self._floor)
        self._from = str(horizon)
        self._seen = {seq: xact for seq, xact in self._seen.items() if xact >= horizon}

    def _tell_again(self, at: float) -> None:
        """Tell everything once more at a time. What is due already is not put off: then it is told again, at the last time."""
        if self._again_at is None:
            self._again_at = at
        else:
            self._then_at = at

    def _skip_to(self, start: str, floor: int) -> None:
        log.warning("what other replicas did is not known of some time: everything is looked at again")
        self._from, self._floor, self._seen = start, floor, {}
        self._tell(frozenset({EVERYTHING}))

    def _tell(self, names: frozenset[str]) -> None:
        self.everything += EVERYTHING in names
        for told in tuple(self._told.values()):
            told(names)


def _only(rows: list[asyncpg.Record]) -> asyncpg.Record:
    (row,) = rows
    return row
