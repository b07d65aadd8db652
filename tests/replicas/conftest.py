"""A PostgreSQL for replicas, and a database of its own for each test."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from adapters.replicas import company
from storage.postgres import leadership
from storage.postgres.migration import migrate
from tests.postgres_server import PostgresServer, postgres_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run a server whose database `template` is whole."""
    with postgres_server() as server:
        server.sql("postgres", "CREATE DATABASE whole TEMPLATE template0")
        # A thread of its own: the loop of the test that asks first is left alone.
        thread = threading.Thread(target=asyncio.run, args=(_made_whole(server.url("whole")),))
        thread.start()
        thread.join()
        yield server


async def _made_whole(url: str) -> None:
    await migrate(url)


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask more often than a gateway has to."""
    monkeypatch.setattr(leadership, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(company, "FIGURES_SECONDS", 0.1)


@pytest.fixture
def database(postgres: PostgresServer) -> Iterator[str]:
    """Return the URL of a database that nobody has used."""
    name = postgres.make_database("whole")
    yield postgres.url(name)
    postgres.sql("postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def reused(postgres: PostgresServer) -> str:
    """A database for many tests, one after the other: to make one takes longer than most of them."""
    return postgres.make_database("whole")


@pytest.fixture
def emptied(reused: str, postgres: PostgresServer) -> str:
    """Its URL, with nothing in it that replicas share."""
    postgres.sql(reused, "TRUNCATE notice, spent, epoch, kept_answer, office")
    return postgres.url(reused)
