"""Cancelling reaches whoever waits for a broker, at whatever moment it comes."""

import asyncio

import pytest

from adapters.brokers.cancelling import unless_cancelled


async def test_a_cancel_at_the_moment_of_the_acknowledgement_is_not_lost() -> None:
    acknowledged: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.ensure_future(unless_cancelled(asyncio.wait_for(acknowledged, 20)))
    await asyncio.sleep(0)
    acknowledged.set_result("done")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert acknowledged.done()


async def test_what_was_not_cancelled_is_returned() -> None:
    acknowledged: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    acknowledged.set_result("done")
    assert await unless_cancelled(asyncio.wait_for(acknowledged, 20)) == "done"
