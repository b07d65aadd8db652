"""How long lists are read: the first page, or with `--all` every page."""

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.client import Gateway


def add_all(parser: argparse.ArgumentParser) -> None:
    """Declare `--all`."""
    parser.add_argument("--all", action="store_true", help="all of them instead of the first hundred")


async def listed(
    noun: str, query: Mapping[str, str | int | None], args: argparse.Namespace, gateway: "Gateway", screen: Screen
) -> list[msgspec.Raw]:
    """Return the first page, with a remark where there are more, or with `--all` everything."""
    if args.all:
        return [body async for page in gateway.pages(noun, query=query) for body in page]
    page = await gateway.page(noun, query=query)
    if page.next:
        screen.remark(f"the first {len(page.items)}; --all shows all of them")
    return list(page.items)
