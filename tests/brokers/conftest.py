"""The RabbitMQ node of the session: it takes longer to start than all that is asked of it."""

from collections.abc import Iterator

import pytest

from tests.brokers.rabbitmq import INSTALLED, RabbitMq, rabbitmq


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMq]:
    """A RabbitMQ that asks the gateway at `node.gateway`, whoever stands there."""
    if not INSTALLED:
        pytest.skip("rabbitmq-server is not installed")
    with rabbitmq(tmp_path_factory.mktemp("rabbitmq")) as running:
        yield running
