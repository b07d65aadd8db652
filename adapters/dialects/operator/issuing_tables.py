"""Serials from a CSV body (RFC 4180): a header line names the columns, and a line that holds no serial gets a reason."""

import csv
import io
from collections.abc import Iterator
from itertools import islice

from adapters.dialects.operator.issuing_bodies import IssuedDevice, IssueTable, UnreadLine
from adapters.dialects.operator.reading import malformed
from core.operate.batches import ROWS

COLUMNS = 256
LINE_ENDS = 4 * ROWS  # two characters may end a line, and empty lines do not count
_DELIMITERS = ",;\t"
_SERIAL, _LABEL = "serial", "label"


def read_table(body: bytes) -> IssueTable:
    """Read a body: the column `serial` is needed, `label` is known, every other one becomes metadata where it is not empty.

    One row more than a batch may have is as far as it is read. Raises `Refusal` MALFORMED for a body that is no UTF-8 text,
    has no such header, or more columns or lines than anybody needs.
    """
    if body.count(b"\n") + body.count(b"\r") > LINE_ENDS:
        raise malformed(f"the body has more than {LINE_ENDS} line ends", "body.csv")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise malformed("the body is not UTF-8", "body.csv") from error
    header, _, _ = text.partition("\n")
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(_DELIMITERS, key=header.count))
    columns = _columns(next(_cells(rows), (0, []))[1])
    filled = ((number, cells) for number, cells in _cells(rows) if cells != [])
    return IssueTable(tuple((number, _line(columns, cells)) for number, cells in islice(filled, ROWS + 1)))


def _cells(rows: Iterator[list[str]]) -> Iterator[tuple[int, list[str] | None]]:
    """Yield the cells of each line with its number, None for a line that cannot be taken apart."""
    number = 0
    while True:
        number = getattr(rows, "line_num", number)
        try:
            cells: list[str] | None = next(rows)
        except StopIteration:
            return
        except csv.Error:
            cells = None
        yield number + 1, cells


def _columns(cells: list[str] | None) -> list[str]:
    columns = [_name(cell.strip()) for cell in cells or ()]
    if len(columns) > COLUMNS:
        raise malformed(f"there are more than {COLUMNS} columns", "body.csv")
    if _SERIAL not in columns:
        raise malformed("the first line names the columns, and one of them must be serial", "body.csv")
    named = list(filter(None, columns))
    if len(set(named)) < len(named):
        raise malformed("two columns have the same name", "body.csv")
    return columns


def _name(column: str) -> str:
    return column.lower() if column.lower() in (_SERIAL, _LABEL) else column


def _line(columns: list[str], cells: list[str] | None) -> IssuedDevice | UnreadLine:
    if cells is None:
        return UnreadLine("", "the line cannot be read")
    values = {column: cell.strip() for column, cell in zip(columns, cells, strict=False)}
    serial, label = values.pop(_SERIAL, ""), values.pop(_LABEL, "")
    if len(cells) > len(columns):
        return UnreadLine(serial, "there are more cells than columns")
    return IssuedDevice(serial=serial, label=label, metadata={name: value for name, value in values.items() if name and value})
