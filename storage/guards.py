"""What must hold before a set of changes is written, said once for every store."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

from core.errors import Guard
from core.limits import APPROVALS, APPROVALS_OF_SOURCE
from core.model import (
    Approval,
    BootstrapConfig,
    Channel,
    Credential,
    Device,
    DeviceId,
    DirectoryEntry,
    EntryKind,
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
from storage.uniques import GUARDS, Unique, uniques

Kind = (
    type[Tenant]
    | type[Profile]
    | type[Device]
    | type[Credential]
    | type[OscoreState]
    | type[IssuedCertificate]
    | type[PendingClaim]
    | type[Approval]
    | type[Tombstone]
    | type[Channel]
    | type[BootstrapConfig]
    | type[DirectoryEntry]
    | type[OperatorToken]
)

Key = tuple[Kind, str]
"""An entity by kind and id: ids of different kinds may be alike."""

IN_ORGANIZATIONS = (EntryKind.ORGANIZATION, EntryKind.END_USER, EntryKind.ACCOUNT_USER)
"""The kinds of entries whose parent is an organisation."""

LEVELS = 64
"""How far up it is looked for an organisation within itself; one that is moved deeper is not written."""


Held = dict[Unique, str | None]
"""Unique values with the ids of the entities that hold them, None where nobody does any more."""


class Allowance(NamedTuple):
    """How many devices a claim key has made, and how many it may make in all (None: any number)."""

    made: int
    budget: int | None


class Present(Protocol):
    """What a store holds at the moment of a commit, as far as additions ask for it."""

    def has(self, key: Key) -> bool:
        """Tell whether an entity is stored."""
        ...

    def has_event(self, event: Event) -> bool:
        """Tell whether an event of this id is stored."""
        ...

    def holder(self, unique: Unique) -> str | None:
        """Return the id of the entity that holds a unique value."""
        ...

    def tenant(self, tenant: TenantId) -> Tenant | None:
        """Return a tenant with its number of devices."""
        ...

    def allowance(self, profile: ProfileId) -> Allowance | None:
        """Return what the claim key of a stored profile has made and may make, None where nobody counts."""
        ...

    def tenant_of(self, key: Key) -> str | None:
        """Return the tenant of a stored profile, device, channel or entry."""
        ...


class Stored(Present, Protocol):
    """What a store holds at the moment of a commit."""

    def entity(self, key: Key) -> Entity | None:
        """Return an entity as it is stored."""
        ...

    def credentials(self, device: DeviceId) -> Iterable[Credential]:
        """Return the credentials of a device."""
        ...

    def approvals(self, tenant: TenantId, stranger: str) -> tuple[int, int]:
        """Return how many approvals a source has asked for and a tenant has; beyond what may be nobody need count."""
        ...

    def dependants(self, key: Key, limit: int) -> Iterable[Key]:
        """Return at most `limit` of each kind of the entities that point at a profile or organisation, or those of a tenant."""
        ...


def examine(changes: Changes, stored: Stored) -> Guard | None:
    """Return the first guard that would fail, None where all of the changes may be written.

    Versions come first, then references, unique values and the tenants' limits. An insertion under an id that is taken is
    reported as a version too, last of all: ids are drawn, so it never happens to those who draw them. The ids that are not
    drawn are unique values (`storage.uniques`).

    A channel that is deleted makes the next version of each configuration that lists it. So a replacement of such a
    configuration in the same changes comes too late, whatever channels it lists itself: that is a version, too.
    """
    if only_adds(changes):
        return examine_additions(changes, stored)
    if not _versions_hold(changes, stored):
        return Guard.VERSION
    gone = _gone(changes, stored)
    if not (_unused(changes, gone, stored) and _unmoved(changes, stored) and _anchors_hold(changes, gone, stored)):
        return Guard.REFERENCE
    if not (_organizations_hold(changes, gone, stored) and _nothing_within_itself(changes, stored)):
        return Guard.REFERENCE
    for unique in _taken(changes, gone, stored):
        return GUARDS[unique.trait]
    if not _have_room([entity for entity in changes.insert if isinstance(entity, Approval)], stored):
        return Guard.APPROVAL_ROOM
    return _last_of_all(changes, gone, stored)


def _have_room(added: Sequence[Approval], stored: Stored) -> bool:
    """Tell whether more devices may wait; those that leave in the same changes still count."""
    for tenant, stranger in {(each.tenant, each.stranger) for each in added}:
        of_source, of_tenant = stored.approvals(tenant, stranger)
        of_source += sum(each.stranger == stranger for each in added)
        of_tenant += sum(each.tenant == tenant for each in added)
        if of_source > APPROVALS_OF_SOURCE or of_tenant > APPROVALS:
            return False
    return True


def only_adds(changes: Changes) -> bool:
    """Tell whether changes add devices that are nobody's, credentials and events and nothing else: what devices do all day."""
    if changes.replace or changes.delete:
        return False
    for entity in changes.insert:
        # Where it says no, `isinstance` asks the metaclass of these structs, at five times the price.
        if type(entity) is not Credential and (type(entity) is not Device or entity.owner):
            return False
    return True


def examine_additions(changes: Changes, present: Present, held: Held | None = None) -> Guard | None:
    """Do what `examine` does for changes that `only_adds` is true of: they leave most of its guards nothing to look at.

    Where all may be written, `held` has the unique values of what is added.
    """
    if not _anchors_hold(changes, (), present):
        return Guard.REFERENCE
    for unique in _taken_by(changes.insert, {} if held is None else held, present):
        return GUARDS[unique.trait]
    return _last_of_all(changes, (), present)


def device_balance(changes: Changes) -> dict[TenantId, int]:
    """Return by how much the changes alter each tenant's number of devices."""
    balance: dict[TenantId, int] = {}
    for entity in changes.insert:
        if type(entity) is Device:
            balance[entity.tenant] = balance.get(entity.tenant, 0) + 1
    for deletion in changes.delete:
        if type(deletion.entity) is Device:
            balance[deletion.entity.tenant] = balance.get(deletion.entity.tenant, 0) - 1
    return balance


def made_balance(changes: Changes) -> dict[ProfileId, int]:
    """Return how many devices the changes make by a profile's claim key."""
    if changes.made_by is None:
        return {}
    made = 0
    for entity in changes.insert:
        if type(entity) is Device:
            made += 1
    return {changes.made_by: made}


def key_of(entity: Entity) -> Key:
    """Return an entity's kind and id."""
    return type(entity), entity.id


def _gone(changes: Changes, stored: Stored) -> set[Key]:
    gone = {key_of(deletion.entity) for deletion in changes.delete}
    for deletion in changes.delete:
        if isinstance(deletion.entity, Device):
            gone.update(key_of(credential) for credential in stored.credentials(deletion.entity.id))
            gone.update(((BootstrapConfig, deletion.entity.id), (PendingClaim, deletion.entity.id)))
    gone.update([(OscoreState, key[1]) for key in gone if key[0] is Credential])
    return gone


def _versions_hold(changes: Changes, stored: Stored) -> bool:
    expected = [(key_of(deletion.entity), deletion.entity.version) for deletion in changes.delete]
    expected += [(key_of(entity), entity.version - 1) for entity in changes.replace]
    if len({key for key, _ in expected}) != len(expected):
        return False  # the second change of an entity no longer finds what was read
    for key, version in expected:
        entity = stored.entity(key)
        if entity is None or entity.version != version:
            return False
    return not _overtaken(changes, stored)


def _overtaken(changes: Changes, stored: Stored) -> bool:
    """Tell whether a channel that goes makes the next version of a configuration that is replaced."""
    channels = {deletion.entity.id for deletion in changes.delete if isinstance(deletion.entity, Channel)}
    if not channels:
        return False
    replaced = (stored.entity(key_of(entity)) for entity in changes.replace)
    return any(isinstance(before, BootstrapConfig) and not channels.isdisjoint(before.channels) for before in replaced)


def _unused(changes: Changes, gone: set[Key], stored: Stored) -> bool:
    """Tell whether nothing is left that points at what goes; what belonged to an organisation may leave it as it goes."""
    holding = [deletion.entity for deletion in changes.delete if _is_pointed_at(deletion.entity)]
    moved = {key_of(entity): organization_of(entity) for entity in changes.replace}
    most = len(gone) + len(moved) + 1
    return all(
        key in gone or (isinstance(entity, DirectoryEntry) and moved.get(key, entity.id) != entity.id)
        for entity in holding
        for key in stored.dependants(key_of(entity), most)
    )


def _is_pointed_at(entity: Entity) -> bool:
    return isinstance(entity, Tenant | Profile) or _is_organization(entity)


def _is_organization(entity: Entity) -> bool:
    return isinstance(entity, DirectoryEntry) and entity.kind is EntryKind.ORGANIZATION


def _organizations_hold(changes: Changes, gone: Collection[Key], stored: Stored) -> bool:
    """Tell whether the organisation that an entity is given is there; one that it had before is not asked about again."""
    new = {key_of(entity): entity for entity in changes.insert}
    for entity in (*changes.insert, *_moved(changes, stored)):
        key = (DirectoryEntry, organization_of(entity))
        above = new.get(key) or (stored.entity(key) if key[1] and key not in gone else None)
        if key[1] and not (above is not None and _is_organization(above) and _owner(above) == _owner(entity)):
            return False
    return True


def _moved(changes: Changes, stored: Stored) -> list[Entity]:
    """Return what is given another organisation than it had."""
    return [each for each in changes.replace if organization_of(each) != organization_of(stored.entity(key_of(each)))]


def _nothing_within_itself(changes: Changes, stored: Stored) -> bool:
    """Tell whether no organisation is put below itself.

    One that is moved is in every circle, unless the whole of it is new: nothing that is stored is below what is not.
    """
    after = {key_of(entity): entity for entity in (*changes.replace, *changes.insert)}
    new = {key_of(entity) for entity in changes.insert}
    added = [each for each in changes.insert if (DirectoryEntry, organization_of(each)) in new]
    return all(_ends(each.id, after, stored) for each in (*_moved(changes, stored), *added) if _is_organization(each))


def _ends(organization: str, after: dict[Key, Entity], stored: Stored) -> bool:
    """Tell whether the way up from an organisation, as it will be, comes to its end."""
    above = organization
    for _ in range(LEVELS + 1):
        key = (DirectoryEntry, above)
        above = organization_of(after.get(key) or stored.entity(key))
        if not above:
            return True
        if above == organization:
            return False
    return False


def organization_of(entity: Entity | None) -> str:
    """Return the id of the organisation that an entity belongs to; empty: none but the tenant's own."""
    if isinstance(entity, Device):
        return entity.owner
    return entity.parent if isinstance(entity, DirectoryEntry) and entity.kind in IN_ORGANIZATIONS else ""


def _unmoved(changes: Changes, stored: Stored) -> bool:
    """Tell whether each replacement stays with its tenant or device, and of its kind: else what points at it stays behind."""
    pairs = [(entity, stored.entity(key_of(entity))) for entity in changes.replace]
    return all(_owner(after) == _owner(before) and _kind(after) == _kind(before) for after, before in pairs)


def _kind(entity: Entity | None) -> EntryKind | None:
    return entity.kind if isinstance(entity, DirectoryEntry) else None


def _owner(entity: Entity | None) -> str | None:
    if isinstance(entity, Credential):
        return entity.device
    if isinstance(entity, OscoreState):
        return entity.id
    return None if entity is None or isinstance(entity, Tenant) else entity.tenant


def _anchors_hold(changes: Changes, gone: Collection[Key], present: Present) -> bool:
    new = {key_of(entity): entity for entity in changes.insert}
    return all(_anchored(entity, gone, new, present) for entity in (*changes.replace, *changes.insert))


def _anchored(entity: Entity, gone: Collection[Key], new: dict[Key, Entity], present: Present) -> bool:
    if type(entity) is Device:  # first, as most of what is written are devices and credentials
        return _in_tenant((Profile, entity.profile), entity.tenant, gone, new, present)
    if isinstance(entity, Credential):
        return _is_there((Device, entity.device), gone, new, present)
    if isinstance(entity, Tenant | IssuedCertificate):  # a certificate outlives everybody it was made for
        return True
    if isinstance(entity, Approval | Tombstone):
        return _in_tenant((Profile, entity.profile), entity.tenant, gone, new, present)
    if isinstance(entity, PendingClaim):
        return _in_tenant((Device, entity.id), entity.tenant, gone, new, present)
    if isinstance(entity, BootstrapConfig):
        keys: list[Key] = [(Device, entity.id), *((Channel, channel) for channel in entity.channels)]
        return all(_in_tenant(key, entity.tenant, gone, new, present) for key in keys)
    if isinstance(entity, OscoreState):
        return _is_there((Credential, entity.id), gone, new, present)
    return _is_there((Tenant, entity.tenant), gone, new, present)


def _is_there(key: Key, gone: Collection[Key], new: dict[Key, Entity], present: Present) -> bool:
    return key in new or (key not in gone and present.has(key))


def _in_tenant(key: Key, tenant: TenantId, gone: Collection[Key], new: dict[Key, Entity], present: Present) -> bool:
    added = new.get(key)
    if added is not None:
        return _owner(added) == tenant
    return key not in gone and present.tenant_of(key) == tenant


def _taken(changes: Changes, gone: set[Key], stored: Stored) -> Iterator[Unique]:
    """Yield the unique values that the changes ask for while another entity holds them.

    Each operation meets what the ones before it left: deletions free values, a replacement frees its former ones.
    """
    held: Held = {}
    for key in gone:
        held.update(_freed(key, stored))
    for entity in changes.replace:
        held.update(_freed(key_of(entity), stored))
        yield from _taken_by((entity,), held, stored)
    yield from _taken_by(changes.insert, held, stored)


def _freed(key: Key, stored: Stored) -> Held:
    before = stored.entity(key)
    return dict.fromkeys(uniques(before)) if before is not None else {}


def _taken_by(entities: Iterable[Entity], held: Held, present: Present) -> Iterator[Unique]:
    for entity in entities:
        for unique in uniques(entity):
            if (held[unique] if unique in held else present.holder(unique)) is not None:
                yield unique
            held[unique] = entity.id


def _last_of_all(changes: Changes, gone: Collection[Key], present: Present) -> Guard | None:
    for tenant, growth in device_balance(changes).items():
        if not _room(tenant, growth, changes, present):
            return Guard.DEVICE_LIMIT
    for profile, growth in made_balance(changes).items():
        if not _may_make(growth, present.allowance(profile)):
            return Guard.DEVICE_BUDGET
    return None if _ids_free(changes, gone, present) else Guard.VERSION


def _room(tenant: TenantId, growth: int, changes: Changes, present: Present) -> bool:
    before = present.tenant(tenant)
    devices, limit = (before.devices, before.device_limit) if before is not None else (0, None)
    for entity in (*changes.replace, *changes.insert):
        if type(entity) is Tenant and entity.id == tenant:
            limit = entity.device_limit
    return growth <= 0 or limit is None or devices + growth <= limit


def _may_make(growth: int, allowance: Allowance | None) -> bool:
    return allowance is None or allowance.budget is None or allowance.made + growth <= allowance.budget


def _ids_free(changes: Changes, gone: Collection[Key], present: Present) -> bool:
    keys = set(map(key_of, changes.insert))
    if len(keys) != len(changes.insert) or not _events_apart(changes.events):
        return False
    taken = any(key not in gone and present.has(key) for key in keys)
    return not taken and not any(map(present.has_event, changes.events))


def _events_apart(events: tuple[Event, ...]) -> bool:
    """Tell whether no two events have the same id."""
    return len(events) < 2 or len({(event.tenant, event.id) for event in events}) == len(events)
