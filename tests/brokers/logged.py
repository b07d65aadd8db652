"""A log that can be asked what was said."""

from typing import Any


class Logged:
    """Keeps every line with its level; what is bound is kept apart from it."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def bind(self, **_bound: Any) -> "Logged":
        """Return the same log."""
        return self

    def info(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: Any) -> None:
        """Keep a warning."""
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: Any) -> None:
        """Keep an error."""
        self.lines.append(("error", event, fields))

    def exception(self, event: str, **fields: Any) -> None:
        """Keep an exception."""
        self.lines.append(("exception", event, fields))

    def said(self, text: str) -> list[dict[str, Any]]:
        """Return the fields of the lines that hold this text in their event or fields, oldest first."""
        return [fields for _, event, fields in self.lines if text in f"{event} {fields}"]

    def levels(self, text: str) -> list[str]:
        """Return the levels of these lines."""
        return [level for level, event, fields in self.lines if text in f"{event} {fields}"]
