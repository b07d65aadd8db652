"""Where the certificates of gateways are, for the tests that run them with TLS."""

import pytest

from tests.tls.tls_parties import Place, place


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """The files of a server and its authority, which nobody changes."""
    return place(tmp_path_factory.mktemp("tls"))
