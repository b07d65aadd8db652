"""Requests that wait for a worker: so many in all, and so many of one client, so that no one keeps out the others."""

import asyncio
from collections import Counter
from typing import Generic, TypeVar

T = TypeVar("T")


class Waiting(Generic[T]):
    """A queue with a bound, and a bound for each client in it."""

    def __init__(self, most: int, of_one_client: int) -> None:
        self._queue: asyncio.Queue[tuple[str, T]] = asyncio.Queue(most)
        self._of_one_client = of_one_client
        self._clients: Counter[str] = Counter()

    def put(self, client: str, request: T) -> str:
        """Let a request wait; returns the name of the bound that keeps it out, empty where none does."""
        if self._clients[client] >= self._of_one_client:
            return "requests_of_client"
        try:
            self._queue.put_nowait((client, request))
        except asyncio.QueueFull:
            return "requests"
        self._clients[client] += 1
        return ""

    async def take(self) -> T:
        """Wait for the next request, and return it."""
        client, request = await self._queue.get()
        self._clients[client] -= 1
        if not self._clients[client]:
            del self._clients[client]
        return request
