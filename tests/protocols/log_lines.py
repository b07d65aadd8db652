"""What a server that runs on another thread wrote to the log."""

import re

import pytest

from tests.protocols.front_peer import until

_COLOUR = re.compile("\x1b\\[[0-9;]*m")


class LogLines:
    """The lines so far."""

    def __init__(self, captured: pytest.CaptureFixture[str]) -> None:
        self._captured = captured
        self._lines: list[str] = []

    def with_text(self, text: str) -> list[str]:
        """Return the lines that hold a text."""
        self._lines += _COLOUR.sub("", self._captured.readouterr().out).splitlines()
        return [line for line in self._lines if text in line]

    def awaited(self, text: str, least: int = 1) -> list[str]:
        """Return the lines that hold a text, once there are so many."""
        until(lambda: len(self.with_text(text)) >= least)
        return self.with_text(text)
