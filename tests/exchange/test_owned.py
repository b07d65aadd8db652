import asyncio

import pytest

from adapters.owned import OwnedWork

DEADLINE = 20.0  # seconds; only there so that a failure is no hang


async def returned(value: str) -> str:
    await asyncio.sleep(0)
    return value


async def waiting(gate: asyncio.Event, log: list[str], name: str = "done") -> str:
    await gate.wait()
    log.append(name)
    return name


async def failing(gate: asyncio.Event | None = None) -> None:
    if gate is not None:
        await gate.wait()
    raise ValueError("as it is")


async def test_work_gives_its_result() -> None:
    work = OwnedWork(DEADLINE)
    assert await asyncio.gather(*(work.run(returned(name)) for name in "abc")) == ["a", "b", "c"]
    assert len(work) == 0


async def test_work_raises_what_it_raises() -> None:
    work = OwnedWork(DEADLINE)
    with pytest.raises(ValueError, match="as it is"):
        await work.run(failing())
    assert len(work) == 0


async def test_a_task_that_is_cancelled_from_outside_cancels_whoever_waits_for_it() -> None:
    work = OwnedWork(DEADLINE)

    async def cancels_itself() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    with pytest.raises(asyncio.CancelledError):
        await work.run(cancels_itself())
    assert len(work) == 0


async def test_whoever_waits_may_go_and_the_work_goes_on() -> None:
    work, gate, log = OwnedWork(DEADLINE), asyncio.Event(), list[str]()
    caller = asyncio.create_task(work.run(waiting(gate, log)))
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert len(work) == 1
    gate.set()
    assert await work.drain(DEADLINE) == 0
    assert log == ["done"]


async def test_work_that_takes_too_long_is_given_up_and_goes_on() -> None:
    work, gate, log = OwnedWork(0.01), asyncio.Event(), list[str]()
    with pytest.raises(TimeoutError):
        await work.run(waiting(gate, log))
    assert len(work) == 1
    gate.set()
    assert await work.drain(DEADLINE) == 0
    assert log == ["done"]


async def test_work_that_fails_after_it_was_given_up_disturbs_nobody() -> None:
    work, gate = OwnedWork(0.01), asyncio.Event()
    with pytest.raises(TimeoutError):
        await work.run(failing(gate))
    gate.set()
    assert await work.drain(DEADLINE) == 0


async def test_each_piece_of_work_has_the_same_time_from_its_own_beginning(caplog: pytest.LogCaptureFixture) -> None:
    work, gate, log = OwnedWork(0.05), asyncio.Event(), list[str]()
    first = asyncio.create_task(work.run(waiting(gate, log, "first")))
    await asyncio.sleep(0.02)
    second = asyncio.create_task(work.run(waiting(gate, log, "second")))
    third = asyncio.create_task(work.run(waiting(gate, log, "third")))
    await asyncio.sleep(0)
    third.cancel()
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(TimeoutError):
            await first
        with pytest.raises(TimeoutError):
            await second
    gate.set()
    assert await work.drain(DEADLINE) == 0
    assert sorted(log) == ["first", "second", "third"]
    assert caplog.records == []


async def test_after_a_pause_the_time_is_counted_again() -> None:
    work, gate, log = OwnedWork(0.01), asyncio.Event(), list[str]()
    assert await work.run(returned("quick")) == "quick"
    await asyncio.sleep(0.03)
    with pytest.raises(TimeoutError):
        await work.run(waiting(gate, log))
    gate.set()
    assert await work.drain(DEADLINE) == 0


async def test_draining_ends_at_its_deadline_and_tells_what_is_left() -> None:
    work, gate, log = OwnedWork(DEADLINE), asyncio.Event(), list[str]()
    callers = [asyncio.create_task(work.run(waiting(gate, log))) for _ in range(3)]
    await asyncio.sleep(0)
    assert await work.drain(0.01) == 3
    gate.set()
    assert await work.drain(DEADLINE) == 0
    assert await asyncio.gather(*callers) == ["done"] * 3
