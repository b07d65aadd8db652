"""`firstlight serve` and `firstlight check`: the gateway itself, and the settings it would start with."""

import argparse
import sys
from typing import TYPE_CHECKING

from adapters.commands.failure import UsageError
from adapters.commands.parsing import Environ, add_command
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.parsing import Commands
    from adapters.config import Config

_SERVE_EPILOG = """\
Settings come from the environment; `firstlight check` lists them. The first start makes data/firstlight.db, a master
key and an admin token beside it.

examples:
  firstlight serve --demo
  FIRSTLIGHT_HTTP=0.0.0.0:8080 FIRSTLIGHT_DATABASE=sqlite:/var/lib/firstlight/firstlight.db firstlight serve
"""
_CHECK_EPILOG = """\
The exit status is 0 when the gateway would start with these settings, 2 when one of them is wrong.
"""


def add(commands: "Commands") -> None:
    """Declare both commands."""
    serve = add_command(commands, "serve", "run the gateway until it is told to stop (Ctrl-C, SIGTERM)", _SERVE_EPILOG)
    serve.add_argument("--demo", action="store_true", help="make a profile to play with and print what to paste")
    serve.set_defaults(run=_serve)
    check = add_command(commands, "check", "show the settings in effect, secrets hidden, and start nothing", _CHECK_EPILOG)
    check.set_defaults(run=_check)


def _serve(args: argparse.Namespace, environ: Environ) -> int:
    from adapters.serving import run

    return run(_config(environ), demo_profile=args.demo)


def _check(args: argparse.Namespace, environ: Environ) -> int:
    from adapters import spoken
    from adapters.authority_work import require_authority
    from adapters.config import LISTENERS, SettingError, describe
    from adapters.metrics import PrometheusMeter
    from adapters.own_addresses import OwnAddresses

    config = _config(environ)
    try:
        for name in LISTENERS:
            for address in getattr(config, name):
                spoken.at(name.upper(), address, config, OwnAddresses())
        require_authority(config, PrometheusMeter())
    except SettingError as fault:
        raise UsageError(str(fault)) from fault
    screen = Screen(sys.stdout, sys.stderr)
    screen.fields(describe(config))
    for warning in config.warnings:
        screen.remark(f"warning: {warning}")
    return 0


def _config(environ: Environ) -> "Config":
    from adapters.config import SettingError, from_environment

    try:
        return from_environment(environ)
    except SettingError as fault:
        raise UsageError(str(fault)) from fault
