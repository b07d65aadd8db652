"""Texts that come from files or from standard input, exactly as they are there."""

from pathlib import Path
from typing import BinaryIO

from adapters.commands.failure import UsageError

MAX_BYTES = 16_777_216
"""Beyond what a gateway takes, so that it is the gateway that says no to a text that is too long."""


def read_given(argument: str, option: str, stdin: BinaryIO) -> str:
    """Return the text that is meant: of the file behind `@`, of standard input for `-`, otherwise the argument itself.

    Raises `UsageError` naming the option.
    """
    if argument == "-":
        return read_stream(stdin, option)
    return read_file(argument[1:], option) if argument.startswith("@") else argument


def read_file(path: str, option: str, most_bytes: int = MAX_BYTES) -> str:
    """Return the text of a file. Raises `UsageError` naming the option."""
    try:
        with Path(path).open("rb") as stream:
            return read_stream(stream, option, most_bytes)
    except OSError as fault:
        raise UsageError(f"{option}: cannot read {path}: {fault.strerror}") from fault


def read_stream(stream: BinaryIO, option: str, most_bytes: int = MAX_BYTES) -> str:
    """Return the text that comes out of a stream to its end. Raises `UsageError` naming the option."""
    content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        raise UsageError(f"{option}: longer than {most_bytes:,} bytes")
    try:
        return content.decode("utf-8")
    except ValueError as fault:
        raise UsageError(f"{option}: not UTF-8 text") from fault
