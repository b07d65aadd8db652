"""Security contexts and their registry: when it cannot be written, when what they are for is gone, when they are left."""

import asyncio
from typing import Any

import aiocoap
import msgspec
import pytest

from adapters.coap.oscore.context import SecurityContext
from core.errors import Reason, Refusal
from core.messages import Identity, OscoreKnown
from core.model import DEFAULT_TENANT, CredentialId, DeviceId, OscoreState
from core.oscore_states import OscoreLease
from core.ports import Changes
from storage.memory import MemoryRepository
from tests.oscore.devices import SHARED, protected, state_of, stocked
from tests.protocols.coap_peers import ACK, message, until


class Stubborn(MemoryRepository):
    """A registry that can be told to write nothing, or to take its time."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.waiting = 0

    async def commit(self, changes: Changes) -> None:
        self.waiting += 1
        await self.gate.wait()
        self.waiting -= 1
        if self.broken:
            raise Refusal(Reason.UNAVAILABLE, "the disk is full", check="test", retry_after=3.0)
        await super().commit(changes)


async def test_a_state_that_cannot_be_written_at_the_end_costs_an_echo() -> None:
    repository = Stubborn()
    registry = await stocked(repository=repository)
    async with protected(registry) as served:
        device = served.device()
        await device.fetch("/who")
        repository.broken = True
    repository.broken = False
    assert await state_of(registry) is not None
    async with protected(registry) as served:
        assert (await served.device(like=device).introduced()).payload == b"meter-1 True"


async def test_numbers_that_cannot_be_taken_are_taken_later() -> None:
    repository = Stubborn()
    registry = await stocked(repository=repository)
    async with protected(registry, notifications_per_second=10_000.0) as served:
        device = served.device()
        await device.ask(device.request("/version", observe=0))
        for version in range(2, 102):
            served.exchange.turn(version)
            await device.send(message(ACK, 0, (await device.receive()).mid))
        repository.broken = True
        asked = served.exchange.asked["66"]
        served.exchange.turn(102)
        await until(lambda: served.exchange.asked["66"] > asked)
        assert await device.nothing_before(0x999)
        repository.broken = False
        served.exchange.turn(103)
        told = await device.receive()
        assert (device.opened(told.raw).payload, told.options[9]) == (b"v103", b"\x01\x64")


async def test_a_context_that_is_left_while_it_takes_numbers() -> None:
    repository = Stubborn()
    registry = await stocked(repository=repository)
    async with protected(registry, notifications_per_second=10_000.0) as served:
        device = served.device()
        await device.ask(device.request("/version", observe=0))
        for version in range(2, 102):
            served.exchange.turn(version)
            await device.send(message(ACK, 0, (await device.receive()).mid))
        repository.gate.clear()
        served.exchange.turn(102)
        await until(lambda: repository.waiting == 1)
        served.exchange.ended_by["meter-1"]()
        repository.gate.set()
        await until(lambda: served.meter.levels["coap.observers"] == 0)
        assert await device.nothing_before(0x999)
        assert (await device.fetch("/who", echo=None)).code in (aiocoap.CONTENT, aiocoap.UNAUTHORIZED)


async def test_a_context_that_is_left_begins_again_with_what_it_left() -> None:
    repository = Stubborn()
    registry = await stocked(repository=repository)
    async with protected(registry) as served:
        device = served.device()
        await device.fetch("/who")
        repository.gate.clear()
        served.exchange.ended_by["meter-1"]()
        await until(lambda: repository.waiting == 1)
        request = device.request("/who")
        await device.send(request)
        await until(lambda: served.contexts._beginning)
        repository.gate.set()
        assert device.opened((await device.receive()).raw).payload == b"meter-1 True"


async def test_what_is_no_credential_has_no_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    async with protected() as served:

        async def login(*_: Any) -> Identity:
            return Identity(DEFAULT_TENANT, DeviceId("device-1"), "meter-1", None)

        monkeypatch.setattr(served.exchange, "login", login)
        device = served.device()
        answer = await device.ask(device.request("/who"))
        assert (answer.dotted, answer.payload) == ("4.01", b"Security context not found")


async def test_a_context_broken_at_the_last_moment_answers_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    async with protected() as served:
        begun = served.contexts.begun

        async def begun_and_broken(*arguments: Any) -> SecurityContext:
            context = await begun(*arguments)
            served.exchange.ended_by["meter-1"]()
            return context

        monkeypatch.setattr(served.contexts, "begun", begun_and_broken)  # what another task may do in between
        device = served.device()
        assert (await device.ask(device.request("/who"))).payload == b"Security context not found"
        assert served.exchange.seen == []


async def test_a_message_of_a_credential_that_was_replaced_meanwhile_is_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    async with protected() as served:
        device = served.device()
        assert (await device.ask(device.request("/who"))).code
        (begun,) = served.contexts._contexts.values()
        known = OscoreKnown(SHARED, msgspec.structs.replace(begun.identity, credential=CredentialId("the former one")))

        async def former(*_: Any) -> SecurityContext:
            return SecurityContext(known)

        monkeypatch.setattr(served.contexts, "find", former)  # what was read before another task began the new one
        seen = len(served.exchange.seen)
        assert (await device.ask(device.request("/who"))).payload == b"Security context not found"
        assert len(served.exchange.seen) == seen


async def test_a_fault_around_a_protected_message_is_told_as_such() -> None:
    async with protected() as served:
        device = served.device()
        outer, _ = device.keys.protect(aiocoap.Message(code=aiocoap.GET, uri_path=("who",)))
        outer.opt.proxy_scheme = "coap"
        assert (await device.ask(device.written(outer))).dotted == "5.05"


def test_a_number_is_never_made_up() -> None:
    context = SecurityContext(OscoreKnown(SHARED, Identity(DEFAULT_TENANT, DeviceId("device-1"), "meter-1", None)))
    assert (context.window, context.key) == (None, (b"\x01", bytes.fromhex(SHARED.id_context)))
    context.begin(OscoreLease(OscoreState(id="credential-1", sequence=3), 2, (0, 0)))  # type: ignore[arg-type]  # a new type
    assert [context._spend()] == [2]
    with pytest.raises(RuntimeError, match="not ours"):
        context._spend()
    context.renew(OscoreLease(msgspec.structs.replace(context.lease.state, sequence=9), 8))
    assert context._spend() == 8
