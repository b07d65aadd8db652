"""Databases for replicas: one of its own for a test, or one that is emptied for many."""

from collections.abc import Iterator

import pytest

from adapters.replicas import company
from storage.postgres import leadership
from tests.postgres_server import PostgresServer


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask more often than a gateway has to."""
    monkeypatch.setattr(leadership, "ASK_SECONDS", 0.1)
    monkeypatch.setattr(company, "FIGURES_SECONDS", 0.1)


@pytest.fixture
def database(postgres: PostgresServer, empty_registry: str) -> Iterator[str]:
    """Return the URL of a database that nobody has used."""
    name = postgres.make_database(empty_registry)
    yield postgres.url(name)
    postgres.sql("postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def reused(postgres: PostgresServer, empty_registry: str) -> str:
    """A database for many tests, one after the other: to make one takes longer than most of them."""
    return postgres.make_database(empty_registry)


@pytest.fixture
def emptied(reused: str, postgres: PostgresServer) -> str:
    """Its URL, with nothing in it that replicas share."""
    postgres.sql(reused, "TRUNCATE notice, spent, epoch, kept_answer, office")
    return postgres.url(reused)
