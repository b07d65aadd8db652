"""The registry as dictionaries, for tests and demonstrations: nothing outlives the process."""

from collections.abc import Callable
from itertools import islice
from typing import Any, TypeVar, cast

from core.errors import Conflict
from core.model import DEFAULT_TENANT, OperatorToken, Profile, Tenant
from core.ports import Changes
from core.queries import (
    AnchorsQuery,
    AnyDeviceQuery,
    AnyEntryQuery,
    ApprovalPage,
    ApprovalQuery,
    ApprovalsQuery,
    BootstrapQuery,
    ChannelPage,
    ChannelsQuery,
    ClaimQuery,
    ConfigPage,
    ConfigQuery,
    DeviceClaimQuery,
    DeviceNamesQuery,
    DevicePage,
    DeviceQuery,
    DeviceSearch,
    EnrolQuery,
    EntryLoginQuery,
    EntryPage,
    EntryQuery,
    EntrySecretQuery,
    EventPage,
    ExternalKeyQuery,
    FirmwareCountsQuery,
    IssuedPage,
    LabelledPage,
    LoginQuery,
    NamedApprovalsQuery,
    OscoreQuery,
    PendingClaimQuery,
    ProfilePage,
    ProfileQuery,
    ProfileSearch,
    Query,
    SerialsQuery,
    SignedDevicesQuery,
    TenantPage,
    TenantQuery,
    TokenPage,
    TokenQuery,
    TombstonePage,
    TombstoneQuery,
    UnknownPage,
)
from storage import recall, recollection, refusals, sifting, sorting
from storage.bounds import EXPIRED_KEPT_MS, PRUNED_AT_ONCE, TOMBSTONE_KEPT_MS
from storage.clock import now
from storage.guards import examine
from storage.shelves import Shelves

S = TypeVar("S")


class MemoryRepository:
    """A `core.ports.Repository` that keeps everything in this process."""

    def __init__(self) -> None:
        self._shelves = Shelves()
        self._closed = False
        self._answers: dict[type[Query[Any]], Callable[[Shelves, Any], Any]] = {
            ClaimQuery: recall.claim,
            LoginQuery: recall.logins,
            AnchorsQuery: recollection.anchored,
            OscoreQuery: lambda shelves, query: shelves.oscore(query.id),
            ExternalKeyQuery: recall.external_key,
            BootstrapQuery: recall.bootstrap,
            EnrolQuery: recollection.enrolment,
            SignedDevicesQuery: recollection.signed_devices,
            SerialsQuery: recollection.serials,
            PendingClaimQuery: recollection.pending_claim,
            DeviceClaimQuery: recollection.device_claim,
            ApprovalQuery: recollection.approval,
            ApprovalsQuery: recollection.approvals,
            NamedApprovalsQuery: recollection.named_approvals,
            ApprovalPage: sifting.approvals,
            TombstoneQuery: recollection.tombstone,
            TombstonePage: sifting.tombstones,
            EntryQuery: recollection.entry,
            AnyEntryQuery: lambda shelves, query: shelves.entry(query.id),
            EntryLoginQuery: recollection.entry_login,
            EntrySecretQuery: recollection.entry_secret,
            DeviceQuery: recall.device,
            AnyDeviceQuery: lambda shelves, query: recall.snapshot(shelves, shelves.device(query.id)),
            DeviceNamesQuery: recall.devices_named,
            ConfigQuery: recall.config,
            ChannelsQuery: recall.channels,
            TenantQuery: lambda shelves, query: shelves.tenant(query.id),
            ProfileQuery: recall.profile,
            TokenQuery: recall.token,
            DevicePage: sifting.devices,
            DeviceSearch: sorting.devices,
            ProfileSearch: sorting.profiles,
            EntryPage: sorting.entries,
            FirmwareCountsQuery: sorting.firmware_counts,
            LabelledPage: sifting.labelled,
            ConfigPage: sifting.configs,
            ChannelPage: sifting.channels,
            IssuedPage: sifting.issued,
            TenantPage: sifting.tenants,
            ProfilePage: lambda shelves, query: sifting.page(shelves, Profile, query),
            TokenPage: lambda shelves, query: sifting.page(shelves, OperatorToken, query),
            EventPage: sifting.events,
            UnknownPage: sifting.unknown,
        }
        first = Tenant(id=DEFAULT_TENANT, name="default", created_at=now(), secure_bootstrap=True)
        self._shelves.write(Changes(insert=(first,)))

    async def read(self, query: Query[S]) -> S:
        """Answer a query from committed state."""
        self._require_open()
        return cast("S", self._answers[type(query)](self._shelves, query))

    async def commit(self, changes: Changes) -> None:
        """Write all of the changes or none."""
        self._require_open()
        guard = examine(changes, self._shelves)
        if guard is not None:
            raise Conflict(guard)
        self._shelves.write(changes)

    async def prune_events(self, keep: int) -> int:
        """Forget the oldest events beyond the newest `keep`, and expired certificates; returns how many events went."""
        self._require_open()
        events = self._shelves.events
        surplus = list(islice(events, min(max(len(events) - max(keep, 0), 0), PRUNED_AT_ONCE)))
        for key in surplus:
            del events[key]
        self._shelves.forget_issued(now() - EXPIRED_KEPT_MS, PRUNED_AT_ONCE)
        self._shelves.forget_approvals(now(), PRUNED_AT_ONCE)
        self._shelves.forget_tombstones(now() - TOMBSTONE_KEPT_MS, PRUNED_AT_ONCE)
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
