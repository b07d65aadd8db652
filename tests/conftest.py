"""A whole gateway in this process: three protocols on free ports over SQLite, opened on a registry that holds a small world."""

import asyncio
import shutil
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.app import Running
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator
from tests.protocols import world


@pytest.fixture(scope="session")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose registry holds the world of the scenarios; each test gets a copy."""
    folder = tmp_path_factory.mktemp("stocked")

    async def stock() -> None:
        async with opened(folder) as running, Operator(running.listening.http[0], ADMIN_TOKEN) as operator:
            await world.stock(running, operator)

    # A thread of its own: the loop of the test that asks first is left alone.
    thread = threading.Thread(target=asyncio.run, args=(stock(),))
    thread.start()
    thread.join()
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
