"""What replicas over one database have in common, put together: opened beside the registry, closed with it."""

import asyncio
import contextlib
import logging
import random
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec

from core.replicas import Replicas
from storage.postgres.answer_shelf import SharedAnswerShelf
from storage.postgres.asking import Asking
from storage.postgres.connections import AWAY
from storage.postgres.leadership import LockedOffices
from storage.postgres.shared_clock import SharedClock
from storage.postgres.single_use import SharedSingleUse
from storage.postgres.wire import Connect, Wire

PRUNE_SECONDS: Final = 60.0
DRAIN_SECONDS: Final = 0.5
_REPLICA_BYTES: Final = 8

log = logging.getLogger(__name__)


class Commons(msgspec.Struct, frozen=True):
    """`replicas` are the ports. `told` is to be called after each commit that wrote a row of the table `notice`.

    The row's `origin` is `replicas.id`, its `names` are what `core.notices.write` makes of them.
    """

    replicas: Replicas
    told: Callable[[], None]


@contextlib.asynccontextmanager
async def open_commons(connect: Connect) -> AsyncIterator[Commons]:
    """Open what replicas share in a database whose schema is whole. `connect` opens one more connection to it.

    Raises `Refusal` UNAVAILABLE and what `connect` raises where the database cannot be reached now; later it may come and go.
    """
    replica = secrets.token_hex(_REPLICA_BYTES)
    clock = SharedClock()
    asking = Asking(connect)
    single_use = SharedSingleUse(asking, clock)
    answers = SharedAnswerShelf(asking)
    wire = Wire(connect, replica, clock)
    offices = LockedOffices(connect, replica)
    connection = await connect()
    try:
        await clock.read(connection)
        # What is committed from now on is read, however late the wire is.
        await wire.notices.begin(connection, time.monotonic())
    finally:
        connection.terminate()
    await single_use.begin()
    tasks = (asyncio.create_task(wire.run()), asyncio.create_task(_prune(connect, wire, single_use, answers)))
    try:
        replicas = Replicas(
            id=replica,
            notifier=wire.notices,
            gossip=wire.gossip,
            single_use=single_use,
            answers=answers,
            leadership=offices,
            figures=lambda: _figures(wire, clock, offices),
        )
        yield Commons(replicas, wire.told)
        await wire.drain(DRAIN_SECONDS)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asking.close()


def _figures(wire: Wire, clock: SharedClock, offices: LockedOffices) -> dict[str, float]:
    return {
        "replicas.up": float(wire.is_up),
        "replicas.silence_seconds": wire.notices.silence(time.monotonic()),
        "replicas.notices_polled": float(wire.polled),
        "replicas.everything_changed": float(wire.notices.everything),
        "replicas.gossip_dropped": float(wire.gossip.dropped),
        "replicas.clock_ahead_seconds": clock.ahead,
        "replicas.offices": float(len(offices.held)),
    }


async def _prune(connect: Connect, wire: Wire, single_use: SharedSingleUse, answers: SharedAnswerShelf) -> None:
    """Delete from time to time what is over; every replica does, which is as good as one."""
    while True:
        await asyncio.sleep(random.uniform(0.5, 1.5) * PRUNE_SECONDS)  # noqa: S311 - spreads attempts, keeps no secret
        try:
            connection = await connect()
            try:
                for prune in (wire.notices.prune, single_use.prune, answers.prune):
                    await prune(connection)
            finally:
                connection.terminate()
        except AWAY as error:
            log.warning("what replicas had in common could not be pruned: %s", error)
        except Exception:
            # Whatever it is: what fails once must not let it grow for ever.
            log.exception("what replicas had in common could not be pruned")
