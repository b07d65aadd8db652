"""Where the credentials of a batch are written: line by line, as CSV or NDJSON, so that what came is there whatever follows."""

import contextlib
import csv
import io
import os
from collections.abc import Iterator
from typing import TextIO

import msgspec

from adapters.commands.failure import UsageError
from adapters.commands.issuing_api import Record
from adapters.commands.printable import printable_json, printable_lines

CSV, NDJSON = "csv", "ndjson"
_PARTS = ("token", "client_id", "username", "password", "certificate", "endpoint", "secret", "product_key", "device_key")
_OSCORE = {f"oscore_{part}": part for part in ("device_id", "server_id", "salt", "id_context")}
COLUMNS = ("serial", "device_id", "status", "credential_type", *_PARTS, "device_name", "reason", *_OSCORE)
"""The gateway's own columns for CSV."""


class IssuedLines:
    """Writes lines in one form; a terminal gets them made printable."""

    def __init__(self, out: TextIO, form: str) -> None:
        self._out = out
        self._form = form
        if form == CSV:
            self._write(_row(COLUMNS))

    def add(self, record: Record) -> None:
        """Write what became of one serial."""
        if self._form == CSV:
            parts, context = ([str(record.credential.get(part, "")) for part in some] for some in (_PARTS, _OSCORE.values()))
            kind = str(record.credential.get("type", ""))
            own = (record.serial, record.device_id, record.status, kind)
            self._write(_row((*own, *parts, record.device_name, record.reason, *context)))
        else:
            self._write(printable_json(msgspec.json.encode(record).decode()) + "\n")

    def flush(self) -> None:
        """Let out what was written."""
        self._out.flush()

    def _write(self, text: str) -> None:
        self._out.write(printable_lines(text.replace("\r\n", "\n")) if self._out.isatty() else text)


@contextlib.contextmanager
def open_output(path: str | None, out: TextIO) -> Iterator[TextIO]:
    """Open a file that its owner alone can read, or take `out` where there is no path. Raises `UsageError`."""
    if path is None:
        yield out
        return
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    except OSError as fault:
        raise UsageError(f"cannot write {path}: {fault.strerror}") from fault
    with open(number, "w", encoding="utf-8", newline="") as file:
        yield file


def _row(cells: tuple[str, ...]) -> str:
    text = io.StringIO()
    csv.writer(text).writerow(cells)
    return text.getvalue()
