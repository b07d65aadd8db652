"""`firstlight bootstrap`: acts as a device that fetches its configuration, to try a gateway out."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from adapters.commands import bootstrap_challenge, bootstrap_device
from adapters.commands.carriers import Reply, Server
from adapters.commands.failure import Failure, UsageError
from adapters.commands.lines import Line, Question, open_line
from adapters.commands.parsing import Environ, add_command
from adapters.commands.secret_input import add_secret, find_secret
from adapters.commands.server_options import add_server, server_from
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.parsing import Commands

RETRY_SECONDS = 2.0
_FORMAT_VARIABLE = "FIRSTLIGHT_BOOTSTRAP_KEY_FORMAT"
_FORMATS = ("raw", "hex")
_EPILOG = """\
Prints the configuration as JSON, secrets and all. The exit status is 0 when the device got it, 1 when it was refused
or there was no answer, 2 when the command was wrong. No operator token is needed: a device has none.

The external key is asked for on a terminal unless FIRSTLIGHT_EXTERNAL_KEY is set, the encryption key of --secure
unless FIRSTLIGHT_BOOTSTRAP_ENCRYPT_KEY (or MF_, MG_, SMQ_BOOTSTRAP_ENCRYPT_KEY) is; each also as NAME_FILE.

examples:
  firstlight bootstrap pump-17 --key-file pump-17.key
  firstlight bootstrap pump-17 --over coap --secure --dialect magistrala
  firstlight bootstrap pump-17 --over mqtt --watch
  firstlight bootstrap pump-17 --challenge
"""


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = add_command(commands, "bootstrap", "act as a device that fetches its configuration", _EPILOG)
    parser.set_defaults(run=_run)
    parser.add_argument("external_id", metavar="EXTERNAL_ID", help="what the device calls itself")
    add_server(parser, timeout_seconds=30.0, over="http")
    add_secret(parser, "key", "the device's external key", visible=True)
    parser.add_argument("--dialect", choices=list(bootstrap_device.DIALECTS), default="mainflux", help="(default: mainflux)")
    flavours = "; ".join(f"{name}: {', '.join(each)}" for name, each in bootstrap_device.DIALECTS.items())
    parser.add_argument("--flavour", metavar="NAME", help=f"the generation ({flavours}; default: the first)")
    parser.add_argument("--secure", action="store_true", help="encrypt the key, and decrypt the answer (AES-CFB)")
    parser.add_argument(
        "--challenge", action="store_true", help="prove the key without sending it, and open a sealed answer (AES-GCM)"
    )
    add_secret(parser, "encrypt-key", "the encryption key that all devices of the gateway share")
    parser.add_argument(
        "--key-format", choices=_FORMATS, help=f"how the encryption key is written (default: raw, or {_FORMAT_VARIABLE})"
    )
    parser.add_argument("--watch", action="store_true", help="go on until Ctrl-C, and print each new configuration")


def _run(args: argparse.Namespace, environ: Environ) -> int:
    _require_sense(args)
    flavour = bootstrap_device.flavour_of(args.dialect, args.flavour)
    external_key = find_secret(args, "key", environ, bootstrap_device.KEY_VARIABLES)
    if args.challenge:
        return _by_challenge(args, external_key)
    shared = _shared_key(args, environ) if args.secure else None
    question = bootstrap_device.question(flavour, args.external_id, external_key, shared)
    fetching = _Fetching(server_from(args), question, shared, Screen(sys.stdout, sys.stderr))
    asyncio.run(fetching.watch() if args.watch else fetching.once())
    return 0


def _by_challenge(args: argparse.Namespace, external_key: str) -> int:
    document = asyncio.run(bootstrap_challenge.fetch(server_from(args), args.external_id, external_key))
    Screen(sys.stdout, sys.stderr).document(document)
    return 0


def _require_sense(args: argparse.Namespace) -> None:
    """Refuse options that do nothing together: a device that is told of a key is believed to encrypt."""
    if args.challenge and (args.secure or args.watch or args.flavour):
        raise UsageError("--challenge is a form of its own: --secure, --watch and --flavour are for the others")
    if not args.secure and (args.encrypt_key_file or args.encrypt_key_stdin or args.key_format):
        raise UsageError("--encrypt-key-file, --encrypt-key-stdin and --key-format are for --secure")
    if args.key_stdin and args.encrypt_key_stdin:
        raise UsageError("--key-stdin and --encrypt-key-stdin: only one key can come from standard input")


def _shared_key(args: argparse.Namespace, environ: Environ) -> bytes:
    form = args.key_format or environ.get(_FORMAT_VARIABLE) or "raw"
    if form not in _FORMATS:
        raise UsageError(f"{_FORMAT_VARIABLE}: raw or hex")
    text = find_secret(args, "encrypt-key", environ, bootstrap_device.ENCRYPT_KEY_VARIABLES)
    return bootstrap_device.encrypt_key(text, form)


_TOO_MANY = ("429", "4.29")


class _Fetching:
    """One device that fetches its configuration, and prints what it did not have before."""

    def __init__(self, server: Server, question: Question, shared: bytes | None, screen: Screen) -> None:
        self._server = server
        self._question = question
        self._shared = shared
        self._screen = screen
        self._printed = b""
        self._troubled = False

    async def once(self) -> None:
        """Print the configuration. Raises `Failure`."""
        async with open_line(self._server, self._question) as line:
            await self._fetch(line)

    async def watch(self) -> None:
        """Print the configuration and each one after it, without end.

        Raises `Failure` where there is none at first, and at any time where it is refused.
        """
        while True:
            try:
                async with open_line(self._server, self._question) as line:
                    while True:
                        await self._fetch(line)
                        await line.changed()
            except bootstrap_device.Refused:
                raise
            except Failure as trouble:
                await self._bear(trouble)

    async def _fetch(self, line: Line) -> None:
        reply = await line.fetch()
        if reply.busy:
            raise Failure(self._put_off(reply))
        try:
            document = bootstrap_device.read(reply, self._shared)
        except bootstrap_device.Refused as refused:
            why = f"the operator sees why: firstlight {bootstrap_device.explaining(reply)}"
            raise bootstrap_device.Refused(f"{refused}; {why}") from refused
        self._troubled = False
        if document != self._printed:
            self._screen.document(document)
            self._screen.out.flush()
            self._printed = document

    def _put_off(self, reply: Reply) -> str:
        if any(code in reply.status for code in _TOO_MANY):
            why = f"the operator sees why: firstlight {bootstrap_device.explaining(reply)}"
            return f"{self._server} has had too many failed attempts from this address ({reply.status}); {why}"
        return f"{self._server} is busy ({reply.status})"

    async def _bear(self, trouble: Failure) -> None:
        """Say once that the server is out of reach, and wait a little. Raises the trouble where nothing was had yet."""
        if not self._printed:
            raise trouble
        if not self._troubled:
            self._screen.remark(f"trying again: {trouble}")
        self._troubled = True
        await asyncio.sleep(RETRY_SECONDS)
