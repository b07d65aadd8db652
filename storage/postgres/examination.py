"""The guards held against what a PostgreSQL database holds: what they will ask is fetched first, what else they ask after."""

from collections.abc import Sequence

from core.errors import Guard
from core.model import (
    Approval,
    BootstrapConfig,
    Channel,
    Credential,
    Device,
    DirectoryEntry,
    IssuedCertificate,
    OscoreState,
    PendingClaim,
    Profile,
    Tenant,
    Tombstone,
)
from core.ports import Changes, Entity
from storage.guards import Key, device_balance, examine, key_of, made_balance, organization_of
from storage.postgres.connections import Connection
from storage.postgres.facts import ApprovalsOf, CredentialsOf, EntityIs, EventIs, Facts, HolderOf, Question, Unknown
from storage.uniques import uniques

ROUNDS = 50
"""How often it is asked for what the guards turn out to want to know, which is seldom much that was not foreseen."""


async def examined(connection: Connection, group: Sequence[Changes], facts: Facts | None = None) -> list[Guard | None]:
    """Return for each of a group the first guard that would fail as things are now. Raises what asyncpg raises.

    `facts` are what is known already, such as rows that are locked.
    """
    known = facts if facts is not None else Facts()
    await known.fetch(connection, {question for changes in group for question in obvious(changes)})
    for _ in range(ROUNDS):
        guards: list[Guard | None] = []
        missing: set[Question] = set()
        for changes in group:
            try:
                guards.append(examine(changes, known))
            except Unknown as unknown:
                missing.add(unknown.question)
        if not missing:
            return guards
        await known.fetch(connection, missing)
    return [Guard.REFERENCE for _ in group]


def obvious(changes: Changes) -> set[Question]:
    """Return what the guards of changes will ask for in any case."""
    questions: set[Question] = set()
    for entity in (*changes.insert, *changes.replace):
        questions.add(EntityIs(key_of(entity)))
        questions.update(map(EntityIs, _anchors(entity)))
        questions.update(map(HolderOf, uniques(entity)))
    for entity in changes.insert:
        if isinstance(entity, Approval):
            questions.add(ApprovalsOf(entity.tenant, entity.stranger))
    for deletion in changes.delete:
        questions.update(_of_deletion(deletion.entity))
    questions.update(EntityIs((Tenant, tenant)) for tenant in device_balance(changes))
    questions.update(EntityIs((Profile, profile)) for profile in made_balance(changes))
    questions.update(EventIs(event.tenant, event.id) for event in changes.events)
    return questions


def _of_deletion(entity: Entity) -> list[Question]:
    questions: list[Question] = [EntityIs(key_of(entity))]
    if isinstance(entity, Device):
        questions += [EntityIs((BootstrapConfig, entity.id)), EntityIs((PendingClaim, entity.id)), CredentialsOf(entity.id)]
    if isinstance(entity, Credential):
        questions.append(EntityIs((OscoreState, entity.id)))
    return questions


def _anchors(entity: Entity) -> list[Key]:
    """Return what an entity points at."""
    keys: list[Key] = []
    if isinstance(entity, Device | Approval | Tombstone):
        keys.append((Profile, entity.profile))
    elif isinstance(entity, PendingClaim | BootstrapConfig):
        keys.append((Device, entity.id))
    elif isinstance(entity, Credential):
        keys.append((Device, entity.device))
    elif isinstance(entity, OscoreState):
        keys.append((Credential, entity.id))
    elif not isinstance(entity, Tenant | IssuedCertificate):
        keys.append((Tenant, entity.tenant))
    if isinstance(entity, BootstrapConfig):
        keys += [(Channel, channel) for channel in entity.channels]
    if organization_of(entity):
        keys.append((DirectoryEntry, organization_of(entity)))
    return keys
