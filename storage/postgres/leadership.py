"""Work that one replica does at a time: whoever has the lock of an office, once the time of the one before is over.

The lock is of a session, and the server lets it go when that ends, which it may see before the replica does, or long after
(https://www.postgresql.org/docs/15/explicit-locking.html#ADVISORY-LOCKS). So whoever leads says every second that it still
does, and stops as soon as that is not answered; and its successor waits until what it last said is over, unless it said that
it leaves.
"""

import asyncio
import contextlib
import hashlib
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from storage.postgres.connections import AWAY, Connection
from storage.postgres.wire import Connect

TERM_SECONDS: Final = 6.0
"""For how long others leave an office alone after its holder was last heard of."""

BEAT_SECONDS: Final = 1.0
SILENCE_SECONDS: Final = 2.0
"""After so long without an answer a holder stops: before its term is over, with time to spare for stopping."""

ASK_SECONDS: Final = 1.0
_CLASS: Final = 0x46_4C_52_4F  # of our locks among those of two numbers
_LOCK: Final = "SELECT pg_try_advisory_lock($1, $2)"
_LEFT: Final = "SELECT extract(epoch FROM until - clock_timestamp())::float8 FROM office WHERE name = $1 AND holder <> $2"
_HOLD: Final = """INSERT INTO office VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until"""
_BEAT: Final = """UPDATE office SET until = clock_timestamp() + make_interval(secs => $3)
    WHERE name = $1 AND holder = $2"""
_LEAVE: Final = "DELETE FROM office WHERE name = $1 AND holder = $2"

Work = Callable[[], Awaitable[None]]

log = logging.getLogger(__name__)


class _Lost(Exception):
    """The office is held no longer."""


class LockedOffices:
    """Satisfies `core.replicas.Leadership`."""

    def __init__(self, connect: Connect, replica: str) -> None:
        self._connect = connect
        self._replica = replica
        self._held: set[str] = set()

    @property
    def held(self) -> frozenset[str]:
        """Return the offices that this replica holds."""
        return frozenset(self._held)

    async def lead(self, office: str, work: Work) -> None:
        """Run `work` while this replica holds an office, cancel it when it holds it no longer; return when cancelled."""
        while True:
            try:
                await self._over_connection(await self._connect(), office, work)
            except (_Lost, *AWAY):
                pass  # somebody else may lead while this one has no database
            except Exception:
                # Whatever it is: what fails once must not end this replica's part for ever.
                log.exception("what one replica alone may do failed: %s", office)
            await asyncio.sleep(_pause())

    async def _over_connection(self, connection: Connection, office: str, work: Work) -> None:
        try:
            await connection.execute("SET synchronous_commit = off")
            await _locked(connection, office)
            await self._wait_for_term(connection, office)
            await connection.execute(_HOLD, office, self._replica, TERM_SECONDS)
            await self._hold(connection, office, work)
        finally:
            connection.terminate()

    async def _wait_for_term(self, connection: Connection, office: str) -> None:
        """Wait for the end of the term of whoever held the office; not for longer, whatever the database's clock does."""
        ends = time.monotonic() + TERM_SECONDS
        while True:
            left = await connection.fetchval(_LEFT, office, self._replica)
            if left is None or left <= 0 or time.monotonic() >= ends:
                return
            await asyncio.sleep(min(left, ASK_SECONDS))

    async def _hold(self, connection: Connection, office: str, work: Work) -> None:
        log.info("this replica does from now on what one alone may do: %s", office)
        self._held.add(office)
        working = asyncio.ensure_future(_whole(work))
        beating = asyncio.ensure_future(self._beat(connection, office))
        try:
            await asyncio.wait((working, beating), return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                working.result()
        finally:
            for task in (working, beating):
                task.cancel()
            await asyncio.gather(working, beating, return_exceptions=True)
            self._held.discard(office)
            await self._leave(connection, office)
        log.warning("this replica does no longer what one alone may do: %s", office)

    async def _beat(self, connection: Connection, office: str) -> None:
        """Say every second that the office is held; return when that is not certain any more."""
        with contextlib.suppress(_Lost, *AWAY):
            while True:
                began = time.monotonic()
                async with asyncio.timeout(SILENCE_SECONDS):
                    if await connection.execute(_BEAT, office, self._replica, TERM_SECONDS) != "UPDATE 1":
                        raise _Lost
                await asyncio.sleep(max(BEAT_SECONDS - (time.monotonic() - began), 0.0))

    async def _leave(self, connection: Connection, office: str) -> None:
        """Let others have the office at once, where the database still listens."""
        if connection.is_closed():
            return
        with contextlib.suppress(*AWAY):
            async with asyncio.timeout(BEAT_SECONDS):
                await connection.execute(_LEAVE, office, self._replica)


async def _locked(connection: Connection, office: str) -> None:
    """Wait for the lock of an office; waiting in the database would hold a snapshot there."""
    while True:
        if await connection.fetchval(_LOCK, _CLASS, _number(office)):
            return
        await asyncio.sleep(_pause())


async def _whole(work: Work) -> None:
    await work()


def _number(office: str) -> int:
    return int.from_bytes(hashlib.sha256(office.encode()).digest()[:4], "big", signed=True)


def _pause() -> float:
    return random.uniform(0.8, 1.2) * ASK_SECONDS  # noqa: S311 - spreads attempts, keeps no secret
