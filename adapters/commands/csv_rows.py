"""Rows of a CSV file, one at a time, and the reason for every line that is none."""

import csv
import itertools
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from adapters.commands.api import BadLine
from adapters.commands.failure import UsageError

MAX_LINE_BYTES = 262_144
_DELIMITERS = ",;\t"


class _LongLine(Exception):
    """A line that no device's description needs."""


class Lines:
    """Lines of UTF-8 text, each of bounded length; bytes that are not UTF-8 become lone surrogates.

    `number` is that of the last line read, `consumed` how many bytes were. Reading goes on behind a line that is too long.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self.number = 0
        self.consumed = 0
        self._stream = stream

    def __iter__(self) -> "Lines":
        return self

    def __next__(self) -> str:
        raw = self._read()
        if not raw:
            raise StopIteration
        self.number += 1
        if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
            self._skip()
            raise _LongLine(f"longer than {MAX_LINE_BYTES:,} bytes")
        return raw.decode("utf-8", "surrogateescape").removeprefix("\ufeff" if self.number == 1 else "")

    def _skip(self) -> None:
        while (raw := self._read()) and not raw.endswith(b"\n"):
            pass

    def _read(self) -> bytes:
        raw = self._stream.readline(MAX_LINE_BYTES)
        self.consumed += len(raw)
        return raw


class Row(msgspec.Struct, frozen=True):
    """A line's cells that are not empty, by their columns."""

    line: int
    values: dict[str, str]


class CsvRows:
    """The rows of a CSV file (RFC 4180, with semicolons or tabs too), whose first line names the columns.

    Those in `known` are recognised in any case, and `needed` has to be among them. Construction reads the first line and
    raises `UsageError` where the file cannot be read at all.
    """

    def __init__(self, stream: BinaryIO, known: frozenset[str], needed: str) -> None:
        self._lines = Lines(stream)
        try:
            first = next(self._lines, "")
            self._reader = csv.reader(itertools.chain((first,), self._lines), delimiter=_sniff(first), strict=True)
            self.columns = [_column(cell, known) for cell in next(self._reader, [])]
        except (_LongLine, csv.Error) as fault:
            raise UsageError(f"the first line names no columns: {fault}") from fault
        _require_columns(self.columns, needed)

    @property
    def consumed(self) -> int:
        """How many bytes were read so far."""
        return self._lines.consumed

    def __iter__(self) -> Iterator[Row | BadLine]:
        """Yield the row of each line, or why it is none; empty lines are passed over."""
        while True:
            line = self._lines.number + 1
            try:
                cells = [cell.strip() for cell in next(self._reader)]
            except StopIteration:
                return
            except (csv.Error, _LongLine) as fault:
                yield BadLine(line, reason=f"{fault}{self._extent(line)}")
                continue
            if any(cells):
                yield self._row(line, cells)

    def _extent(self, line: int) -> str:
        return f" (up to line {self._lines.number})" if self._lines.number > line else ""

    def _row(self, line: int, cells: list[str]) -> Row | BadLine:
        if not _is_utf8(cells):
            return BadLine(line, reason="not UTF-8 text")
        if len(cells) > len(self.columns):
            return BadLine(line, reason=f"{len(cells)} cells under {len(self.columns)} columns")
        return Row(line, {column: cell for column, cell in zip(self.columns, cells, strict=False) if cell})


def _sniff(header: str) -> str:
    """Return the delimiter that the header line has most of."""
    return max(_DELIMITERS, key=header.count)


def _column(cell: str, known: frozenset[str]) -> str:
    """Return a column's name; those with a meaning are recognised in any case."""
    return cell.strip().lower() if cell.strip().lower() in known else cell.strip()


def _require_columns(columns: list[str], needed: str) -> None:
    if not _is_utf8(columns):
        raise UsageError("the file is not UTF-8 text")
    if needed not in columns:
        raise UsageError(f"the first line names the columns, and one of them must be `{needed}`")
    if repeated := next((column for column in columns if column and columns.count(column) > 1), None):
        raise UsageError(f"two columns are named `{repeated}`")


def _is_utf8(cells: list[str]) -> bool:
    return not any("\ud800" <= character <= "\udfff" for cell in cells for character in cell)
