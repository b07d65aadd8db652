"""Secrets that come from a file or from standard input, because other users of a machine see command lines."""

import argparse
import getpass
import sys
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from adapters.commands.failure import UsageError
from adapters.commands.file_input import read_file, read_stream

_MAX_BYTES = 65536


def add_secret(parser: argparse._ActionsContainer, name: str, what: str, visible: bool = False, prompt: bool = False) -> None:
    """Declare `--NAME-file` and `--NAME-stdin`, `--NAME` itself where being seen does no harm, and `--NAME-prompt`."""
    group = parser.add_mutually_exclusive_group()
    if visible:
        group.add_argument(f"--{name}", help=f"{what}; anyone on this machine can see it while the command runs")
    group.add_argument(f"--{name}-file", metavar="FILE", help=f"read {what} from a file")
    group.add_argument(f"--{name}-stdin", action="store_true", help=f"read {what} from standard input")
    if prompt:
        group.add_argument(f"--{name}-prompt", action="store_true", help=f"ask for {what} on the terminal")


def read_secret(args: argparse.Namespace, name: str) -> str | None:
    """Return the secret without the line end behind it, None where none was given. Raises `UsageError`."""
    key = name.replace("-", "_")
    if getattr(args, f"{key}_stdin"):
        return _text(sys.stdin.buffer, f"--{name}-stdin")
    if path := getattr(args, f"{key}_file"):
        return read_text(path, f"--{name}-file")
    given: str | None = getattr(args, key, None)
    return given


def ask(prompt: str, option: str) -> str:
    """Return what is typed on the terminal, unseen. Raises `UsageError` where there is no terminal, or nothing was typed."""
    if not sys.stdin.isatty():
        raise UsageError(f"{option}: standard input is no terminal")
    typed = getpass.getpass(prompt, sys.stderr)
    if not typed:
        raise UsageError(f"{option}: nothing was typed")
    return typed


def find_secret(args: argparse.Namespace, name: str, environ: Mapping[str, str], variables: Sequence[str]) -> str:
    """Return a secret from its options, else from the first of these variables that is set, else from the terminal.

    Each variable may also be set with `_FILE` behind its name, to a path. Raises `UsageError`.
    """
    if (given := read_secret(args, name)) is not None:
        return given
    for variable in variables:
        if value := environ.get(variable):
            return value
        if path := environ.get(f"{variable}_FILE"):
            return read_text(path, f"{variable}_FILE")
    if sys.stdin.isatty():
        return ask(f"{name.replace('-', ' ')}: ", f"--{name}-file")
    raise UsageError(f"no {name.replace('-', ' ')}: give --{name}-file or --{name}-stdin, or set {variables[0]}")


def read_text(path: str, option: str) -> str:
    """Return the text of a small file without the line end behind it. Raises `UsageError` naming the option."""
    return _one_line(read_file(path, option, _MAX_BYTES), option)


def _text(stream: BinaryIO, option: str) -> str:
    return _one_line(read_stream(stream, option, _MAX_BYTES), option)


def _one_line(content: str, option: str) -> str:
    text = content.rstrip("\r\n")
    if not text:
        raise UsageError(f"{option}: nothing in it")
    return text
