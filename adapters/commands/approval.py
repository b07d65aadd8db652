"""`firstlight approval`: devices that wait for an operator before they get their credentials."""

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from adapters.commands import api
from adapters.commands.approving_api import BadDecision, Decision, Decisions, DecisionsTaken, WaitingDevice
from adapters.commands.csv_rows import CsvRows, Row
from adapters.commands.device_import import open_input
from adapters.commands.listing import add_all, listed
from adapters.commands.parsing import Operation, add_group, add_operation
from adapters.commands.show import Screen
from core.model import Verdict

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

AT_ONCE = 500
GRANTED, REFUSED = Verdict.GRANTED.value, Verdict.REFUSED.value
_COLUMNS = ("verdict", "name", "profile", "source", "protocol", "dialect", "asked_at", "expires_at", "device", "id")
_KNOWN = frozenset(_COLUMNS)

_LIST_EPILOG = """\
A device of a profile with --reprovision approve waits here when it asks again, and one of a profile with the option approve-new
when it asks for the first time. It is told no and tries again by itself; the first try after a grant gets its credentials,
once. Entries and grants end after seven days.

With --csv the list can be answered in a spreadsheet: write granted or refused under `verdict`, then firstlight approval decide.

examples:
  firstlight approval list
  firstlight approval list --all --csv > waiting.csv
"""
_DECIDE_EPILOG = """\
The first line names the columns. `verdict` is granted or refused, anything else leaves the device as it is; `id` or `name` says
which device is meant, with `profile` where devices of several profiles have that name. Other columns do not count.

example:
  firstlight approval decide waiting.csv
"""


def add(commands: "Commands") -> None:
    """Declare the commands of this noun."""
    group = add_group(commands, "approval", "devices that wait for an operator before they get their credentials")
    listing = add_operation(
        group, "list", _list, "list those who wait and those who have not come for their answer", _LIST_EPILOG
    )
    listing.add_argument("--profile", metavar="P", help="those of one profile (name or id)")
    listing.add_argument("--verdict", choices=[verdict.value for verdict in Verdict], help="those with one answer, or none yet")
    listing.add_argument("--csv", action="store_true", help="as CSV")
    add_all(listing)
    for name, verdict, summary in (
        ("grant", GRANTED, "let devices have their credentials, once"),
        ("refuse", REFUSED, "let devices have no credentials"),
    ):
        answer = add_operation(group, name, _answer(verdict), summary)
        answer.add_argument("devices", metavar="NAME", nargs="+", help="the device's name, or the id that approval list shows")
        answer.add_argument("--profile", metavar="P", help="which is meant of several of that name (name or id)")
    decide = add_operation(group, "decide", _decide, "take the answers of a CSV file", _DECIDE_EPILOG)
    decide.add_argument("file", metavar="FILE.csv", help="the file, - for standard input")


async def _list(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    bodies = await listed("approvals", {"profile": args.profile, "verdict": args.verdict}, args, gateway, screen)
    if screen.json:
        screen.documents(bodies)
        return
    waiting = [api.decode(body, WaitingDevice) for body in bodies]
    if args.csv:
        screen.verbatim(_csv(waiting))
    else:
        _show(waiting, screen)


def _answer(verdict: str) -> Operation:
    async def operation(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> int:
        decisions = [Decision(ref, verdict, args.profile or "") for ref in args.devices]
        return _report([await _send(decisions, gateway)], [], screen)

    return operation


async def _decide(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> int:
    results: list[DecisionsTaken] = []
    bad: list[BadDecision] = []
    with open_input(args.file) as stream:
        read = list(_read(CsvRows(stream, _KNOWN, "verdict"), bad))
    for start in range(0, len(read), AT_ONCE):
        part = read[start : start + AT_ONCE]
        taken = await _send([decision for _, decision in part], gateway)
        errors = tuple(msgspec.structs.replace(error, line=part[error.line - 1][0]) for error in taken.errors)
        results.append(msgspec.structs.replace(taken, errors=errors))
    return _report(results, bad, screen)


def _read(rows: CsvRows, bad: list[BadDecision]) -> Iterator[tuple[int, Decision]]:
    """Yield the answers with the lines that they stand in; what is wrong with others is added to `bad`."""
    for row in rows:
        if not isinstance(row, Row):
            bad.append(BadDecision(row.line, row.name, row.reason))
            continue
        verdict = row.values.get("verdict", "").lower()
        ref = row.values.get("id") or row.values.get("name", "")
        if verdict not in (GRANTED, REFUSED):
            continue
        if ref:
            yield row.line, Decision(ref, verdict, row.values.get("profile", ""))
        else:
            bad.append(BadDecision(row.line, "", "neither id nor name is there"))


async def _send(decisions: Sequence[Decision], gateway: "Gateway") -> DecisionsTaken:
    body = await gateway.send("POST", "approvals:decide", body=Decisions(tuple(decisions)))
    return api.decode(body, DecisionsTaken)


def _report(results: Sequence[DecisionsTaken], bad: Sequence[BadDecision], screen: Screen) -> int:
    taken = DecisionsTaken(
        tuple(item for result in results for item in result.items),
        (*bad, *(error for result in results for error in result.errors)),
    )
    if screen.json:
        screen.document(msgspec.json.encode(taken))
        return 1 if taken.errors else 0
    for error in taken.errors:
        screen.remark(f"{error.ref or f'line {error.line}'}: {error.reason}")
    granted = sum(item.verdict == GRANTED for item in taken.items)
    screen.line(f"{granted:,} granted, {len(taken.items) - granted:,} refused, {len(taken.errors):,} not answered")
    return 1 if taken.errors else 0


def _show(waiting: Sequence[WaitingDevice], screen: Screen) -> None:
    screen.table(
        ("NAME", "VERDICT", "DEVICE", "SOURCE", "OVER", "ASKED", "ID"),
        [
            (
                each.name,
                each.verdict,
                "known" if each.device else "new",
                each.source,
                f"{each.dialect} {each.protocol}".strip(),
                each.asked_at,
                each.id,
            )
            for each in waiting
        ],
    )


def _csv(waiting: Sequence[WaitingDevice]) -> str:
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_COLUMNS)
    lines.writerows([getattr(each, column) or "" for column in _COLUMNS] for each in waiting)
    return text.getvalue()
