"""Structured logs on standard error: one line an event, no secrets, a bounded number of lines a second."""

import logging
import sys
import time
from collections.abc import MutableMapping
from typing import Any

import structlog

from core.limits import Buckets, Rate


def configure(level: str, form: str, lines_per_second: float) -> None:
    """Set up structlog and the standard loggers for the process. `form` is `console` or `json`."""
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        # The plain traceback: the default one prints local variables, and among them are requests with their secrets.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), pad_event_to=24, exception_formatter=structlog.dev.plain_traceback
        )
    )
    budget = LineBudget(Rate(lines_per_second, lines_per_second * 2))
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        processors=[
            budget,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _traceback_for_json if form == "json" else _as_it_is,
            renderer,
        ],
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s [%(levelname)s] %(name)s: %(message)s", stream=sys.stderr)
    for handler in logging.getLogger().handlers:
        handler.addFilter(budget.admits)


class LineBudget:
    """Lets so many lines a second through, first of all things; the next line after a gap says how many were left out."""

    def __init__(self, rate: Rate) -> None:
        self._lines = Buckets(rate, entries=1)
        self._left_out = 0

    def __call__(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Work as a structlog processor."""
        if not self._admit():
            raise structlog.DropEvent
        if self._left_out:
            event["lines_left_out"] = self._left_out
            self._left_out = 0
        return event

    def admits(self, _record: logging.LogRecord) -> bool:
        """Work as a filter of the standard library's handlers."""
        return self._admit()

    def _admit(self) -> bool:
        if self._lines.take("", time.monotonic()):
            self._left_out += 1
            return False
        return True


def _traceback_for_json(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return structlog.processors.format_exc_info(logger, method, event)


def _as_it_is(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return event
