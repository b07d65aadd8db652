"""Cancelling that arrives: `asyncio.wait_for`, as it is before Python 3.12, may swallow one when what it waits for is done."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def unless_cancelled(work: Awaitable[T]) -> T:
    """Return what some work returns. Raises `CancelledError` where this task was cancelled and the work did not pass it on.

    The client library waits for every acknowledgement by `asyncio.wait_for`: whoever was cancelled at that moment would go on
    for ever.
    """
    result = await work
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    return result
