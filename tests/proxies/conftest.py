"""A gateway behind trusted proxies, for the tests that look at it from both sides."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.trusting import Trusting, trusting
from tests.proxies.receivers import HOST
from tests.tls.tls_parties import Place, place


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The files of a server and its authority, which nobody changes."""
    return place(tmp_path_factory.mktemp("tls"))


@pytest.fixture
async def there(tmp_path: Path, home: Place) -> AsyncIterator[Trusting]:
    """A gateway that listens on every wire, and trusts one address of this machine."""
    async with trusting(tmp_path, home, TRUSTED_PROXIES=HOST, COAP_TCP="127.0.0.1:0") as running:
        yield running
