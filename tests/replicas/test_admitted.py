"""Whom replicas have let in at a broker: each attends to its own, and to those of whoever is no more."""

import asyncio
from typing import Any

import msgspec
import pytest

from adapters.brokers.rabbitmq import RabbitMq
from adapters.brokers.rabbitmq_api import BrokerConnection
from adapters.replicas import admitted, peers
from adapters.replicas.admitted import AdmittedElsewhere
from adapters.replicas.peers import Peers
from tests.brokers.desk import Desk, identity
from tests.exchange.stand_in import RememberingMeter
from tests.replicas.gateways import until
from tests.replicas.test_tallies import Room

KEY = b"what replicas share"


class Listing:
    """A broker that lists its connections, and closes none."""

    def __init__(self, *names: str) -> None:
        self.names = names

    async def users(self) -> frozenset[str]:
        """Return those that it keeps itself."""
        return frozenset()

    async def connections(self) -> Any:
        """Yield all."""
        for name in self.names:
            yield BrokerConnection(f"connection of {name}", name, name)


class Replica:
    """One gateway at the broker."""

    def __init__(self, room: Room, name: str, *names: str) -> None:
        self.end, self.desk = room.end(), Desk()
        self.desk.known |= set(names)
        self.peers = Peers(self.end, name)
        self.elsewhere = AdmittedElsewhere(self.end, self.peers, name, KEY)
        listing: Any = Listing(*names)
        work = RabbitMq(listing, lambda: self.desk, self.desk.whose, RememberingMeter(), elsewhere=self.elsewhere)
        self.work = work
        self.run = asyncio.create_task(self.peers.run())

    def let_in(self, name: str) -> None:
        self.work.let_in(identity(name), name, name)

    def attends(self, *names: str) -> list[bool]:
        return [(name, name) in self.work.admitted for name in names]

    def knows(self, name: str) -> bool:
        return self.elsewhere.knows(name, name)

    async def leave(self) -> None:
        self.work.admitted.leave()
        self.run.cancel()
        await asyncio.gather(self.run, return_exceptions=True)


async def pair(*names: str) -> tuple[Room, Replica, Replica]:
    room = Room()
    one, other = (Replica(room, name, *names) for name in "ab")
    await until(lambda: len(one.peers) == len(other.peers) == 1)
    return room, one, other


async def test_each_attends_to_whom_it_let_in_and_then_to_those_of_one_that_left() -> None:
    _, one, other = await pair("d1", "d2", "d3")
    one.let_in("d1")
    other.let_in("d2")
    await until(lambda: other.knows("d1") and one.knows("d2"))
    for each in (one, other):
        await each.work._sweep()
    assert one.attends("d1", "d2", "d3") == [True, False, True]  # the last was there before both
    assert other.attends("d1", "d2", "d3") == [False, True, True]
    await one.leave()
    await until(lambda: not other.knows("d1"))
    await other.work._sweep()
    assert other.attends("d1", "d2", "d3") == [True, True, True]
    await other.leave()


async def test_one_that_begins_learns_what_the_others_know_and_leaves_it_to_them() -> None:
    room, one, other = await pair("d1")
    one.let_in("d1")
    third = Replica(room, "c", "d1")
    await third.work._sweep()
    assert third.attends("d1") == [True]  # too early to know
    await until(lambda: third.knows("d1"))
    await third.work._sweep()
    assert third.attends("d1") == [False]
    for each in (one, other, third):
        await each.leave()


async def test_who_comes_back_through_another_is_that_ones() -> None:
    _, one, other = await pair("d1")
    one.let_in("d1")
    await until(lambda: other.knows("d1"))
    other.let_in("d1")
    assert not other.knows("d1")
    await until(lambda: one.knows("d1"))
    for each in (one, other):
        await each.leave()


async def test_what_is_told_and_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admitted, "AT_ONCE", 2)
    monkeypatch.setattr(admitted, "MOST", 4)
    monkeypatch.setattr(admitted, "SPREAD_SECONDS", 0.01)
    room, one, other = await pair()
    for number in range(6):
        one.let_in(f"d{number}")
    await until(lambda: other.knows("d5"))
    assert [other.knows(f"d{number}") for number in range(6)] == [False] * 2 + [True] * 4
    sizes = [len(msgspec.msgpack.decode(each)["names"]) for topic, each in room.said if topic == admitted.TOPIC]
    assert sizes == [2, 2]
    room.end().spread(admitted.TOPIC, b"\xff")
    monkeypatch.setattr(peers, "FORGOTTEN_SECONDS", 0.0)
    assert not other.knows("d5")  # whoever attended to it is silent
    for each in (one, other):
        await each.leave()
