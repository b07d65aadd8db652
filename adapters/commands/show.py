"""What a command prints: tables for people, JSON for programs, remarks on standard error."""

from collections.abc import Sequence
from typing import TextIO

import msgspec

from adapters.commands.printable import printable, printable_json, printable_lines

_GAP = "  "
_DRAWN_GAP = 3


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
        """Print rows under their columns: drawn on a terminal where they fit, aligned with spaces elsewhere.

        Nothing is folded, so that an id can be copied from a narrow terminal too.
        """
        safe = [[printable(cell) for cell in row] for row in rows]
        if not (self.out.isatty() and self._draw(columns, safe)):
            self.out.writelines(line + "\n" for line in _align([list(columns), *safe]))

    def fields(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Print names with their values, one pair a line."""
        self.out.writelines(line + "\n" for line in _align([[name, printable(value) or "-"] for name, value in pairs]))

    def _draw(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
        """Draw a table unless the terminal is too narrow for it; tells whether it did."""
        from rich.box import SIMPLE_HEAD
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(file=self.out, highlight=False)
        if sum(_widths([columns, *rows])) + _DRAWN_GAP * len(columns) > console.width:
            return False
        table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for column in columns:
            table.add_column(column)
        for row in rows:
            table.add_row(*map(Text, row))
        console.print(table)
        return True


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = _widths(rows)
    return [
        _GAP.join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(_width, column)) for column in zip(*rows, strict=True)]


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)
