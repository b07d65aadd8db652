"""`firstlight copy`: a whole registry from one database into another, such as from SQLite to PostgreSQL."""

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING, Any

import msgspec

from adapters.commands.databases import refused_in_one_line
from adapters.commands.failure import Failure
from adapters.commands.parsing import Environ, add_command
from adapters.commands.progress import Progress, progress
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.parsing import Commands
    from storage.copying import Copied, Copy

_EPILOG = """\
The gateway of an SQLite file has to be stopped; a PostgreSQL database is copied as it is when the copy begins, and what
its gateways write afterwards is not in the copy. The destination has to be empty: it gets its tables first, and no gateway
serves from it before all rows are there, read back and found equal. A copy that was broken off, however that came about,
goes on where it was when the same command is run again. The master key is not in the database: the gateways of the
destination need the same one.

A password is better given as PGPASSWORD than in a URL that other users of this machine can see.

examples:
  firstlight copy --from sqlite:data/firstlight.db --to postgresql://firstlight@db.example/firstlight
  firstlight copy --from postgresql://firstlight@db.example/firstlight --to sqlite:firstlight.db
"""
_GOES_ON = "what is copied stays, and the same command goes on from there"
_DIGITS = 16


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a copy came to, for `--json`: its tables (`storage.copying.Copied`); `resumed` rows were there from a run before."""

    tables: tuple[Any, ...]
    rows: int
    resumed: int
    seconds: float
    verified: bool = True


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = add_command(commands, "copy", "copy a whole registry from one database into another", _EPILOG)
    parser.add_argument("--from", dest="source", required=True, metavar="URL", help="sqlite:PATH or postgresql://...")
    parser.add_argument("--to", dest="destination", required=True, metavar="URL", help="likewise, an empty one")
    parser.add_argument("--restart", action="store_true", help="begin a copy again that was broken off")
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of text for people")
    parser.set_defaults(run=_copy)


def _copy(args: argparse.Namespace, _environ: Environ) -> int:
    screen = Screen(sys.stdout, sys.stderr, args.json)
    with refused_in_one_line():
        asyncio.run(_carry_over(args, screen))
    return 0


async def _carry_over(args: argparse.Namespace, screen: Screen) -> None:
    from storage.copying import open_copy

    began = time.monotonic()
    try:
        async with open_copy(args.source, args.destination, restart=args.restart) as copy:
            if copy.resumed:
                screen.remark(f"going on behind {copy.resumed:,} of {copy.total:,} rows")
            tables = await _copied(copy, screen)
    except asyncio.CancelledError:
        screen.remark(f"stopped: {_GOES_ON}")
        raise
    rows = sum(each.rows for each in tables)
    _report(Summary(tables=tables, rows=rows, resumed=copy.resumed, seconds=round(time.monotonic() - began, 3)), screen)


async def _copied(copy: "Copy", screen: Screen) -> "tuple[Copied, ...]":
    from core.errors import Reason, Refusal

    try:
        with progress("copying", copy.total, "rows", screen.err) as shown:
            await copy.run(_Follower("copied", shown, screen))
        with progress("verifying", copy.total, "rows", screen.err) as shown:
            return await copy.verify(_Follower("verified", shown, screen))
    except Refusal as refusal:
        if refusal.reason is not Reason.UNAVAILABLE:
            raise
        raise Failure(f"{refusal.detail}; {_GOES_ON}") from refusal


class _Follower:
    """Shows how far the copy is: a bar on a terminal, elsewhere a line for each table."""

    def __init__(self, what: str, shown: Progress, screen: Screen) -> None:
        self._what = what
        self._shown = shown
        self._says_tables = not screen.err.isatty()

    def reach(self, rows: int) -> None:
        self._shown.reach(rows)

    def done(self, table: str, rows: int) -> None:
        if rows and self._says_tables:
            self._shown.remark(f"{self._what} {table}: {rows:,} rows")


def _report(summary: Summary, screen: Screen) -> None:
    if screen.json:
        screen.document(msgspec.json.encode(summary))
        return
    rows = [(each.table, f"{each.rows:,}", each.digest[:_DIGITS]) for each in summary.tables]
    screen.table(("TABLE", "ROWS", "SHA-256"), rows)
    screen.line(f"{summary.rows:,} rows, all found equal, in {summary.seconds:,.1f} s")
