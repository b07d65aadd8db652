"""Reads the events of all tenants as they are committed: each once, oldest first, in slices that fit into memory."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Final

import msgspec

from adapters.brokers.event_position import OVERLAP_MILLISECONDS, PUBLISHED, Position, floor_of
from core.model import Event, EventId, TenantId
from core.ports import Repository
from core.queries import EventPage, TenantPage

ROWS: Final = 1_000
_TENANTS = 100


class Hindsight(msgspec.Struct, frozen=True, kw_only=True):
    """How far back is looked for events whose ids are from a late clock, in milliseconds, and how often, in seconds."""

    overlap: int = 60_000
    seconds: float = 15.0


class EventFeed:
    """What was committed since a position. Whoever reads it says what is done with, and is not given that again.

    The last seconds before the newest event are read again every time, for those that were committed behind it. Where several
    gateways write, each with a clock of its own, that is not far enough: with `hindsight` more is read again from time to time.
    """

    def __init__(self, repository: Repository, rows: int = ROWS, hindsight: Hindsight | None = None) -> None:
        self._repository = repository
        self._rows = rows
        self._hindsight = hindsight
        self._look_back_at = 0.0
        self._looked_back = False
        self._newest = ""
        self._least = ""
        self._done: set[str] = set()

    @property
    def begun(self) -> bool:
        """Tell whether anybody said where to begin."""
        return bool(self._newest)

    @property
    def look_again_seconds(self) -> float | None:
        """Return after how long to look again though nothing new is heard of, None: not before there is."""
        return None if self._hindsight is None or self._looked_back else self._hindsight.seconds

    @property
    def position(self) -> Position:
        """Return how far everything is done with."""
        return Position(self._newest, tuple(sorted(self._done)[-PUBLISHED:]))

    def begin(self, at: str) -> None:
        """Begin with what comes after this id, and leave out everything before it."""
        self._newest = self._least = at

    def go_on(self, position: Position) -> None:
        """Go on from a position, unless this is further already."""
        self._newest = max(self._newest, position.newest)
        self._done.update(position.published)

    def done(self, events: Iterable[Event]) -> None:
        """Take note of what needs not be given again."""
        ids = {event.id for event in events}
        self._done |= ids
        self._newest = max(ids | {self._newest})

    async def slices(self) -> AsyncGenerator[tuple[Event, ...], None]:
        """Yield what is not done with. Raises `Refusal` UNAVAILABLE; what was not yielded then comes the next time."""
        after = max(self._least, floor_of(self._newest, self._overlap()))
        tenants = await self._tenants()
        is_last = False
        while not is_last:
            pages = await self._pages(tenants, after)
            # Beyond the last event of a page that is full there may be others that are older than what another tenant has.
            ends = [page[-1].id for page in pages if len(page) == self._limit(tenants)]
            is_last = not ends
            after = min(ends, default=EventId(after))
            found = (event for page in pages for event in page if is_last or event.id <= after)
            fresh = sorted((event for event in found if event.id not in self._done), key=lambda event: event.id)
            if fresh:
                yield tuple(fresh)
        overlap = OVERLAP_MILLISECONDS if self._hindsight is None else self._hindsight.overlap
        floor = floor_of(self._newest, overlap)
        self._done = {each for each in self._done if each > floor}

    def _overlap(self) -> int:
        """Return how far back to read this time."""
        now = asyncio.get_running_loop().time()
        self._looked_back = self._hindsight is not None and now >= self._look_back_at
        if self._hindsight is None or not self._looked_back:
            return OVERLAP_MILLISECONDS
        self._look_back_at = now + self._hindsight.seconds
        return self._hindsight.overlap

    def _limit(self, tenants: list[TenantId]) -> int:
        return max(1, self._rows // max(1, len(tenants)))

    async def _pages(self, tenants: list[TenantId], after: str) -> list[tuple[Event, ...]]:
        limit = self._limit(tenants)
        pages: list[tuple[Event, ...]] = []
        for start in range(0, len(tenants), _TENANTS):
            queries = (EventPage(tenant=each, after=EventId(after), limit=limit) for each in tenants[start : start + _TENANTS])
            pages += await asyncio.gather(*map(self._repository.read, queries))
        return pages

    async def _tenants(self) -> list[TenantId]:
        found: list[TenantId] = []
        page = await self._repository.read(TenantPage(limit=_TENANTS))
        while page:
            found += [tenant.id for tenant in page]
            page = await self._repository.read(TenantPage(found[-1], limit=_TENANTS))
        return found
