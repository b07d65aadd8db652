"""The option by which an operator gives something metadata."""

import argparse

from adapters.commands.failure import UsageError


def add_metadata(parser: argparse.ArgumentParser, what: str) -> None:
    """Declare `--metadata`, which may be repeated."""
    parser.add_argument("--metadata", action="append", default=[], metavar="KEY=VALUE", help=f"{what}; may be repeated")


def metadata_from(args: argparse.Namespace) -> dict[str, str]:
    """Return the metadata that was given. Raises `UsageError`."""
    return dict(map(_pair, args.metadata))


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise UsageError("--metadata: write it like batch=7")
    return key, value
