"""`firstlight key`: the master keys that a registry is sealed under."""

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

import msgspec

from adapters.commands.databases import refused_in_one_line
from adapters.commands.failure import Failure, UsageError
from adapters.commands.parsing import Environ, add_command, add_group
from adapters.commands.progress import progress
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.parsing import Commands
    from adapters.config import Config
    from core.crypto.key_ring import MasterKeys
    from core.resealing import KeyRing, Rotated

_ROTATE_EPILOG = """\
It works on the database, while gateways run, with the settings that they have: FIRSTLIGHT_DATABASE, FIRSTLIGHT_MASTER_KEY
and FIRSTLIGHT_MASTER_KEY_PREVIOUS, or the files data/master-key and data/master-key-previous.

  1. Make a key: openssl rand -hex 32. One gateway: the new key becomes FIRSTLIGHT_MASTER_KEY, the old one
     FIRSTLIGHT_MASTER_KEY_PREVIOUS; restart it. Several: first the new one as FIRSTLIGHT_MASTER_KEY_PREVIOUS, restart
     them all, then change places and restart them all: each has to open what any other one seals.
  2. firstlight key rotate. Should it be broken off, run it again: it does what is left.
  3. When it says so, take FIRSTLIGHT_MASTER_KEY_PREVIOUS away and restart. Backups from before need the old key:
     keep it as long as them.

Devices notice nothing. Who logged in with a password has to do so again after the third step.
"""


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a rotation came to, for `--json`: the id of the key that seals, and rows."""

    id: str
    resealed: int
    verified: int
    retired: int


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A master key that the registry may be sealed under, for `--json`; `created_at` is when it first was."""

    id: str
    use: str
    created_at: str


def add(commands: "Commands") -> None:
    """Declare the commands of this noun."""
    group = add_group(commands, "key", "the master keys that a registry is sealed under")
    rotate = add_command(group, "rotate", "seal everything again under the new master key", _ROTATE_EPILOG)
    rotate.set_defaults(run=_rotate)
    shown = add_command(group, "list", "list the master keys that anything may be sealed under")
    shown.set_defaults(run=_list)
    for parser in (rotate, shown):
        parser.add_argument("--json", action="store_true", help="print JSON for programs instead of text for people")


def _rotate(args: argparse.Namespace, environ: Environ) -> int:
    screen = Screen(sys.stdout, sys.stderr, args.json)
    config, masters = _settings(environ)
    with refused_in_one_line():
        try:
            asyncio.run(_rotated(config, masters, screen))
        except KeyboardInterrupt:
            screen.remark("stopped: what was sealed again stays, and the same command does what is left")
            raise
    return 0


def _list(args: argparse.Namespace, environ: Environ) -> int:
    screen = Screen(sys.stdout, sys.stderr, args.json)
    config, masters = _settings(environ)
    with refused_in_one_line():
        keys = asyncio.run(_listed(config, masters))
    if screen.json:
        screen.document(msgspec.json.encode(keys))
    else:
        screen.table(("ID", "USE", "SINCE"), [(key.id, key.use, key.created_at) for key in keys])
    return 0


def _settings(environ: Environ) -> "tuple[Config, MasterKeys]":
    from adapters.config import SettingError, from_environment
    from adapters.keys import load_masters

    try:
        config = from_environment(environ)
        masters = load_masters(config)
    except SettingError as fault:
        raise UsageError(str(fault)) from fault
    if config.database == "memory:":
        raise Failure("a registry in memory has no keys to rotate: it ends with its gateway")
    return config, masters


async def _rotated(config: "Config", masters: "MasterKeys", screen: Screen) -> None:
    from storage.key_rings import open_key_ring

    async with open_key_ring(config.database_url) as ring:
        done = await _carry_out(ring, config, masters, screen)
    if screen.json:
        summary = Summary(id=masters.id, resealed=done.resealed, verified=done.verified, retired=done.retired)
        screen.document(msgspec.json.encode(summary))
        return
    screen.line(f"sealed again: {done.resealed:,}; looked at in the end, all under the key {masters.id}: {done.verified:,}")
    if masters.previous is not None:
        screen.remark(
            "the previous key can go: take FIRSTLIGHT_MASTER_KEY_PREVIOUS, or the file master-key-previous, away from every "
            "gateway and restart it; keep that key elsewhere for as long as you keep backups from before"
        )


async def _carry_out(ring: "KeyRing", config: "Config", masters: "MasterKeys", screen: Screen) -> "Rotated":
    from adapters import keys
    from adapters.config import SettingError
    from adapters.system import SystemClock, SystemEntropy
    from core.resealing import Rotation, SealedPlace, Unfinished

    clock, entropy = SystemClock(), SystemEntropy()
    try:
        opened = await keys.look(ring, masters, clock, entropy)
    except SettingError as fault:
        raise UsageError(str(fault)) from fault
    rows = sum([await ring.count(place) for place in SealedPlace])
    with progress("sealing", rows, "rows", screen.err) as shown:
        rotation = Rotation(ring, opened.vault, masters.id, clock, entropy, asyncio.sleep, shown.reach)
        try:
            return await rotation(2 * config.requests.seconds)
        except Unfinished as fault:
            raise Failure(str(fault)) from fault


async def _listed(config: "Config", masters: "MasterKeys") -> list[Listed]:
    from adapters.dialects.moments import rfc3339
    from storage.key_rings import open_key_ring

    async with open_key_ring(config.database_url) as ring:
        found = await ring.keys()
    return [Listed(id=key.id, use=_use(key.id, masters), created_at=rfc3339(key.created_at)) for key in found]


def _use(key: str, masters: "MasterKeys") -> str:
    if key == masters.id:
        return "seals"
    return "opens" if key in masters.ids else "not at hand"
