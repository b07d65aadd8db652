"""What an entity is as rows of PostgreSQL's tables: which table, which columns, of which types."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from core.model import (
    Approval,
    BootstrapConfig,
    Channel,
    Credential,
    Device,
    DirectoryEntry,
    IssuedCertificate,
    OperatorToken,
    OscoreState,
    PendingClaim,
    Profile,
    Tenant,
    Tombstone,
)
from storage import approval_rows, directory_rows, event_rows, profile_rows, rows, tombstone_rows, trust_rows
from storage.guards import Kind
from storage.rows import Row

_BYTES = frozenset(
    {
        "provision_secret",
        "previous_secret",
        "lookup",
        "verifier",
        "sealed",
        "external_key",
        "client_key",
        "content",
        "certificates",
    }
)
_NUMBERS = frozenset(
    {
        "device_limit",
        "devices",
        "created_at",
        "updated_at",
        "version",
        "secure_bootstrap",
        "previous_until",
        "budget",
        "made",
        "enabled",
        "provisioned_at",
        "connected_at",
        "associated_at",
        "discarded_at",
        "unique_serial",
        "expires_at",
        "trial",
        "sequence",
        "not_after",
        "revoked_at",
        "announced",
        "leave_until",
        "unique_name",
        "active",
        "place",
        "at",
    }
)


class Columns(NamedTuple):
    """Columns of a table, and how an entity's rows of them are made."""

    table: str
    names: tuple[str, ...]
    rows: Callable[[Any], Sequence[Row]]

    @property
    def types(self) -> tuple[str, ...]:
        """What arrays of these columns hold."""
        return tuple("bytea" if name in _BYTES else "bigint" if name in _NUMBERS else "text" for name in self.names)


def columns(table: str, names: str, made: Callable[[Any], Sequence[Row]]) -> Columns:
    """Return columns that are named as `storage.rows` names them."""
    return Columns(table, tuple(names.replace(f"{table}.", "").split(", ")), made)


def _one(row: Callable[[Any], Row]) -> Callable[[Any], Sequence[Row]]:
    return lambda entity: (row(entity),)


def _device_row(device: Device) -> Row:
    return rows.device_row(device) + rows.label_row(device) + rows.reached_row(device)


DEVICE = columns("device", rows.DEVICE_WRITTEN, _one(_device_row))
DEVICE_LABELLED = columns("device", rows.DEVICE_LABELLED, _one(lambda device: rows.device_row(device) + rows.label_row(device)))
CREDENTIAL = columns("credential", rows.CREDENTIAL, _one(rows.credential_row))
OSCORE = columns("oscore_state", trust_rows.OSCORE, _one(trust_rows.oscore_row))
ISSUED = columns("issued", trust_rows.ISSUED, _one(trust_rows.issued_row))
EVENT = columns("event", event_rows.EVENT, _one(event_rows.event_row))
LISTED = columns("config_channel", rows.LISTED, rows.listed_rows)

INSERTED: dict[Kind, tuple[Columns, ...]] = {
    Tenant: (columns("tenant", rows.TENANT, _one(rows.tenant_row)),),
    Profile: (columns("profile", profile_rows.PROFILE_INSERTED, _one(profile_rows.inserted_row)),),
    Device: (DEVICE,),
    Credential: (CREDENTIAL,),
    OscoreState: (OSCORE,),
    IssuedCertificate: (ISSUED,),
    PendingClaim: (columns("pending_claim", directory_rows.CLAIM, _one(directory_rows.claim_row)),),
    Approval: (columns("approval", approval_rows.APPROVAL, _one(approval_rows.approval_row)),),
    Tombstone: (columns("tombstone", tombstone_rows.TOMBSTONE, _one(tombstone_rows.tombstone_row)),),
    Channel: (columns("channel", rows.CHANNEL_WRITTEN, _one(rows.channel_row)),),
    BootstrapConfig: (
        columns("config", rows.CONFIG_WRITTEN, _one(rows.config_row)),
        columns("config_document", rows.DOCUMENT, _one(rows.document_row)),
        LISTED,
    ),
    DirectoryEntry: (columns("entry", directory_rows.ENTRY, _one(directory_rows.entry_row)),),
    OperatorToken: (columns("token", rows.TOKEN, _one(rows.token_row)),),
}
"""What is put in for an entity of each kind, in the order in which kinds are put in: what is pointed at first."""


@lru_cache(maxsize=64)
def arrays_of(types: tuple[str, ...], first: int = 1) -> str:
    """Return the `unnest` of one parameter for each column, counted from `first`."""
    return f"unnest({', '.join(f'${place}::{name}[]' for place, name in enumerate(types, first))})"


@lru_cache(maxsize=64)
def insertion(table: Columns) -> str:
    """Return the statement that puts rows into a table: one parameter for each column."""
    return f"INSERT INTO {table.table} ({', '.join(table.names)}) SELECT * FROM {arrays_of(table.types)}"  # noqa: S608 - names


def turned(found: Sequence[Row]) -> list[list[Any]]:
    """Return the columns of at least one row."""
    return [list(column) for column in zip(*found, strict=True)]
