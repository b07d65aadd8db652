"""`firstlight backup`: a copy of the registry's SQLite file while its gateway runs."""

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from adapters.commands.databases import configured, refused_in_one_line
from adapters.commands.failure import Failure, UsageError
from adapters.commands.parsing import Environ, add_command
from adapters.commands.progress import progress
from adapters.commands.show import Screen

if TYPE_CHECKING:
    from adapters.commands.parsing import Commands
    from storage.backup import BackedUp

GUIDE = "deploy/backup.md"
_EPILOG = f"""\
The copy is the registry of one moment, looked through before it has its name, for this user alone to read. A directory gets
a file with the time in its name; with --keep the older ones of these go. Nothing is ever overwritten. firstlight restore
puts a copy in its place.

Secrets in it are sealed: without the master key it is of no use, and with that key it is the whole registry. So the key is
not in it; keep both, apart from each other. {GUIDE} says what else to keep, and how PostgreSQL is backed up.

examples:
  firstlight backup --to /var/backups/firstlight --keep 14
  firstlight backup --database sqlite:/var/lib/firstlight/firstlight.db --to before-the-upgrade.db
"""


def add(commands: "Commands") -> None:
    """Declare the command."""
    parser = add_command(commands, "backup", "copy the registry's file while the gateway runs", _EPILOG)
    parser.add_argument("--to", required=True, type=Path, metavar="PATH", help="a directory that is there, or a new file")
    parser.add_argument("--keep", type=_count, metavar="N", help="keep the newest N backups in the directory, remove others")
    parser.add_argument("--database", metavar="URL", help="which one (default: that of FIRSTLIGHT_DATABASE)")
    parser.add_argument("--json", action="store_true", help="print JSON for programs instead of text for people")
    parser.set_defaults(run=_backup)


def file_of(url: str) -> Path:
    """Return the file of an SQLite URL. Raises `Failure` where a registry is in no file."""
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite" and rest:
        return Path(rest)
    if scheme.startswith("postgres"):
        raise Failure(f"PostgreSQL has its own means: pg_dump and pg_basebackup; see {GUIDE}")
    if scheme == "memory":
        raise Failure("a registry in memory cannot be backed up: it ends with its gateway")
    raise UsageError(f"no store is named {scheme!r}: use sqlite:PATH")


def kib_of(database: Path) -> int | None:
    """Return about how large a database is with its write-ahead log, None where it is not there."""
    files = (database, database.with_name(f"{database.name}-wal"))
    return sum(file.stat().st_size for file in files if file.exists()) // 1024 or None


def _backup(args: argparse.Namespace, environ: Environ) -> int:
    database = file_of(args.database or configured(environ))
    screen = Screen(sys.stdout, sys.stderr, args.json)
    if args.keep is not None and not args.to.is_dir():
        raise UsageError(f"--keep is about the backups in a directory, and {args.to} is none; make it, or mount it, first")
    with refused_in_one_line():
        made = _made(database, args.to, args.keep, screen)
    _report(made, screen)
    return 0


def _made(database: Path, to: Path, keep: int | None, screen: Screen) -> "BackedUp":
    from storage import backup

    target = backup.name_of(to, datetime.now(UTC)) if to.is_dir() else to
    with progress("copying", kib_of(database), "KiB", screen.err) as shown:
        made = backup.back_up(database, target, lambda done, _total: shown.reach(done * 4))
    if keep is None:
        return made
    return msgspec.structs.replace(made, removed=backup.prune(to, keep))


def _report(made: "BackedUp", screen: Screen) -> None:
    if screen.json:
        screen.document(msgspec.json.encode(made))
        return
    screen.fields(
        [
            ("file", made.file),
            ("bytes", f"{made.bytes:,}"),
            ("schema", str(made.schema)),
            ("devices", f"{made.rows.get('device', 0):,}"),
            ("events", f"{made.rows.get('event', 0):,}"),
            ("sha256", made.sha256),
            *((("removed", ", ".join(made.removed)),) if made.removed else ()),
        ]
    )
    screen.remark("looked through and whole; the master key is not in it: keep a copy of that somewhere else,")
    screen.remark(f"and of the certificate authority's key, certificates and settings, as {GUIDE} lists them")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("at least 1: the backup that is made now")
    return int(text)
