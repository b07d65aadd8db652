"""Requests that wait for a worker: so many in all, so many bytes, so many of one client, so that none keeps out the others."""

import asyncio
from collections import Counter
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """A queue with a bound, one for the bytes in it, and one for each client in it."""

    def __init__(self, most: int, of_one_client: int, most_bytes: int) -> None:
        self._queue: asyncio.Queue[tuple[str, int, T]] = asyncio.Queue(most)
        self._of_one_client = of_one_client
        self._most_bytes = most_bytes
        self._bytes = 0
        self._clients: Counter[str] = Counter()

    def put(self, client: str, size: int, request: T) -> str:
        """Let a request of so many bytes wait; returns the name of the bound that keeps it out, empty where none does."""
        if self._clients[client] >= self._of_one_client:
            return "requests_of_client"
        # One that is alone may wait, whatever its size.
        if self._queue.full() or (self._bytes and self._bytes + size > self._most_bytes):
            return "requests"
        self._queue.put_nowait((client, size, request))
        self._bytes += size
        self._clients[client] += 1
        return ""

    async def take(self) -> T:
        """Wait for the next request, and return it."""
        client, size, request = await self._queue.get()
        self._bytes -= size
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]
        return request
