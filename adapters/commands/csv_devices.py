"""Devices from a CSV file, one at a time, and the reason for every line that holds none."""

from collections.abc import Iterator
from typing import Any, BinaryIO

from adapters.commands.api import BadLine, NewDevice
from adapters.commands.credential_options import choose_credential
from adapters.commands.csv_exported import passed_over, remark
from adapters.commands.csv_rows import CsvRows, Row
from adapters.commands.failure import UsageError

_OSCORE = frozenset(f"oscore_{part}" for part in ("device_id", "server_id", "secret", "salt", "id_context"))
_CREDENTIAL = frozenset({"token", "client_id", "username", "password", "certificate", "client_secret"}) | _OSCORE
_KNOWN = _CREDENTIAL | {"name", "profile"}


class CsvDevices:
    """The devices of a CSV file. Construction raises `UsageError` where the file cannot be imported at all."""

    def __init__(self, stream: BinaryIO, has_profile: bool) -> None:
        self._rows = CsvRows(stream, _KNOWN, "name")
        if "profile" not in self._rows.columns and not has_profile:
            raise UsageError("no profile: give --profile P or a column `profile`")
        self._has_profile = has_profile
        self._passed_over = passed_over(self._rows.columns, _KNOWN)

    @property
    def remark(self) -> str:
        """What to tell before anything is imported, empty where it goes without saying."""
        return remark(self._rows.columns, self._passed_over)

    @property
    def consumed(self) -> int:
        """How many bytes were read so far."""
        return self._rows.consumed

    def __iter__(self) -> Iterator[NewDevice | BadLine]:
        """Yield the device of each line, or why it holds none; empty lines are passed over."""
        for row in self._rows:
            yield self._device(row) if isinstance(row, Row) else row

    def _device(self, row: Row) -> NewDevice | BadLine:
        try:
            return self._build(row.line, row.values)
        except UsageError as fault:
            return BadLine(row.line, row.values.get("name", ""), str(fault))

    def _build(self, line: int, values: dict[str, str]) -> NewDevice:
        if "name" not in values:
            raise UsageError("name is empty")
        if "" in values:
            raise UsageError("a cell under a column without a name")
        if "profile" not in values and not self._has_profile:
            raise UsageError("profile is empty, and there is no --profile")
        return NewDevice(
            name=values["name"],
            line=line,
            profile=values.get("profile"),
            credential=choose_credential(**_texts(values)),
            metadata={key: value for key, value in values.items() if key not in _KNOWN | self._passed_over},
        )


def _texts(values: dict[str, str]) -> dict[str, Any]:
    return {key: values[key] for key in _CREDENTIAL & values.keys()}
