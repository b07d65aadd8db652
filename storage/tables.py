"""Rows put into the tables, replaced in them and taken out of them."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is written goes in as parameters

import sqlite3
from collections.abc import Sequence

from core.model import BootstrapConfig, Channel, Credential, Device, OperatorToken, Profile, Tenant, TenantId
from core.ports import Changes, Entity
from storage import rows
from storage.guards import Kind, device_balance
from storage.rows import Row
from storage.statements import Grouped


def _insertion(table: str, columns: str) -> Grouped:
    names = columns.replace(f"{table}.", "")
    # FAIL: what the statement did before its error is undone by the transaction or savepoint around it, not a second time.
    template = f"INSERT OR FAIL INTO {table} ({names}) SELECT * FROM (VALUES {{rows}}) WHERE column1 IS NOT NULL"
    return Grouped(template, width=columns.count(",") + 1)


def _replacement(table: str, columns: str) -> str:
    names = columns.replace(f"{table}.", "").split(", ")
    return f"UPDATE {table} SET ({', '.join(names[1:])}) = ({', '.join('?' * (len(names) - 1))}) WHERE id = ?"


INSERT_TENANTS = _insertion("tenant", rows.TENANT)
INSERT_PROFILES = _insertion("profile", rows.PROFILE)
INSERT_DEVICES = _insertion("device", rows.DEVICE_PLAIN)
INSERT_LABELLED = _insertion("device", rows.DEVICE_WRITTEN)
INSERT_CREDENTIALS = _insertion("credential", rows.CREDENTIAL)
INSERT_CHANNELS = _insertion("channel", rows.CHANNEL_WRITTEN)
INSERT_CONFIGS = _insertion("config", rows.CONFIG_WRITTEN)
INSERT_DOCUMENTS = _insertion("config_document", rows.DOCUMENT)
INSERT_LISTED = _insertion("config_channel", rows.LISTED)
INSERT_TOKENS = _insertion("token", rows.TOKEN)
INSERT_EVENTS = _insertion("event", rows.EVENT)
COUNT_DEVICES = "UPDATE tenant SET devices = devices + ? WHERE id = ?"

REPLACE_TENANT = "UPDATE tenant SET (name, device_limit, created_at, version) = (?, ?, ?, ?) WHERE id = ?"
REPLACE_PROFILE = _replacement("profile", rows.PROFILE)
REPLACE_CREDENTIAL = _replacement("credential", rows.CREDENTIAL)
REPLACE_CHANNEL = _replacement("channel", rows.CHANNEL_WRITTEN)
REPLACE_CONFIG = _replacement("config", rows.CONFIG_WRITTEN)
REPLACE_DOCUMENT = "UPDATE config_document SET (content, certificates) = (?, ?) WHERE config = ?"
UNLIST = "DELETE FROM config_channel WHERE config = ?"
REPLACE_TOKEN = _replacement("token", rows.TOKEN)
# A statement rewrites the indexes of every column that it names, so the columns that hardly ever change have their own.
REPLACE_DEVICE = """UPDATE device SET (state, enabled, metadata, created_at, updated_at, version, label, folded)
    = (?, ?, ?, ?, ?, ?, ?, ?) WHERE id = ?"""
RENAME_DEVICE = "UPDATE device SET (profile, name) = (?, ?) WHERE id = ? AND (profile, name) <> (?, ?)"

# In the order of deletion: whatever points at a row goes before it. A device takes its credentials and its configuration along,
# a configuration its document and its channels, a channel its places in configurations.
DELETE: dict[Kind, tuple[str, ...]] = {
    Credential: ("DELETE FROM credential WHERE id = ?",),
    OperatorToken: ("DELETE FROM token WHERE id = ?",),
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
    if isinstance(entity, Device):
        connection.execute(REPLACE_DEVICE, (*rows.device_row(entity)[4:], *rows.label_row(entity), entity.id))
        connection.execute(RENAME_DEVICE, (entity.profile, entity.name, entity.id, entity.profile, entity.name))
    elif isinstance(entity, Credential):
        connection.execute(REPLACE_CREDENTIAL, (*rows.credential_row(entity)[1:], entity.id))
    elif isinstance(entity, Profile):
        connection.execute(REPLACE_PROFILE, (*rows.profile_row(entity)[1:], entity.id))
    elif isinstance(entity, OperatorToken):
        connection.execute(REPLACE_TOKEN, (*rows.token_row(entity)[1:], entity.id))
    elif isinstance(entity, Channel):
        connection.execute(REPLACE_CHANNEL, (*rows.channel_row(entity)[1:], entity.id))
    elif isinstance(entity, BootstrapConfig):
        _replace_config(connection, entity)
    else:
        row = (entity.name, entity.device_limit, entity.created_at, entity.version, entity.id)
        connection.execute(REPLACE_TENANT, row)


def _replace_config(connection: sqlite3.Connection, config: BootstrapConfig) -> None:
    connection.execute(REPLACE_CONFIG, (*rows.config_row(config)[1:], config.id))
    connection.execute(REPLACE_DOCUMENT, (config.content, config.certificates, config.id))
    connection.execute(UNLIST, (config.id,))
    INSERT_LISTED.run(connection, rows.listed_rows(config))


def insert(connection: sqlite3.Connection, accepted: Sequence[Changes]) -> None:
    """Put in what sets of changes insert, with their events; whatever is pointed at goes before what points at it."""
    added = [entity for changes in accepted for entity in changes.insert]
    INSERT_TENANTS.run(connection, [rows.tenant_row(entity) for entity in added if isinstance(entity, Tenant)])
    INSERT_PROFILES.run(connection, [rows.profile_row(entity) for entity in added if isinstance(entity, Profile)])
    _insert_devices(connection, [entity for entity in added if isinstance(entity, Device)])
    INSERT_CREDENTIALS.run(connection, [rows.credential_row(entity) for entity in added if isinstance(entity, Credential)])
    INSERT_CHANNELS.run(connection, [rows.channel_row(entity) for entity in added if isinstance(entity, Channel)])
    _insert_configs(connection, [entity for entity in added if isinstance(entity, BootstrapConfig)])
    INSERT_TOKENS.run(connection, [rows.token_row(entity) for entity in added if isinstance(entity, OperatorToken)])
    INSERT_EVENTS.run(connection, [rows.event_row(event) for changes in accepted for event in changes.events])


def _insert_devices(connection: sqlite3.Connection, added: Sequence[Device]) -> None:
    """Put in devices; most have no label and a name that folds to itself, and do not pay for the columns they leave empty."""
    plain: list[Row] = []
    labelled: list[Row] = []
    for device in added:
        label = rows.label_row(device)
        if label == (None, None):
            plain.append(rows.device_row(device))
        else:
            labelled.append(rows.device_row(device) + label)
    INSERT_DEVICES.run(connection, plain)
    INSERT_LABELLED.run(connection, labelled)


def _insert_configs(connection: sqlite3.Connection, added: Sequence[BootstrapConfig]) -> None:
    INSERT_CONFIGS.run(connection, list(map(rows.config_row, added)))
    INSERT_DOCUMENTS.run(connection, list(map(rows.document_row, added)))
    INSERT_LISTED.run(connection, [row for config in added for row in rows.listed_rows(config)])


def count(connection: sqlite3.Connection, accepted: Sequence[Changes]) -> None:
    """Keep each tenant's number of devices in step."""
    balance: dict[TenantId, int] = {}
    for changes in accepted:
        for tenant, growth in device_balance(changes).items():
            balance[tenant] = balance.get(tenant, 0) + growth
    for tenant, growth in balance.items():
        if growth:
            connection.execute(COUNT_DEVICES, (growth, tenant))
