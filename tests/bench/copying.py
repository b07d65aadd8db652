"""Proves that a large registry gets from SQLite to PostgreSQL: `python -m tests.bench.copying [--devices 1000000]`.

The copy is killed in the middle and goes on. What comes out is compared by other means than its own: what both databases print
of their rows, and devices that log in at a gateway over the new one with what they got at the old one.
"""

import argparse
import asyncio
import hashlib
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import asyncpg
import msgspec

from tests.bench.fleet import Member
from tests.bench.registries import make_registry
from tests.postgres_server import PostgresServer, postgres_server

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-P", "-m", "adapters"]
PATIENCE_SECONDS = 60.0
ACCEPTED = b"\x20\x02\x00\x00"  # CONNACK of MQTT 3.1.1, section 3.2
COMPARED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tenant": ("id", "name", "devices"),
        "profile": ("id", "name", "strategy", "provision_secret", "options"),
        "device": (
            "id",
            "tenant",
            "profile",
            "name",
            "state",
            "enabled",
            "metadata",
            "label",
            "folded",
            "serial",
            "created_at",
        ),
        "credential": ("id", "device", "kind", "lookup", "verifier", "sealed", "version"),
        "event": ("seq", "id", "at", "kind", "device", "detail"),
        "channel": ("id", "name"),
        "config": ("id", "external_id", "external_key", "active"),
        "config_document": ("config", "content"),
        "config_channel": ("config", "place", "channel"),
    }
)


class Printed(msgspec.Struct, frozen=True):
    """What a database printed of a table: how many rows, and a digest over all of them in order."""

    rows: int
    digest: str


def environment(**more: str) -> dict[str, str]:
    """Return an environment without the settings of whoever runs this."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("FIRSTLIGHT_")}
    return own | {"PYTHONPATH": str(ROOT)} | more


def command(registry: Path, url: str, *options: str) -> list[str]:
    """Return the command that copies a file into a database."""
    return [*PROGRAM, "copy", "--from", f"sqlite:{registry}", "--to", url, *options]


def kill_in_the_middle(registry: Path, server: PostgresServer, database: str, rows: int) -> int:
    """Begin a copy, kill it as soon as so many rows are there, and return how many there are."""
    begun = subprocess.Popen(command(registry, server.url(database)), env=environment(), stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 3600
    while copied(server, database) < rows:
        if begun.poll() is not None or time.monotonic() > deadline:
            raise AssertionError("the copy ended before it could be killed")
        time.sleep(0.1)
    begun.kill()
    begun.wait()
    return copied(server, database)


def copied(server: PostgresServer, database: str) -> int:
    """Return how many rows a copy that is under way has written."""
    if server.sql(database, "SELECT to_regclass('copying')").strip():
        return int(server.sql(database, "SELECT coalesce(sum(row_count), 0) FROM copying"))
    return 0


def carry_over(registry: Path, url: str) -> Any:
    """Run the copy to its end and return what it reports."""
    done = subprocess.run(command(registry, url, "--json"), env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def printed_by_sqlite(registry: Path, table: str) -> Printed:
    """Digest a table of a file as PostgreSQL prints it: U+0000 cannot be in its texts and stands there as U+0001 twice."""
    columns = ", ".join(COMPARED[table])
    rows, digest = 0, hashlib.sha256()
    with closing(sqlite3.connect(registry)) as connection:
        for row in connection.execute(f"SELECT {columns} FROM {table} ORDER BY {_key(table)}"):
            digest.update((" ".join(map(_hexadecimal, row)) + "\n").encode())
            rows += 1
    return Printed(rows, digest.hexdigest())


def _hexadecimal(value: Any) -> str:
    if isinstance(value, bytes):
        return value.hex()
    text = "-" if value is None else str(value)
    return text.replace("\x01", "\x01\x02").replace("\x00", "\x01\x01").encode().hex()


def rows_of(registry: Path) -> int:
    """Return how many rows a file has in the tables that are compared."""
    with closing(sqlite3.connect(registry)) as connection:
        return sum(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in COMPARED)


async def printed_by_postgres(url: str, table: str) -> Printed:
    """Digest what PostgreSQL prints of a table, by a connection that knows nothing of this project."""
    digest, lines = hashlib.sha256(), 0

    async def take(printed: bytes) -> None:
        nonlocal lines
        lines += printed.count(b"\n")
        digest.update(printed)

    connection = await asyncpg.connect(url)
    try:
        kinds: dict[str, str] = {row[0]: row[1] for row in await connection.fetch(_KINDS, table)}
        columns = " || ' ' || ".join(_printed_column(column, kinds[column]) for column in COMPARED[table])
        await connection.copy_from_query(f"SELECT {columns} FROM {table} ORDER BY {_key(table)}", output=take)
    finally:
        await connection.close()
    return Printed(lines, digest.hexdigest())


_KINDS = "SELECT attname::text, atttypid::regtype::text FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0"


def _printed_column(column: str, kind: str) -> str:
    if kind == "bytea":
        return f"coalesce(encode({column}, 'hex'), '2d')"
    return f"encode(convert_to(coalesce({column}::text, '-'), 'UTF8'), 'hex')"


def _key(table: str) -> str:
    return "config, place" if table == "config_channel" else COMPARED[table][0]


def compare(registry: Path, url: str) -> dict[str, int]:
    """Raise where any table differs; return how many rows each has."""
    rows = {}
    for table in COMPARED:
        here, there = printed_by_sqlite(registry, table), asyncio.run(printed_by_postgres(url, table))
        assert here == there, f"{table}: {here} in the file, {there} in the database"
        rows[table] = here.rows
    return rows


@contextmanager
def gateway(folder: Path, url: str) -> Iterator[int]:
    """Run a gateway over a database, with the keys of the folder in which it began; yields its port for MQTT."""
    settings = {"HTTP": "", "COAP": "", "MQTT": "127.0.0.1:0", "DATA": str(folder), "DATABASE": url, "LOG_FORMAT": "json"}
    environ = environment(**{f"FIRSTLIGHT_{name}": value for name, value in settings.items()}, PYTHONUNBUFFERED="1")
    process = subprocess.Popen([*PROGRAM, "serve"], cwd=folder, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert process.stdout is not None
    try:
        said = b""
        for line in process.stdout:
            said += line
            if b'"listening"' in line:
                yield int(json.loads(line)["mqtt"].rpartition(":")[2])
                return
        raise AssertionError(said.decode())
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE_SECONDS)


def log_in(port: int, members: Sequence[Member]) -> int:
    """Log in as each device with its token and with its secret; return how many were let in."""
    packets = [packet for member in members for packet in (member.thingsboard_connect(), member.xively_connect())]
    return sum(_answer(port, packet) == ACCEPTED for packet in packets)


def _answer(port: int, packet: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS) as connection:
        connection.sendall(packet)
        return connection.recv(4)


def prove(folder: Path, server: PostgresServer, devices: int) -> None:
    """Do all of it and print what it came to."""
    members, making = _timed(lambda: make_registry(folder, devices))
    registry = folder / "firstlight.db"
    print(f"registry of {devices:,} devices made in {making:.0f} s: {registry.stat().st_size / 1e6:,.0f} MB")
    database = server.make_database()
    there, before = _timed(lambda: kill_in_the_middle(registry, server, database, rows_of(registry) // 2))
    print(f"{'killed behind':<28}{there:>12,} rows{before:>9.1f} s{there / before:>10,.0f} rows/s")
    report, after = _timed(lambda: carry_over(registry, server.url(database)))
    moved = report["rows"] - report["resumed"]
    print(f"{'gone on from':<28}{report['resumed']:>12,} rows, {moved:,} more")
    print(f"{'to the end and verified':<28}{report['rows']:>12,} rows{after:>9.1f} s")
    print(f"{'in all':<28}{report['rows']:>12,} rows{before + after:>9.1f} s{report['rows'] / (before + after):>10,.0f} rows/s")
    rows, comparing = _timed(lambda: compare(registry, server.url(database)))
    for table, count in rows.items():
        print(f"  {table:<26}{count:>12,} rows equal")
    print(f"compared by what both print in {comparing:.0f} s")
    with gateway(folder, server.url(database)) as port:
        print(f"logins at a gateway over the copy: {log_in(port, members)} of {2 * len(members)}")


def _timed(work: Any) -> tuple[Any, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


def main() -> None:
    """Prove it and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=1_000_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as name, postgres_server(durable=True) as server:
        prove(Path(name), server, chosen.devices)


if __name__ == "__main__":
    main()
