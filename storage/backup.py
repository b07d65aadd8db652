"""A copy of a registry's SQLite file, made while a gateway writes to it, whole and looked through before it has its name."""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from core.errors import Reason, Refusal
from storage import migration

PAGES_AT_ONCE = 256
"""Pages of 4 KiB copied between two looks at the progress: a few milliseconds of work."""

_ROOM_BYTES = 16 * 1024 * 1024  # beside the copy itself, so that others on the disk are not stopped by it
_CHUNK = 1024 * 1024
_NAMED = re.compile(r"firstlight-\d{8}T\d{6}Z(-\d+)?\.db")


class BackedUp(msgspec.Struct, frozen=True, kw_only=True):
    """A backup as it is on the disk. `rows` are those of the tables by their names, `sha256` is of the whole file, in hex."""

    file: str
    bytes: int
    schema: int
    rows: dict[str, int]
    sha256: str
    removed: tuple[str, ...] = ()


def name_of(directory: Path, now: datetime) -> Path:
    """Return the file in a directory that a backup of this time goes to: nothing is there yet."""
    stem = f"firstlight-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    found = directory / f"{stem}.db"
    number = 2
    while os.path.lexists(found):
        found = directory / f"{stem}-{number}.db"
        number += 1
    return found


def back_up(database: Path, target: Path, reach: Callable[[int, int], None]) -> BackedUp:
    """Copy a registry's file to a new one; `reach` is told how many pages are done, of how many.

    The copy is the registry of one moment, that of the beginning, whatever is written meanwhile: its snapshot is held until the
    end. Otherwise SQLite begins anew whenever another process has written (https://www.sqlite.org/backup.html). Who commits
    meanwhile does not wait; the write-ahead log grows by what is written. The copy is marked as one, so that no gateway takes
    it for its registry. Raises `Refusal` where there is nothing to copy, no room, or damage; then nothing is left.
    """
    with _refusing(target), contextlib.closing(open_to_read(database)) as source:
        if os.path.lexists(target):
            raise refused(f"{target} is there already: backups do not take the place of anything")
        size = _size(source)
        _require_room(target.parent, size)
        with _partial(target) as partial:
            _copy(source, partial, reach)
            rows = _look_through(partial, source)
            _put(partial, target)
        return BackedUp(
            file=str(target), bytes=target.stat().st_size, schema=_schema(source), rows=rows, sha256=_digest(target)
        )


def prune(directory: Path, keep: int) -> tuple[str, ...]:
    """Remove all backups of a directory but the newest ones, known by the names that `name_of` gives; return those."""
    found = sorted((path for path in directory.iterdir() if _NAMED.fullmatch(path.name)), key=_age, reverse=True)
    for path in found[keep:]:
        path.unlink()
    return tuple(path.name for path in found[keep:])


def open_to_read(database: Path) -> sqlite3.Connection:
    """Open a registry's file, or a backup, on a snapshot that is held. Raises `Refusal`, `OSError` and `sqlite3.Error`."""
    real = database.resolve(strict=True)
    connection = sqlite3.connect(f"{real.as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=10.0)
    try:
        migration.require_ours(connection, len(migration.steps()), backups=True)
        connection.execute("BEGIN")
        if not _schema(connection):
            raise refused(f"{database} is empty: there is no registry in it")
    except BaseException:
        connection.close()
        raise
    return connection


def require_whole(connection: sqlite3.Connection) -> None:
    """Look at every page, index and reference. Raises `Refusal` where one is damaged."""
    faults = [row[0] for row in connection.execute("PRAGMA integrity_check(3)") if row[0] != "ok"]
    faults += [f"a row of {row[0]} points at nothing in {row[2]}" for row in connection.execute("PRAGMA foreign_key_check")][:3]
    if faults:
        raise refused(f"the database is damaged: {'; '.join(faults)}")


def copy_pages(source: sqlite3.Connection, copy: sqlite3.Connection, reach: Callable[[int, int], None]) -> None:
    """Copy a snapshot that is held into an empty file."""
    source.backup(copy, pages=PAGES_AT_ONCE, progress=lambda _status, left, total: reach(total - left, total), sleep=0.0)


def sync(path: Path) -> None:
    """Wait until the disk has what a file holds, or which names a directory has."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refused(sentence: str) -> Refusal:
    """Make the refusal of a backup or of what is to be one."""
    return Refusal(Reason.CONFLICT, sentence, check="storage.backup")


def row_counts(connection: sqlite3.Connection) -> dict[str, int]:
    """Return the tables with how many rows each has."""
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
    return {
        name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - tables of ours
        for name in tables
        if not name.startswith("sqlite_")
    }


def _copy(source: sqlite3.Connection, partial: Path, reach: Callable[[int, int], None]) -> None:
    with contextlib.closing(sqlite3.connect(partial, isolation_level=None)) as copy:
        copy_pages(source, copy, reach)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file that is all there is of it
        copy.execute(f"PRAGMA application_id = {migration.BACKUP_ID}")


def _look_through(partial: Path, source: sqlite3.Connection) -> dict[str, int]:
    with contextlib.closing(sqlite3.connect(f"{partial.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None)) as copy:
        require_whole(copy)
        rows = row_counts(copy)
    if rows != row_counts(source):
        raise refused("the copy does not have the rows of the database")
    return rows


def _schema(connection: sqlite3.Connection) -> int:
    ((schema,),) = connection.execute("PRAGMA user_version").fetchall()
    return int(schema)


def _size(connection: sqlite3.Connection) -> int:
    ((pages,),) = connection.execute("PRAGMA page_count").fetchall()
    ((size,),) = connection.execute("PRAGMA page_size").fetchall()
    return int(pages) * int(size)


def _require_room(directory: Path, size: int) -> None:
    free = shutil.disk_usage(directory).free
    if free < size + _ROOM_BYTES:
        raise refused(f"there is no room in {directory}: {free:,} bytes are free, the copy takes {size:,}")


@contextlib.contextmanager
def _partial(target: Path) -> Iterator[Path]:
    """Give a file under a name that nobody takes for a backup; in the end it is gone. What was left by others goes, too."""
    for left in target.parent.glob(".firstlight-backup-*.partial"):
        _remove_if_left(left)
    partial = target.with_name(f".firstlight-backup-{os.getpid()}-{target.name}.partial")
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield partial
    finally:
        partial.unlink(missing_ok=True)
        os.close(descriptor)


def _remove_if_left(path: Path) -> None:
    """Remove a file whose maker was killed: one that runs holds it."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for beside in ("-journal", "-wal", "-shm"):  # what SQLite lays beside a file while it writes
            path.with_name(path.name + beside).unlink(missing_ok=True)
        path.unlink()


def _put(partial: Path, target: Path) -> None:
    """Give the copy its name, once all of it is on the disk; never that of something else."""
    sync(partial)
    try:
        os.link(partial, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        partial.rename(target)
    sync(target.parent)


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _age(path: Path) -> tuple[str, int]:
    stamp, _, number = path.stem.removeprefix("firstlight-").partition("-")
    return stamp, int(number or 1)


@contextlib.contextmanager
def _refusing(target: Path) -> Iterator[None]:
    """Turn what files and SQLite raise into sentences."""
    try:
        yield
    except FileNotFoundError as error:
        raise refused(f"{error.filename}: there is no such file or directory") from error
    except FileExistsError as error:
        raise refused(f"{target} is there already: backups do not take the place of anything") from error
    except (OSError, sqlite3.Error) as error:
        raise refused(f"the backup {target} cannot be made: {error}") from error
