"""Tombstones as rows of a database and back."""

from core.model import Departure, Tombstone
from storage.rows import Row

# Columns in the order in which the functions below take and give them, each under its table's name so that joins may use them.
TOMBSTONE = (
    "tombstone.id, tombstone.tenant, tombstone.profile, tombstone.device, tombstone.name, tombstone.serial, "
    "tombstone.departure, tombstone.leave_until, tombstone.created_at, tombstone.version"
)


def tombstone_row(tombstone: Tombstone) -> Row:
    """Return a tombstone's row."""
    return (
        tombstone.id,
        tombstone.tenant,
        tombstone.profile,
        tombstone.device,
        tombstone.name,
        tombstone.serial or None,
        tombstone.departure.value,
        tombstone.leave_until,
        tombstone.created_at,
        tombstone.version,
    )


def tombstone(row: Row) -> Tombstone:
    """Return the tombstone of a row."""
    return Tombstone(
        id=row[0],
        tenant=row[1],
        profile=row[2],
        device=row[3],
        name=row[4],
        serial=row[5] or "",
        departure=Departure(row[6]),
        leave_until=row[7],
        created_at=row[8],
        version=row[9],
    )
