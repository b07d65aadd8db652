"""`firstlight tls`: certificates for the gateway itself."""

import argparse
import datetime
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.commands.failure import Failure, UsageError
from adapters.commands.parsing import Environ, add_command, add_group
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.parsing import Commands
    from adapters.tls.founding import Founded

_AUTHORITY = "ca.pem"
_CERTIFICATE = "server.pem"
_INIT_EPILOG = """\
Makes ca.pem and ca-key.pem, an authority of your own, and server.pem and server-key.pem, a certificate of it for the
gateway. Devices and people trust ca.pem; ca-key.pem is needed for nothing but further certificates, so take it away.
Nothing is overwritten. What is printed are the settings for the gateway; without --name the certificate is for
localhost, 127.0.0.1 and ::1.

examples:
  firstlight tls init
  firstlight tls init --directory /etc/firstlight/tls --name gateway.example --name 192.0.2.7
"""


def add(commands: "Commands") -> None:
    """Declare the commands of this noun."""
    group = add_group(commands, "tls", "certificates for the gateway itself")
    init = add_command(group, "init", "make a certificate authority and a certificate for the gateway", _INIT_EPILOG)
    init.add_argument("--directory", default="tls", metavar="PATH", help="where the files go (default: tls)")
    init.add_argument("--name", action="append", metavar="NAME", help="a name or address of the gateway; may be repeated")
    init.add_argument("--days", type=int, default=397, metavar="N", help="how long the certificate is good (default: 397)")
    init.set_defaults(run=_init)


def _init(args: argparse.Namespace, _environ: Environ) -> int:
    from adapters.tls.founding import found

    names = args.name or ["localhost", "127.0.0.1", "::1"]
    try:
        founded = found(names, args.days, datetime.datetime.now(datetime.UTC))
    except ValueError as fault:
        raise UsageError(str(fault)) from fault
    directory = Path(args.directory).absolute()
    _write(founded, directory)
    _tell(directory, names[0], Screen(sys.stdout, sys.stderr))
    return 0


def _write(founded: "Founded", directory: Path) -> None:
    """Write all files, or none where one of them is there already."""
    files = (
        (directory / "ca-key.pem", founded.authority_key.reveal().encode(), 0o600),
        (directory / _AUTHORITY, founded.authority, 0o644),
        (directory / "server-key.pem", founded.key.reveal().encode(), 0o600),
        (directory / _CERTIFICATE, founded.certificate, 0o644),
    )
    there = next((file for file, _, _ in files if os.path.lexists(file)), None)
    if there is not None:
        raise Failure(f"{there} is there already; name another --directory, or move it away")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for file, content, mode in files:
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as opened:
                opened.write(content)
    except OSError as fault:
        raise Failure(f"cannot write to {directory}: {fault.strerror or fault}") from fault


def _tell(directory: Path, name: str, screen: Screen) -> None:
    """Print the settings, which a shell or an environment file takes as they are, and what to try."""
    screen.line(f"FIRSTLIGHT_TLS_CERT={shlex.quote(str(directory / _CERTIFICATE))}")
    screen.line(f"FIRSTLIGHT_TLS_KEY={shlex.quote(str(directory / 'server-key.pem'))}")
    host = f"[{name}]" if ":" in name else name
    authority = shlex.quote(str(directory / _AUTHORITY))
    screen.remark("start the gateway with these settings, and try:")
    screen.remark(f"  curl --cacert {authority} https://{host}:8443/healthz")
