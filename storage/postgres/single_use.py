"""What was used and may not be used again, remembered by the database for all replicas."""

import secrets
from typing import Final

from storage.postgres.asking import Asking
from storage.postgres.connections import Connection
from storage.postgres.shared_clock import SharedClock

KEPT_SECONDS: Final = 3_600.0
"""For how long it is remembered beyond its time: the database's clock may be put back by less than this."""

_EPOCH_BYTES: Final = 16
_PRUNED: Final = 5_000
_DRAW: Final = """WITH drawn AS (INSERT INTO epoch VALUES (1, $1) ON CONFLICT DO NOTHING RETURNING value)
    SELECT value FROM drawn UNION ALL SELECT value FROM epoch"""
_SPEND: Final = """WITH good AS (SELECT FROM epoch WHERE value = $1),
    put AS (INSERT INTO spent SELECT $2, to_timestamp($3) FROM good ON CONFLICT DO NOTHING RETURNING 1)
    SELECT EXISTS (SELECT FROM good) AS good, EXISTS (SELECT FROM put) AS put"""
_PRUNE: Final = """DELETE FROM spent WHERE identity IN (SELECT identity FROM spent
    WHERE until < now() - make_interval(secs => $1) ORDER BY until LIMIT $2)"""


class SharedSingleUse:
    """Satisfies `core.ports.SingleUse`; its time is the database's. `epoch` is there once it is begun.

    Where the database forgets (a crash, a standby that takes over), it forgets the epoch too, and the next one is another.
    """

    def __init__(self, asking: Asking, clock: SharedClock) -> None:
        self.epoch = b""
        self._asking = asking
        self._clock = clock

    async def begin(self) -> None:
        """Learn the epoch, or draw it. Raises `Refusal` UNAVAILABLE."""
        rows = await self._asking.ask(_DRAW, secrets.token_bytes(_EPOCH_BYTES))
        while not rows:  # somebody else drew it at this moment
            rows = await self._asking.ask(_DRAW, secrets.token_bytes(_EPOCH_BYTES))
        self.epoch = rows[0][0]

    def now(self) -> float:
        """Return the time by which things are good here."""
        return self._clock.now()

    async def spend(self, identity: bytes, until: float) -> bool:
        """Use something; False: it was used before, or it is of another epoch. Raises `Refusal` UNAVAILABLE."""
        ((is_good, is_put),) = await self._asking.ask(_SPEND, self.epoch, identity, until)
        if not is_good:
            await self.begin()
        return bool(is_put)

    async def prune(self, connection: Connection) -> None:
        """Forget what is good no longer."""
        while await connection.execute(_PRUNE, KEPT_SECONDS, _PRUNED) == f"DELETE {_PRUNED}":
            pass  # others had their turn meanwhile
