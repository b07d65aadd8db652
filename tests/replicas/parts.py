"""What tests of the parts that replicas share need: replicas without gateways, and a hand in their database."""

import contextlib
from collections.abc import AsyncIterator

from core.notices import write
from storage.postgres.commons import Commons, open_commons
from storage.postgres.connections import Connection, connect
from tests.replicas.gateways import until

NAME = "replica under test"


@contextlib.asynccontextmanager
async def commons(url: str) -> AsyncIterator[Commons]:
    """Open what replicas share, as one of them, and wait until it hears of the others."""

    async def opened() -> Connection:
        return await connect(url, name=NAME)

    async with open_commons(opened) as made:
        await until(lambda: made.replicas.figures()["replicas.up"])
        yield made


@contextlib.asynccontextmanager
async def pair(url: str) -> AsyncIterator[tuple[Commons, Commons]]:
    """Be two replicas."""
    async with commons(url) as one, commons(url) as other:
        yield one, other


async def commit(connection: Connection, by: Commons, names: frozenset[str]) -> None:
    """Do what the registry does within a commit."""
    await connection.execute("INSERT INTO notice (origin, names) VALUES ($1, $2)", by.replicas.id, write(names))


@contextlib.asynccontextmanager
async def hand(url: str) -> AsyncIterator[Connection]:
    """Open a connection to do things by hand."""
    connection = await connect(url, name="by hand")
    try:
        yield connection
    finally:
        await connection.close()


def heard(by: Commons) -> list[frozenset[str]]:
    """Return the list to which what one is told is added."""
    told: list[frozenset[str]] = []
    by.replicas.notifier.listen(told.append)
    return told


async def cut(connection: Connection) -> None:
    """End the sessions of all replicas."""
    await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1", NAME)
