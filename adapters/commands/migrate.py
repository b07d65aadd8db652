"""`firstlight migrate`: brings the schema of a database up to this version."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

import msgspec

from adapters.commands.databases import configured, refused_in_one_line
from adapters.commands.parsing import Environ, add_command
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.parsing import Commands
    from storage.migrating import Schemas

_EPILOG = """\
For PostgreSQL: run it before the gateways of the new version start. Those of the version before may go on serving
meanwhile; a step after which they may not is announced in the changelog. Two migrations at once are safe: one waits.
An SQLite file must not be in use; its gateway takes the steps by itself when it starts.

The exit status of --check is 0 when there is nothing to do, 1 when steps are missing.

examples:
  firstlight migrate
  firstlight migrate --check --database postgresql://firstlight@db.example/firstlight
"""


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = add_command(commands, "migrate", "bring the schema of a database up to this version", _EPILOG)
    parser.add_argument("--database", metavar="URL", help="which one (default: that of FIRSTLIGHT_DATABASE)")
    parser.add_argument("--check", action="store_true", help="only tell which steps are missing")
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of text for people")
    parser.set_defaults(run=_migrate)


def _migrate(args: argparse.Namespace, environ: Environ) -> int:
    from storage import migrating

    url = args.database or configured(environ)
    with refused_in_one_line():
        schemas = asyncio.run(migrating.look(url) if args.check else migrating.migrate(url))
    screen = Screen(sys.stdout, sys.stderr, args.json)
    if screen.json:
        screen.document(msgspec.json.encode(schemas))
    else:
        screen.line(_sentence(schemas))
    return 0 if schemas.after >= schemas.known else 1


def _sentence(schemas: "Schemas") -> str:
    if schemas.after < schemas.known:
        return f"schema {schemas.after} -> {schemas.known} is to be done"
    if schemas.before < schemas.after:
        return f"schema {schemas.before} -> {schemas.after}"
    return f"schema {schemas.after}, nothing to do"
