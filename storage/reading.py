"""Groups of queries answered by an SQLite connection, on the connection's thread."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

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
from storage import (
    answers,
    approvals,
    configurations,
    counted,
    directory,
    enrolment,
    faults,
    firmware,
    pages,
    searching,
    tombstones,
    trust,
)
from storage.steps import Steps, carry_out

R = TypeVar("R")

TOGETHER: dict[type[Query[Any]], Callable[[Any], Steps[Any]]] = {
    ClaimQuery: answers.claims,
    LoginQuery: answers.logins,
    AnchorsQuery: trust.anchored,
    OscoreQuery: trust.oscore_states,
    ExternalKeyQuery: configurations.external_keys,
    BootstrapQuery: configurations.bootstraps,
    EnrolQuery: enrolment.enrolments,
    SignedDevicesQuery: enrolment.signed_devices,
    PendingClaimQuery: directory.pending_claims,
    DeviceClaimQuery: directory.device_claims,
    ApprovalQuery: approvals.asked,
    EntrySecretQuery: directory.entry_secrets,
    DeviceQuery: answers.devices,
    AnyDeviceQuery: answers.any_devices,
    ConfigQuery: configurations.configs,
    EntryQuery: directory.entries_of_tenants,
    AnyEntryQuery: directory.any_entries,
}
"""What devices, their users and brokers ask, in large numbers: all queries of a kind at once."""

EACH: dict[type[Query[Any]], Callable[[Any], Steps[Any]]] = {
    DeviceNamesQuery: answers.devices_named,
    DevicePage: pages.devices,
    LabelledPage: counted.labelled,
    DeviceSearch: searching.devices,
    SerialsQuery: enrolment.serials,
    FirmwareCountsQuery: firmware.counts,
    ConfigPage: counted.configs,
    ChannelsQuery: configurations.channels,
    ChannelPage: counted.channels,
    UnknownPage: counted.unknown,
    IssuedPage: trust.issued,
    ApprovalsQuery: approvals.of_ids,
    NamedApprovalsQuery: approvals.named,
    ApprovalPage: approvals.page,
    TombstoneQuery: tombstones.one,
    TombstonePage: tombstones.page,
    TenantQuery: answers.tenant,
    TenantPage: pages.tenants,
    ProfileQuery: answers.profile,
    ProfilePage: pages.profiles,
    ProfileSearch: searching.profiles,
    EntryLoginQuery: directory.entry_login,
    EntryPage: directory.entries,
    TokenQuery: answers.token,
    TokenPage: pages.tokens,
    EventPage: pages.events,
}
"""What operators ask: one by one."""


def answer_together(connection: sqlite3.Connection, queries: Sequence[Query[Any]]) -> list[Any]:
    """Answer a group; where one of the queries cannot be put to the database, each on its own."""
    try:
        return snapshot(connection, lambda: _by_kind(connection, queries))
    except Exception as error:
        if faults.breaks_all(error) or len(queries) == 1:
            return [faults.outcome(error) for _ in queries]
        return [answer for query in queries for answer in answer_together(connection, [query])]


def answer_each(connection: sqlite3.Connection, queries: Sequence[Query[Any]]) -> list[Any]:
    """Answer queries one after the other."""
    return [_one(connection, query) for query in queries]


def snapshot(connection: sqlite3.Connection, work: Callable[[], R]) -> R:
    """Do work that reads, all of it from the same moment."""
    connection.execute("BEGIN")
    try:
        return work()
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _by_kind(connection: sqlite3.Connection, queries: Sequence[Query[Any]]) -> list[Any]:
    answers: list[Any] = [None] * len(queries)
    for kind, places in places_by_kind(queries).items():
        found = carry_out(connection, TOGETHER[kind]([queries[place] for place in places]))
        for place, answer in zip(places, found, strict=True):
            answers[place] = answer
    return answers


def places_by_kind(queries: Sequence[Query[Any]]) -> dict[type[Query[Any]], list[int]]:
    """Return where in a group the queries of each kind stand."""
    places: dict[type[Query[Any]], list[int]] = {}
    for place, query in enumerate(queries):
        places.setdefault(type(query), []).append(place)
    return places


def _one(connection: sqlite3.Connection, query: Query[Any]) -> Any:
    try:
        return snapshot(connection, lambda: carry_out(connection, EACH[type(query)](query)))
    except Exception as error:
        return faults.outcome(error)
