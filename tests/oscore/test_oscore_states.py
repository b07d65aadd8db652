"""Numbers and windows of OSCORE contexts in the registry: taken ahead, never twice, left in good order."""

import asyncio
from typing import Any

import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.model import CredentialId, OscoreState
from core.oscore_states import LAST, STEP, OscoreStates
from core.ports import Changes, Delete
from core.queries import OscoreQuery
from tests.core.registry import Registry
from tests.oscore.devices import credential_of, state_of, stocked


async def opened() -> tuple[Registry, OscoreStates, CredentialId]:
    registry = await stocked()
    return registry, OscoreStates(registry.repository), await credential_of(registry)


async def test_the_first_use_and_the_next() -> None:
    registry, states, credential = await opened()
    lease = await states.open(credential)
    assert (lease.first, lease.window, lease.state.sequence) == (0, (0, 0), STEP)
    assert await state_of(registry) == OscoreState(id=credential, sequence=STEP)
    await states.close(lease, 7, (3, 0b101))
    lease = await states.open(credential)
    assert (lease.first, lease.window, lease.state.sequence) == (7, (3, 0b101), 7 + STEP)
    assert await state_of(registry) == OscoreState(id=credential, sequence=7 + STEP, version=3)


async def test_a_window_in_use_is_not_known_to_anybody_else() -> None:
    _, states, credential = await opened()
    first, second = await states.open(credential), await states.open(credential)
    assert (second.first, second.window) == (STEP, None)
    await states.close(first, 5, (9, 1))  # somebody else has it: nothing is written
    third = await states.open(credential)
    assert (third.first, third.window) == (2 * STEP, None)
    further = await states.advance(second)
    assert (further.first, further.state.sequence) == (3 * STEP, 4 * STEP)
    assert (await states.advance(further)).first == 4 * STEP


async def test_whose_a_context_is_is_known_where_others_share_it() -> None:
    registry, alone, credential = await opened()
    states = OscoreStates(registry.repository, shared=True)
    first = await states.open(credential)
    assert await states.newest(first) == first.state.version
    second = await states.open(credential)
    assert await states.newest(first) == second.state.version > first.state.version
    assert await alone.newest(first) == first.state.version
    again = await states.advance(first)
    assert again.first == second.state.sequence != first.state.sequence
    (found,) = (await registry.known("meter-1")).credentials
    await registry.repository.commit(Changes(delete=(Delete(found),)))
    assert await states.newest(again) is None


async def test_leases_of_many_never_overlap() -> None:
    _, states, credential = await opened()
    first = await states.open(credential)
    leases = await asyncio.gather(*(states.open(credential) for _ in range(4)), *(states.advance(first) for _ in range(3)))
    assert sorted(lease.first for lease in leases) == [STEP * number for number in range(1, 8)]


class Beaten:
    """A registry in which others are always quicker."""

    def __init__(self, registry: Registry, guard: Guard) -> None:
        self._repository = registry.repository
        self._guard = guard

    async def read(self, query: Any) -> Any:
        return await self._repository.read(query)

    async def commit(self, changes: Changes) -> None:
        raise Conflict(self._guard)


async def test_who_is_beaten_every_time_gives_up() -> None:
    registry, states, credential = await opened()
    lease = await states.open(credential)
    beaten = OscoreStates(Beaten(registry, Guard.VERSION))  # type: ignore[arg-type]  # no more than this is asked of it
    for coroutine in (beaten.open(credential), beaten.advance(lease)):
        with pytest.raises(Refusal) as refused:
            await coroutine
        assert refused.value.reason is Reason.UNAVAILABLE


async def test_a_credential_that_is_gone_has_no_numbers() -> None:
    registry, states, credential = await opened()
    lease = await states.open(credential)
    (removed,) = (await registry.known("meter-1")).credentials
    await registry.repository.commit(Changes(delete=(Delete(removed),)))
    for coroutine in (states.open(credential), states.advance(lease)):
        with pytest.raises(Refusal) as refused:
            await coroutine
        assert refused.value.reason is Reason.UNAUTHENTICATED
    await states.close(lease, 1, None)
    assert await state_of_credential(registry, credential) is None


async def state_of_credential(registry: Registry, credential: CredentialId) -> OscoreState | None:
    return await registry.repository.read(OscoreQuery(credential))


async def test_numbers_come_to_an_end() -> None:
    _, states, credential = await opened()
    lease = await states.open(credential)
    await states.close(lease, LAST - STEP, (0, 0))
    last = await states.open(credential)
    assert last.state.sequence == LAST
    for coroutine in (states.open(credential), states.advance(last)):
        with pytest.raises(Refusal) as refused:
            await coroutine
        assert refused.value.reason is Reason.UNAUTHENTICATED
