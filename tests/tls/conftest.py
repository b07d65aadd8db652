"""Places with certificates."""

import pytest

from tests.tls.tls_parties import Place, place


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place that nobody changes."""
    return place(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A place of a test's own."""
    return place(tmp_path_factory.mktemp("own-tls"))
