"""What a PostgreSQL database holds, as the guards ask for it: fetched in bulk, because a guard cannot wait for an answer."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import count
from typing import NamedTuple

from core.model import (
    BootstrapConfig,
    Channel,
    ChannelId,
    Credential,
    Device,
    DeviceId,
    DirectoryEntry,
    Event,
    OscoreState,
    Profile,
    ProfileId,
    Tenant,
    TenantId,
)
from core.ports import Entity
from storage import approvals, directory_rows, rows, stored
from storage.guards import Allowance, Key, Kind
from storage.postgres.connections import Connection, fetched
from storage.postgres.spelling import spell
from storage.uniques import Unique

_CONFIGS = f"""SELECT {rows.CONFIG} FROM config JOIN config_document ON config_document.config = config.id
    WHERE config.id = ANY ($1::text[])"""
_LISTED = "SELECT config, channel FROM config_channel WHERE config = ANY ($1::text[]) ORDER BY config, place"
_CREDENTIALS = f"SELECT {rows.CREDENTIAL} FROM credential WHERE device = ANY ($1::text[]) ORDER BY id"
# With all that they are below of: the way up is asked for step by step.
_ENTRIES = f"""WITH RECURSIVE way (id, parent) AS (SELECT id, parent FROM entry WHERE id = ANY ($1::text[])
    UNION SELECT entry.id, entry.parent FROM way JOIN entry ON entry.id = way.parent)
    SELECT {directory_rows.ENTRY} FROM entry WHERE id = ANY (ARRAY (SELECT way.id FROM way))"""
_EVENTS = """SELECT event.tenant, event.id FROM unnest($1::text[], $2::text[]) AS asked (tenant, id)
    JOIN event ON event.tenant = asked.tenant AND event.id = asked.id"""


class EntityIs(NamedTuple):
    """Asks what is stored under a key."""

    key: Key


class HolderOf(NamedTuple):
    """Asks who holds a unique value."""

    unique: Unique


class CredentialsOf(NamedTuple):
    """Asks for the credentials of a device."""

    device: DeviceId


class ApprovalsOf(NamedTuple):
    """Asks how many approvals a tenant and a source have."""

    tenant: TenantId
    stranger: str


class DependantsOf(NamedTuple):
    """Asks what points at an entity."""

    key: Key
    limit: int


class EventIs(NamedTuple):
    """Asks whether an event is stored."""

    tenant: TenantId
    id: str


Question = EntityIs | HolderOf | CredentialsOf | ApprovalsOf | DependantsOf | EventIs


class Unknown(Exception):
    """Guards ask for what was not fetched yet."""

    def __init__(self, question: Question) -> None:
        super().__init__(question)
        self.question = question


class Facts:
    """Knows what was fetched, and raises `Unknown` for all else. Satisfies `storage.guards.Stored`."""

    def __init__(self) -> None:
        self._entities: dict[Key, Entity | None] = {}
        self._holders: dict[Unique, str | None] = {}
        self._credentials: dict[DeviceId, tuple[Credential, ...]] = {}
        self._approvals: dict[ApprovalsOf, tuple[int, int]] = {}
        self._dependants: dict[DependantsOf, tuple[Key, ...]] = {}
        self._events: dict[EventIs, bool] = {}

    def entity(self, key: Key) -> Entity | None:
        """Return an entity as it is stored."""
        if key not in self._entities:
            raise Unknown(EntityIs(key))
        return self._entities[key]

    def has(self, key: Key) -> bool:
        """Tell whether an entity is stored."""
        return self.entity(key) is not None

    def has_event(self, event: Event) -> bool:
        """Tell whether an event of this id is stored."""
        question = EventIs(event.tenant, event.id)
        if question not in self._events:
            raise Unknown(question)
        return self._events[question]

    def holder(self, unique: Unique) -> str | None:
        """Return the id of the entity that holds a unique value."""
        if unique not in self._holders:
            raise Unknown(HolderOf(unique))
        return self._holders[unique]

    def tenant(self, tenant: TenantId) -> Tenant | None:
        """Return a tenant with its number of devices."""
        found = self.entity((Tenant, tenant))
        return found if isinstance(found, Tenant) else None

    def allowance(self, profile: ProfileId) -> Allowance | None:
        """Return what the claim key of a stored profile has made and may make, None where nobody counts."""
        found = self.entity((Profile, profile))
        if not isinstance(found, Profile) or found.made is None:
            return None
        return Allowance(found.made, found.claims.allowance if found.claims is not None else None)

    def tenant_of(self, key: Key) -> str | None:
        """Return the tenant of a stored profile, device, channel or entry."""
        found = self.entity(key)
        return found.tenant if isinstance(found, Profile | Device | Channel | DirectoryEntry) else None

    def credentials(self, device: DeviceId) -> Iterable[Credential]:
        """Return the credentials of a device."""
        if device not in self._credentials:
            raise Unknown(CredentialsOf(device))
        return self._credentials[device]

    def approvals(self, tenant: TenantId, stranger: str) -> tuple[int, int]:
        """Return how many approvals a source has asked for and a tenant has."""
        question = ApprovalsOf(tenant, stranger)
        if question not in self._approvals:
            raise Unknown(question)
        return self._approvals[question]

    def dependants(self, key: Key, limit: int) -> Iterable[Key]:
        """Return at most `limit` of each kind of the entities that point at another."""
        question = DependantsOf(key, limit)
        if question not in self._dependants:
            raise Unknown(question)
        return self._dependants[question]

    async def fetch(self, connection: Connection, questions: Iterable[Question]) -> None:
        """Ask the database what is not known yet, each kind of question by one statement. Raises what asyncpg raises."""
        asked = set(questions)
        await self._fetch_credentials(connection, [each.device for each in asked if isinstance(each, CredentialsOf)])
        keys = {each.key for each in asked if isinstance(each, EntityIs)} - self._entities.keys()
        await self._fetch_entities(connection, keys)
        holders = {each.unique for each in asked if isinstance(each, HolderOf)} - self._holders.keys()
        await self._fetch_holders(connection, holders)
        await self._fetch_events(connection, [each for each in asked if isinstance(each, EventIs)])
        for question in asked:
            if isinstance(question, ApprovalsOf):
                self._approvals[question] = await _count_approvals(connection, question)
            elif isinstance(question, DependantsOf):
                self._dependants[question] = await _dependants(connection, question)

    async def lock(self, connection: Connection, kind: Kind, ids: Sequence[str], strength: str) -> None:
        """Lock rows until the transaction ends, in the order of their ids, and know them as they are from then on."""
        if kind is BootstrapConfig:
            await connection.execute(f"SELECT 1 FROM config WHERE id = ANY ($1::text[]) ORDER BY id FOR {strength}", list(ids))
            await self._fetch_configs(connection, list(ids))
            return
        statement, entity = stored.ENTITY[kind]
        found = await fetched(connection, f"{_of_ids(statement)} ORDER BY id FOR {strength}", list(ids))
        self._entities |= dict.fromkeys(((kind, each) for each in ids), None)
        self._entities |= {(kind, row[0]): entity(row) for row in found}

    async def _fetch_entities(self, connection: Connection, keys: Iterable[Key]) -> None:
        of_kinds: dict[Kind, list[str]] = {}
        for kind, identity in keys:
            of_kinds.setdefault(kind, []).append(identity)
        for kind, ids in of_kinds.items():
            if kind is BootstrapConfig:
                await self._fetch_configs(connection, ids)
                continue
            statement, entity = stored.ENTITY[kind]
            text = _ENTRIES if kind is DirectoryEntry else _of_ids(statement)
            self._entities |= dict.fromkeys(((kind, each) for each in ids), None)
            self._entities |= {(kind, row[0]): entity(row) for row in await fetched(connection, text, ids)}

    async def _fetch_configs(self, connection: Connection, ids: list[str]) -> None:
        listed: dict[str, list[ChannelId]] = {}
        for config, channel in await fetched(connection, _LISTED, ids):
            listed.setdefault(config, []).append(channel)
        self._entities |= dict.fromkeys(((BootstrapConfig, each) for each in ids), None)
        for row in await fetched(connection, _CONFIGS, ids):
            self._entities[BootstrapConfig, row[0]] = rows.config(row, tuple(listed.get(row[0], ())))

    async def _fetch_credentials(self, connection: Connection, devices: list[DeviceId]) -> None:
        if not devices:
            return
        found: dict[DeviceId, list[Credential]] = {device: [] for device in devices}
        for row in await fetched(connection, _CREDENTIALS, devices):
            found[row[1]].append(rows.credential(row))
        for device, credentials in found.items():
            self._credentials[device] = tuple(credentials)
            self._entities |= {(Credential, each.id): each for each in credentials}
        states: set[Key] = {(OscoreState, each.id) for held in found.values() for each in held}
        await self._fetch_entities(connection, states)

    async def _fetch_holders(self, connection: Connection, wanted: Iterable[Unique]) -> None:
        of_traits: dict[str, list[Unique]] = {}
        for unique in wanted:
            of_traits.setdefault(unique.trait, []).append(unique)
        for trait, some in of_traits.items():
            values = [each.value if isinstance(each.value, tuple) else (each.value,) for each in some]
            types = tuple("bytea" if isinstance(value, bytes) else "text" for value in values[0])
            found = await fetched(connection, _holders(trait, types), *(list(column) for column in zip(*values, strict=True)))
            self._holders |= dict.fromkeys(some, None)
            self._holders |= {some[place - 1]: holder for place, holder in found}

    async def _fetch_events(self, connection: Connection, asked: list[EventIs]) -> None:
        if not asked:
            return
        found = await fetched(connection, _EVENTS, [each.tenant for each in asked], [each.id for each in asked])
        self._events |= dict.fromkeys(asked, False)
        self._events |= {EventIs(tenant, event): True for tenant, event in found}


@lru_cache(maxsize=64)
def _of_ids(statement: str) -> str:
    return statement.replace("WHERE id = ?", "WHERE id = ANY ($1::text[])")


@lru_cache(maxsize=64)
def _holders(trait: str, types: tuple[str, ...]) -> str:
    """Return the statement for the holders of many values: pairs of the place of a value, from 1 on, and its holder."""
    places = map("asked.c{}".format, count(1))
    statement = re.sub(r"\$\d+", lambda _: next(places), spell(stored.HOLDER[trait]))
    columns = [f"c{place}" for place in range(1, len(types) + 1)]
    arrays = ", ".join(f"${place}::{name}[]" for place, name in enumerate(types, 1))
    return f"""SELECT asked.place, held.id FROM unnest({arrays}) WITH ORDINALITY AS asked ({", ".join(columns)}, place)
        CROSS JOIN LATERAL ({statement}) held"""


async def _count_approvals(connection: Connection, question: ApprovalsOf) -> tuple[int, int]:
    of_source = await connection.fetchval(spell(approvals.OF_SOURCE), question.stranger)
    of_tenant = await connection.fetchval(spell(approvals.OF_TENANT), question.tenant)
    return of_source, of_tenant


async def _dependants(connection: Connection, question: DependantsOf) -> tuple[Key, ...]:
    found: list[Key] = []
    for kind, statement in stored.DEPENDANTS[question.key[0]]:
        rows_found = await fetched(connection, spell(statement), question.key[1], question.limit)
        found += [(kind, row[0]) for row in rows_found]
    return tuple(found)
