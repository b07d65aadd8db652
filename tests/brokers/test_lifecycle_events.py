"""Lifecycle events at a real broker: each once and in order, whoever was away meanwhile."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiomqtt
import msgspec
import pytest

from adapters.app import Running
from adapters.brokers import event_position
from adapters.brokers.address import BrokerAddress
from adapters.brokers.event_feed import EventFeed
from adapters.brokers.event_position import Position, earliest_id
from adapters.brokers.lifecycle_events import BATCH, LifecycleEvents
from adapters.brokers.link import Link
from adapters.dialects.operator import writing
from adapters.watching import WatchedRepository, Watches
from core.errors import Reason, Refusal
from core.model import DEFAULT_TENANT, DeviceId, Event, EventId, EventKind, Tenant, TenantId
from core.ports import Changes
from storage.memory import MemoryRepository
from tests.brokers.broker_devices import QUICK, RULES, new_log
from tests.brokers.mosquitto import Mosquitto, mosquitto
from tests.brokers.ports import HOST
from tests.brokers.tunnel import tunnel
from tests.brokers.waiting import PATIENCE_SECONDS, beside, until, until_so
from tests.e2e.operator_api import Operator
from tests.fakes import FrozenClock

POSITION = "firstlight/position/events"


def write(event: Event) -> bytes:
    """Write an event as the operator API has it."""
    return msgspec.json.encode(writing.event(event))


class Failing(MemoryRepository):
    """A registry that counts what it is asked, and cannot be read while it is `broken`."""

    broken = False
    reads = 0

    async def read(self, query):
        """Answer, or refuse."""
        self.reads += 1
        if self.broken:
            raise Refusal(Reason.UNAVAILABLE, "the registry is away", check="storage.broken")
        return await super().read(query)


class World:
    """A registry in which something happens, and what publishes it."""

    def __init__(self) -> None:
        self.clock = FrozenClock()
        self.registry = Failing()
        self.watches = Watches()
        self.repository = WatchedRepository(self.registry, self.watches)
        self.log = new_log()
        self._number = 0

    def event(self, kind: EventKind = EventKind.DEVICE_CHANGED, **fields: Any) -> Event:
        """Make an event a millisecond after the last one."""
        self.clock.advance(0.001)
        self._number += 1
        now = self.clock.now()
        identity = EventId(f"{earliest_id(now)[:24]}{self._number:012x}")
        given = {"id": identity, "tenant": DEFAULT_TENANT, "device": DeviceId("d-1"), **fields}
        return Event(at=now, kind=kind, correlation="c", **given)

    async def happen(self, *events: Event) -> list[str]:
        """Commit events, and return their ids."""
        made = events or (self.event(),)
        await self.repository.commit(Changes(events=made))
        return [event.id for event in made]

    async def tenant(self, identity: str) -> TenantId:
        tenant = Tenant(id=TenantId(identity), name=identity, created_at=self.clock.now())
        await self.repository.commit(Changes(insert=(tenant,)))
        return tenant.id

    @contextlib.asynccontextmanager
    async def publishing(
        self,
        broker: Mosquitto,
        *,
        begun: bool = True,
        username: str = "firstlight",
        echo: float = PATIENCE_SECONDS,
        version: aiomqtt.ProtocolVersion = aiomqtt.ProtocolVersion.V5,
        way: int = 0,
        write: Callable[[Event], bytes] = write,
    ) -> AsyncIterator[None]:
        """Run a new publisher, as a gateway that starts does."""
        address = BrokerAddress(HOST, way or broker.port, username)
        link = Link(address, None, "events", self.log, patience=QUICK)
        link.protocol = version
        shared = (self.repository, self.watches, self.clock, write, "firstlight")
        events = LifecycleEvents(link, *shared, pause=0.01, echo=echo)
        line = "Received UNSUBSCRIBE"
        before = broker.log().count(line)
        async with beside(events.run()):
            if begun:
                await until(lambda: broker.log().count(line) > before)
            yield


class Backend:
    """Somebody who follows the events. The broker keeps them for it while it is away."""

    def __init__(self, broker: Mosquitto) -> None:
        self._broker = broker
        self.topics: list[str] = []
        self.ids: list[str] = []
        self.last: dict[str, Any] = {}

    async def subscribe(self, topic_filter: str = "firstlight/events/#") -> None:
        """Have the broker keep what comes from now on."""
        async with self._connected() as client:
            await client.subscribe(topic_filter, qos=1)

    async def hears(self, last: str) -> None:
        """Take what there is, up to the event with this id."""
        async with self._connected() as client, asyncio.timeout(PATIENCE_SECONDS):
            while last not in self.ids:
                message = await anext(client.messages)
                assert isinstance(message.payload, bytes)
                assert not message.retain
                self.topics.append(str(message.topic))
                self.last = json.loads(message.payload)
                self.ids.append(self.last["id"])

    def _connected(self) -> aiomqtt.Client:
        port, patience = self._broker.port, PATIENCE_SECONDS
        return aiomqtt.Client(HOST, port, username="backend", identifier="backend", clean_session=False, timeout=patience)


@pytest.fixture
async def broker(tmp_path: Path):
    """A broker with the rules that are shipped, which keeps what is retained."""
    folder = tmp_path / "broker"
    folder.mkdir()
    async with mosquitto(folder, f"{RULES}\npersistence true\npersistence_location {folder}/") as running:
        yield running


@pytest.fixture
async def backend(broker: Mosquitto) -> Backend:
    """Somebody who may read events, and does so from now on."""
    listener = Backend(broker)
    await listener.subscribe()
    return listener


async def kept(broker: Mosquitto) -> Position:
    """Return the position that the broker has."""
    async with aiomqtt.Client(HOST, broker.port, username="firstlight") as client:
        await client.subscribe(POSITION)
        async with asyncio.timeout(PATIENCE_SECONDS):
            message = await anext(client.messages)
    assert message.retain
    return msgspec.json.decode(message.payload, type=Position)


async def is_kept(broker: Mosquitto, newest: str) -> bool:
    return (await kept(broker)).newest == newest


@pytest.mark.parametrize("version", [aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311], ids=["v5", "v311"])
async def test_every_kind_arrives_once_and_in_order(
    broker: Mosquitto, backend: Backend, version: aiomqtt.ProtocolVersion
) -> None:
    world = World()
    async with world.publishing(broker, version=version):
        events = [world.event(kind) for kind in EventKind]
        events += [world.event(device=None), world.event(device=DeviceId("a/b #%"), device_name="x")]
        for event in events:
            await world.happen(event)
        await backend.hears(events[-1].id)
    assert backend.ids == [event.id for event in events]
    assert backend.topics[:-2] == [f"firstlight/events/default/{kind.value.replace('.', '/')}/d-1" for kind in EventKind]
    assert backend.topics[-2:] == [
        "firstlight/events/default/device/changed/-",
        "firstlight/events/default/device/changed/a%2Fb%20%23%25",
    ]
    assert backend.last == json.loads(write(events[-1]))


async def test_a_late_commit_is_not_lost(broker: Mosquitto, backend: Backend) -> None:
    world = World()
    async with world.publishing(broker):
        late = world.event()
        first = await world.happen()
        await backend.hears(first[0])
        await world.happen(late)
        await backend.hears(late.id)
        last = await world.happen()
        await backend.hears(last[0])
    assert backend.ids == [*first, late.id, *last]


async def test_nothing_is_lost_or_repeated_over_restarts(broker: Mosquitto, backend: Backend) -> None:
    world = World()
    await world.happen()  # before the first start ever: never told
    world.clock.advance(60)
    ids: list[str] = []
    async with world.publishing(broker):
        ids += await world.happen()
        await until_so(lambda: is_kept(broker, ids[-1]))
        await broker.stop()
        for _ in range(100):
            ids += await world.happen()
        await broker.start()
        await until_so(lambda: is_kept(broker, ids[-1]))
    for _ in range(50):  # while no gateway runs
        ids += await world.happen()
    async with world.publishing(broker):
        ids += await world.happen()
        await until_so(lambda: is_kept(broker, ids[-1]))
    async with world.publishing(broker):
        ids += await world.happen()
        await backend.hears(ids[-1])
    assert backend.ids == ids


async def test_what_happens_before_the_broker_is_there_is_told(broker: Mosquitto, backend: Backend) -> None:
    world = World()
    await world.happen()
    world.clock.advance(60)
    await broker.stop()
    async with world.publishing(broker, begun=False):
        await until(lambda: world.log.said("the link to the broker is down"))
        ids = await world.happen()
        await broker.start()
        await backend.hears(ids[-1])
    assert backend.ids == ids


async def test_a_broker_that_forgot_is_told_how_far_it_was(broker: Mosquitto) -> None:
    world = World()
    backend = Backend(broker)
    async with world.publishing(broker):
        ids = await world.happen()
        await until_so(lambda: is_kept(broker, ids[-1]))
        world.registry.broken = True
        await broker.stop()
        (broker.folder / "mosquitto.db").unlink()
        ids += await world.happen()
        await broker.start()
        await until(lambda: world.log.said("the registry did not answer"))
        assert await is_kept(broker, ids[0])
        await backend.subscribe()
        world.registry.broken = False
        await backend.hears(ids[1])
    assert backend.ids == ids[1:]


async def test_a_connection_lost_half_way_loses_nothing(broker: Mosquitto, backend: Backend) -> None:
    world = World()
    cuts: list[asyncio.Task[None]] = []
    async with tunnel(broker.port) as way:

        def cutting(event: Event) -> bytes:
            if len(cuts) == 0 and event.id == events[425].id:
                cuts.append(asyncio.create_task(way.cut()))
            return write(event)

        async with world.publishing(broker, way=way.port, write=cutting):
            events = [world.event() for _ in range(900)]
            await world.happen(*events)
            await until(lambda: cuts and cuts[0].done())
            await way.open()
            await backend.hears(events[-1].id)
    assert list(dict.fromkeys(backend.ids)) == [event.id for event in events]
    assert len(backend.ids) <= len(events) + BATCH


@pytest.mark.parametrize("text", [b"\xff", b"[]", b'{"newest":"x"}', b'{"newest":"%s"}'], ids=["bytes", "list", "id", "ahead"])
async def test_a_position_that_cannot_be_is_replaced(broker: Mosquitto, backend: Backend, text: bytes) -> None:
    world = World()
    ahead = earliest_id(world.clock.now() + 3_600_000)
    async with aiomqtt.Client(HOST, broker.port, username="firstlight") as client:
        await client.publish(POSITION, text.replace(b"%s", ahead.encode()), qos=1, retain=True)
    async with world.publishing(broker):
        ids = await world.happen()
        await backend.hears(ids[-1])
        await until_so(lambda: is_kept(broker, ids[-1]))
    assert backend.ids == ids


async def test_a_broker_whose_rules_forbid_it_is_told_of(broker: Mosquitto) -> None:
    world = World()
    async with world.publishing(broker, begun=False, username="nobody", echo=0.2):
        await until(lambda: world.log.said("have to let this user write and read firstlight/position/events"))


async def test_nothing_is_read_where_nothing_happens(broker: Mosquitto, backend: Backend) -> None:
    world = World()

    async def is_quiet() -> bool:
        before = world.registry.reads
        await asyncio.sleep(0.1)
        return world.registry.reads == before

    async with world.publishing(broker):
        await backend.hears((await world.happen())[0])
        await until_so(is_quiet)
        world.watches.tell(frozenset({"a device"}))
        assert await is_quiet()


async def test_a_whole_gateway_tells_what_happens_to_a_device(
    gateway: Running, operator: Operator, broker: Mosquitto, backend: Backend
) -> None:
    link = Link(broker.address("firstlight"), None, "events", new_log(), patience=QUICK)
    shared = (gateway.repository, gateway.watches, gateway.issuer.clock, write, "firstlight")
    async with beside(LifecycleEvents(link, *shared, pause=0.01).run()):
        await until(lambda: "Received UNSUBSCRIBE" in broker.log())
        device = await operator.post("/v1/devices", {"name": "told", "profile": "meters"})
        await operator.patch(f"/v1/devices/{device['id']}", {"enabled": False})
        events = (await operator.get(f"/v1/events?device={device['id']}"))["items"]
        await backend.hears(events[-1]["id"])
    assert backend.ids == [event["id"] for event in events]
    assert backend.last == events[-1]
    assert {topic.rpartition("/")[2] for topic in backend.topics} == {device["id"]}


async def test_a_feed_gives_each_event_once_whatever_fits_into_a_slice() -> None:
    world = World()
    tenants = [DEFAULT_TENANT, *[await world.tenant(f"t-{number}") for number in range(120)]]
    feed = EventFeed(world.registry, rows=242)
    assert not feed.begun
    feed.begin(earliest_id(world.clock.now()))
    events = [world.event(tenant=tenants[number % 7]) for number in range(60)]
    await world.happen(*events)
    given: list[Event] = []
    slices = 0
    async for found in feed.slices():
        given += found
        feed.done(found)
        slices += 1
    assert [event.id for event in given] == [event.id for event in events]
    assert slices > 1
    assert [found async for found in feed.slices()] == []
    world.clock.advance(60)
    (last,) = await world.happen()
    assert [[event.id for event in found] async for found in feed.slices()] == [[last]]


def test_a_position_is_read_as_it_was_written() -> None:
    now = 1_800_000_000_000
    position = Position(earliest_id(now), (earliest_id(now - 1), earliest_id(now)))
    assert event_position.read(event_position.write(position), now) == position
    assert event_position.read(event_position.write(position), now - 60_001) is None
    long = Position(earliest_id(now), (earliest_id(now),) * (event_position.PUBLISHED + 1))
    assert event_position.read(event_position.write(long), now) is None
    assert event_position.floor_of(earliest_id(5)) == earliest_id(0)
