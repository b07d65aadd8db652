"""Lifecycle events of several gateways at one broker: each is published once, whoever leads, and none is missing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.brokers.event_feed import EventFeed, Hindsight
from adapters.brokers.event_position import earliest_id
from core.model import Event
from tests.brokers.broker_devices import RULES
from tests.brokers.mosquitto import Mosquitto, mosquitto
from tests.brokers.ports import HOST
from tests.brokers.test_lifecycle_events import Backend, World
from tests.replicas.gateways import Replica, replica, until

HINDSIGHT = Hindsight(overlap=60_000, seconds=0.0)


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    """A broker with the rules that are shipped."""
    folder = tmp_path / "broker"
    folder.mkdir()
    async with mosquitto(folder, RULES) as running:
        yield running


async def happen(where: Replica, first: int, count: int = 5) -> str:
    """Make devices and return the id of the newest event."""
    for number in range(first, first + count):
        await where.operator.post("/v1/devices", {"name": f"d-{number}", "profile": "meters"})
    return str((await where.operator.newest_event())["id"])


async def test_events_are_published_once_and_go_on_when_the_leader_leaves(
    database: str, tmp_path: Path, broker: Mosquitto
) -> None:
    backend = Backend(broker)
    await backend.subscribe()
    settings = {"BROKER": f"mqtt://firstlight@{HOST}:{broker.port}", "BROKER_FOR": "events"}
    async with contextlib.AsyncExitStack() as stack, contextlib.AsyncExitStack() as leading:
        first = await leading.enter_async_context(replica(database, tmp_path / "1", **settings))
        await until(lambda: first.figure("replicas.offices") == 1 and "Received UNSUBSCRIBE" in broker.log())
        second = await stack.enter_async_context(replica(database, tmp_path / "2", **settings))
        await second.operator.post("/v1/profiles", {"name": "meters"})
        await happen(first, 0)
        await backend.hears(await happen(second, 5))
        assert second.figure("replicas.offices") == 0
        # What happens while nobody leads is published by whoever is next.
        leaving = asyncio.ensure_future(leading.aclose())
        last = await happen(second, 10)
        await leaving
        await until(lambda: second.figure("replicas.offices") == 1)
        await backend.hears(last)
        await backend.hears(await happen(second, 15))
        events = [event["id"] for event in await second.operator.all("/v1/events")]
    assert sorted(backend.ids) == sorted(set(backend.ids))
    assert set(events) <= set(backend.ids)


async def taken(feed: EventFeed) -> list[str]:
    """Take what a feed has, all of it."""
    found: list[Event] = []
    async for events in feed.slices():
        found += events
        feed.done(events)
    return [event.id for event in found]


async def test_an_event_of_a_gateway_whose_clock_is_late_is_found_in_hindsight() -> None:
    world = World()
    start = world.clock.now()
    near, far = EventFeed(world.registry), EventFeed(world.registry, hindsight=HINDSIGHT)
    late = world.event()
    world.clock.advance(30)
    for feed in (near, far):
        feed.begin(earliest_id(start))
    newer = await world.happen()
    assert await taken(near) == await taken(far) == newer
    await world.happen(late)
    assert await taken(near) == []
    assert await taken(far) == [late.id]
    assert await taken(far) == []


async def test_it_looks_once_more_after_it_looked_at_what_is_near() -> None:
    world = World()
    feed = EventFeed(world.registry, hindsight=Hindsight(seconds=3_600.0))
    feed.begin(earliest_id(world.clock.now()))
    await taken(feed)
    assert feed.look_again_seconds is None
    await taken(feed)
    assert feed.look_again_seconds == 3_600.0
    assert EventFeed(world.registry).look_again_seconds is None
