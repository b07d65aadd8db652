"""Rows put into the tables, replaced in them and taken out of them."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is written goes in as parameters

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

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
    ProfileId,
    Tenant,
    TenantId,
    Tombstone,
)
from core.ports import Changes, Entity
from storage import approval_rows, directory_rows, event_rows, profile_rows, rows, tombstone_rows, trust_rows
from storage.guards import Kind
from storage.rows import Row
from storage.statements import Grouped

NOTHING: Mapping[str, str] = MappingProxyType({})


def _insertion(table: str, columns: str, otherwise: str = "FAIL", also: Mapping[str, str] = NOTHING) -> Grouped:
    """Return the statement that puts in rows of these columns; `also` are others, with what SQL is the same in all rows."""
    names = ", ".join((columns, *also)).replace(f"{table}.", "")
    values = ", ".join(("*", *also.values()))
    # FAIL: what the statement did before its error is undone by the transaction or savepoint around it, not a second time.
    template = f"INSERT OR {otherwise} INTO {table} ({names}) SELECT {values} FROM (VALUES {{rows}}) WHERE column1 IS NOT NULL"
    return Grouped(template, width=columns.count(",") + 1)


def _replacement(table: str, columns: str) -> str:
    names = columns.replace(f"{table}.", "").split(", ")
    return f"UPDATE {table} SET ({', '.join(names[1:])}) = ({', '.join('?' * (len(names) - 1))}) WHERE id = ?"


INSERT_TENANTS = _insertion("tenant", rows.TENANT)
INSERT_PROFILES = _insertion("profile", profile_rows.PROFILE_INSERTED)
INSERT_BARE_DEVICES = _insertion("device", rows.DEVICE_BARE)
INSERT_DEVICES = _insertion("device", rows.DEVICE_PLAIN)
INSERT_LABELLED = _insertion("device", rows.DEVICE_LABELLED)
INSERT_WHOLE_DEVICES = _insertion("device", rows.DEVICE_WRITTEN)
INSERT_DIGESTS = _insertion("credential", rows.DIGEST, also={"credential.verifier": "x''"})
INSERT_CREDENTIALS = _insertion("credential", rows.CREDENTIAL)
INSERT_OSCORE = _insertion("oscore_state", trust_rows.OSCORE)
INSERT_ISSUED = _insertion("issued", trust_rows.ISSUED)
INSERT_CLAIMS = _insertion("pending_claim", directory_rows.CLAIM)
INSERT_APPROVALS = _insertion("approval", approval_rows.APPROVAL)
INSERT_TOMBSTONES = _insertion("tombstone", tombstone_rows.TOMBSTONE, otherwise="REPLACE")
INSERT_CHANNELS = _insertion("channel", rows.CHANNEL_WRITTEN)
INSERT_CONFIGS = _insertion("config", rows.CONFIG_WRITTEN)
INSERT_DOCUMENTS = _insertion("config_document", rows.DOCUMENT)
INSERT_LISTED = _insertion("config_channel", rows.LISTED)
INSERT_ENTRIES = _insertion("entry", directory_rows.ENTRY)
INSERT_TOKENS = _insertion("token", rows.TOKEN)
INSERT_EVENTS = _insertion("event", event_rows.EVENT)
COUNT_DEVICES = "UPDATE tenant SET devices = devices + ? WHERE id = ?"
COUNT_MADE = "UPDATE profile SET made = made + ? WHERE id = ?"
BEGIN_TO_COUNT = """UPDATE profile SET made = (SELECT count(*) FROM device
    WHERE device.tenant = profile.tenant AND device.profile = profile.id) WHERE id = ? AND made IS NULL"""

REPLACE_TENANT = "UPDATE tenant SET (name, device_limit, created_at, version, secure_bootstrap) = (?, ?, ?, ?, ?) WHERE id = ?"
REPLACE_PROFILE = _replacement("profile", profile_rows.PROFILE_WRITTEN)
REPLACE_CREDENTIAL = _replacement("credential", rows.CREDENTIAL)
REPLACE_OSCORE = _replacement("oscore_state", trust_rows.OSCORE)
REPLACE_ISSUED = _replacement("issued", trust_rows.ISSUED)
REPLACE_CLAIM = _replacement("pending_claim", directory_rows.CLAIM)
REPLACE_APPROVAL = _replacement("approval", approval_rows.APPROVAL)
REPLACE_TOMBSTONE = _replacement("tombstone", tombstone_rows.TOMBSTONE).replace("UPDATE", "UPDATE OR REPLACE", 1)
REPLACE_ENTRY = _replacement("entry", directory_rows.ENTRY)
REPLACE_CHANNEL = _replacement("channel", rows.CHANNEL_WRITTEN)
REPLACE_CONFIG = _replacement("config", rows.CONFIG_WRITTEN)
REPLACE_DOCUMENT = "UPDATE config_document SET (content, certificates) = (?, ?) WHERE config = ?"
UNLIST = "DELETE FROM config_channel WHERE config = ?"
REPLACE_TOKEN = _replacement("token", rows.TOKEN)
# A statement rewrites the indexes of every column that it names, so the columns that hardly ever change have their own.
REPLACE_DEVICE = """UPDATE device SET (state, enabled, metadata, created_at, updated_at, version, label, folded,
    firmware, provisioned_at, connected_at, associated_at, discarded_at)
    = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?"""
RENAME_DEVICE = "UPDATE device SET (profile, name) = (?, ?) WHERE id = ? AND (profile, name) <> (?, ?)"
RENOTE_DEVICE = """UPDATE device SET (serial, unique_serial, owner, runs) = (?, ?, ?, ?)
    WHERE id = ? AND (serial, unique_serial, owner, runs) IS NOT (?, ?, ?, ?)"""

# In the order of deletion: whatever points at a row goes before it. A device takes along its credentials, its pending claim
# and its configuration, a credential its OSCORE state, a configuration its document and its channels, a channel its places in
# configurations.
DELETE: dict[Kind, tuple[str, ...]] = {
    OscoreState: ("DELETE FROM oscore_state WHERE id = ?",),
    IssuedCertificate: ("DELETE FROM issued WHERE id = ?",),
    Credential: ("DELETE FROM credential WHERE id = ?",),
    PendingClaim: ("DELETE FROM pending_claim WHERE id = ?",),
    Approval: ("DELETE FROM approval WHERE id = ?",),
    Tombstone: ("DELETE FROM tombstone WHERE id = ?",),
    OperatorToken: ("DELETE FROM token WHERE id = ?",),
    DirectoryEntry: ("DELETE FROM entry WHERE id = ?",),
    BootstrapConfig: ("DELETE FROM config WHERE id = ?",),
    Device: ("DELETE FROM device WHERE id = ?",),
    Channel: (
        "UPDATE config SET version = version + 1 WHERE id IN (SELECT config FROM config_channel WHERE channel = ?)",
        "DELETE FROM channel WHERE id = ?",
    ),
    Profile: ("DELETE FROM profile WHERE id = ?",),
    Tenant: ("DELETE FROM tenant WHERE id = ?",),
}


def delete(connection: sqlite3.Connection, changes: Changes) -> None:
    """Take out what the changes delete."""
    for kind, statements in DELETE.items():
        for deletion in changes.delete:
            if isinstance(deletion.entity, kind):
                for statement in statements:
                    connection.execute(statement, (deletion.entity.id,))


def replace(connection: sqlite3.Connection, entity: Entity) -> None:
    """Put an entity in the place of its former version, in the tenant and under the id that it has."""
    for statement, parameters in replacements(entity):
        connection.execute(statement, parameters)
    if isinstance(entity, BootstrapConfig):
        INSERT_LISTED.run(connection, rows.listed_rows(entity))


def replacements(entity: Entity) -> list[tuple[str, Row]]:
    """Return the statements that put an entity in the place of its former version, with their parameters.

    A configuration is left without channels by them.
    """
    if isinstance(entity, Device):
        return _replacing_device(entity)
    if isinstance(entity, BootstrapConfig):
        return [
            (REPLACE_CONFIG, (*rows.config_row(entity)[1:], entity.id)),
            (REPLACE_DOCUMENT, (entity.content, entity.certificates, entity.id)),
            (UNLIST, (entity.id,)),
        ]
    if isinstance(entity, Tenant):
        _, name, limit, _, *others = rows.tenant_row(entity)
        return [(REPLACE_TENANT, (name, limit, *others, entity.id))]
    statement, row = _replacement_of(entity)
    counting = [(BEGIN_TO_COUNT, (entity.id,))] if isinstance(entity, Profile) and entity.claims is not None else []
    return [(statement, (*row[1:], entity.id)), *counting]


def _replacement_of(
    entity: Profile
    | Credential
    | OscoreState
    | IssuedCertificate
    | PendingClaim
    | Approval
    | Tombstone
    | Channel
    | DirectoryEntry
    | OperatorToken,
) -> tuple[str, Row]:
    """Return the statement for an entity that is one row, and that row."""
    if isinstance(entity, Credential):
        return REPLACE_CREDENTIAL, rows.credential_row(entity)
    if isinstance(entity, OscoreState):
        return REPLACE_OSCORE, trust_rows.oscore_row(entity)
    if isinstance(entity, IssuedCertificate):
        return REPLACE_ISSUED, trust_rows.issued_row(entity)
    if isinstance(entity, PendingClaim):
        return REPLACE_CLAIM, directory_rows.claim_row(entity)
    if isinstance(entity, Approval):
        return REPLACE_APPROVAL, approval_rows.approval_row(entity)
    if isinstance(entity, Tombstone):
        return REPLACE_TOMBSTONE, tombstone_rows.tombstone_row(entity)
    if isinstance(entity, Profile):
        return REPLACE_PROFILE, profile_rows.profile_row(entity)
    if isinstance(entity, Channel):
        return REPLACE_CHANNEL, rows.channel_row(entity)
    if isinstance(entity, DirectoryEntry):
        return REPLACE_ENTRY, directory_rows.entry_row(entity)
    return REPLACE_TOKEN, rows.token_row(entity)


def _replacing_device(device: Device) -> list[tuple[str, Row]]:
    known = rows.known_row(device)
    changing = (*rows.device_row(device)[4:], *rows.label_row(device), *rows.reached_row(device)[: -len(known)])
    return [
        (REPLACE_DEVICE, (*changing, device.id)),
        (RENAME_DEVICE, (device.profile, device.name, device.id, device.profile, device.name)),
        (RENOTE_DEVICE, (*known, device.id, *known)),
    ]


def insert(connection: sqlite3.Connection, accepted: Sequence[Changes]) -> None:
    """Put in what sets of changes insert, with their events; whatever is pointed at goes before what points at it."""
    added: dict[Kind, list[Any]] = {}
    for changes in accepted:
        for entity in changes.insert:
            added.setdefault(type(entity), []).append(entity)
    for kind, put_in in _INSERT.items():
        if kind in added:
            put_in(connection, added[kind])
    INSERT_EVENTS.run(connection, [event_rows.event_row(event) for changes in accepted for event in changes.events])


def _insert_devices(connection: sqlite3.Connection, added: Sequence[Device]) -> None:
    """Put in devices; most have no more than a name that folds to itself, and do not pay for the columns they leave empty."""
    bare: list[Row] = []
    plain: list[Row] = []
    labelled: list[Row] = []
    whole: list[Row] = []
    for device in added:
        label = rows.label_row(device)
        if rows.has_reached(device):
            whole.append(rows.device_row(device) + label + rows.reached_row(device))
        elif label != (None, None):
            labelled.append(rows.device_row(device) + label)
        elif device.metadata:
            plain.append(rows.device_row(device))
        else:
            bare.append(rows.bare_device_row(device))
    INSERT_BARE_DEVICES.run(connection, bare)
    INSERT_DEVICES.run(connection, plain)
    INSERT_LABELLED.run(connection, labelled)
    INSERT_WHOLE_DEVICES.run(connection, whole)


def _insert_credentials(connection: sqlite3.Connection, added: Sequence[Credential]) -> None:
    """Put in credentials; most are a digest alone, and do not pay for the columns they leave empty."""
    digests: list[Row] = []
    whole: list[Row] = []
    for credential in added:
        if rows.is_digest(credential):
            digests.append(rows.digest_row(credential))
        else:
            whole.append(rows.credential_row(credential))
    INSERT_DIGESTS.run(connection, digests)
    INSERT_CREDENTIALS.run(connection, whole)


def _insert_configs(connection: sqlite3.Connection, added: Sequence[BootstrapConfig]) -> None:
    INSERT_CONFIGS.run(connection, list(map(rows.config_row, added)))
    INSERT_DOCUMENTS.run(connection, list(map(rows.document_row, added)))
    INSERT_LISTED.run(connection, [row for config in added for row in rows.listed_rows(config)])


def _putting(statement: Grouped, row: Callable[[Any], Row]) -> Callable[[sqlite3.Connection, Sequence[Any]], None]:
    def put_in(connection: sqlite3.Connection, added: Sequence[Any]) -> None:
        statement.run(connection, list(map(row, added)))

    return put_in


_INSERT: dict[Kind, Callable[[sqlite3.Connection, Sequence[Any]], None]] = {
    Tenant: _putting(INSERT_TENANTS, rows.tenant_row),
    Profile: _putting(INSERT_PROFILES, profile_rows.inserted_row),
    Device: _insert_devices,
    Credential: _insert_credentials,
    OscoreState: _putting(INSERT_OSCORE, trust_rows.oscore_row),
    IssuedCertificate: _putting(INSERT_ISSUED, trust_rows.issued_row),
    PendingClaim: _putting(INSERT_CLAIMS, directory_rows.claim_row),
    Approval: _putting(INSERT_APPROVALS, approval_rows.approval_row),
    Tombstone: _putting(INSERT_TOMBSTONES, tombstone_rows.tombstone_row),
    Channel: _putting(INSERT_CHANNELS, rows.channel_row),
    BootstrapConfig: _insert_configs,
    DirectoryEntry: _putting(INSERT_ENTRIES, directory_rows.entry_row),
    OperatorToken: _putting(INSERT_TOKENS, rows.token_row),
}
"""How the entities of each kind are put in, in the order in which that is done."""


def count(connection: sqlite3.Connection, balance: Mapping[TenantId, int]) -> None:
    """Keep each tenant's number of devices in step."""
    for tenant, growth in balance.items():
        if growth:
            connection.execute(COUNT_DEVICES, (growth, tenant))


def count_made(connection: sqlite3.Connection, balance: Mapping[ProfileId, int]) -> None:
    """Keep in step what claim keys have made."""
    for profile, growth in balance.items():
        connection.execute(COUNT_MADE, (growth, profile))
