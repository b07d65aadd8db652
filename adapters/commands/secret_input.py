"""Secrets that come from a file or from standard input, because other users of a machine see command lines."""

import argparse
import sys
from pathlib import Path
from typing import BinaryIO

from adapters.commands.failure import UsageError

_MAX_BYTES = 65536


def add_secret(parser: argparse._ActionsContainer, name: str, what: str, visible: bool = False) -> None:
    """Declare `--NAME-file` and `--NAME-stdin`, and `--NAME` itself where being seen does no harm."""
    group = parser.add_mutually_exclusive_group()
    if visible:
        group.add_argument(f"--{name}", help=f"{what}; anyone on this machine can see it while the command runs")
    group.add_argument(f"--{name}-file", metavar="FILE", help=f"read {what} from a file")
    group.add_argument(f"--{name}-stdin", action="store_true", help=f"read {what} from standard input")


def read_secret(args: argparse.Namespace, name: str) -> str | None:
    """Return the secret without the line end behind it, None where none was given. Raises `UsageError`."""
    key = name.replace("-", "_")
    if getattr(args, f"{key}_stdin"):
        return _text(sys.stdin.buffer, f"--{name}-stdin")
    if path := getattr(args, f"{key}_file"):
        return read_text(path, f"--{name}-file")
    given: str | None = getattr(args, key, None)
    return given


def read_text(path: str, option: str) -> str:
    """Return the text of a small file without the line end behind it. Raises `UsageError` naming the option."""
    try:
        with Path(path).open("rb") as stream:
            return _text(stream, option)
    except OSError as fault:
        raise UsageError(f"{option}: cannot read {path}: {fault.strerror}") from fault


def _text(stream: BinaryIO, option: str) -> str:
    content = stream.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise UsageError(f"{option}: longer than {_MAX_BYTES} bytes")
    try:
        text = content.decode("utf-8").rstrip("\r\n")
    except ValueError as fault:
        raise UsageError(f"{option}: not UTF-8 text") from fault
    if not text:
        raise UsageError(f"{option}: nothing in it")
    return text
