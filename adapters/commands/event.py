"""`firstlight event`: what happened, and what happens now."""

import argparse
from typing import TYPE_CHECKING

from adapters.commands import api
from adapters.commands.follow import Follow
from adapters.commands.parsing import add_group, add_operation
from adapters.commands.show import Screen
from core.model import EventKind

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_MOST = 1000
_LIST_EPILOG = """\
The newest come last. `firstlight explain CORRELATION` says what a refusal means.

examples:
  firstlight event list --kind provision.refused
  firstlight event list --device meter-0042 --limit 1000
"""
_FOLLOW_EPILOG = """\
Shows the last events and then every new one until Ctrl-C. With --json each is a JSON document on a line of its own.

example:
  firstlight event follow --json | jq 'select(.kind == "provision.refused")'
"""


def add(commands: "Commands") -> None:
    """Declare the commands of this noun."""
    group = add_group(commands, "event", "what happened: attempts, refusals and changes")
    _add_filters(add_operation(group, "list", _list, "list the newest events", _LIST_EPILOG), default=50)
    _add_filters(add_operation(group, "follow", _follow, "show events as they happen", _FOLLOW_EPILOG), default=10)


def _add_filters(parser: argparse.ArgumentParser, default: int) -> None:
    kinds = [kind.value for kind in EventKind]
    parser.add_argument("--device", metavar="DEVICE", help="those of one device (id or exact name)")
    parser.add_argument("--kind", choices=kinds, metavar="KIND", help=f"those of one kind: {', '.join(kinds)}")
    parser.add_argument(
        "--limit", type=_limit, default=default, metavar="N", help=f"how many of the past, at most {_MOST} (default: {default})"
    )


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST):
        raise argparse.ArgumentTypeError(f"not between 1 and {_MOST}: {text}")
    return int(text)


async def _list(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    page = await gateway.page("events", query={**await _filters(args, gateway), "newest": "true", "limit": args.limit})
    bodies = page.items[::-1]
    if screen.json:
        screen.documents(bodies)
        return
    events = [api.decode(body, api.Event) for body in bodies]
    screen.table(
        ("AT", "KIND", "DEVICE", "OVER", "SOURCE", "BY", "DETAIL", "CORRELATION"),
        [(each.at, each.kind, *_circumstances(each), each.correlation) for each in events],
    )


async def _follow(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    follow = Follow(gateway, await _filters(args, gateway), screen.remark)
    async for body in follow.events(args.limit):
        if screen.json:
            screen.record(body)
        else:
            event = api.decode(body, api.Event)
            screen.line("  ".join([event.at, event.kind.ljust(19), *filter(None, _circumstances(event)), event.correlation]))


async def _filters(args: argparse.Namespace, gateway: "Gateway") -> dict[str, str | int | None]:
    return {"device": args.device and await _device_id(args.device, gateway), "kind": args.kind}


async def _device_id(device: str, gateway: "Gateway") -> str:
    """Return the id of a device; one that is gone is known by its id alone."""
    from adapters.commands.client import Refused

    try:
        return api.decode(await gateway.get("devices", device), api.Device).id
    except Refused as refused:
        if refused.code != 404:
            raise
        return device


def _circumstances(event: api.Event) -> tuple[str, str, str, str, str]:
    carried = "/".join(filter(None, (event.protocol, event.dialect)))
    reason = ": ".join(filter(None, (event.check, event.detail)))
    return event.device_name or event.device or "", carried, event.source or "", event.actor or "", reason
