"""Devices that are not to come back by a claim key, read through an SQLite connection on the connection's thread."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

import sqlite3
from collections.abc import Sequence

from core.model import Tombstone
from core.queries import TombstonePage, TombstoneQuery
from storage import tombstone_rows
from storage.bounds import page_size
from storage.statements import Grouped

# CROSS JOIN keeps the order of the tables: left to itself the planner may walk through a whole table instead.
TOMBSTONES_BY_NAME = Grouped(
    f"""WITH asked (tenant, name) AS (VALUES {{rows}}) SELECT {tombstone_rows.TOMBSTONE} FROM asked
    CROSS JOIN tombstone ON tombstone.tenant = asked.tenant AND tombstone.name = asked.name""",
    width=2,
)
TOMBSTONES_BY_SERIAL = Grouped(
    f"""WITH asked (profile, serial) AS (VALUES {{rows}}) SELECT {tombstone_rows.TOMBSTONE} FROM asked CROSS JOIN tombstone
    ON tombstone.profile = asked.profile AND tombstone.serial = asked.serial AND tombstone.serial IS NOT NULL""",
    width=2,
)
STANDS = "EXISTS (SELECT 1 FROM tombstone INDEXED BY tombstone_tenant WHERE tombstone.tenant = profile.tenant)"
"""Whether a profile's tenant has any: where it has none, devices that ask cost no further statement."""

BY_ID = f"SELECT {tombstone_rows.TOMBSTONE} FROM tombstone WHERE id = ? AND tenant = ?"
BY_NAME = f"SELECT {tombstone_rows.TOMBSTONE} FROM tombstone WHERE tenant = ? AND name = ?"
PAGE = f"""SELECT {tombstone_rows.TOMBSTONE} FROM tombstone INDEXED BY tombstone_tenant WHERE tombstone.tenant = ?
    AND tombstone.id > ? AND NOT EXISTS (SELECT 1 FROM device CROSS JOIN credential ON credential.device = device.id
    WHERE device.tenant = tombstone.tenant AND device.name = tombstone.name) ORDER BY tombstone.id LIMIT ?"""


def of_names(connection: sqlite3.Connection, names: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Tombstone]:
    """Return the tombstones of distinct pairs of tenant and name."""
    found = map(tombstone_rows.tombstone, TOMBSTONES_BY_NAME.run(connection, names))
    return {(each.tenant, each.name): each for each in found}


def of_serials(connection: sqlite3.Connection, serials: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Tombstone]:
    """Return the tombstones of distinct pairs of profile and serial."""
    found = map(tombstone_rows.tombstone, TOMBSTONES_BY_SERIAL.run(connection, serials))
    return {(each.profile, each.serial): each for each in found}


def one(connection: sqlite3.Connection, query: TombstoneQuery) -> Tombstone | None:
    """Answer for one tombstone: by id, else by name."""
    row = connection.execute(BY_ID, (query.id_or_name, query.tenant)).fetchone()
    if row is None:
        row = connection.execute(BY_NAME, (query.tenant, query.id_or_name)).fetchone()
    return None if row is None else tombstone_rows.tombstone(row)


def page(connection: sqlite3.Connection, query: TombstonePage) -> tuple[Tombstone, ...]:
    """Answer a page of tombstones."""
    rows = connection.execute(PAGE, (query.tenant, query.after or "", page_size(query.limit))).fetchall()
    return tuple(map(tombstone_rows.tombstone, rows))
