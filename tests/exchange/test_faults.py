"""A fault of our own is told to operators, and never to the sender."""

import asyncio

import pytest

from adapters.exchange import Guest
from adapters.router import AmbiguousRoutesError
from core.errors import Reason, Refusal
from core.model import DEFAULT_TENANT
from core.queries import EventPage
from tests.core.faulty import FaultyRepository
from tests.core.registry import Registry
from tests.exchange.answering_bench import Bench, raising
from tests.exchange.stand_in import StandIn, inbound


async def test_an_operator_can_look_up_a_request_that_failed():
    bench = Bench()
    bench.use_case = raising(RuntimeError("hidden text"))
    answer = await bench.ask()
    (event,) = await bench.registry.repository.read(EventPage(DEFAULT_TENANT, correlation=answer.correlation))
    assert answer.outcome is Reason.INTERNAL
    assert event.check == "internal"
    assert "hidden" not in event.detail


async def test_a_refusal_by_a_protocol_is_answered_though_the_registry_is_broken():
    bench = Bench(registry=Registry(FaultyRepository(lambda _: RuntimeError("the disk is gone"))))
    async with asyncio.timeout(20):
        answer = await bench.answering.refuse(inbound("/ask"), Refusal(Reason.TOO_LARGE, "too large", check="plain.size"))
    assert answer.outcome is Reason.TOO_LARGE


def test_two_guests_with_one_login_stop_the_start():
    first, second = (Guest(name=name, login="visit", subscriptions=()) for name in ("plain", "fancy"))
    with pytest.raises(AmbiguousRoutesError, match="plain and fancy let guests in as 'visit'"):
        Bench(dialect=StandIn(guests=(first, second)))
