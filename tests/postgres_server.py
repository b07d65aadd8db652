"""A PostgreSQL of Debian's for tests: in a folder of its own, on a free port of loopback, stopped by its pid."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from tests.brokers.ports import free_port

_PATIENCE = 60.0
_NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
_ALWAYS = ("unix_socket_directories=", "listen_addresses=127.0.0.1", "max_connections=200", "shared_buffers=64MB")


def _binaries() -> Path:
    """Return the folder of the newest version's programs; Debian keeps them off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name))
    if not found:
        raise RuntimeError("PostgreSQL is not installed: apt-get install postgresql")
    return found[-1]


class PostgresServer:
    """One server. It refuses to run as root, so root runs it as Debian's user `postgres`.

    Beside this machine it lets in whoever comes from the networks `trusted`. `durable` is how it runs where a test is about
    what is on the disk; otherwise it writes when it likes.
    """

    def __init__(
        self, folder: Path, *, durable: bool = False, settings: Sequence[str] = (), trusted: Sequence[str] = ()
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self._settings = (*_ALWAYS, *(() if durable else _NOT_DURABLE), *settings)
        self._trusted = trusted
        self._numbers = count(1)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data"

    @property
    def pid(self) -> int:
        """The process that all others of the server are children of."""
        assert self._process is not None
        return self._process.pid

    def found(self) -> None:
        """Make an empty cluster."""
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.run(_binaries() / "initdb", "--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "-D", self.data)
        with (self.data / "pg_hba.conf").open("a") as access:
            access.writelines(f"host all all {network} trust\n" for network in self._trusted)

    def start(self) -> None:
        """Start it and return when it takes connections."""
        arguments = [part for setting in (*self._settings, f"port={self.port}") for part in ("-c", setting)]
        with (self.folder / "log").open("ab") as log:
            command = [str(_binaries() / "postgres"), "-D", str(self.data), *arguments]
            self._process = subprocess.Popen(command, stdout=log, stderr=log, **_as_postgres())
        deadline = time.monotonic() + _PATIENCE
        ready = [str(_binaries() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        while subprocess.run(ready, check=False).returncode != 0:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends its sessions first (fast), SIGQUIT leaves everything where it is (immediate)."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(_PATIENCE)
            self._process = None

    def url(self, database: str) -> str:
        """Return the URL of a database, as the gateway's setting has it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def make_database(self, template: str = "template0") -> str:
        """Make a database of its own for a test and return its name."""
        name = f"test_{next(self._numbers)}"
        self.sql("postgres", f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def sql(self, database: str, text: str) -> str:
        """Run statements by psql and return what it prints, unaligned and without headers."""
        return self.run(_binaries() / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-d", self.url(database), "-c", text)

    def run(self, program: Path | str, *arguments: Path | str) -> str:
        """Run a program of PostgreSQL's by its path or, as it is called there, by its name, and return what it prints."""
        path = program if isinstance(program, Path) else _binaries() / program
        done = subprocess.run([str(path), *map(str, arguments)], check=False, capture_output=True, text=True, **_as_postgres())
        if done.returncode:
            raise RuntimeError(f"{path.name} failed: {done.stderr}")
        return str(done.stdout)


def _as_postgres() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


@contextmanager
def postgres_server(
    *, durable: bool = False, settings: Sequence[str] = (), trusted: Sequence[str] = ()
) -> Iterator[PostgresServer]:
    """Run a server in a temporary folder that its user may enter, and leave nothing of it."""
    folder = Path(tempfile.mkdtemp(prefix="firstlight-postgres-"))
    server = PostgresServer(folder, durable=durable, settings=settings, trusted=trusted)
    try:
        server.found()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
