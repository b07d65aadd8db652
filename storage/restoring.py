"""A registry put back as it was: what has to be done to it before a gateway serves from it, and the file in its place.

What devices and gateways did since the backup is forgotten, but it did happen. Where that would let a number or a challenge be
used a second time, it is made impossible here.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from core.model import Event
from core.ports import Changes
from storage import backup, database_file, migration, tables, writing

LEAP = 2**30
"""Sequence numbers skipped by each OSCORE context: more than a gateway protects messages with between backup and restore.

One number under one key twice gives both messages away (RFC 8613, section 12.3). There are 2^40 of them; a context that runs
out of them is refused, and its device needs another one.
"""

SKIP = "UPDATE oscore_state SET sequence = sequence + {leap}, received = NULL, version = version + 1"
BEGIN_BEHIND = """INSERT INTO oscore_state (id, sequence, received, version)
    SELECT credential.id, {leap}, NULL, 1 FROM credential
    WHERE credential.kind = 'oscore' AND NOT EXISTS (SELECT 1 FROM oscore_state WHERE oscore_state.id = credential.id)"""


class Marked(msgspec.Struct, frozen=True):
    """How many OSCORE contexts go on behind everything that they may have sent."""

    contexts: int


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """A registry in its place again; `aside` is where the former file is, empty where there was none."""

    file: str
    rows: dict[str, int]
    contexts: int
    aside: str = ""


class Staged(msgspec.Struct, frozen=True):
    """A registry that lies beside its place at `path`, of this version, to be looked at before it is put there."""

    path: Path
    database: Path
    aside: Path

    def put(self, event: Event) -> Restored:
        """Put it in its place, with the event in it. Nobody may have it open. Raises `Refusal`."""
        with _refusing(self.database):
            return _put(self, event)


@contextlib.contextmanager
def staged(source: Path, database: Path, aside: str, reach: Callable[[int, int], None]) -> Iterator[Staged]:
    """Copy a backup to beside the place of the registry's file, which no gateway may use meanwhile.

    `aside` ends the name that the former file gets. Until `Staged.put` nothing has changed in the place itself. Raises
    `Refusal` where a gateway uses the place, or the backup is not whole, not ours, or of a newer version.
    """
    real = database.resolve()
    with _refusing(database):
        real.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with database_file.FileLock(real), _beside(real) as copy:
            _copy(source, copy, reach)
            yield Staged(copy, real, real.with_name(f"{real.name}.{aside}"))


def mark(database: Path, event: Event) -> Marked:
    """Do what has to be done to a registry whose file was put back by other means; no gateway may use it meanwhile.

    To do so once too often does no harm. Raises `Refusal`.
    """
    with _refusing(database):
        real = database.resolve(strict=True)
        with database_file.FileLock(real):
            return _mark(real, event)


async def mark_at(url: str, event: Event) -> Marked:
    """Do the same to the registry that a URL names. Raises `Refusal`, and `ValueError` for a URL of no store with a disk."""
    scheme, _, rest = url.partition(":")
    if scheme == "sqlite":
        return mark(Path(rest), event)
    if scheme in ("postgresql", "postgres"):
        from storage.postgres import restoring  # asyncpg takes a while: not for those who need none of it

        return await restoring.mark(url, event)
    raise ValueError(f"no store is named {scheme!r}: use sqlite:PATH or postgresql://")


def _copy(source: Path, copy: Path, reach: Callable[[int, int], None]) -> None:
    with contextlib.closing(backup.open_to_read(source)) as opened:
        backup.require_whole(opened)
        with contextlib.closing(sqlite3.connect(copy, isolation_level=None)) as connection:
            backup.copy_pages(opened, connection, reach)
            connection.execute(f"PRAGMA application_id = {migration.APPLICATION_ID}")
            migration.use_log(connection)
            migration.migrate(connection, migration.steps())


def _mark(database: Path, event: Event) -> Marked:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        migration.require_ours(connection, len(migration.steps()), backups=True)
        migration.use_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA application_id = {migration.APPLICATION_ID}")
        migration.migrate(connection, migration.steps())
        return writing.transact(connection, lambda: _written(connection, event))


def _written(connection: sqlite3.Connection, event: Event) -> Marked:
    contexts = sum(connection.execute(text.format(leap=LEAP)).rowcount for text in (SKIP, BEGIN_BEHIND))
    tables.insert(connection, [Changes(events=(event,))])
    return Marked(contexts)


def _put(staged: Staged, event: Event) -> Restored:
    marked = _mark(staged.path, event)
    with contextlib.closing(sqlite3.connect(staged.path, isolation_level=None)) as connection:
        backup.require_whole(connection)
        rows = backup.row_counts(connection)
        connection.execute("PRAGMA journal_mode = DELETE")  # one file: it is renamed
    _give(staged.path, staged.database)
    backup.sync(staged.path)
    former = _keep(staged.database, staged.aside)
    staged.path.rename(staged.database)
    backup.sync(staged.database.parent)
    return Restored(file=str(staged.database), rows=rows, contexts=marked.contexts, aside=str(staged.aside) if former else "")


def _give(copy: Path, database: Path) -> None:
    """Where root restores, let the file and its lock belong to whoever the former one or the directory belongs to."""
    if os.geteuid() == 0:
        owner = (database if database.exists() else database.parent).stat()
        for path in (copy, database.with_name(f"{database.name}.lock")):
            os.chown(path, owner.st_uid, owner.st_gid)


def _keep(database: Path, aside: Path) -> bool:
    """Give the former file a second name, so that there is one in its place at every moment; tell whether there was one.

    What is left in its write-ahead log goes into it first: SQLite would take a log that lies there for the new file's.
    """
    if not database.exists():
        return False
    if os.path.lexists(aside):
        raise backup.refused(f"{aside} is there already; move it away")
    with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    try:
        os.link(database, aside)
    except OSError:  # a file system without links
        shutil.copy2(database, aside)
        backup.sync(aside)
    for ending in ("-wal", "-shm"):  # there still where the file is damaged
        log = database.with_name(database.name + ending)
        if log.exists():
            log.rename(aside.with_name(aside.name + ending))
    backup.sync(database.parent)
    return True


@contextlib.contextmanager
def _beside(database: Path) -> Iterator[Path]:
    """Give a name beside a file; in the end nothing is there, nor was anything in the beginning that counts."""
    copy = database.with_name(f"{database.name}.restoring")
    _remove(copy)
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        yield copy
    finally:
        _remove(copy)


def _remove(copy: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        copy.with_name(copy.name + ending).unlink(missing_ok=True)


@contextlib.contextmanager
def _refusing(database: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise backup.refused(f"{error.filename}: there is no such file or directory") from error
    except (OSError, sqlite3.Error) as error:
        raise backup.refused(f"the registry {database} cannot be restored: {error}") from error
