"""`firstlight device export`: all devices as CSV, page by page."""

import argparse
import contextlib
import functools
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from adapters.commands.failure import Failure
from adapters.commands.parsing import add_operation
from adapters.commands.printable import printable_lines
from adapters.commands.progress import progress
from adapters.commands.show import Screen
from core.model import DeviceState

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_EPILOG = """\
A file appears when it is complete. Credentials are not exported, and metadata with --json alone. `device import` reads the
file again (names and profiles), `device issue` too (serials and labels).

examples:
  firstlight device export fleet.csv
  firstlight device export --state provisioned | wc -l
"""


def add(group: "Commands") -> None:
    """Declare the command."""
    export = add_operation(group, "export", _export, "write devices as CSV", _EPILOG)
    export.add_argument("file", nargs="?", default="-", metavar="FILE.csv", help="where to (default: standard output)")
    export.add_argument("--profile", metavar="P", help="those of one profile (name or id)")
    export.add_argument("--state", choices=[state.value for state in DeviceState], help="those in one state")


async def _export(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    if args.json:
        await _export_json(args, gateway, screen)
        return
    count = 0
    with _target(args.file) as target, progress("exporting", None, "devices", screen.err) as shown:
        async for text, rows in _pages(args, gateway):
            target.write(printable_lines(text.replace("\r\n", "\n")) if target.isatty() else text)
            count += rows
            shown.reach(count)
    if args.file != "-":
        screen.remark(f"{count:,} devices in {args.file}")


async def _export_json(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    """Write the devices as the API lists them, one JSON document a line."""
    with _target(args.file) as target:
        lines = Screen(target, screen.err, json=True)
        async for page in gateway.pages("devices", query={"profile": args.profile, "state": args.state}):
            for body in page:
                lines.record(body)


async def _pages(args: argparse.Namespace, gateway: "Gateway") -> AsyncIterator[tuple[str, int]]:
    """Yield the text of each page, the header line with the first alone, and the number of its devices."""
    from adapters.commands.client import PAGE
    from adapters.commands.patience import Patience

    patience, header, after = Patience(), "", None
    while True:
        query = {"limit": PAGE, "after": after, "profile": args.profile, "state": args.state}
        answer = await patience(functools.partial(gateway.request, "GET", "devices:export", query=query))
        text = answer.body.decode("utf-8", "backslashreplace")
        body = text.removeprefix(header) if header else text
        header = header or text.partition("\n")[0] + "\n"
        yield body, body.count("\n") - (after is None)
        after = answer.next
        if after is None:
            return


@contextlib.contextmanager
def _target(path: str) -> Iterator[TextIO]:
    """Open what is written to: a file takes the place of an older one when it is complete."""
    if path == "-":
        yield sys.stdout
        return
    goal = Path(path)
    part = Path(path + ".part") if goal.is_file() or not goal.exists() else goal  # a device or a pipe is not replaced
    try:
        with part.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        part.replace(goal)
    except OSError as fault:
        raise Failure(f"cannot write {path}: {fault.strerror}") from fault
    finally:
        if part is not goal:
            part.unlink(missing_ok=True)
