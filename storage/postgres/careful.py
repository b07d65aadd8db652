"""Changes of any kind, each written in a transaction: locked first, examined then, written in the order of the port.

Whatever its guards depend on and no constraint keeps is locked, always in the same order, so that two gateways that write at
once wait for each other: rows that are replaced and deleted, tenants and profiles whose devices are counted, the tenant of
organisations that are related to something, and all approvals while one is added.
"""

from collections.abc import Iterable

from core.errors import Conflict
from core.model import Approval, BootstrapConfig, Device, DirectoryEntry, EntryKind, Profile, Tenant, Tombstone
from core.ports import Changes, Entity
from storage import rows, tables
from storage.guards import IN_ORGANIZATIONS, Kind, device_balance, made_balance
from storage.postgres import columns
from storage.postgres.columns import insertion, turned
from storage.postgres.connections import Connection
from storage.postgres.examination import examined
from storage.postgres.facts import Facts
from storage.postgres.spelling import spell
from storage.postgres.swift import add
from storage.uniques import marks

APPROVALS_LOCK = 0x46_4C_52_47_02
"""Of whoever adds an approval: how many there may be is counted (https://www.postgresql.org/docs/15/explicit-locking.html)."""

_WRITTEN, _GONE = "NO KEY UPDATE", "UPDATE"  # the weaker lets others go on to point at the row
_FREE_MARKS = {
    "tombstone_name": "DELETE FROM tombstone WHERE tenant = $1 AND name = $2 AND id <> $3",
    "tombstone_serial": "DELETE FROM tombstone WHERE profile = $1 AND serial = $2 AND serial IS NOT NULL AND id <> $3",
}


async def write_carefully(connection: Connection, changes: Changes, origin: str) -> None:
    """Write changes in a transaction of their own.

    Raises `Conflict` naming the first guard that fails, and what asyncpg raises; then nothing is written, unless the connection
    broke while the transaction ended.
    """
    async with connection.transaction():
        facts = Facts()
        await _lock(connection, changes, facts)
        (guard,) = await examined(connection, [changes], facts)
        if guard is not None:
            raise Conflict(guard)
        for kind in tables.DELETE:
            for entity in (deletion.entity for deletion in changes.delete if type(deletion.entity) is kind):
                await _delete(connection, entity)
        for entity in changes.replace:
            await _replace(connection, entity)
        for entity in changes.insert:
            if isinstance(entity, Tombstone):
                await _free_marks(connection, entity)
        await add(connection, changes, origin)


async def _lock(connection: Connection, changes: Changes, facts: Facts) -> None:
    if any(isinstance(entity, Approval) for entity in changes.insert):
        await connection.execute("SELECT pg_advisory_xact_lock($1)", APPROVALS_LOCK)
    written: dict[Kind, set[str]] = {Tenant: {*device_balance(changes), *_tenants_of_organizations(changes)}}
    written[Profile] = set(made_balance(changes))
    gone: dict[Kind, set[str]] = {}
    for entity in changes.replace:
        written.setdefault(type(entity), set()).add(entity.id)
    for deletion in changes.delete:
        gone.setdefault(type(deletion.entity), set()).add(deletion.entity.id)
    for kind in columns.INSERTED:
        for strength, ids in ((_GONE, gone.get(kind, set())), (_WRITTEN, written.get(kind, set()) - gone.get(kind, set()))):
            if ids:
                await facts.lock(connection, kind, sorted(ids), strength)


def _tenants_of_organizations(changes: Changes) -> Iterable[str]:
    """Yield the tenants within which something is put into an organisation, or one is moved or goes."""
    for entity in (*changes.insert, *changes.replace):
        if isinstance(entity, Device | DirectoryEntry) and (isinstance(entity, Device) or entity.kind in IN_ORGANIZATIONS):
            yield entity.tenant
    for deletion in changes.delete:
        if isinstance(deletion.entity, DirectoryEntry) and deletion.entity.kind is EntryKind.ORGANIZATION:
            yield deletion.entity.tenant


async def _delete(connection: Connection, entity: Entity) -> None:
    for statement in tables.DELETE[type(entity)]:
        await connection.execute(spell(statement), entity.id)


async def _replace(connection: Connection, entity: Entity) -> None:
    if isinstance(entity, Tombstone):
        await _free_marks(connection, entity)
    for statement, parameters in tables.replacements(entity):
        await connection.execute(spell(statement.replace("UPDATE OR REPLACE", "UPDATE")), *parameters)
    if isinstance(entity, BootstrapConfig) and entity.channels:
        await connection.execute(insertion(columns.LISTED), *turned(rows.listed_rows(entity)))


async def _free_marks(connection: Connection, tombstone: Tombstone) -> None:
    """Take out the tombstones whose place a new one takes."""
    for mark in marks(tombstone):
        await connection.execute(_FREE_MARKS[mark.trait], *mark.value, tombstone.id)
