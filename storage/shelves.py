"""What the memory store keeps: the entities as dictionaries, with what is needed to find them."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar, cast

import msgspec

from core.model import (
    Approval,
    BootstrapConfig,
    Channel,
    ChannelId,
    Credential,
    Device,
    DeviceId,
    DirectoryEntry,
    Event,
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
from storage.guards import Allowance, Key, device_balance, key_of, made_balance, organization_of
from storage.uniques import Unique, marks, uniques

E = TypeVar(
    "E",
    Tenant,
    Profile,
    Device,
    IssuedCertificate,
    Approval,
    Tombstone,
    Channel,
    BootstrapConfig,
    DirectoryEntry,
    OperatorToken,
)


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

    def channel(self, channel: str) -> Channel | None:
        """Return a channel."""
        return cast("Channel | None", self.entities.get((Channel, channel)))

    def config(self, device: str | None) -> BootstrapConfig | None:
        """Return the configuration of a device."""
        return cast("BootstrapConfig | None", self.entities.get((BootstrapConfig, device or "")))

    def oscore(self, credential: str) -> OscoreState | None:
        """Return how far the OSCORE context of a credential has come."""
        return cast("OscoreState | None", self.entities.get((OscoreState, credential)))

    def claim(self, device: str | None) -> PendingClaim | None:
        """Return the pending claim of a device."""
        return cast("PendingClaim | None", self.entities.get((PendingClaim, device or "")))

    def approval(self, approval: str | None) -> Approval | None:
        """Return what a device waits for."""
        return cast("Approval | None", self.entities.get((Approval, approval or "")))

    def approvals(self, tenant: TenantId, stranger: str) -> tuple[int, int]:
        """Return how many approvals a source has asked for and a tenant has."""
        of_tenant = sum(approval.tenant == tenant for approval in self.of(Approval))
        return sum(approval.stranger == stranger for approval in self.of(Approval)), of_tenant

    def allowance(self, profile: ProfileId) -> Allowance | None:
        """Return what the claim key of a stored profile has made and may make, None where nobody counts."""
        found = self.profile(profile)
        if found is None or found.made is None:
            return None
        return Allowance(found.made, found.claims.allowance if found.claims is not None else None)

    def tombstone(self, tombstone: str | None) -> Tombstone | None:
        """Return a tombstone."""
        return cast("Tombstone | None", self.entities.get((Tombstone, tombstone or "")))

    def entry(self, entry: str | None) -> DirectoryEntry | None:
        """Return an entry of the directory."""
        return cast("DirectoryEntry | None", self.entities.get((DirectoryEntry, entry or "")))

    def tenant_of(self, key: Key) -> str | None:
        """Return the tenant of a stored profile, device, channel or entry."""
        return getattr(self.entities.get(key), "tenant", None)

    def credentials(self, device: DeviceId) -> tuple[Credential, ...]:
        """Return the credentials of a device, oldest first."""
        return tuple(cast("Credential", self.entities[Credential, owned]) for owned in sorted(self.owned.get(device, ())))

    def dependants(self, key: Key, limit: int) -> Iterable[Key]:
        """Return at most `limit` of the entities that point at a profile or organisation, or those of a tenant."""
        if key[0] is DirectoryEntry:
            return islice((other for other, entity in self.entities.items() if organization_of(entity) == key[1]), limit)
        field = "profile" if key[0] is Profile else "tenant"
        pointing = (other for other, entity in self.entities.items() if getattr(entity, field, None) == key[1])
        return islice((other for other in pointing if other[0] not in (IssuedCertificate, Approval, Tombstone)), limit)

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
            self._put(self._as_counted(entity, before))
        for entity in changes.insert:
            self._put(self._as_counted(entity, None))
        for tenant, growth in device_balance(changes).items():
            self._count(tenant, growth)
        for profile, growth in made_balance(changes).items():
            self._count_made(profile, growth)
        self.events.update({(event.tenant, event.id): event for event in changes.events})

    def forget_issued(self, before: int, most: int) -> None:
        """Remove at most so many of the certificates whose time ended before this."""
        for certificate in list(islice((each for each in self.of(IssuedCertificate) if each.not_after < before), most)):
            self._remove(key_of(certificate))

    def forget_approvals(self, before: int, most: int) -> None:
        """Remove at most so many of the approvals whose time ended before this."""
        for approval in list(islice((each for each in self.of(Approval) if each.expires_at < before), most)):
            self._remove(key_of(approval))

    def forget_tombstones(self, before: int, most: int) -> None:
        """Remove at most so many of the tombstones that were made before this."""
        for tombstone in list(islice((each for each in self.of(Tombstone) if each.created_at < before), most)):
            self._remove(key_of(tombstone))

    def _as_counted(self, entity: Entity, before: Entity | None) -> Entity:
        """Return an entity with what the store counts, which is what it was."""
        if type(entity) is Tenant:
            return msgspec.structs.replace(entity, devices=before.devices if isinstance(before, Tenant) else 0)
        if type(entity) is Profile:
            made = before.made if isinstance(before, Profile) else None
            if made is None and entity.claims is not None:
                made = sum(device.profile == entity.id for device in self.of(Device))
            return msgspec.structs.replace(entity, made=made)
        return entity

    def _put(self, entity: Entity) -> None:
        if type(entity) is Tombstone:
            for mark in marks(entity):
                self._remove((Tombstone, self.holders.get(mark, "")))
                self.holders[mark] = entity.id
        self.entities[key_of(entity)] = entity
        for unique in uniques(entity):
            self.holders[unique] = entity.id
        if type(entity) is Credential:
            self.owned.setdefault(entity.device, {})[entity.id] = None

    def _release(self, entity: Entity) -> None:
        for unique in uniques(entity) if not isinstance(entity, Tombstone) else marks(entity):
            del self.holders[unique]

    def _remove(self, key: Key) -> None:
        entity = self.entities.pop(key, None)
        if entity is None:
            return  # it went with what it hangs on, or that never had one
        self._release(entity)
        if isinstance(entity, Device):
            for credential in self.credentials(entity.id):
                self._remove(key_of(credential))
            self.owned.pop(entity.id, None)
            self._remove((BootstrapConfig, entity.id))
            self._remove((PendingClaim, entity.id))
        elif isinstance(entity, Credential):
            del self.owned[entity.device][entity.id]
            self._remove((OscoreState, entity.id))
        elif isinstance(entity, Channel):
            self._unlist(entity.id)
        elif isinstance(entity, Profile):
            of_profile: tuple[Approval | Tombstone, ...] = (*self.of(Approval), *self.of(Tombstone))
            for waiting in [each for each in of_profile if each.profile == entity.id]:
                self._remove(key_of(waiting))

    def _unlist(self, channel: ChannelId) -> None:
        """Make the next version of each configuration that lists a channel, without it."""
        for config in [config for config in self.of(BootstrapConfig) if channel in config.channels]:
            left = tuple(listed for listed in config.channels if listed != channel)
            self.entities[BootstrapConfig, config.id] = msgspec.structs.replace(
                config, channels=left, version=config.version + 1
            )

    def _count_made(self, profile: ProfileId, growth: int) -> None:
        before = self.profile(profile)
        if before is not None and before.made is not None:
            self.entities[Profile, profile] = msgspec.structs.replace(before, made=before.made + growth)

    def _count(self, tenant: TenantId, growth: int) -> None:
        before = self.tenant(tenant)
        if before is not None:
            self.entities[Tenant, tenant] = msgspec.structs.replace(before, devices=before.devices + growth)
