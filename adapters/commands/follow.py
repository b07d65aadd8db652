"""Reading the event log as it grows, missing nothing and repeating nothing.

An event's id is a UUIDv7 (RFC 9562, section 5.7) that is made slightly before the event is committed, so one may appear
behind others that are newer. Every poll therefore reads the last seconds again and passes on what is new in them.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from adapters.commands.api import decode

if TYPE_CHECKING:
    from adapters.commands.client import Gateway

OVERLAP_MILLISECONDS = 10_000
POLL_SECONDS = 1.0
_TIME_BITS = 80  # below the 48 bits of time in a UUID's 128


class _Identified(msgspec.Struct, frozen=True):
    id: str


class Follow:
    """One reader of the log. `remark` is told once when the gateway cannot be read; reading goes on when it can."""

    def __init__(self, gateway: "Gateway", query: Mapping[str, str | int | None], remark: Callable[[str], None]) -> None:
        self._gateway = gateway
        self._query = dict(query)
        self._remark = remark
        self._seen: set[str] = set()
        self._newest = ""

    async def events(self, past: int) -> AsyncIterator[msgspec.Raw]:
        """Yield the last `past` events and then each new one, oldest first, without end.

        Raises `Failure` where the gateway cannot be read at first, or refuses.
        """
        for body in await self._start(past):
            yield body
        troubled = False
        while True:
            await asyncio.sleep(POLL_SECONDS)
            try:
                async for body in self._poll():
                    yield body
                troubled = False
            except self._transient() as trouble:
                if not troubled:
                    self._remark(f"trying again: {trouble}")
                troubled = True

    def _transient(self) -> tuple[type[Exception], ...]:
        from adapters.commands.client import Busy, Unreachable

        return Busy, Unreachable

    async def _start(self, past: int) -> list[msgspec.Raw]:
        page = await self._gateway.page("events", query={**self._query, "newest": "true", "limit": past})
        bodies = list(page.items[::-1])
        latest = max(map(_id, bodies), default="")
        self._note(bodies)
        older = [body async for body in self._poll()]
        return bodies + [body for body in older if _id(body) > latest]

    async def _poll(self) -> AsyncIterator[msgspec.Raw]:
        floor = floor_id(self._newest)
        async for page in self._gateway.pages("events", query={**self._query, "after": floor}):
            fresh = [body for body in page if _id(body) not in self._seen]
            self._note(fresh)
            for body in fresh:
                yield body
        self._seen = {seen for seen in self._seen if floor is None or seen > floor}

    def _note(self, bodies: list[msgspec.Raw]) -> None:
        ids = set(map(_id, bodies))
        self._seen |= ids
        self._newest = max(ids | {self._newest})


def floor_id(newest: str) -> str | None:
    """Return the lowest id of the moment one overlap before `newest`; None before there is any."""
    try:
        at = int(newest.replace("-", ""), 16) >> _TIME_BITS
    except ValueError:
        return None
    text = f"{max(0, at - OVERLAP_MILLISECONDS) << _TIME_BITS:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _id(body: msgspec.Raw) -> str:
    return decode(body, _Identified).id
