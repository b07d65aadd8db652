"""The registry as operators watch it: commits by outcome, what waits, and readiness."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from adapters.metered import MeteredRepository, Readiness
from core.errors import Conflict, Guard, Reason, Refusal
from core.model import DEFAULT_TENANT
from core.ports import Changes
from core.queries import TenantQuery
from storage import open_repository
from tests.bench.metered_cost import costs
from tests.fakes import FrozenClock

PATIENCE_SECONDS = 15.0
NO_ROOM = Refusal(Reason.UNAVAILABLE, "no room", check="storage.failed")


class Commits:
    """A meter that remembers."""

    def __init__(self):
        self.commits = []

    def commit(self, outcome, seconds):
        self.commits.append((outcome, seconds))


class Registry:
    """A repository whose every answer takes a second of the clock and is what the test wants; it waits at a closed gate."""

    def __init__(self, clock):
        self.clock = clock
        self.fault = None
        self.checks = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def read(self, query):
        return await self._answer(query)

    async def commit(self, changes):
        await self._answer(None)

    async def prune_events(self, keep):
        return await self._answer(keep)

    async def check(self):
        self.checks += 1
        await self._answer(None)

    async def _answer(self, answer):
        await self.gate.wait()
        self.clock.advance(1.0)
        if self.fault is not None:
            raise self.fault
        return answer


@pytest.fixture
def registry():
    return Registry(FrozenClock())


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        (None, "committed"),
        (Conflict(Guard.VERSION), "conflict"),
        (NO_ROOM, "unavailable"),
        (Refusal(Reason.MALFORMED, "no text", check="storage.value"), "malformed"),
        (ZeroDivisionError(), "internal"),
    ],
)
async def test_a_commit_counts_as_what_became_of_it(registry, fault, outcome):
    meter = Commits()
    registry.fault = fault
    metered = MeteredRepository(registry, meter, registry.clock)
    raised = None
    try:
        await metered.commit(Changes())
    except Exception as error:
        raised = error
    assert raised is fault
    assert meter.commits == [(outcome, 1.0)]
    assert metered.waiting == 0


async def test_what_is_asked_and_not_answered_waits(registry):
    meter = Commits()
    metered = MeteredRepository(registry, meter, registry.clock)
    registry.gate.clear()
    asked = [asyncio.create_task(metered.commit(Changes())), asyncio.create_task(metered.read("a question"))]
    await asyncio.sleep(0)
    assert metered.waiting == 2
    registry.gate.set()
    assert await asyncio.gather(*asked) == [None, "a question"]
    assert metered.waiting == 0


async def test_a_commit_that_nobody_waits_for_any_more_is_told_apart(registry):
    meter = Commits()
    metered = MeteredRepository(registry, meter, registry.clock)
    registry.gate.clear()
    asked = asyncio.create_task(metered.commit(Changes()))
    await asyncio.sleep(0)
    asked.cancel()
    await asyncio.wait((asked,))
    assert (meter.commits, metered.waiting) == ([("abandoned", 0.0)], 0)


async def test_a_question_that_fails_waits_no_longer(registry):
    metered = MeteredRepository(registry, Commits(), registry.clock)
    registry.fault = NO_ROOM
    with pytest.raises(Refusal, match="no room"):
        await metered.read(TenantQuery(DEFAULT_TENANT))
    assert metered.waiting == 0


async def test_a_real_registry_is_asked_all_the_same(tmp_path):
    meter = Commits()
    async with open_repository(f"sqlite:{tmp_path / 'registry.db'}") as repository:
        metered = MeteredRepository(repository, meter, FrozenClock())
        tenant = await metered.read(TenantQuery(DEFAULT_TENANT))
        with pytest.raises(Conflict):
            await metered.commit(Changes(insert=(tenant,)))
        assert await metered.prune_events(10) == 0
        await metered.check()
    assert meter.commits == [("conflict", 0.0)]


class Levels:
    """A meter that remembers levels."""

    def __init__(self):
        self.levels = []

    def level(self, name, value):
        assert name == "ready"
        self.levels.append(value)


@asynccontextmanager
async def running(readiness):
    task = asyncio.create_task(readiness.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait((task,))


async def until(holds):
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for is what a task says meanwhile
            await asyncio.sleep(0.01)


async def test_readiness_is_what_the_registry_says(registry):
    meter = Levels()
    readiness = Readiness(registry, meter)
    assert await readiness.fault() == ""
    registry.fault = NO_ROOM
    assert await readiness.fault() == "no room"
    registry.fault = None
    assert await readiness.fault() == ""
    assert meter.levels == [1.0, 0.0, 1.0]


async def test_a_registry_that_does_not_answer_is_not_ready(registry):
    meter = Levels()
    registry.gate.clear()
    assert await Readiness(registry, meter, check=0.01).fault() == "the registry does not answer"
    assert meter.levels == [0.0]


async def test_a_fault_of_our_own_is_not_ready(registry):
    meter = Levels()
    registry.fault = ZeroDivisionError()
    assert await Readiness(registry, meter).fault() == "the registry cannot be asked"
    assert meter.levels == [0.0]


async def test_who_stops_is_not_ready_whatever_the_registry_says(registry):
    meter = Levels()
    readiness = Readiness(registry, meter)
    registry.gate.clear()
    asked = asyncio.create_task(readiness.fault())
    await asyncio.sleep(0)
    readiness.stop()
    registry.gate.set()
    assert await asked == "stopping"
    assert await readiness.fault() == "stopping"
    assert meter.levels == [0.0, 0.0, 0.0]
    assert registry.checks == 1


async def test_where_nobody_asks_it_asks_itself(registry):
    meter = Levels()
    async with running(Readiness(registry, meter, seconds=0.01)):
        await until(lambda: 1.0 in meter.levels)
        registry.fault = NO_ROOM
        await until(lambda: 0.0 in meter.levels)
        registry.fault = ZeroDivisionError()
        before = registry.checks
        await until(lambda: registry.checks > before + 1)


async def test_where_somebody_asks_it_does_not(registry):
    readiness = Readiness(registry, Levels(), seconds=60.0)
    await readiness.fault()
    async with running(readiness):
        await asyncio.sleep(0.05)
    assert registry.checks == 1


async def test_what_the_counting_costs_can_be_measured():
    assert [len(found) for found in await costs(2, 10)] == [2, 2]
