"""A real broker for tests that do not run on a loop."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.brokers.mosquitto import Mosquitto


@contextlib.contextmanager
def mosquitto_beside(folder: Path) -> Iterator[int]:
    """Run a mosquitto; yields its port."""
    with asyncio.Runner() as runner:
        broker = Mosquitto(folder, "allow_anonymous true")
        runner.run(broker.start())
        try:
            yield broker.port
        finally:
            runner.run(broker.stop())
