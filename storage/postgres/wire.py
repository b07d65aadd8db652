"""The one connection over which a replica hears of the others: it listens, tells, and reads what was committed."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

from storage.postgres.connections import AWAY, Connection
from storage.postgres.gossip import NotifiedGossip
from storage.postgres.notices import Notices
from storage.postgres.shared_clock import SharedClock

NOTICE: Final = "firstlight_notice"
GOSSIP: Final = "firstlight_gossip"
POLL_SECONDS: Final = 1.0
"""How long a lost notification may keep a replica from what there is to be read."""

_PAUSE_SECONDS: Final = 0.02  # what comes meanwhile is told together: every notification wakes every replica
_AT_ONCE: Final = 64
_LEAST_SECONDS: Final = 0.2
_MOST_SECONDS: Final = 5.0
_TELL: Final = "SELECT pg_notify($1, '')"
_SPREAD: Final = "SELECT pg_notify($1, payload) FROM unnest($2::text[]) AS payload"

Connect = Callable[[], Awaitable[Connection]]

log = logging.getLogger(__name__)


class Wire:
    """Notices and gossip of a replica, over as many connections as it takes. `poll` is in seconds."""

    def __init__(self, connect: Connect, replica: str, clock: SharedClock, *, poll: float = POLL_SECONDS) -> None:
        self.notices = Notices(replica, self.told)
        self.gossip = NotifiedGossip(replica, self._wake)
        self.is_up = False
        self.polled = 0
        """How many rows were found without having been notified of them."""
        self._connect = connect
        self._clock = clock
        self._poll = poll
        self._woken = asyncio.Event()
        self._to_tell = False
        self._is_sending = False
        self._notified = False

    def told(self) -> None:
        """Tell the others, soon and without waiting, that something was committed."""
        self._to_tell = True
        self._wake()

    async def drain(self, seconds: float) -> None:
        """Wait until everything is sent that was to be, for so many seconds at most."""
        ends = time.monotonic() + seconds
        while self.is_up and time.monotonic() < ends:
            if not (self.gossip.is_waiting or self._to_tell or self._is_sending):
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def run(self) -> None:
        """Listen and tell until cancelled."""
        failures = 0
        while True:
            try:
                await self._serve(await self._connect())
            except AWAY as error:
                failures = 0 if self.is_up else failures + 1
                if failures <= 1:
                    log.warning("the database does not tell what other replicas do: %s", error or "no answer in time")
            except Exception:
                # Whatever it is: what fails once must not leave this replica alone for ever.
                log.exception("what other replicas do could not be read, it begins again")
                failures += 1
            finally:
                self.is_up = False
                self.gossip.up(False)
            await asyncio.sleep(random.uniform(0.8, 1.2) * min(_LEAST_SECONDS * 2.0 ** min(failures, 8), _MOST_SECONDS))  # noqa: S311 - spreads attempts, keeps no secret

    async def _serve(self, connection: Connection) -> None:
        try:
            connection.add_termination_listener(self._ended)
            await connection.execute("SET synchronous_commit = off")  # what is told here is written nowhere
            await connection.add_listener(NOTICE, self._heard_of_notices)
            await connection.add_listener(GOSSIP, self._heard_gossip)
            await self.notices.begin(connection, time.monotonic())
            self.is_up = self._notified = True
            self.gossip.up(True)
            while True:
                await self._turn(connection)
        finally:
            connection.terminate()

    async def _turn(self, connection: Connection) -> None:
        """Send what waits, read what is there, and wait for more of either, or until it is time to look anyway."""
        self._woken.clear()
        self._is_sending = True
        if self._to_tell:
            self._to_tell = False
            await connection.execute(_TELL, NOTICE)
        while self.gossip.is_waiting:
            await connection.execute(_SPREAD, GOSSIP, self.gossip.take(_AT_ONCE))
        self._is_sending = False
        await self._look(connection)
        await asyncio.sleep(_PAUSE_SECONDS)
        try:
            async with asyncio.timeout(max(self._poll - self._clock.age(time.monotonic()), 0.0)):
                await self._woken.wait()
        except TimeoutError:
            return
        if connection.is_closed():
            raise ConnectionError("the connection was lost")

    async def _look(self, connection: Connection) -> None:
        """Read what there is, where it was said that there is something, or nothing was said for a while."""
        was_notified, self._notified = self._notified, False
        is_time = self._clock.age(time.monotonic()) >= self._poll
        if is_time:
            await self._clock.read(connection)
        if was_notified or is_time:
            found = await self.notices.read(connection, time.monotonic())
            self.polled += 0 if was_notified else found

    def _wake(self) -> None:
        self._woken.set()

    def _ended(self, _: Any) -> None:
        self._wake()

    def _heard_of_notices(self, connection: Any, pid: int, *_: Any) -> None:
        if pid != connection.get_server_pid():  # what we say we hear ourselves
            self._notified = True
            self._wake()

    def _heard_gossip(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        self.gossip.receive(str(payload))
