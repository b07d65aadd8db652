"""`firstlight channel`: the ways for messages between devices."""

import argparse
from typing import TYPE_CHECKING

from adapters.commands import api, configuring_api, configuring_view
from adapters.commands.failure import UsageError
from adapters.commands.listing import add_all, listed
from adapters.commands.metadata_options import add_metadata, metadata_from
from adapters.commands.parsing import Operation, add_group, add_operation
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.client import Gateway
    from adapters.commands.parsing import Commands

_CREATE_EPILOG = """\
A device may use the channels of its configuration while that is active (firstlight config state ID active).

examples:
  firstlight channel create telemetry --metadata type=data
  firstlight channel create commands --id site-7-commands
"""


def add(commands: "Commands") -> None:
    """Declare the commands of this noun."""
    group = add_group(commands, "channel", "the ways for messages between devices")
    create = add_operation(group, "create", _create, "make a channel", _CREATE_EPILOG)
    create.add_argument("name", metavar="NAME", nargs="?", default="", help="what people call it; need not be unique")
    create.add_argument("--id", metavar="ID", help="its id (default: the gateway makes one)")
    add_metadata(create, "a note that devices see too")
    listing = add_operation(group, "list", _list, "list channels in the order of their ids")
    listing.add_argument("--name", metavar="PART", help="those with this in their name, whatever the case")
    add_all(listing)
    _add_single(group, "show", _show, "show one channel")
    update = _add_single(group, "update", _update, "change a channel's name or metadata")
    update.add_argument("--name", help="a new name")
    add_metadata(update, "a note in place of all there were")
    _add_single(group, "remove", _remove, "remove a channel; it vanishes from every configuration")


def _add_single(group: "Commands", name: str, operation: Operation, summary: str) -> argparse.ArgumentParser:
    parser = add_operation(group, name, operation, summary)
    parser.add_argument("channel", metavar="ID", help="its id")
    return parser


async def _create(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    channel = configuring_api.NewChannel(id=args.id, name=args.name, metadata=metadata_from(args))
    configuring_view.present_channel(await gateway.send("POST", "channels", body=channel), screen)


async def _list(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    bodies = await listed("channels", {"name": args.name}, args, gateway, screen)
    if screen.json:
        screen.documents(bodies)
    else:
        configuring_view.show_channels([api.decode(body, configuring_api.Channel) for body in bodies], screen)


async def _show(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    configuring_view.present_channel(await gateway.get("channels", args.channel), screen)


async def _update(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    change = configuring_api.ChannelChange(args.name, metadata_from(args) or None)
    if change == configuring_api.ChannelChange():
        raise UsageError("nothing to change: give --name or --metadata")
    configuring_view.present_channel(await gateway.send("PATCH", "channels", args.channel, body=change), screen)


async def _remove(args: argparse.Namespace, gateway: "Gateway", screen: Screen) -> None:
    await gateway.send("DELETE", "channels", args.channel)
    screen.done("channel", args.channel, "removed")
