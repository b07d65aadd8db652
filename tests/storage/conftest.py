"""The stores that the contract suite runs on, each opened empty but for one profile and one organisation."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.ports import Changes, Repository
from storage import open_repository
from tests.storage.entities import a_profile, an_organization


@pytest.fixture(params=["memory", "sqlite"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'registry.db'}"


@pytest.fixture
async def repository(url: str) -> AsyncIterator[Repository]:
    async with open_repository(url) as opened:
        await opened.commit(Changes(insert=(a_profile(), an_organization())))
        yield opened
