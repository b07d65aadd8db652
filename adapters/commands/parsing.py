"""How commands are declared: groups, commands, and operations that talk to a gateway."""

import argparse
import asyncio
import functools
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING

from adapters.commands.access import Access, access_from
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.client import Gateway

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # generic for type checkers alone

Environ = MutableMapping[str, str]
Operation = Callable[[argparse.Namespace, "Gateway", Screen], Awaitable[int | None]]


def add_group(commands: "Commands", name: str, summary: str) -> "Commands":
    """Declare a noun, whose verbs are added to what this returns."""
    parser = add_command(commands, name, summary)
    parser.set_defaults(run=functools.partial(_show_help, parser))
    return parser.add_subparsers(title="commands", metavar="COMMAND")


def add_command(commands: "Commands", name: str, summary: str, epilog: str = "") -> argparse.ArgumentParser:
    """Declare a command; its caller sets `run`, which takes the arguments and the environment and returns an exit status."""
    return commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_operation(
    commands: "Commands", name: str, operation: Operation, summary: str, epilog: str = ""
) -> argparse.ArgumentParser:
    """Declare a command that an operator gives to a running gateway."""
    parser = add_command(commands, name, summary, epilog)
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of text for people")
    parser.set_defaults(run=functools.partial(_operate, operation))
    return parser


def _operate(operation: Operation, args: argparse.Namespace, environ: Environ) -> int:
    screen = Screen(sys.stdout, sys.stderr, args.json)
    return asyncio.run(_with_gateway(operation, args, access_from(environ), screen))


async def _with_gateway(operation: Operation, args: argparse.Namespace, access: Access, screen: Screen) -> int:
    from adapters.commands.client import connect  # aiohttp is slow to import, and --help must not wait for it

    async with connect(access) as gateway:
        return await operation(args, gateway, screen) or 0


def _show_help(parser: argparse.ArgumentParser, args: argparse.Namespace, environ: Environ) -> int:
    parser.print_help(sys.stderr)
    return 2
