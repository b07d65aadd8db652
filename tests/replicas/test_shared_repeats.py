"""The same request at two replicas: performed by one, answered by both, whichever of them dies meanwhile."""

import asyncio
from typing import Any

import msgspec
import pytest

from adapters import repeating
from adapters.repeating import OtherRequest, Repeats
from adapters.replicas.sealed_answers import SealedAnswers
from core.crypto.vault import Vault
from core.errors import Reason, Refusal
from core.messages import ClaimsAnnounced, Context, Identity, ProvisionRequest, SharedSecret
from core.model import CredentialId, DeviceId, Secret, TenantId
from tests.core.registry import KEY, SECRET, Registry
from tests.exchange.stand_in import RememberingMeter
from tests.exchange.test_repeating import CONTEXT, keyed
from tests.fakes import SeededEntropy
from tests.replicas.shelf import Shelf

DEADLINE = 20.0


class Replica:
    """A gateway that counts how often it does what it is asked."""

    def __init__(self, shelf: Shelf, seed: int, meter: RememberingMeter | None = None) -> None:
        clock = Registry().clock
        answers = SealedAnswers(shelf, Vault(bytes(32), SeededEntropy(seed)), 60.0, 15.0)
        self.meter = meter or RememberingMeter()
        self.repeats = Repeats(answers, answers.secret, clock, self.meter)
        self.done = 0
        self.failure: Refusal | None = None
        self.started, self.go = asyncio.Event(), asyncio.Event()

    async def ask(self, name: str = "one", secret: str = SECRET, context: Context = CONTEXT) -> Any:
        message = ProvisionRequest(evidence=SharedSecret(KEY, Secret(secret)), device_name=name)
        ask = self.repeats.ask(message, keyed(), context)
        assert ask is not None
        async with asyncio.timeout(DEADLINE):
            return await self.repeats.perform(ask, self._perform, message, context)

    async def _perform(self, _message: Any, _context: Context) -> ClaimsAnnounced:
        self.done += 1
        self.started.set()
        await self.go.wait()
        if self.failure is not None:
            raise self.failure
        return ClaimsAnnounced(Identity(TenantId("t"), DeviceId(f"d{self.done}"), "n", CredentialId("c")))


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> tuple[Shelf, Replica, Replica]:
    """Two gateways that have a shelf in common, and look at it often."""
    monkeypatch.setattr(repeating, "_LOOK_SECONDS", 0.005)
    shelf = Shelf()
    return shelf, Replica(shelf, 1), Replica(shelf, 2)


async def test_who_asks_both_at_once_is_given_one_answer(pair: tuple[Shelf, Replica, Replica]) -> None:
    _, one, other = pair
    first = asyncio.ensure_future(one.ask())
    await one.started.wait()
    waiting = [asyncio.ensure_future(each.ask()) for each in (one, other, other)]
    with pytest.raises(OtherRequest):
        await other.ask("two")
    await asyncio.sleep(0.03)
    assert not any(each.done() for each in waiting)
    one.go.set()
    answers = await asyncio.gather(first, *waiting)
    assert len({msgspec.json.encode(answer) for answer in answers}) == 1
    assert (one.done, other.done) == (1, 0)


async def test_what_failed_at_one_is_tried_by_the_other(pair: tuple[Shelf, Replica, Replica]) -> None:
    shelf, one, other = pair
    one.failure = Refusal(Reason.UNAVAILABLE, "not now", check="storage.full")
    first = asyncio.ensure_future(one.ask())
    await one.started.wait()
    second = asyncio.ensure_future(other.ask())
    other.go.set()
    one.go.set()
    with pytest.raises(Refusal, match="not now"):
        await first
    assert (await second).identity.device == "d1"
    assert (one.done, other.done, len(shelf.there)) == (1, 1, 1)


async def test_who_gives_up_leaves_no_place_behind(pair: tuple[Shelf, Replica, Replica]) -> None:
    shelf, one, _ = pair
    first = asyncio.ensure_future(one.ask())
    await one.started.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert (shelf.there, one.repeats._running) == ({}, {})


async def test_a_refusal_that_was_decided_is_repeated_by_the_other(pair: tuple[Shelf, Replica, Replica]) -> None:
    _, one, other = pair
    one.failure = Refusal(Reason.CONFLICT, "no", check="reprovision.denied")
    one.go.set()
    for each in (one, other):
        with pytest.raises(Refusal, match="no"):
            await each.ask()
    assert (one.done, other.done) == (1, 0)


async def test_who_waits_for_one_that_died_is_told_to_come_again(pair: tuple[Shelf, Replica, Replica]) -> None:
    shelf, one, other = pair
    other.repeats._patience = 0.02
    first = asyncio.ensure_future(one.ask())  # and never hears the end of it
    await one.started.wait()
    with pytest.raises(Refusal) as refused:
        await other.ask()
    assert (refused.value.reason, refused.value.retry_after is None) == (Reason.UNAVAILABLE, False)
    shelf.there.clear()  # the time of its place is over
    other.go.set()
    assert (await other.ask()).identity.device == "d1"
    one.go.set()
    await first


async def test_without_the_shelf_nothing_is_begun_and_nobody_waits(pair: tuple[Shelf, Replica, Replica]) -> None:
    shelf, one, _ = pair
    shelf.is_away = True
    for _ in range(2):
        with pytest.raises(Refusal, match="away"):
            await one.ask()
    assert (one.done, one.repeats._running) == (0, {})


async def test_a_guesser_under_a_known_key_is_soon_answered_as_if_it_had_sent_none(
    pair: tuple[Shelf, Replica, Replica],
) -> None:
    shelf, one, other = pair
    one.go.set()
    other.go.set()
    right = await one.ask()
    stranger = Context("0191", "http", "stand-in", "198.51.100.9")
    for number in range(110):
        await other.ask(secret=f"guess {number}", context=stranger)
    assert len(shelf.there) == 100
    assert await other.ask() == right
