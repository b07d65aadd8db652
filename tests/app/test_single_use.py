"""What was used is remembered as long as it could be used again, and no longer."""

import pytest

from adapters.single_use import BOUND, MemorySingleUse
from core.errors import Reason, Refusal
from tests.fakes import FrozenClock, SeededEntropy


def opened(clock: FrozenClock, entries: int = 10) -> tuple[MemorySingleUse, list[str]]:
    met: list[str] = []
    return MemorySingleUse(clock, SeededEntropy(), met.append, entries), met


async def test_a_thing_is_used_once() -> None:
    clock = FrozenClock()
    memory, met = opened(clock)
    until = clock.monotonic() + 60
    assert [await memory.spend(b"a", until), await memory.spend(b"b", until), await memory.spend(b"a", until)] == [1, 1, 0]
    assert not met


async def test_what_is_over_is_forgotten_and_nothing_before() -> None:
    clock = FrozenClock()
    memory, _ = opened(clock)
    for number in range(3):
        await memory.spend(bytes([number]), clock.monotonic() + 60)
        clock.advance(10)
    clock.advance(29.5)
    assert not await memory.spend(b"\0", 0)
    clock.advance(1)
    assert await memory.spend(b"x", clock.monotonic() + 60)
    assert len(memory) == 3
    clock.advance(60)
    assert await memory.spend(b"y", clock.monotonic() + 60)
    assert len(memory) == 1


async def test_where_there_is_no_room_one_more_is_refused_and_told() -> None:
    clock = FrozenClock()
    memory, met = opened(clock, entries=2)
    for identity, seconds in ((b"a", 30.0), (b"b", 60.0)):
        await memory.spend(identity, clock.monotonic() + seconds)
    with pytest.raises(Refusal) as refused:
        await memory.spend(b"c", clock.monotonic() + 60)
    refusal = refused.value
    assert (refusal.reason, refusal.check, refusal.retry_after, met) == (Reason.UNAVAILABLE, "challenge.room", 30.0, [BOUND])
    assert not await memory.spend(b"a", clock.monotonic() + 60)
    clock.advance(30)
    assert await memory.spend(b"c", clock.monotonic() + 60)


async def test_each_start_has_an_epoch_of_its_own() -> None:
    clock, entropy = FrozenClock(), SeededEntropy()
    first, second = (MemorySingleUse(clock, entropy, print) for _ in range(2))
    assert first.epoch != second.epoch
    assert len(first.epoch) == 16
