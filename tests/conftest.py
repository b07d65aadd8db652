"""What tests of several folders stand on: a whole gateway on a registry that holds a small world, and a PostgreSQL."""

import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.app import Running
from storage.postgres.migration import migrate
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.postgres_server import PostgresServer, postgres_server
from tests.protocols import world


@pytest.fixture(scope="session", autouse=True)
def _no_public_authorities() -> Iterator[None]:
    """Trust nobody beside those that tests name: to read a machine's authorities takes as long as the rest of a gateway."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", os.devnull)
        yield


def _elsewhere(work: Coroutine[Any, Any, Any]) -> None:
    """Do something in a thread of its own: the loop of the test that asks first is left alone."""
    thread = threading.Thread(target=asyncio.run, args=(work,))
    thread.start()
    thread.join()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests of a process, started where the first of them asks for it."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def empty_registry(postgres: PostgresServer) -> str:
    """The name of a database with a whole schema, to be copied: nobody is connected to it."""
    name = postgres.make_database()
    _elsewhere(migrate(postgres.url(name)))
    return name


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose registry holds the world of the scenarios; each test gets a copy."""
    folder = tmp_path_factory.mktemp("stocked")

    async def stock() -> None:
        async with opened(folder) as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
            await world.stock(running, operator)

    _elsewhere(stock())
    return folder


@pytest.fixture
async def gateway(stocked: Path, tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway that knows the world, for one test."""
    folder = tmp_path / "data"
    shutil.copytree(stocked, folder)
    async with opened(folder) as running:
        yield running


@pytest.fixture
async def operator(gateway: Running) -> AsyncIterator[Operator]:
    """The administrator of `gateway`."""
    async with Operator(gateway.listening.http[0], ADMIN_TOKEN) as client:
        yield client
