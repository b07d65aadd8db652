"""`firstlight device issue`: credentials for all serials of a file, written as they come."""

import argparse
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from adapters.commands import api
from adapters.commands.csv_serials import CsvSerials
from adapters.commands.device_import import open_input, size_of
from adapters.commands.failure import Failure, UsageError
from adapters.commands.issued_lines import CSV, NDJSON, IssuedLines, open_output
from adapters.commands.issuing_api import IssueBatch, NewSerial, Record
from adapters.commands.parsing import add_operation
from adapters.commands.progress import Progress, progress
from adapters.commands.show import Screen
from core.model import CredentialKind
from core.operate.kinds import DRAWN

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

BATCH = 10_000
PASSWORDS = 1_000
BATCH_BYTES = 1_048_576
_REFUSED = "refused"

_EPILOG = """\
The first line names the columns: serial, label; any other column becomes metadata of a device that is made. Commas,
semicolons or tabs; UTF-8. Without --kind a device gets what its profile's devices have: a triple where they sign, an access
token otherwise. Of a file that `device export` wrote, serial, label and columns that were added to it are taken.

Every line is answered: issued, exists (with the credential that the device has) or refused with the reason; a refused line
makes the exit status 1. Doing it again is safe and gives the same: nothing is issued twice. CSV stands as it is: a serial that
begins with =, +, - or @ may look like a formula to a spreadsheet.

examples:
  firstlight device issue serials.csv --profile meters --output credentials.csv
  firstlight device issue - --profile meters --format ndjson < serials.csv
"""


class Tally(msgspec.Struct):
    """What became of the serials so far."""

    issued: int = 0
    exists: int = 0
    refused: int = 0

    def count(self, status: str) -> None:
        """Count one more."""
        setattr(self, status, getattr(self, status) + 1)

    def __str__(self) -> str:
        return f"{self.issued:,} issued, {self.exists:,} existing, {self.refused:,} refused"


class _Item(msgspec.Struct, frozen=True):
    """A line of the file, and how many bytes were read with it."""

    line: int
    content: NewSerial | api.BadLine
    consumed: int


def add(group: "Commands") -> None:
    """Declare the command."""
    parser = add_operation(group, "issue", _issue, "make devices of serials and write their credentials", _EPILOG)
    parser.add_argument("file", metavar="FILE.csv", help="the serials, - for standard input")
    parser.add_argument("--profile", required=True, metavar="P", help="the profile of the devices (name or id)")
    parser.add_argument("--kind", choices=[kind.value for kind in DRAWN], help="the kind of credential")
    parser.add_argument("--format", choices=[CSV, NDJSON], help="what is written (default: csv, with --json ndjson)")
    parser.add_argument("--output", metavar="FILE", help="where it is written (default: standard output)")


async def _issue(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> int:
    tally = Tally()
    with open_input(args.file) as stream:
        serials = CsvSerials(stream)
        if serials.remark:
            screen.remark(serials.remark)
        form = args.format or (NDJSON if screen.json else CSV)
        with (
            open_output(args.output, screen.out) as out,
            progress("issuing", size_of(stream), "bytes", screen.err) as shown,
        ):
            issuer = _Issuer(gateway, args, tally, IssuedLines(out, form), shown)
            try:
                await issuer.run(serials)
            except Failure as fault:
                fault.args = (f"{fault}; stopped after {tally}: the same command again gives the same and goes on",)
                raise
    if tally == Tally():
        raise UsageError(f"{args.file}: there are no serials in it")
    (screen.remark if args.output is None else screen.line)(str(tally))
    return 1 if tally.refused else 0


class _Issuer:
    """Gathers serials into batches, sends them, and writes every line in the file's order."""

    def __init__(self, gateway: "Gateway", args: argparse.Namespace, tally: Tally, lines: IssuedLines, shown: Progress) -> None:
        from adapters.commands.patience import Patience

        self._gateway = gateway
        self._profile: str = args.profile
        self._kind: str | None = args.kind
        self._most = PASSWORDS if args.kind == CredentialKind.MQTT_BASIC.value else BATCH
        self._tally = tally
        self._lines = lines
        self._shown = shown
        self._patience = Patience()
        self._line_of: dict[str, int] = {}
        self._items: deque[_Item] = deque()
        self._bytes = 0

    async def run(self, serials: CsvSerials) -> None:
        for each in serials:
            self._gather(each, serials.consumed)
            if len(self._items) >= self._most or self._bytes >= BATCH_BYTES:
                await self._send()
        await self._send()

    def _gather(self, found: tuple[int, NewSerial] | api.BadLine, consumed: int) -> None:
        if not isinstance(found, api.BadLine):
            line, serial = found
            first = self._line_of.setdefault(serial.serial, line)
            found = (line, serial) if first == line else api.BadLine(line, serial.serial, f"the serial is that of line {first}")
        if isinstance(found, api.BadLine):
            self._items.append(_Item(found.line, found, consumed))
            return
        self._items.append(_Item(*found, consumed))
        self._bytes += len(msgspec.json.encode(found[1]))

    async def _send(self) -> None:
        """Send what was gathered; where the answer breaks off, what is left of it again."""
        left, self._items, self._bytes = self._items, deque[_Item](), 0
        self._write_bad(left)
        while left:
            await self._patience(partial(self._attempt, left))
        self._lines.flush()

    async def _attempt(self, left: deque[_Item]) -> None:
        """Send serials and take those that are answered away. Raises where none was."""
        from adapters.commands.client import Unreachable

        devices = tuple(item.content for item in left if isinstance(item.content, NewSerial))
        before = len(left)
        try:
            async for line in self._gateway.lines("devices:issue", body=IssueBatch(self._profile, devices, self._kind)):
                record = api.decode(line, Record)
                if record.done or not left:
                    break
                item = left.popleft()
                self._add(msgspec.structs.replace(record, line=item.line), item.consumed)
                self._write_bad(left)
        except Unreachable:
            if len(left) == before:
                raise
        if len(left) == before:
            raise Failure(f"the gateway answered none of {len(left):,} lines")

    def _write_bad(self, left: deque[_Item]) -> None:
        """Write the bad lines that some lines begin with, and take them away."""
        while left and isinstance(bad := left[0].content, api.BadLine):
            item = left.popleft()
            self._add(Record(line=bad.line, serial=bad.name, status=_REFUSED, reason=bad.reason), item.consumed)

    def _add(self, record: Record, consumed: int) -> None:
        self._lines.add(record)
        self._tally.count(record.status)
        if record.status == _REFUSED:
            name = f" ({record.serial})" if record.serial else ""
            self._shown.remark(f"line {record.line}{name}: {record.reason}")
        self._shown.reach(consumed)
