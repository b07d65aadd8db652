"""What the tests of the exchange share."""

from collections.abc import Iterator

import pytest
import structlog

from tests.exchange.answering_bench import Logs


@pytest.fixture
def logs() -> Iterator[Logs]:
    """Collect the log lines, whatever the process has configured before."""
    configuration = structlog.get_config()
    structlog.reset_defaults()
    with structlog.testing.capture_logs() as lines:
        yield lines
    structlog.configure(**configuration)
