"""`firstlight restore`: a registry put back from a backup, and what has to follow from that."""

import argparse
import asyncio
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from adapters.commands.backup import GUIDE, file_of, kib_of
from adapters.commands.databases import refused_in_one_line
from adapters.commands.failure import Failure, UsageError
from adapters.commands.parsing import Environ, add_command
from adapters.commands.progress import progress
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.parsing import Commands
    from adapters.config import Config
    from core.crypto.key_ring import MasterKeys
    from core.model import Event
    from storage.restoring import Restored

_EPILOG = f"""\
The gateway has to be stopped. The settings are the gateway's: FIRSTLIGHT_DATABASE says where the file goes, and the master
key has to open what is in it. The former file stays beside it under another name.

With --in-place the registry is there already, put back by pg_restore, from a snapshot of the disk or by hand, and has done to
it what is needed before gateways serve from it. Without that, what gateways sent since the backup protected by OSCORE could be
read by others: numbers would be used twice.

What happened since the backup did not happen: devices that came since have to come again; credentials that were rotated,
revoked or deleted since are good again. {GUIDE} says how to find them.

examples:
  firstlight restore --from /var/backups/firstlight/firstlight-20261121T040000Z.db
  firstlight restore --in-place
"""


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """What `--in-place` came to, for `--json`."""

    database: str
    contexts: int


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = add_command(commands, "restore", "put the registry back from a backup", _EPILOG)
    how = parser.add_mutually_exclusive_group(required=True)
    how.add_argument("--from", dest="source", type=Path, metavar="FILE", help="a file that firstlight backup made")
    how.add_argument("--in-place", action="store_true", help="the database is there already: do what has to follow")
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of text for people")
    parser.set_defaults(run=_restore)


def _restore(args: argparse.Namespace, environ: Environ) -> int:
    from adapters.config import SettingError, from_environment
    from adapters.keys import load_masters

    screen = Screen(sys.stdout, sys.stderr, args.json)
    try:
        config = from_environment(environ)
        masters = load_masters(config)
        with refused_in_one_line():
            if args.in_place:
                _mark(config, masters, screen)
            else:
                _put_back(args.source, config, masters, screen)
    except SettingError as fault:
        raise UsageError(str(fault)) from fault
    return 0


def _put_back(source: Path, config: "Config", masters: "MasterKeys", screen: Screen) -> None:
    from storage import restoring

    database = file_of(config.database_url)
    aside = f"before-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    with (
        progress("copying", kib_of(source), "KiB", screen.err) as shown,
        restoring.staged(source, database, aside, lambda done, _total: shown.reach(done * 4)) as staged,
    ):
        asyncio.run(_require_key(f"sqlite:{staged.path}", masters))
        restored = staged.put(_event(f"from {source.name}"))
    _report(restored, screen)


def _mark(config: "Config", masters: "MasterKeys", screen: Screen) -> None:
    from storage import restoring

    if config.database == "memory:":
        raise Failure("a registry in memory cannot be restored")
    done = asyncio.run(restoring.mark_at(config.database_url, _event("in place")))
    asyncio.run(_require_key(config.database_url, masters))
    if screen.json:
        screen.document(msgspec.json.encode(Marked(database=config.database, contexts=done.contexts)))
        return
    screen.line(f"the registry may be served again; {done.contexts:,} OSCORE contexts go on behind what they may have sent")
    _warn(screen)


async def _require_key(url: str, masters: "MasterKeys") -> None:
    """Open something of each kind, so that a wrong master key is found out now. Raises `SettingError`."""
    from adapters import keys
    from adapters.config import SettingError
    from adapters.system import SystemClock, SystemEntropy
    from core.crypto.vault import SealBroken
    from core.resealing import require_opens
    from storage.key_rings import open_key_ring

    async with open_key_ring(url) as ring:
        opened = await keys.look(ring, masters, SystemClock(), SystemEntropy())
        try:
            await require_opens(ring, opened.vault)
        except SealBroken as error:
            raise SettingError(keys.WRONG_KEY) from error


def _event(detail: str) -> "Event":
    from adapters.system import SystemEntropy
    from core.crypto.tokens import new_id
    from core.model import DEFAULT_TENANT, Event, EventId, EventKind

    now = time.time_ns() // 1_000_000
    identity = new_id(now, SystemEntropy())
    return Event(
        id=EventId(identity),
        tenant=DEFAULT_TENANT,
        at=now,
        kind=EventKind.REGISTRY_RESTORED,
        correlation=identity,
        detail=detail,
    )


def _report(restored: "Restored", screen: Screen) -> None:
    if screen.json:
        screen.document(msgspec.json.encode(restored))
        return
    screen.fields(
        [
            ("file", restored.file),
            ("former", restored.aside or "there was none"),
            ("devices", f"{restored.rows.get('device', 0):,}"),
            ("OSCORE contexts", f"{restored.contexts:,}"),
        ]
    )
    _warn(screen)


def _warn(screen: Screen) -> None:
    screen.remark("credentials that were rotated, revoked or deleted since the backup are good again, and devices that came")
    screen.remark(f"since have to come again: {GUIDE} says how to find them")
