"""Two servers that share a registry: a device's window is with the one that it spoke to last, and nobody else's is trusted."""

import asyncio

import aiocoap
import pytest

from core.ports import Changes, Delete
from tests.oscore.devices import OSCORE, Protected, Protecting, protected, state_of, stocked


async def replayed(device: Protecting, raw: bytes, asked: object) -> aiocoap.Message:
    """Send what somebody heard, as a message of its own, and return what is in the answer."""
    device.asked = asked
    device.mid += 1
    answer = await device.ask(raw[:2] + (device.mid + 0x4000).to_bytes(2, "big") + raw[4:])
    return device.opened(answer.raw) if OSCORE in answer.options else aiocoap.Message.decode(answer.raw)


def at(server: Protected, like: Protecting) -> Protecting:
    """Return the same device, at another server."""
    return server.device(like=like)


async def test_a_device_that_moves_proves_itself_and_what_it_said_is_said_nowhere_again() -> None:
    registry = await stocked()
    async with protected(registry, shared=True) as one, protected(registry, shared=True) as other:
        device = one.device()
        assert (await device.fetch("/who")).code == aiocoap.CONTENT
        moved = at(other, device)
        assert (await moved.introduced()).code == aiocoap.CONTENT
        raw = moved.request("/who")
        assert moved.opened((await moved.ask(raw)).raw).code == aiocoap.CONTENT
        asked = moved.asked
        for server in (one, other):
            assert (await replayed(at(server, moved), raw, asked)).code == aiocoap.UNAUTHORIZED
        assert len(one.contexts) == 1
        back = at(one, moved)
        assert (await back.introduced()).code == aiocoap.CONTENT
        assert (await back.fetch("/who")).code == aiocoap.CONTENT


async def test_many_messages_at_once_to_the_old_server_begin_one_context() -> None:
    registry = await stocked()
    async with protected(registry, shared=True) as one, protected(registry, shared=True) as other:
        device = one.device()
        await device.fetch("/who")
        await at(other, device).introduced()
        before = await state_of(registry)
        several = [at(one, device) for _ in range(5)]
        answers = await asyncio.gather(*(each.fetch("/who") for each in several))
        assert {answer.code for answer in answers} == {aiocoap.UNAUTHORIZED}
        after = await state_of(registry)
        assert before is not None
        assert after is not None
        assert (after.version - before.version, len(one.contexts)) == (1, 1)


async def test_numbers_that_run_out_behind_anothers_leave_nothing_known_of_the_window() -> None:
    registry = await stocked()
    async with protected(registry, shared=True) as one, protected(registry, shared=True) as other:
        device = one.device()
        await device.fetch("/who")
        (context,) = one.contexts._contexts.values()
        await at(other, device).introduced()
        context._next = context.lease.state.sequence
        await one.contexts.reserve(context)  # as a notification does, which nobody asked for
        assert context.window is None
        assert (await device.fetch("/who")).code == aiocoap.UNAUTHORIZED
        assert (await at(other, device).fetch("/who")).code == aiocoap.UNAUTHORIZED


async def test_a_context_that_is_gone_is_good_at_no_server() -> None:
    registry = await stocked()
    async with protected(registry, shared=True) as one:
        device = one.device()
        await device.fetch("/who")
        (found,) = (await registry.known("meter-1")).credentials
        await registry.repository.commit(Changes(delete=(Delete(found),)))
        answer = await device.ask(device.request("/who"))
        assert (answer.dotted, OSCORE in answer.options, len(one.contexts)) == ("4.01", False, 0)


@pytest.mark.parametrize("shared", [True, False])
async def test_new_numbers_are_taken_while_messages_come(shared: bool) -> None:
    registry = await stocked()
    async with protected(registry, shared=shared) as one:
        device = one.device()
        await device.fetch("/who")
        (context,) = one.contexts._contexts.values()
        context._next = context.lease.state.sequence
        taking = asyncio.ensure_future(one.contexts.reserve(context))
        await asyncio.sleep(0)
        assert (await device.fetch("/who")).code == aiocoap.CONTENT
        await taking
        assert one.contexts.in_use(context.key) is context
