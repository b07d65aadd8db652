"""How many lines a second CoAP may log: what strangers send must not fill a disk."""

import logging
import time
from collections.abc import Callable

from adapters.exchange import Meter

LOGGERS = ("adapters.coap", "coap", "coap-server")
"""Ours, and the two that aiocoap uses."""


class LineBudget(logging.Filter):
    """Lets a fixed number of records a second through and counts the others."""

    def __init__(self, lines_per_second: int, meter: Meter, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._lines = lines_per_second
        self._meter = meter
        self._clock = clock
        self._second = 0
        self._used = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether there is a line left in this second."""
        second = int(self._clock())
        if second != self._second:
            self._second, self._used = second, 0
        self._used += 1
        if self._used > self._lines:
            self._meter.bound("coap.log")
            return False
        return True

    def install(self) -> None:
        """Stand before the CoAP loggers."""
        for name in LOGGERS:
            logging.getLogger(name).addFilter(self)

    def remove(self) -> None:
        """Step aside again."""
        for name in LOGGERS:
            logging.getLogger(name).removeFilter(self)
