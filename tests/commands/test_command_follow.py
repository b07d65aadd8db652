import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from adapters.commands import follow
from adapters.commands.access import Access
from adapters.commands.client import Refused, connect
from adapters.commands.follow import Follow, floor_id
from core.model import Secret


def event_id(milliseconds: int, number: int = 0) -> str:
    text = f"{milliseconds:012x}7000{0x8000_0000_0000_0000 + number:016x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


class Log:
    """An event log of the script: ids in the order of their commits."""

    def __init__(self, gateway: Any) -> None:
        self.ids: list[str] = []
        self.outages = 0
        self.status = 503
        gateway.on("GET", "/v1/events", self.answer)

    def answer(self, asked: Any) -> tuple[int, bytes, dict[str, str]]:
        if self.outages:
            self.outages -= 1
            return self.status, b'{"detail":"out of order"}', {}
        limit = 2 if "newest" not in asked.query else int(asked.query["limit"])
        ids = sorted(each for each in self.ids if each > asked.query.get("after", ""))
        if "newest" in asked.query:
            ids.reverse()
        following = ids[limit - 1] if len(ids) > limit else None
        return 200, msgspec.json.encode({"items": [{"id": each} for each in ids[:limit]], "next": following}), {}


@pytest.fixture
def log(gateway: Any, monkeypatch: pytest.MonkeyPatch) -> Log:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    return Log(gateway)


@pytest.fixture
async def remarks() -> list[str]:
    return []


@pytest.fixture
async def reader(gateway: Any, remarks: list[str]) -> AsyncIterator[Follow]:
    async with connect(Access(gateway.url, Secret("t"))) as client:
        yield Follow(client, {}, remarks.append)


async def take(events: AsyncIterator[msgspec.Raw], count: int) -> list[str]:
    async with asyncio.timeout(10):
        return [msgspec.json.decode(await anext(events))["id"] for _ in range(count)]


async def test_the_past_comes_first_and_what_is_new_follows(log: Log, reader: Follow) -> None:
    log.ids = [event_id(1_000_000 + number) for number in range(8)]
    events = reader.events(3)
    assert await take(events, 3) == log.ids[-3:]
    log.ids += [event_id(1_000_100 + number) for number in range(5)]
    assert await take(events, 5) == log.ids[-5:]


async def test_an_event_that_was_committed_late_is_not_missed(log: Log, reader: Follow) -> None:
    log.ids = [event_id(1_000_000), event_id(1_020_000)]
    events = reader.events(10)
    assert await take(events, 2) == log.ids
    late = [event_id(1_011_000), event_id(1_019_999), event_id(1_021_000)]
    log.ids += late
    assert await take(events, 3) == late


async def test_nothing_comes_twice_and_little_is_remembered(log: Log, reader: Follow) -> None:
    log.ids = [event_id(second * 1_000) for second in range(1_000, 1_100)]
    events = reader.events(50)
    seen = await take(events, 50)
    for second in range(1_100, 1_150):
        log.ids.append(event_id(second * 1_000))
        seen += await take(events, 1)
    assert seen == log.ids[-100:]
    assert len(reader._seen) < 20


async def test_an_empty_log_begins_with_its_first_event(log: Log, reader: Follow) -> None:
    events = reader.events(10)
    first = asyncio.ensure_future(take(events, 1))
    await asyncio.sleep(0.05)
    log.ids = [event_id(1)]
    assert await first == log.ids


async def test_an_event_between_the_first_two_questions_is_shown(log: Log, reader: Follow, gateway: Any) -> None:
    answer = log.answer

    def grow(asked: Any) -> tuple[int, bytes, dict[str, str]]:
        reply = answer(asked)
        if "newest" in asked.query:
            log.ids.append(event_id(1_000_001))
        return reply

    log.ids = [event_id(1_000_000)]
    gateway.on("GET", "/v1/events", grow)
    assert await take(reader.events(10), 2) == [event_id(1_000_000), event_id(1_000_001)]


async def test_an_outage_is_told_once_and_got_over(log: Log, reader: Follow, remarks: list[str]) -> None:
    log.ids = [event_id(1_000_000)]
    events = reader.events(10)
    await take(events, 1)
    log.outages = 3
    log.ids.append(event_id(1_000_001))
    assert await take(events, 1) == log.ids[-1:]
    assert remarks == ["trying again: out of order (503)"]


async def test_a_refusal_ends_it(log: Log, reader: Follow) -> None:
    log.ids = [event_id(1_000_000)]
    events = reader.events(10)
    await take(events, 1)
    log.outages, log.status = 1, 401
    with pytest.raises(Refused, match="does not know this token"):
        await take(events, 1)


def test_the_floor_is_ten_seconds_below() -> None:
    assert floor_id(event_id(1_010_000, 77)) == "0000000f-4240-0000-0000-000000000000"
    assert floor_id(event_id(5)) == "00000000-0000-0000-0000-000000000000"
    assert floor_id("") is None
    assert floor_id("no uuid") is None
