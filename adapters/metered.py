"""The registry as operators watch it: how its commits end, how much waits for it, and whether it can be written."""

import asyncio
from typing import Protocol

import structlog

from adapters.exchange import Meter
from core.errors import Conflict, Reason, Refusal
from core.ports import Changes, Clock, Repository
from core.queries import Query, S

READY = "ready"
ASK_SECONDS = 15.0
"""How old what is said of readiness may be: about as often as Prometheus asks."""

CHECK_SECONDS = 5.0
"""How long a registry that is ready may take to prove it."""

log = structlog.get_logger("firstlight")

_COMMITTED, _CONFLICT, _ABANDONED = "committed", "conflict", "abandoned"


class CommitMeter(Protocol):
    """Counts commits, for operators."""

    def commit(self, outcome: str, seconds: float) -> None:
        """Count one commit and the time it took."""
        ...


class MeteredRepository:
    """A repository whose commits are counted. Satisfies `core.ports.Repository`.

    Outcomes are `committed`, `conflict`, a reason (mostly `unavailable`; `internal`: a fault of our own) and `abandoned`: the
    caller did not wait. `waiting` is how many reads and commits are not answered yet.
    """

    def __init__(self, repository: Repository, meter: CommitMeter, clock: Clock) -> None:
        self._repository = repository
        self._meter = meter
        self._monotonic = clock.monotonic
        self.waiting = 0

    async def read(self, query: Query[S]) -> S:
        """Answer a query from committed state."""
        self.waiting += 1
        try:
            return await self._repository.read(query)
        finally:
            self.waiting -= 1

    async def commit(self, changes: Changes) -> None:
        """Write all of the changes or none."""
        outcome = _ABANDONED
        started = self._monotonic()
        self.waiting += 1
        try:
            await self._repository.commit(changes)
            outcome = _COMMITTED
        except Exception as error:
            outcome = _outcome(error)
            raise
        finally:
            self.waiting -= 1
            self._meter.commit(outcome, self._monotonic() - started)

    async def prune_events(self, keep: int) -> int:
        """Forget the oldest events beyond the newest `keep`; returns how many went."""
        return await self._repository.prune_events(keep)

    async def check(self) -> None:
        """Prove that the store can be written."""
        await self._repository.check()


def _outcome(error: Exception) -> str:
    if isinstance(error, Conflict):
        return _CONFLICT
    return error.reason.value if isinstance(error, Refusal) else Reason.INTERNAL.value


class Readiness:
    """Whether the gateway takes work: its registry can be written, and it is not stopping.

    The level `ready` is 1 or 0, what was said last. Where nobody asks, it asks itself.
    """

    def __init__(
        self, repository: Repository, meter: Meter, *, seconds: float = ASK_SECONDS, check: float = CHECK_SECONDS
    ) -> None:
        self._repository = repository
        self._meter = meter
        self._seconds = seconds
        self._check_seconds = check
        self._asked_at = float("-inf")
        self._stopping = False

    async def fault(self) -> str:
        """Return why the gateway is not ready, in a line; empty: it is."""
        fault = "stopping" if self._stopping else await self._fault()
        self._asked_at = asyncio.get_running_loop().time()
        self._meter.level(READY, float(not fault))
        return fault

    def stop(self) -> None:
        """Be ready no longer."""
        self._stopping = True
        self._meter.level(READY, 0.0)

    async def run(self) -> None:
        """Ask whenever nobody did for a while, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            left = self._asked_at + self._seconds - loop.time()
            if left > 0:
                await asyncio.sleep(left)
            else:
                await self.fault()

    async def _fault(self) -> str:
        try:
            async with asyncio.timeout(self._check_seconds):
                await self._repository.check()
        except TimeoutError:
            fault = "the registry does not answer"
        except Refusal as refusal:
            fault = refusal.detail
        except Exception:
            log.exception("the registry could not be asked whether it can be written")
            fault = "the registry cannot be asked"
        else:
            fault = ""
        return "stopping" if self._stopping else fault
