"""Answers that any replica may have to give again, and the places of those that are being made, in one table.

A place is known by the end of its time: whoever took it when that of another was over has a later one.
"""

from datetime import datetime
from typing import Final

from core.errors import Refusal
from core.replicas import Shelved
from storage import refusals
from storage.postgres.asking import Asking
from storage.postgres.connections import Connection

_PRUNED: Final = 5_000
_ATTEMPTS: Final = 5
_BEGIN: Final = """WITH put AS (
        INSERT INTO kept_answer (scope, name, print, until) VALUES ($1, $2, $3, now() + make_interval(secs => $4))
        ON CONFLICT (scope) DO UPDATE SET name = excluded.name, print = excluded.print, answer = NULL, until = excluded.until
        WHERE kept_answer.until <= now() RETURNING until)
    SELECT (SELECT until FROM put) AS mine, there.name, there.print, there.answer
    FROM (SELECT 1) one LEFT JOIN kept_answer there ON there.scope = $1 AND there.until > now()"""
_KEEP: Final = """UPDATE kept_answer SET answer = $2, until = now() + make_interval(secs => $3)
    WHERE scope = $1 AND until = $4 AND answer IS NULL"""
_DROP: Final = "DELETE FROM kept_answer WHERE scope = $1 AND until = $2 AND answer IS NULL"
_KNOWS: Final = "SELECT EXISTS (SELECT FROM kept_answer WHERE name = $1 AND until > now())"
_PRUNE: Final = """DELETE FROM kept_answer WHERE scope IN (SELECT scope FROM kept_answer
    WHERE until <= now() ORDER BY until LIMIT $1) AND until <= now()"""
"""Told twice when it has to be over: while this waits for a row, somebody may take its place anew."""


class SharedAnswerShelf:
    """Satisfies `core.replicas.AnswerShelf`. Times are the database's.

    In one process no scope is begun anew by one caller while another holds its place.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking
        self._ends: dict[bytes, datetime] = {}  # of the places that are held here

    async def begin(self, scope: bytes, mine: Shelved, seconds: float) -> Shelved | None:
        """Take the place of an answer for so many seconds; None: it is taken now, else what is there already."""
        for _ in range(_ATTEMPTS):
            (row,) = await self._asking.ask(_BEGIN, scope, mine.name, mine.print, seconds)
            if row["mine"] is not None:
                self._ends[scope] = row["mine"]
                return None
            if row["name"] is not None:
                return Shelved(name=row["name"], print=row["print"], answer=row["answer"])
            # Somebody put it there, or took a place that was over, after this statement began to look.
        raise _crowded()

    async def keep(self, scope: bytes, answer: bytes, seconds: float) -> None:
        """Put an answer in the place that was taken, for so many seconds, unless somebody else took it since."""
        ends = self._ends.pop(scope, None)
        if ends is not None:
            await self._asking.ask(_KEEP, scope, answer, seconds, ends)

    async def drop(self, scope: bytes) -> None:
        """Give up a place that was taken, unless somebody else took it since: there is no answer to be kept."""
        ends = self._ends.pop(scope, None)
        if ends is not None:
            await self._asking.ask(_DROP, scope, ends)

    async def knows(self, name: bytes) -> bool:
        """Tell whether anything stands there under this name, whatever its scope."""
        ((known,),) = await self._asking.ask(_KNOWS, name)
        return bool(known)

    async def prune(self, connection: Connection) -> None:
        """Forget what is over."""
        while await connection.execute(_PRUNE, _PRUNED) == f"DELETE {_PRUNED}":
            pass  # others had their turn meanwhile


def _crowded() -> Refusal:
    return refusals.queue_full()
