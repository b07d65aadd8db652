"""Devices that are not to come back by a claim key: by name, by serial, by id and in pages."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

from collections.abc import Sequence

from core.model import Tombstone
from core.queries import TombstonePage, TombstoneQuery
from storage import tombstone_rows
from storage.bounds import page_size
from storage.statements import BY_INDEX, Grouped, Statement
from storage.steps import Steps

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

BY_ID = f"SELECT {tombstone_rows.TOMBSTONE} FROM tombstone WHERE id = ? AND +tenant = ?"
BY_NAME = f"SELECT {tombstone_rows.TOMBSTONE} FROM tombstone WHERE tenant = ? AND name = ?"
PAGE = f"""SELECT {tombstone_rows.TOMBSTONE} FROM tombstone INDEXED BY tombstone_tenant WHERE tombstone.tenant = ?
    AND tombstone.{BY_INDEX} > ? AND NOT EXISTS (SELECT 1 FROM device CROSS JOIN credential ON credential.device = device.id
    WHERE device.tenant = tombstone.tenant AND device.name = tombstone.name) ORDER BY tombstone.{BY_INDEX} LIMIT ?"""


def of_names(names: Sequence[tuple[str, str]]) -> Steps[dict[tuple[str, str], Tombstone]]:
    """Return the tombstones of distinct pairs of tenant and name."""
    found = map(tombstone_rows.tombstone, (yield TOMBSTONES_BY_NAME.asked(names)))
    return {(each.tenant, each.name): each for each in found}


def of_serials(serials: Sequence[tuple[str, str]]) -> Steps[dict[tuple[str, str], Tombstone]]:
    """Return the tombstones of distinct pairs of profile and serial."""
    found = map(tombstone_rows.tombstone, (yield TOMBSTONES_BY_SERIAL.asked(serials)))
    return {(each.profile, each.serial): each for each in found}


def one(query: TombstoneQuery) -> Steps[Tombstone | None]:
    """Answer for one tombstone: by id, else by name."""
    found = yield Statement(BY_ID, (query.id_or_name, query.tenant))
    if not found:
        found = yield Statement(BY_NAME, (query.tenant, query.id_or_name))
    return tombstone_rows.tombstone(found[0]) if found else None


def page(query: TombstonePage) -> Steps[tuple[Tombstone, ...]]:
    """Answer a page of tombstones."""
    found = yield Statement(PAGE, (query.tenant, query.after or "", page_size(query.limit)))
    return tuple(map(tombstone_rows.tombstone, found))
