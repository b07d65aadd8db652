"""Limits that replicas count together, and what they tell each other: gossip in one loop, and in the end the same limits."""

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from adapters.replicas import peers, presence, tallies
from adapters.replicas.peers import Peers
from adapters.replicas.presence import OwnPresence, SharedPresence
from adapters.replicas.tallies import Tallies
from adapters.watching import Watches
from core.limits import Rate
from core.lockout import Lockout
from core.model import DeviceId
from core.notices import session_key
from tests.exchange.stand_in import RememberingMeter
from tests.fakes import FrozenClock
from tests.replicas.gateways import until

KEY = b"what the replicas share"
RATE = Rate(0.001, 5.0)
ADDRESS = "192.0.2.7"


class Room:
    """Where replicas talk: each hears the others, as soon as the loop gets to it."""

    def __init__(self) -> None:
        self.ends: list[End] = []
        self.said: list[tuple[str, bytes]] = []

    def end(self) -> "End":
        """Let one more in."""
        self.ends.append(End(self))
        return self.ends[-1]


class End:
    """One of them, which can be deaf. Satisfies `core.replicas.Gossip`."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._heard: dict[str, list[Callable[[bytes], None]]] = {}
        self.is_deaf = False

    def spread(self, topic: str, message: bytes) -> None:
        """Tell the others."""
        self._room.said.append((topic, message))
        for end in self._room.ends:
            if end is not self and not end.is_deaf:
                for heard in end._heard.get(topic, ()):
                    asyncio.get_running_loop().call_soon(heard, message)

    def hear(self, topic: str, heard: Callable[[bytes], None]) -> Callable[[], None]:
        """Listen."""
        self._heard.setdefault(topic, []).append(heard)
        return lambda: self._heard[topic].remove(heard)


class Counting:
    """One replica's limits."""

    def __init__(self, room: Room, clock: FrozenClock, pair: Rate = RATE) -> None:
        self.end, self.meter, self.clock = room.end(), RememberingMeter(), clock
        self.tallies = Tallies(self.end, KEY, clock, self.meter)
        self.buckets = self.tallies.buckets("sources", RATE)
        self.lockout = self.tallies.lockout("logins", Rate(0.001, 100.0), pair)

    def take(self, count: int, key: str = ADDRESS, rate: Rate | None = None) -> list[bool]:
        """Take tokens; tells which were there."""
        return [not self.buckets.take(key, self.clock.monotonic(), rate) for _ in range(count)]


def trio() -> tuple[Room, list[Counting]]:
    room, clock = Room(), FrozenClock()
    return room, [Counting(room, clock) for _ in range(3)]


async def told(room: Room, messages: int = 1) -> None:
    await until(lambda: len(room.said) >= messages)
    await asyncio.sleep(0.01)  # it is heard a moment later


async def test_what_one_takes_is_taken_of_all() -> None:
    room, (one, other, third) = trio()
    assert one.take(3) == [True] * 3
    await told(room)
    assert other.take(3) == [True, True, False]
    await told(room, 2)
    assert third.take(1) == [False]
    assert one.take(1) == [False]
    assert one.take(1, "198.51.100.1") == [True]
    assert one.buckets.wait(ADDRESS, one.clock.monotonic()) > 0
    assert not one.buckets.is_full(ADDRESS, one.clock.monotonic(), RATE)


async def test_what_both_take_at_once_is_owed() -> None:
    room, (one, other, _) = trio()
    one.take(5)
    other.take(5)
    await told(room, 2)
    one.clock.advance(3_000)  # three tokens later
    assert one.take(1) == other.take(1) == [False]
    one.clock.advance(3_000)
    assert one.take(1) == [True]


async def test_a_key_with_a_rate_of_its_own_is_taken_at_that_rate() -> None:
    room, (one, other, _) = trio()
    own = Rate(0.001, 2.0)
    assert one.take(2, "key", own) == [True, True]
    await told(room)
    assert other.take(1, "key", own) == [False]


async def test_no_name_leaves_a_replica() -> None:
    room, (one, _, _) = trio()
    one.take(1)
    one.lockout.wrong(ADDRESS, "somebody", one.clock.monotonic())
    one.lockout.right(ADDRESS, "a token that is secret")
    await told(room)
    said = b"".join(message for _, message in room.said)
    assert not any(word in said for word in (b"192", b"somebody", b"secret"))


async def test_wrong_secrets_count_together_and_the_alarm_is_raised_once() -> None:
    room, (one, other, _) = trio()
    now = one.clock.monotonic()
    alarms = [one.lockout.wrong(f"192.0.2.{number}", "ann", now) for number in range(51)]
    assert alarms == [False] * 50 + [True]
    await told(room)
    assert [other.lockout.wrong(f"198.51.100.{number}", "ann", now) for number in range(51)] == [False] * 51
    assert other.lockout.wait_pair("192.0.2.7", "ann", now) > 0  # which is tightened everywhere


async def test_who_got_in_at_one_is_known_to_all() -> None:
    room, (one, other, _) = trio()
    now = one.clock.monotonic()
    one.lockout.right(ADDRESS, "ann")
    one.lockout.right(ADDRESS, "ann")
    await told(room)
    for number in range(100):
        other.lockout.wrong(ADDRESS, f"guess {number}", now)
    assert other.lockout.wait(ADDRESS, "bob", now) > 0
    assert other.lockout.wait(ADDRESS, "ann", now) == 0
    assert [topic for topic, _ in room.said].count(tallies.TOPIC) == 1


async def test_what_is_told_at_a_time_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "MOST", 3)
    room, (one, other, _) = trio()
    for number in range(6):
        one.take(1, f"key {number}")
    one.lockout.right(ADDRESS, "ann")
    one.take(1, "key 1")  # which is told of already
    assert one.meter.bounds == [tallies.BOUND] * 3
    await told(room)
    assert other.take(5, "key 1") == [True] * 3 + [False] * 2
    assert other.take(5, "key 5") == [True] * 5


async def test_nonsense_and_words_that_are_not_known_count_nothing() -> None:
    room, (one, other, _) = trio()
    end = room.end()
    end.spread(tallies.TOPIC, b"\xff")
    strange = tallies.Told([("unheard of", b"x", 1, 0.0, 0.0)], [("unheard of", b"x")])
    end.spread(tallies.TOPIC, msgspec.msgpack.encode(strange))
    unused = one.tallies.ledger("without buckets")
    unused.taken("00", 1, None, 0.0)
    assert one.take(5) == other.take(5) == [True] * 5
    with pytest.raises(ValueError, match="sources"):
        one.tallies.ledger("sources")


def test_without_a_rate_nothing_is_taken() -> None:
    _, (one, _, _) = trio()
    free = one.tallies.buckets("free", Rate(0.0, 0.0))
    free.taken("00", 5, one.clock.monotonic())
    assert len(free) == 0


def test_what_others_take_is_bounded_too() -> None:
    room, clock = Room(), FrozenClock()
    buckets = Counting(room, clock).buckets
    buckets._entries = 2
    for number in range(4):
        buckets.taken(f"{number:02}", 1, clock.monotonic())
    assert len(buckets) == 2


def test_alone_a_lockout_knows_names_by_its_own_hash() -> None:
    alone = Lockout(RATE)
    assert not alone.wrong(ADDRESS, "ann", 0.0)


class Talking:
    """One replica and its sessions."""

    def __init__(self, room: Room, name: str) -> None:
        self.end, self.watches = room.end(), Watches()
        self.peers = Peers(self.end, name)
        self.presence = SharedPresence(OwnPresence(self.watches), self.end, self.peers, name)

    def connect(self, device: str) -> Callable[[], None]:
        return self.watches.watch(session_key(DeviceId(device)), lambda: None)

    async def sees(self, *devices: str) -> set[str]:
        return set(await self.presence.connected([DeviceId(device) for device in devices]))


async def company(count: int) -> tuple[Room, list[Talking], list[asyncio.Task[None]]]:
    room = Room()
    talking = [Talking(room, name) for name in "abcd"[:count]]
    tasks = [asyncio.create_task(each.peers.run()) for each in talking]
    await until(lambda: all(len(each.peers) == count - 1 for each in talking))
    return room, talking, tasks


async def left(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_whoever_is_connected_somewhere_is_connected() -> None:
    room, (one, other, third), tasks = await company(3)
    one.connect("d1")
    other.connect("d2")
    third.connect("d2")
    room.said.clear()
    assert await one.sees("d1") == {"d1"}
    assert not room.said  # it need not ask
    assert await one.sees("d1", "d2", "d3") == {"d1", "d2"}
    assert [topic for topic, _ in room.said].count(presence.ANSWER) == 2
    await left(tasks)
    assert len(one.peers) == len(third.peers) == 0
    room.said.clear()
    assert await one.sees("d2") == set()
    assert not room.said  # it is alone


async def test_who_does_not_answer_is_not_waited_for_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(presence, "WAIT_SECONDS", 0.02)
    _, (one, other, third), tasks = await company(3)
    other.connect("d1")
    third.connect("d2")
    third.end.is_deaf = True
    assert await one.sees("d1", "d2") == {"d1"}
    await left(tasks)


async def test_a_peer_that_is_silent_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    _, (one, _), tasks = await company(2)
    monkeypatch.setattr(peers, "FORGOTTEN_SECONDS", 0.0)
    assert len(one.peers) == 0
    await left(tasks)


async def test_answers_that_are_none_are_left_alone() -> None:
    room, (one, _), tasks = await company(2)
    stranger = room.end()
    question = {"asker": "nobody", "number": 1, "devices": ["d1"]}
    for topic in (presence.ASK, presence.ANSWER):
        for message in (b"\xff", msgspec.msgpack.encode(question), msgspec.msgpack.encode(question | {"asker": "a"})):
            stranger.spread(topic, message)
    await asyncio.sleep(0.01)  # nobody asked yet
    assert await one.sees("d1") == set()
    await left(tasks)
