"""Who is told of what was committed."""

import asyncio
from functools import partial

import pytest

from adapters import watching
from adapters.watching import WatchedRepository, Watches
from core.errors import Reason, Refusal
from core.lifecycle import renew
from core.messages import ClientCertificates
from core.model import DEFAULT_TENANT, Secret
from core.notices import EVENTS, EVERYTHING, names_of, session_key
from core.operate.configuring import (
    ChangeChannel,
    ChangeClient,
    ChangeConfig,
    CreateChannels,
    DeleteChannel,
    DeleteConfig,
    NewChannel,
    ShowChannel,
)
from core.operate.messages import Command
from core.ports import Changes, Delete
from core.queries import TenantQuery
from tests.exchange.answering_bench import DEADLINE, Bench
from tests.operating import Desk


class Watched(Desk):
    """Operators at work on a registry that is watched."""

    def __init__(self) -> None:
        super().__init__()
        self.watches = Watches()
        inner = self.repository
        commit = inner.commit

        async def tell(changes: Changes) -> None:
            await commit(changes)
            self.watches.tell(names_of(changes))

        inner.commit = tell  # type: ignore[method-assign] # what WatchedRepository does, around a repository that counts


async def test_every_change_of_what_a_device_gets_is_told_and_others_are_not() -> None:
    desk = Watched()
    (channel,) = await desk.channels("control")
    made = await desk.config(channels=(channel,))
    other = await desk.config("other")
    told: list[str] = []
    end = desk.watches.watch(f"{made.device.id}\n{channel}", lambda: told.append("mine"))
    commands: tuple[Command, ...] = (
        ChangeConfig(id=made.device.id, content="new"),
        ChangeConfig(id=made.device.id, active=True),
        ChangeConfig(id=made.device.id, certificates=ClientCertificates("cert")),
        ChangeClient(id=made.device.id, secret=Secret("another secret")),
        ChangeChannel(id=channel, name="renamed"),
        DeleteChannel(id=channel),
        DeleteConfig(id=made.device.id),
    )
    for number, command in enumerate(commands, 1):
        await desk(command)
        assert len(told) == number
    await desk(ChangeConfig(id=other.device.id, content="new"))
    await desk(CreateChannels((NewChannel(),)))
    assert len(told) == len(commands)
    end()
    end()
    await desk(CreateChannels((NewChannel(),)))
    assert len(told) == len(commands)
    assert len(desk.watches) == 0


async def test_a_channel_concerns_those_who_have_it_and_each_is_told_once() -> None:
    desk = Watched()
    one, two, three = await desk.channels("one", "two", "three")
    made = await desk.config(channels=(one, two))
    told: list[str] = []
    desk.watches.watch("\n".join((made.device.id, one, two)), partial(told.append, "few"))
    many = desk.watches.watch("\n".join((made.device.id, *map(str, range(100)))), partial(told.append, "many"))
    desk.watches.watch(session_key(made.device.id), partial(told.append, "session"))
    await desk(ChangeChannel(id=three, name="renamed"))
    assert told == ["many"]
    await desk(ChangeChannel(id=one, name="renamed"))
    assert sorted(told) == ["few", "many", "many"]
    many()
    told.clear()
    await desk.repository.commit(
        Changes(delete=(Delete(await desk(ShowChannel(one))),), replace=(renew(made.device, desk.clock.now()),))
    )
    assert sorted(told) == ["few", "session"]
    assert len(desk.watches) == 2


async def test_each_watcher_is_told_and_may_end_its_watch_meanwhile() -> None:
    desk = Watched()
    made = await desk.config()
    told: list[int] = []
    ends = [desk.watches.watch(made.device.id, partial(told.append, number)) for number in range(3)]
    desk.watches.watch(made.device.id, ends[0])
    await desk(ChangeConfig(id=made.device.id, content="1"))
    await desk(ChangeConfig(id=made.device.id, content="2"))
    assert told == [0, 1, 2, 1, 2]


async def test_a_watched_repository_is_a_repository() -> None:
    desk = Desk()
    watches = Watches()
    repository = WatchedRepository(desk.repository, watches)
    await repository.check()
    assert await repository.prune_events(1000) == 0
    tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
    assert tenant is not None
    await repository.commit(Changes())


async def test_the_exchange_hands_watches_on() -> None:
    bench = Bench()
    told: list[str] = []
    end = bench.answering.watch("device", lambda: told.append("x"))
    assert len(bench.watches) == 1
    end()
    assert len(bench.watches) == 0


async def test_a_watcher_that_fails_takes_nothing_from_the_others_and_undoes_no_commit() -> None:
    watches = Watches()
    told: list[str] = []
    faults: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["message"]))

    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    watches.follow(fail)
    watches.follow(lambda names: told.extend(names))
    watches.watch("a", fail)
    watches.watch("a", lambda: told.append("watcher"))
    watches.tell(frozenset({"a"}))
    assert told == ["a", "watcher"]
    assert faults == ["a watcher failed"] * 2


async def test_where_nobody_knows_what_changed_all_are_told_over_some_time() -> None:
    watches = Watches()
    told: list[int] = []
    stops = [watches.watch(f"a {number}\nb {number}", partial(told.append, number)) for number in range(50)]
    heard: list[frozenset[str]] = []
    watches.follow(heard.append)
    watches.tell(frozenset({EVERYTHING, EVENTS}))
    assert (told, heard) == ([], [frozenset({EVERYTHING, EVENTS})])
    stops[7]()  # who left meanwhile is not told
    async with asyncio.timeout(DEADLINE):
        while len(told) < 49:  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.005)
    assert sorted(told) == [number for number in range(50) if number != 7]
    assert told != sorted(told)


async def test_nobody_is_told_where_nobody_watches() -> None:
    Watches().tell(frozenset({EVERYTHING}))


async def test_a_commit_of_unknown_end_has_those_it_may_concern_look_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The database may have written it although its answer got lost, and may write it still a moment later."""
    monkeypatch.setattr(watching, "DOUBT_SECONDS", 0.01)
    desk = Watched()
    device = (await desk.config()).device
    reasons = iter((Reason.UNAVAILABLE, Reason.MALFORMED))

    async def lost(changes: Changes) -> None:
        raise Refusal(next(reasons), "no answer", check="test")

    desk.repository.commit = lost  # type: ignore[method-assign]  # a store that loses its connection
    repository = WatchedRepository(desk.repository, desk.watches)
    looked = asyncio.Semaphore(0)
    desk.watches.watch(session_key(device.id), looked.release)
    with pytest.raises(Refusal):
        await repository.commit(Changes(delete=(Delete(device),)))
    async with asyncio.timeout(DEADLINE):
        await looked.acquire()
        await looked.acquire()
    with pytest.raises(Refusal):
        await repository.commit(Changes(delete=(Delete(device),)))
    await asyncio.sleep(0.02)
    assert looked.locked()
