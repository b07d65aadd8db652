"""The one clock that all replicas go by: the database's, as each of them last read it."""

import time

from storage.postgres.connections import Connection

_NOW = "SELECT extract(epoch FROM clock_timestamp())::float8"


class SharedClock:
    """Seconds since the Unix epoch at the database. Replicas agree about it as well as their round trips are short.

    Between two readings it goes on with this process's monotonic clock. It may be put back, as any clock of day.
    """

    def __init__(self) -> None:
        self._offset = 0.0
        self._read_at = float("-inf")

    def now(self) -> float:
        """Return the time."""
        return time.monotonic() + self._offset

    def age(self, now: float) -> float:
        """Return how many seconds ago it was read, at a time of the monotonic clock."""
        return now - self._read_at

    @property
    def ahead(self) -> float:
        """Return by how many seconds this machine's time of day is before the database's, negative where it is behind."""
        return time.time() - self.now()

    async def read(self, connection: Connection) -> None:
        """Read it anew: the moment in the middle of asking counts."""
        before = time.monotonic()
        there = float(await connection.fetchval(_NOW))
        self._read_at = time.monotonic()
        self._offset = there - (before + self._read_at) / 2
