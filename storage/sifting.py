"""Pages of entities, picked by the memory store from all it has."""

import heapq
from collections.abc import Iterable
from typing import TypeVar

from core.model import (
    Approval,
    BootstrapConfig,
    Channel,
    Device,
    Event,
    EventKind,
    IssuedCertificate,
    OperatorToken,
    Profile,
    Tenant,
    Tombstone,
)
from core.queries import (
    ApprovalPage,
    BootstrapSnapshot,
    ChannelPage,
    ConfigPage,
    Counted,
    DevicePage,
    DeviceSnapshot,
    EventPage,
    IssuedPage,
    IssuedSnapshot,
    LabelledPage,
    ProfilePage,
    TenantPage,
    TokenPage,
    TombstonePage,
    UnknownPage,
)
from storage.bounds import UNKNOWN_AMONG, page_size, page_start
from storage.recall import configuration, named, snapshot
from storage.shelves import Shelves
from storage.uniques import Unique

E = TypeVar("E", Profile, OperatorToken)
P = TypeVar("P", Tenant, Profile, Device, IssuedCertificate, Approval, Tombstone, OperatorToken, Event)
C = TypeVar("C", Device, Channel, BootstrapConfig)
T = TypeVar("T")


def devices(shelves: Shelves, query: DevicePage) -> tuple[Device, ...]:
    """Answer a page of devices."""
    found = (
        device
        for device in shelves.of(Device)
        if device.tenant == query.tenant
        and device.name.startswith(query.name or "")
        and query.profile in (None, device.profile)
        and query.state in (None, device.state)
    )
    return _first(found, query.after, query.limit)


def labelled(shelves: Shelves, query: LabelledPage) -> Counted[DeviceSnapshot]:
    """Answer a page of devices by label."""
    found = [
        device
        for device in shelves.of(Device)
        if device.tenant == query.tenant and _within(device.label or device.name, query.label)
    ]
    items = (snapshot(shelves, device) for device in _part(found, None, query.offset, query.limit))
    return Counted(items=tuple(item for item in items if item is not None), total=len(found))


def configs(shelves: Shelves, query: ConfigPage) -> Counted[BootstrapSnapshot]:
    """Answer a page of configurations."""
    found = [config for config in shelves.of(BootstrapConfig) if _matches(shelves, config, query)]
    items = (configuration(shelves, config) for config in _part(found, query.after, query.offset, query.limit))
    return Counted(items=tuple(item for item in items if item is not None), total=len(found))


def channels(shelves: Shelves, query: ChannelPage) -> Counted[Channel]:
    """Answer a page of channels."""
    found = [channel for channel in shelves.of(Channel) if channel.tenant == query.tenant and _within(channel.name, query.name)]
    return Counted(items=_part(found, query.after, query.offset, query.limit), total=len(found))


def issued(shelves: Shelves, query: IssuedPage) -> tuple[IssuedSnapshot, ...]:
    """Answer a page of certificates."""
    timely = (each for each in shelves.of(IssuedCertificate) if each.not_after > query.until)
    found = (each for each in timely if not (query.revoked and _lives(shelves, each)))
    return tuple(IssuedSnapshot(each, live=_lives(shelves, each)) for each in _first(found, query.after, query.limit))


def _lives(shelves: Shelves, certificate: IssuedCertificate) -> bool:
    return shelves.holder(Unique("credential_lookup", certificate.lookup)) is not None


def approvals(shelves: Shelves, query: ApprovalPage) -> tuple[Approval, ...]:
    """Answer a page of a tenant's queue."""
    found = (
        approval
        for approval in shelves.of(Approval)
        if approval.tenant == query.tenant
        and approval.expires_at > query.now
        and query.profile in (None, approval.profile)
        and query.verdict in (None, approval.verdict)
    )
    return _first(found, query.after, query.limit)


def tombstones(shelves: Shelves, query: TombstonePage) -> tuple[Tombstone, ...]:
    """Answer a page of tombstones."""
    ours = (each for each in shelves.of(Tombstone) if each.tenant == query.tenant)
    return _first((each for each in ours if not _has_come(shelves, each)), query.after, query.limit)


def _has_come(shelves: Shelves, tombstone: Tombstone) -> bool:
    device = named(shelves, tombstone.tenant, tombstone.name)
    return device is not None and bool(shelves.credentials(device.id))


def tenants(shelves: Shelves, query: TenantPage) -> tuple[Tenant, ...]:
    """Answer a page of tenants."""
    return _first(shelves.of(Tenant), query.after, query.limit)


def page(shelves: Shelves, kind: type[E], query: ProfilePage | TokenPage) -> tuple[E, ...]:
    """Answer a page of a tenant's profiles or operator tokens."""
    return _first((entity for entity in shelves.of(kind) if entity.tenant == query.tenant), query.after, query.limit)


def events(shelves: Shelves, query: EventPage) -> tuple[Event, ...]:
    """Answer a page of events."""
    found = (
        event
        for event in shelves.events.values()
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


def unknown(shelves: Shelves, query: UnknownPage) -> tuple[str, ...]:
    """Answer a page of external ids that no configuration has."""
    refused = EventPage(query.tenant, kind=EventKind.BOOTSTRAP_REFUSED, newest=True, limit=UNKNOWN_AMONG)
    asked = {event.device_name for event in events(shelves, refused) if event.check == "bootstrap.unknown"}
    found = sorted(name for name in asked if shelves.holder(Unique("config_external_id", name)) is None)
    return tuple(_slice(found, query.offset, query.limit))


def _matches(shelves: Shelves, config: BootstrapConfig, query: ConfigPage) -> bool:
    return (
        config.tenant == query.tenant
        and query.external_id in (None, config.external_id)
        and _within(config.name, query.name)
        and query.active in (None, config.active)
        and query.id in (None, config.id)
        and (query.secret is None or query.secret in [held.lookup for held in shelves.credentials(config.id)])
        and query.client_key in (None, config.client_key)
    )


def _within(text: str, part: str | None) -> bool:
    return part is None or part.casefold() in text.casefold()


def _first(entities: Iterable[P], after: str | None, limit: int) -> tuple[P, ...]:
    later = (entity for entity in entities if after is None or entity.id > after)
    return tuple(heapq.nsmallest(page_size(limit), later, key=lambda entity: entity.id))


def _part(entities: Iterable[C], after: str | None, offset: int, limit: int) -> tuple[C, ...]:
    later = sorted((entity for entity in entities if after is None or entity.id > after), key=lambda entity: entity.id)
    return tuple(_slice(later, offset, limit))


def _slice(found: list[T], offset: int, limit: int) -> list[T]:
    start = page_start(offset)
    return found[start : start + page_size(limit)]
