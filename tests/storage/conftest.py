"""The stores that the contract suite runs on, each opened empty but for one profile and one organisation."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from core.ports import Changes, Repository
from storage import open_repository
from tests.postgres_server import PostgresServer
from tests.storage.entities import a_profile, an_organization

_REMEMBER = """DO $$ DECLARE name text; BEGIN
    CREATE SCHEMA first;
    FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace LOOP
        EXECUTE format('CREATE TABLE first.%I AS TABLE public.%I', name, name);
    END LOOP;
END $$"""
_PUT_BACK = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'first'::regnamespace LOOP
        EXECUTE format('DELETE FROM public.%I', name);
        EXECUTE format('INSERT INTO public.%I OVERRIDING SYSTEM VALUE SELECT * FROM first.%I', name, name);
    END LOOP;
END $$"""


@pytest.fixture
def fresh_postgres_url(postgres: PostgresServer, empty_registry: str) -> Iterator[str]:
    """The URL of a database of a test's own."""
    name = postgres.make_database(empty_registry)
    yield postgres.url(name)
    postgres.sql("postgres", f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def shared_database(postgres: PostgresServer, empty_registry: str) -> str:
    """The name of a database that remembers what it held at first: to put it back takes a tenth of what a new one takes."""
    name = postgres.make_database(empty_registry)
    postgres.sql(name, _REMEMBER)
    return name


@pytest.fixture
def postgres_url(postgres: PostgresServer, shared_database: str) -> str:
    """The URL of a database with a whole schema and what stands in it at first."""
    put_back(postgres, shared_database)
    return postgres.url(shared_database)


def put_back(postgres: PostgresServer, database: str) -> None:
    """Give the shared database back what it held at first, whoever used it."""
    postgres.sql(database, _PUT_BACK)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        found: str = request.getfixturevalue("postgres_url")
        return found
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'registry.db'}"


@pytest.fixture
async def repository(url: str) -> AsyncIterator[Repository]:
    async with open_repository(url) as opened:
        await opened.commit(Changes(insert=(a_profile(), an_organization())))
        yield opened
