"""`firstlight device import`: a CSV file of any length into the registry, batch by batch."""

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from adapters.commands import api
from adapters.commands.csv_devices import CsvDevices
from adapters.commands.failure import Failure, UsageError
from adapters.commands.parsing import add_operation
from adapters.commands.progress import Progress, progress
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

BATCH = 500
BATCH_BYTES = 262_144
_KEPT_REASONS = 1000

_EPILOG = f"""\
The first line names the columns: name, profile, token, client_id, username, password, certificate, client_secret,
oscore_device_id, oscore_server_id, oscore_secret, oscore_salt, oscore_id_context; any other column becomes metadata. Commas,
semicolons or tabs; UTF-8. Spaces around a cell are dropped, empty cells mean nothing. A device without a credential gets one
of its profile's kind, or an access token. Of a file that `device export` wrote, name, profile and columns that were added to
it are taken; serials and labels come in with `device issue`.

A bad line is reported and left out, the others are kept, and the exit status is 1. Importing a file again is safe:
devices that are there already stay as they are. --json keeps the first {_KEPT_REASONS} reasons.

examples:
  firstlight device import fleet.csv --profile meters
  zcat fleet.csv.gz | firstlight device import - --profile meters
"""


class Tally(msgspec.Struct):
    """What became of the lines so far."""

    created: int = 0
    unchanged: int = 0
    refused: int = 0
    errors: list[api.BadLine] = msgspec.field(default_factory=list)


def add(group: "Commands") -> None:
    """Declare the command."""
    parser = add_operation(group, "import", _import, "define all devices of a CSV file", _EPILOG)
    parser.add_argument("file", metavar="FILE.csv", help="the file, - for standard input")
    parser.add_argument("--profile", metavar="P", help="the profile of lines that name none (name or id)")


async def _import(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> int:
    tally = Tally()
    with open_input(args.file) as stream:
        devices = CsvDevices(stream, has_profile=bool(args.profile))
        if devices.remark:
            screen.remark(devices.remark)
        with progress("importing", size_of(stream), "bytes", screen.err) as shown:
            importer = _Importer(gateway, args.profile, tally, shown)
            try:
                await importer.run(devices)
            except Failure as fault:
                fault.args = (f"{fault}; stopped after {_summary(tally)}: importing the same file again goes on from there",)
                raise
    if not (tally.created or tally.unchanged or tally.refused):
        raise UsageError(f"{args.file}: there are no devices in it")
    if screen.json:
        screen.document(msgspec.json.encode(tally))
    else:
        screen.line(_summary(tally))
    return 1 if tally.refused else 0


class _Importer:
    """Gathers devices into batches and sends them, keeping the tally."""

    def __init__(self, gateway: "Gateway", profile: str | None, tally: Tally, shown: Progress) -> None:
        from adapters.commands.patience import Patience

        self._gateway = gateway
        self._profile = profile
        self._tally = tally
        self._shown = shown
        self._patience = Patience()
        self._batch: list[msgspec.Raw] = []
        self._bytes = 0

    async def run(self, devices: CsvDevices) -> None:
        for device in devices:
            if isinstance(device, api.BadLine):
                self._refuse(device)
            else:
                self._gather(device)
            if len(self._batch) >= BATCH or self._bytes >= BATCH_BYTES:
                await self._send()
                self._shown.reach(devices.consumed)
        await self._send()
        self._shown.reach(devices.consumed)

    def _gather(self, device: api.NewDevice) -> None:
        encoded = msgspec.json.encode(device if device.profile else msgspec.structs.replace(device, profile=self._profile))
        self._batch.append(msgspec.Raw(encoded))
        self._bytes += len(encoded)

    async def _send(self) -> None:
        if not self._batch:
            return
        batch = api.Batch(tuple(self._batch))
        self._batch, self._bytes = [], 0
        body = await self._patience(lambda: self._gateway.send("POST", "devices:import", body=batch))
        result = api.decode(body, api.Imported)
        self._tally.created += result.created
        self._tally.unchanged += result.unchanged
        for error in result.errors:
            self._refuse(error)

    def _refuse(self, bad: api.BadLine) -> None:
        self._tally.refused += 1
        if len(self._tally.errors) < _KEPT_REASONS:
            self._tally.errors.append(bad)
        name = f" ({bad.name})" if bad.name else ""
        self._shown.remark(f"line {bad.line}{name}: {bad.reason}")


@contextlib.contextmanager
def open_input(path: str) -> Iterator[BinaryIO]:
    """Open a file, or standard input for `-`. Raises `UsageError`."""
    if path == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(path).open("rb") as stream:
            yield stream
    except OSError as fault:
        raise UsageError(f"cannot read {path}: {fault.strerror}") from fault


def size_of(stream: BinaryIO) -> int | None:
    """Return how many bytes there are to read, None where that cannot be known."""
    try:
        status = os.fstat(stream.fileno())
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _summary(tally: Tally) -> str:
    return f"{tally.created:,} created, {tally.unchanged:,} unchanged, {tally.refused:,} refused"
