"""Lanes: connections that are kept open, each used by one group of requests at a time."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from storage import refusals
from storage.postgres import faults
from storage.postgres.connections import AWAY, Connection

R = TypeVar("R")

_FIRST_PAUSE = 0.1
_LONGEST_PAUSE = 5.0

log = logging.getLogger(__name__)


class Lane:
    """A connection that is opened again by itself when it is lost; while it is away, all work is refused at once."""

    def __init__(self, name: str, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._name = name
        self._connect = connect
        self._connection: Connection | None = None
        self._lost: Exception = ConnectionError("not connected yet")
        self._reopening: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._closed = False

    async def open(self) -> None:
        """Connect for the first time. Raises what the connecting raises."""
        self._keep(await self._connect())

    async def run(self, work: Callable[[Connection], Awaitable[R]]) -> R:
        """Do work on the connection, after what came before it.

        Raises `Refusal` UNAVAILABLE while there is none, and what the work raises; an error that leaves the connection in doubt
        ends it.
        """
        async with self._turn:
            connection = self._connection
            if connection is None or connection.is_closed():
                self._reopen()
                raise refusals.failed(self._lost)
            try:
                return await work(connection)
            except Exception as error:
                if faults.ends_connection(error) or connection.is_closed():
                    self.lose(connection, error)
                raise
            except BaseException as error:  # cancelled: whatever was under way is not to meet the next one's work
                self.lose(connection, ConnectionError(f"given up: {type(error).__name__}"))
                raise

    def lose(self, connection: Connection, cause: Exception) -> None:
        """End a connection that is in doubt, and open another."""
        if connection is not self._connection:
            return
        self._connection = None
        self._lost = cause
        connection.terminate()
        self._reopen()

    async def close(self) -> None:
        """Close the connection and stop opening it again."""
        self._closed = True
        if self._reopening is not None:
            self._reopening.cancel()
            await asyncio.gather(self._reopening, return_exceptions=True)
        if self._connection is not None and not self._connection.is_closed():
            try:
                await self._connection.close(timeout=_LONGEST_PAUSE)
            except AWAY:
                self._connection.terminate()

    def _keep(self, connection: Connection) -> None:
        self._connection = connection
        connection.add_termination_listener(self._ended)

    def _ended(self, connection: object) -> None:
        if self._connection is not None and connection is self._connection and not self._closed:
            self.lose(self._connection, ConnectionError("the database closed the connection"))

    def _reopen(self) -> None:
        if self._reopening is None and not self._closed:
            self._reopening = asyncio.create_task(self._reopen_until_open())

    async def _reopen_until_open(self) -> None:
        pause = _FIRST_PAUSE
        log.warning("the connection %s to the database is lost: %s", self._name, self._lost)
        try:
            while True:
                try:
                    self._keep(await self._connect())
                except AWAY as error:
                    self._lost = error
                else:
                    log.warning("the connection %s to the database is there again", self._name)
                    return
                await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - spreads attempts, keeps no secret
                pause = min(2 * pause, _LONGEST_PAUSE)
        finally:
            self._reopening = None
