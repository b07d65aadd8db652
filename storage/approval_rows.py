"""Devices that wait for an operator's approval as rows of a database and back."""

from core.model import Approval, Verdict
from storage.rows import Row

# Columns in the order in which the functions below take and give them, each under its table's name so that joins may use them.
APPROVAL = (
    "approval.id, approval.tenant, approval.profile, approval.name, approval.device, approval.verdict, approval.source, "
    "approval.stranger, approval.protocol, approval.dialect, approval.expires_at, approval.created_at, approval.updated_at, "
    "approval.version"
)


def approval_row(approval: Approval) -> Row:
    """Return an approval's row."""
    return (
        approval.id,
        approval.tenant,
        approval.profile,
        approval.name,
        approval.device,
        approval.verdict.value,
        approval.source,
        approval.stranger,
        approval.protocol,
        approval.dialect,
        approval.expires_at,
        approval.created_at,
        approval.updated_at,
        approval.version,
    )


def approval(row: Row) -> Approval:
    """Return the approval of a row."""
    return Approval(
        id=row[0],
        tenant=row[1],
        profile=row[2],
        name=row[3],
        device=row[4],
        verdict=Verdict(row[5]),
        source=row[6],
        stranger=row[7],
        protocol=row[8],
        dialect=row[9],
        expires_at=row[10],
        created_at=row[11],
        updated_at=row[12],
        version=row[13],
    )
