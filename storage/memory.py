"""The registry as dictionaries, for tests and demonstrations: nothing outlives the process."""

import heapq
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, TypeVar, cast

import msgspec

from core.errors import Conflict
from core.model import (
    DEFAULT_TENANT,
    Credential,
    Device,
    DeviceId,
    Event,
    Lookup,
    OperatorToken,
    Profile,
    ProfileId,
    Tenant,
    TenantId,
)
from core.ports import (
    Changes,
    ClaimQuery,
    ClaimSnapshot,
    DeviceNamesQuery,
    DevicePage,
    DeviceQuery,
    DeviceSnapshot,
    Entity,
    EventPage,
    LoginQuery,
    LoginSnapshot,
    ProfilePage,
    ProfileQuery,
    Query,
    TenantQuery,
    TokenPage,
    TokenQuery,
)
from storage import refusals
from storage.bounds import PRUNED_AT_ONCE, page_size
from storage.guards import Key, Unique, device_balance, examine, key_of, uniques

S = TypeVar("S")
E = TypeVar("E", Profile, Device, OperatorToken)
P = TypeVar("P", Profile, Device, OperatorToken, Event)


class Shelves:
    """The entities by kind and id, with what is needed to find them otherwise. Satisfies `storage.guards.Stored`."""

    def __init__(self) -> None:
        self.entities: dict[Key, Entity] = {}
        self.holders: dict[Unique, str] = {}
        self.owned: dict[DeviceId, dict[str, None]] = {}
        self.events: dict[tuple[TenantId, str], Event] = {}  # in the order of commits, the oldest first

    def entity(self, key: Key) -> Entity | None:
        """Return an entity as it is stored."""
        return self.entities.get(key)

    def has(self, key: Key) -> bool:
        """Tell whether an entity is stored."""
        return key in self.entities

    def has_event(self, event: Event) -> bool:
        """Tell whether an event of this id is stored."""
        return (event.tenant, event.id) in self.events

    def holder(self, unique: Unique) -> str | None:
        """Return the id of the entity that holds a unique value."""
        return self.holders.get(unique)

    def tenant(self, tenant: TenantId) -> Tenant | None:
        """Return a tenant with its number of devices."""
        return cast("Tenant | None", self.entities.get((Tenant, tenant)))

    def profile(self, profile: str | None) -> Profile | None:
        """Return a profile."""
        return cast("Profile | None", self.entities.get((Profile, profile or "")))

    def device(self, device: str | None) -> Device | None:
        """Return a device."""
        return cast("Device | None", self.entities.get((Device, device or "")))

    def tenant_of(self, profile: ProfileId) -> TenantId | None:
        """Return the tenant of a profile."""
        stored = self.profile(profile)
        return None if stored is None else stored.tenant

    def credentials(self, device: DeviceId) -> tuple[Credential, ...]:
        """Return the credentials of a device, oldest first."""
        return tuple(cast("Credential", self.entities[Credential, owned]) for owned in sorted(self.owned.get(device, ())))

    def dependants(self, key: Key, limit: int) -> Iterable[Key]:
        """Return at most `limit` of the entities that point at a profile, or those of a tenant."""
        field = "profile" if key[0] is Profile else "tenant"
        return islice((other for other, entity in self.entities.items() if getattr(entity, field, None) == key[1]), limit)

    def of(self, kind: type[E]) -> Iterator[E]:
        """Yield the entities of a kind, in no particular order."""
        return (entity for entity in self.entities.values() if isinstance(entity, kind))

    def write(self, changes: Changes) -> None:
        """Make changes that passed every guard."""
        for deletion in changes.delete:
            self._remove(key_of(deletion.entity))
        for entity in changes.replace:
            before = self.entities[key_of(entity)]
            self._release(before)
            self._put(entity, before.devices if isinstance(before, Tenant) else 0)
        for entity in changes.insert:
            self._put(entity, 0)
        for tenant, growth in device_balance(changes).items():
            self._count(tenant, growth)
        self.events.update({(event.tenant, event.id): event for event in changes.events})

    def _put(self, entity: Entity, devices: int) -> None:
        if isinstance(entity, Tenant):
            entity = msgspec.structs.replace(entity, devices=devices)
        self.entities[key_of(entity)] = entity
        for unique in uniques(entity):
            self.holders[unique] = entity.id
        if isinstance(entity, Credential):
            self.owned.setdefault(entity.device, {})[entity.id] = None

    def _release(self, entity: Entity) -> None:
        for unique in uniques(entity):
            del self.holders[unique]

    def _remove(self, key: Key) -> None:
        entity = self.entities.pop(key, None)
        if entity is None:
            return  # a credential that went with its device
        self._release(entity)
        if isinstance(entity, Device):
            for credential in self.credentials(entity.id):
                self._remove(key_of(credential))
            self.owned.pop(entity.id, None)
        elif isinstance(entity, Credential):
            del self.owned[entity.device][entity.id]

    def _count(self, tenant: TenantId, growth: int) -> None:
        before = self.tenant(tenant)
        if before is not None:
            self.entities[Tenant, tenant] = msgspec.structs.replace(before, devices=before.devices + growth)


class MemoryRepository:
    """A `core.ports.Repository` that keeps everything in this process."""

    def __init__(self) -> None:
        self._shelves = Shelves()
        self._closed = False
        self._answers: dict[type[Query[Any]], Callable[[Any], Any]] = {
            ClaimQuery: self._claim,
            LoginQuery: self._logins,
            DeviceQuery: self._device,
            DeviceNamesQuery: self._devices_named,
            DevicePage: self._device_page,
            TenantQuery: lambda query: self._shelves.tenant(query.id),
            ProfileQuery: self._profile,
            ProfilePage: lambda query: self._page(Profile, query),
            TokenQuery: self._token,
            TokenPage: lambda query: self._page(OperatorToken, query),
            EventPage: self._event_page,
        }
        self._shelves.write(
            Changes(insert=(Tenant(id=DEFAULT_TENANT, name="default", created_at=time.time_ns() // 1_000_000),))
        )

    async def read(self, query: Query[S]) -> S:
        """Answer a query from committed state."""
        self._require_open()
        return cast("S", self._answers[type(query)](query))

    async def commit(self, changes: Changes) -> None:
        """Write all of the changes or none."""
        self._require_open()
        guard = examine(changes, self._shelves)
        if guard is not None:
            raise Conflict(guard)
        self._shelves.write(changes)

    async def prune_events(self, keep: int) -> int:
        """Forget the oldest events beyond the newest `keep`; returns how many went."""
        self._require_open()
        events = self._shelves.events
        surplus = list(islice(events, min(max(len(events) - max(keep, 0), 0), PRUNED_AT_ONCE)))
        for key in surplus:
            del events[key]
        return len(surplus)

    async def check(self) -> None:
        """Prove that the store can be written."""
        self._require_open()

    async def close(self) -> None:
        """Refuse whatever is asked from now on."""
        self._closed = True

    def _require_open(self) -> None:
        if self._closed:
            raise refusals.closed()

    def _snapshot(self, device: Device | None) -> DeviceSnapshot | None:
        profile = self._shelves.profile(device.profile) if device is not None else None
        if device is None or profile is None:
            return None
        return DeviceSnapshot(device=device, profile=profile, credentials=self._shelves.credentials(device.id))

    def _named(self, tenant: TenantId, name: str) -> Device | None:
        return self._shelves.device(self._shelves.holder(Unique("device_name", (tenant, name))))

    def _claim(self, query: ClaimQuery) -> ClaimSnapshot:
        taken = query.lookup is not None and self._shelves.holder(Unique("credential_lookup", query.lookup)) is not None
        profile = self._shelves.profile(self._shelves.holder(Unique("profile_key", query.provision_key)))
        if profile is None:
            return ClaimSnapshot(lookup_taken=taken)
        device = self._named(profile.tenant, query.device_name) if query.device_name else None
        return ClaimSnapshot(
            tenant=self._shelves.tenant(profile.tenant),
            profile=profile,
            device=device,
            credentials=self._shelves.credentials(device.id) if device is not None else (),
            lookup_taken=taken,
        )

    def _logins(self, query: LoginQuery) -> tuple[LoginSnapshot | None, ...]:
        return tuple(self._login(lookup) for lookup in query.lookups)

    def _login(self, lookup: Lookup) -> LoginSnapshot | None:
        credential = self._shelves.entity((Credential, self._shelves.holder(Unique("credential_lookup", lookup)) or ""))
        if not isinstance(credential, Credential):
            return None
        found = self._snapshot(self._shelves.device(credential.device))
        return LoginSnapshot(credential=credential, device=found.device, profile=found.profile) if found is not None else None

    def _device(self, query: DeviceQuery) -> DeviceSnapshot | None:
        device = self._shelves.device(query.id)
        return self._snapshot(device) if device is not None and device.tenant == query.tenant else None

    def _devices_named(self, query: DeviceNamesQuery) -> tuple[DeviceSnapshot | None, ...]:
        return tuple(self._snapshot(self._named(query.tenant, name)) for name in query.names)

    def _device_page(self, query: DevicePage) -> tuple[Device, ...]:
        found = (
            device
            for device in self._shelves.of(Device)
            if device.tenant == query.tenant
            and device.name.startswith(query.name or "")
            and query.profile in (None, device.profile)
            and query.state in (None, device.state)
        )
        return _first(found, query.after, query.limit)

    def _profile(self, query: ProfileQuery) -> Profile | None:
        by_id = self._shelves.profile(query.id_or_name)
        if by_id is not None and by_id.tenant == query.tenant:
            return by_id
        return self._shelves.profile(self._shelves.holder(Unique("profile_name", (query.tenant, query.id_or_name))))

    def _token(self, query: TokenQuery) -> OperatorToken | None:
        holder = self._shelves.holder(Unique("token_lookup", query.lookup))
        return cast("OperatorToken | None", self._shelves.entity((OperatorToken, holder or "")))

    def _page(self, kind: type[E], query: ProfilePage | TokenPage) -> tuple[E, ...]:
        return _first((entity for entity in self._shelves.of(kind) if entity.tenant == query.tenant), query.after, query.limit)

    def _event_page(self, query: EventPage) -> tuple[Event, ...]:
        found = (
            event
            for event in self._shelves.events.values()
            if event.tenant == query.tenant
            and query.correlation in (None, event.correlation)
            and query.device in (None, event.device)
            and query.profile in (None, event.profile)
            and query.kind in (None, event.kind)
        )
        if not query.newest:
            return _first(found, query.after, query.limit)
        older = (event for event in found if query.after is None or event.id < query.after)
        return tuple(heapq.nlargest(page_size(query.limit), older, key=lambda event: event.id))


def _first(entities: Iterable[P], after: str | None, limit: int) -> tuple[P, ...]:
    later = (entity for entity in entities if after is None or entity.id > after)
    return tuple(heapq.nsmallest(page_size(limit), later, key=lambda entity: entity.id))
