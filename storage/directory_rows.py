"""Pending claims and entries of the directory as rows of a database and back."""

from core.model import DirectoryEntry, EntryKind, PendingClaim, Role
from storage.rows import Row, json_object, json_text

# Columns in the order in which the functions below take and give them, each under its table's name so that joins may use them.
CLAIM = (
    "pending_claim.id, pending_claim.tenant, pending_claim.lookup, pending_claim.announced, pending_claim.expires_at, "
    "pending_claim.created_at, pending_claim.version"
)
ENTRY = (
    "entry.id, entry.tenant, entry.kind, entry.name, entry.parent, entry.template, entry.login, entry.role, entry.verifier, "
    "entry.lookup, entry.attributes, entry.created_at, entry.updated_at, entry.version"
)


def claim_row(claim: PendingClaim) -> Row:
    """Return a pending claim's row."""
    return (
        claim.id,
        claim.tenant,
        claim.lookup,
        int(claim.announced),
        claim.expires_at,
        claim.created_at,
        claim.version,
    )


def claim(row: Row) -> PendingClaim:
    """Return the pending claim of a row."""
    return PendingClaim(
        id=row[0],
        tenant=row[1],
        lookup=row[2],
        announced=bool(row[3]),
        expires_at=row[4],
        created_at=row[5],
        version=row[6],
    )


def entry_row(entry: DirectoryEntry) -> Row:
    """Return an entry's row."""
    return (
        entry.id,
        entry.tenant,
        entry.kind.value,
        entry.name,
        entry.parent,
        entry.template,
        entry.login,
        entry.role.value if entry.role is not None else None,
        entry.verifier,
        entry.lookup,
        json_text(entry.attributes),
        entry.created_at,
        entry.updated_at,
        entry.version,
    )


def entry(row: Row) -> DirectoryEntry:
    """Return the entry of a row."""
    return DirectoryEntry(
        id=row[0],
        tenant=row[1],
        kind=EntryKind(row[2]),
        name=row[3],
        parent=row[4],
        template=row[5],
        login=row[6],
        role=None if row[7] is None else Role(row[7]),
        verifier=row[8],
        lookup=row[9],
        attributes=json_object(row[10]),
        created_at=row[11],
        updated_at=row[12],
        version=row[13],
    )
