"""The command line's entry point: finds the command, runs it, turns how it ended into an exit status."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from adapters.commands import (
    approval,
    backup,
    bootstrap,
    channel,
    config,
    copy,
    device,
    enroll,
    event,
    explain,
    firmware,
    key,
    migrate,
    profile,
    restore,
    serve,
    tenant,
    tls,
    token,
)
from adapters.commands.failure import REFUSED, USAGE, Failure
from adapters.commands.parsing import Environ
from adapters.commands.printable import printable

INTERRUPTED = 128 + 2  # what shells say of a program that SIGINT ended
PIPE_CLOSED = 128 + 13  # likewise of SIGPIPE

_EPILOG = """\
The operators' commands talk to a running gateway: FIRSTLIGHT_URL says where it is (default http://127.0.0.1:8080),
FIRSTLIGHT_TOKEN or FIRSTLIGHT_TOKEN_FILE hold a token for it. Without either, data/admin-token of the current
directory is used. For https with a certificate authority of your own, set SSL_CERT_FILE. FIRSTLIGHT_TENANT names
another tenant than the token's own, which takes a token of the role admin.

exit status: 0 done, 1 refused or failed, 2 wrong usage or settings

to begin:
  firstlight serve --demo                     a gateway with a profile to play with
  firstlight profile create meters            a profile of your own
  firstlight enroll thingsboard --help        act as a device
  firstlight config create pump-17            what a device fetches by itself
  firstlight bootstrap pump-17 --watch        fetch it as the device does
  firstlight event follow                     watch what happens
"""


def main(argv: Sequence[str] | None = None, environ: Environ | None = None) -> int:
    """Run one command and return its exit status. Arguments and environment are the process's unless given."""
    for stream in (sys.stdout, sys.stderr):
        _make_lenient(stream)
    try:
        return _run(sys.argv[1:] if argv is None else argv, os.environ if environ is None else environ)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _settle_output()
        return PIPE_CLOSED
    except OSError as fault:
        _settle_output()
        _complain(str(fault))
        return REFUSED


def build_parser() -> argparse.ArgumentParser:
    """Declare every command."""
    parser = argparse.ArgumentParser(
        prog="firstlight",
        description="The first server a device talks to: identity, credentials and configuration over HTTP, CoAP and MQTT.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("-V", "--version", action=_Version, nargs=0, help="show the version")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for noun in (
        serve,
        profile,
        device,
        approval,
        config,
        channel,
        firmware,
        tenant,
        token,
        tls,
        event,
        explain,
        enroll,
        bootstrap,
        migrate,
        copy,
        backup,
        restore,
        key,
    ):
        noun.add(commands)
    return parser


def _run(argv: Sequence[str], environ: Environ) -> int:
    parser = build_parser()
    try:
        args = parser.parse_args(argv)
        if not hasattr(args, "run"):
            parser.print_help(sys.stderr)
            return USAGE
        status: int = args.run(args, environ)
    except Failure as fault:
        _complain(str(fault))
        status = fault.status
    except SystemExit as stop:  # argparse, after its own complaint, or after --help
        status = stop.code if isinstance(stop.code, int) else 0
    sys.stdout.flush()
    return status


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"firstlight {version('firstlight')}\n")
        parser.exit()


def _complain(text: str) -> None:
    sys.stderr.write(f"firstlight: {printable(text)}\n")


def _make_lenient(stream: Any) -> None:
    """Let a character that the terminal's encoding lacks come out as an escape instead of ending the program."""
    if hasattr(stream, "reconfigure"):
        stream.reconfigure(errors="backslashreplace")


def _settle_output() -> None:
    """Where nothing can be written any more, keep the interpreter from complaining when it flushes at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
