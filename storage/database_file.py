"""The database file as a file: where it lies, who may read it, and that one process alone has it."""

import fcntl
import os
from pathlib import Path
from typing import Self

from storage import refusals


class FileLock:
    """Keeps every other process of ours from a database file; the system lets go of it when this process ends, however."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._descriptor)
            raise refusals.locked(str(path)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Let go. The lock's file stays: to remove it would let two processes lock two files of one name."""
        os.close(self._descriptor)


def existing(path: Path) -> Path:
    """Return the real path of a file that has to be there. Raises `OSError`."""
    return path.resolve(strict=True)


def prepare(path: Path) -> Path:
    """Make the file and its directories where they are missing, for this user alone; return the file's real path.

    SQLite gives the files it lays beside it the same mode (https://www.sqlite.org/tempfiles.html).
    """
    real = path.resolve()
    for directory in reversed(real.parents):
        if not directory.exists():
            directory.mkdir(mode=0o700)
    os.close(os.open(real, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return real
