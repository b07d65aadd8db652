"""Serials from a CSV file, one at a time, and the reason for every line that holds none."""

from collections.abc import Iterator
from typing import BinaryIO

from adapters.commands.api import BadLine
from adapters.commands.csv_exported import passed_over, remark
from adapters.commands.csv_rows import CsvRows, Row
from adapters.commands.issuing_api import NewSerial

_KNOWN = frozenset({"serial", "label"})
_NAME = frozenset({"name"})


class CsvSerials:
    """The serials of a CSV file with the column `serial`. Construction raises `UsageError` where there is no such column."""

    def __init__(self, stream: BinaryIO) -> None:
        self._rows = CsvRows(stream, _KNOWN, "serial")
        exported = passed_over(self._rows.columns, _KNOWN)
        self._passed_over = exported | _NAME if exported else exported

    @property
    def remark(self) -> str:
        """What to tell before anything is issued, empty where it goes without saying."""
        return remark(self._rows.columns, self._passed_over)

    @property
    def consumed(self) -> int:
        """How many bytes were read so far."""
        return self._rows.consumed

    def __iter__(self) -> Iterator[tuple[int, NewSerial] | BadLine]:
        """Yield each line's number and serial, or why it holds none; empty lines are passed over."""
        for row in self._rows:
            yield _serial(row, self._passed_over) if isinstance(row, Row) else row


def _serial(row: Row, passed_over: frozenset[str]) -> tuple[int, NewSerial] | BadLine:
    values = {column: value for column, value in row.values.items() if column not in passed_over}
    serial, label = values.pop("serial", ""), values.pop("label", "")
    if not serial:
        return BadLine(row.line, reason="serial is empty")
    if "" in values:
        return BadLine(row.line, serial, "a cell under a column without a name")
    return row.line, NewSerial(serial=serial, label=label, metadata=values)
