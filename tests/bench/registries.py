"""Makes large registries in SQLite files quickly: a few members by a gateway, who can log in, and masses by plain SQL."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from core.model import DEFAULT_TENANT
from tests.bench.fleet import Member, make

MEMBERS = 16
_BATCH = 20_000
_STRANGE = ("plain", "größer ☃ 𝄞", "zero \x00 and one \x01 in it", "\x01\x02", "")
"""What texts may hold: PostgreSQL takes no U+0000 as it is."""


def make_registry(folder: Path, devices: int) -> tuple[Member, ...]:
    """Make `firstlight.db` in a folder, with so many devices, credentials and events, and a tenth as many configurations."""
    members = make(folder, MEMBERS)
    with closing(sqlite3.connect(folder / "firstlight.db", isolation_level=None)) as connection:
        connection.executescript("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;")
        ((profile,),) = connection.execute("SELECT id FROM profile LIMIT 1").fetchall()
        for first in range(0, devices - MEMBERS, _BATCH):
            connection.execute("BEGIN")
            numbers = range(first, min(first + _BATCH, devices - MEMBERS))
            for table, rows in _rows(profile, numbers):
                marks = ", ".join("?" * table.count(",") + "?")
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", rows)
            connection.execute("COMMIT")
        connection.execute("UPDATE tenant SET devices = (SELECT count(*) FROM device)")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return members


def _rows(profile: str, numbers: Sequence[int]) -> Iterator[tuple[str, Iterator[tuple[Any, ...]]]]:
    configured = [number for number in numbers if number % 10 == 0]
    yield (
        "device (id, tenant, profile, name, state, enabled, metadata, created_at, updated_at, version, label, folded, serial)",
        (_device(profile, number) for number in numbers),
    )
    yield "credential (id, device, kind, lookup, verifier, sealed, created_at, version)", map(_credential, numbers)
    yield (
        "event (id, tenant, at, kind, correlation, protocol, dialect, source, actor, profile, device, device_name, "
        '"check", detail)',
        (_event(profile, number) for number in numbers),
    )
    yield (
        "channel (id, tenant, name, metadata, created_at, updated_at, version)",
        (_channel(number) for number in numbers if number % 1000 == 0),
    )
    yield (
        "config (id, tenant, external_id, external_key, name, unique_name, active, created_at, updated_at, version)",
        map(_config, configured),
    )
    yield "config_document (config, content)", ((_id(1, number), _noise(number) * 8) for number in configured)
    yield (
        "config_channel (config, place, channel)",
        ((_id(1, number), place, _id(3, number - number % 1000)) for number in configured for place in (0, 1)),
    )


def _device(profile: str, number: int) -> tuple[Any, ...]:
    strange = _STRANGE[number % 7] if number % 7 < len(_STRANGE) else ""
    label = f"Label {number} {strange}" if strange else None
    metadata = f'{{"floor":{number},"line":"a"}}' if number % 2 else None
    serial = f"SN{number:09}" if number % 3 else None
    folded = label.casefold() if label else None
    name = f"meter-{number:08}"
    return _id(1, number), DEFAULT_TENANT, profile, name, "provisioned", 1, metadata, number, number, 1, label, folded, serial


def _credential(number: int) -> tuple[Any, ...]:
    return _id(2, number), _id(1, number), "access_token", _noise(number), b"", _noise(-number), number, 1


def _event(profile: str, number: int) -> tuple[Any, ...]:
    detail = _STRANGE[number % len(_STRANGE)]
    asked = (_id(5, number), DEFAULT_TENANT, number, "provision.succeeded", _id(6, number), "http", "thingsboard", "192.0.2.7")
    return *asked, "", profile, _id(1, number), f"meter-{number:08}", "", detail


def _channel(number: int) -> tuple[Any, ...]:
    return _id(3, number), DEFAULT_TENANT, f"channel {number}", None, number, number, 1


def _config(number: int) -> tuple[Any, ...]:
    return _id(1, number), DEFAULT_TENANT, f"external-{number}", _noise(number), "", 0, number % 2, number, number, 1


def _id(kind: int, number: int) -> str:
    """Return an id as UUIDv7 texts are: in the order of their making."""
    tail = hashlib.md5(b"%d %d" % (kind, number), usedforsecurity=False).hexdigest()
    return f"0199{number:08x}"[:8] + f"-{number & 0xFFFF:04x}-7{kind:03x}-8{tail[:3]}-{tail[3:15]}"


def _noise(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest()
