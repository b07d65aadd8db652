"""What a command prints: tables for people, JSON for programs, remarks on standard error."""

from collections.abc import Sequence
from typing import TextIO

import msgspec

from adapters.commands.printable import printable, printable_json, printable_lines

_GAP = "  "


class Screen:
    """Standard output and standard error of one command.

    Every text is made printable here, so that a name a device chose cannot act on the operator's terminal.
    """

    def __init__(self, out: TextIO, err: TextIO, json: bool = False) -> None:
        self.out = out
        self.err = err
        self.json = json

    def document(self, body: bytes) -> None:
        """Print one JSON document, indented where a person reads it."""
        text = msgspec.json.format(body, indent=2 if self.out.isatty() else -1).decode()
        self.out.write(printable_json(text) + "\n")

    def documents(self, bodies: Sequence[bytes | msgspec.Raw]) -> None:
        """Print many JSON documents as one array."""
        self.document(b"[" + b",".join(map(bytes, bodies)) + b"]")

    def record(self, body: bytes | msgspec.Raw) -> None:
        """Print one JSON document on a line of its own (NDJSON) and let it out at once."""
        self.out.write(printable_json(msgspec.json.format(body, indent=-1).decode()) + "\n")
        self.out.flush()

    def done(self, noun: str, name: str, what: str) -> None:
        """Say that something was done to something, where the gateway answers with nothing."""
        if self.json:
            self.document(msgspec.json.encode({noun: name, what: True}))
        else:
            self.line(f"{noun} {name} {what}")

    def line(self, text: str) -> None:
        """Print one line and let it out at once."""
        self.out.write(printable(text) + "\n")
        self.out.flush()

    def verbatim(self, text: str) -> None:
        """Print a text as it is, or made harmless where it would reach a terminal."""
        if self.out.isatty():
            self.out.write(printable_lines(text) + "\n")
        else:
            self.out.write(text)

    def remark(self, text: str) -> None:
        """Print one line on standard error."""
        self.err.write(printable(text) + "\n")
        self.err.flush()

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print rows under their columns: drawn on a terminal, aligned with spaces elsewhere."""
        safe = [[printable(cell) for cell in row] for row in rows]
        if self.out.isatty():
            self._draw(columns, safe)
        else:
            self.out.writelines(line + "\n" for line in _align([list(columns), *safe]))

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Print names with their values, one pair a line."""
        self.out.writelines(line + "\n" for line in _align([[name, printable(value) or "-"] for name, value in pairs]))

    def _draw(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*map(Text, row))
        Console(file=self.out, highlight=False).print(table)


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
