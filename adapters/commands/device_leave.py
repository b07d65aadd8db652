"""`firstlight device leave, gone`: devices that were deleted or revoked, and do not come back by a claim key."""

import argparse
from typing import TYPE_CHECKING

from msgspec import UNSET

from adapters.commands import api, claim_api
from adapters.commands.listing import add_all, listed
from adapters.commands.parsing import add_operation
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_LEAVE_EPILOG = """\
A device that was deleted, or whose credentials were revoked, is refused when it asks for its identity again: whoever has the
claim key could bring it back. With leave it comes back once.

examples:
  firstlight device leave meter-0042
  firstlight device leave meter-0042 --hours 72
"""


def add(group: "Commands") -> None:
    """Declare the commands."""
    leave = add_operation(group, "leave", _leave, "let a deleted or revoked device come back, once", _LEAVE_EPILOG)
    leave.add_argument("device", metavar="NAME", help="the name that it had")
    leave.add_argument("--hours", type=int, metavar="N", help="how long it may (default: a day)")
    gone = add_operation(group, "gone", _gone, "list devices that were deleted or revoked and do not come back")
    add_all(gone)


async def _leave(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    leave = claim_api.Leave(UNSET if args.hours is None else args.hours * 3_600)
    body = await gateway.send("POST", "tombstones", args.device, "leave", body=leave)
    if screen.json:
        screen.document(body)
        return
    given = api.decode(body, claim_api.Tombstone)
    screen.fields([("device", given.name), (given.departure, given.left_at), ("may come back until", given.leave_until or "")])


async def _gone(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    bodies = await listed("tombstones", {}, args, gateway, screen)
    if screen.json:
        screen.documents(bodies)
        return
    found = [api.decode(body, claim_api.Tombstone) for body in bodies]
    screen.table(
        ("NAME", "SERIAL", "LEFT", "SINCE", "MAY COME BACK UNTIL"),
        [(each.name, each.serial, each.departure, each.left_at, each.leave_until or "") for each in found],
    )
