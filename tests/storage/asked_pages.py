"""What plans are looked at for: the statements in the store's modules, and pages with every combination of filters."""

import itertools
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from core.model import (
    DEFAULT_TENANT,
    ApprovalId,
    DeviceId,
    DeviceState,
    EntryKind,
    EventId,
    EventKind,
    ProfileId,
    Verdict,
)
from core.queries import (
    ApprovalPage,
    ConfigPage,
    DevicePage,
    DeviceSearch,
    EntryPage,
    EventPage,
    Order,
    ProfileSearch,
)
from storage.statements import Grouped
from tests.storage.entities import a_lookup


def texts(value: Any) -> Iterator[str]:
    """Yield the SQL in a constant: in a text, a grouped statement, or a table of them."""
    if isinstance(value, Grouped):
        yield from value.texts
    elif isinstance(value, str) and value.lstrip().startswith(("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")):
        yield value
    elif isinstance(value, dict):
        yield from texts(tuple(value.values()))
    elif isinstance(value, tuple):
        for part in value:
            yield from texts(part)


def constants(*modules: ModuleType) -> dict[str, str]:
    found = (
        (f"{module.__name__}.{name}", value) for module in modules for name, value in vars(module).items() if name.isupper()
    )
    return {f"{name}-{place}": text for name, value in found for place, text in enumerate(texts(value))}


def device_pages() -> Iterator[DevicePage]:
    for name, profile, state in itertools.product((None, "x"), (None, ProfileId("p")), (None, DeviceState.DEFINED)):
        yield DevicePage(DEFAULT_TENANT, name=name, profile=profile, state=state, after=DeviceId("d"))


def event_pages() -> Iterator[EventPage]:
    kinds = (None, EventKind.PROVISION_SUCCEEDED, EventKind.LOGIN_REFUSED)
    for correlation, device, profile, kind, after, newest in itertools.product(
        (None, "c"), (None, DeviceId("d")), (None, ProfileId("p")), kinds, (None, EventId("e")), (False, True)
    ):
        yield EventPage(DEFAULT_TENANT, correlation, device, profile, kind, after, newest)


def config_pages() -> Iterator[ConfigPage]:
    key = a_lookup(1)
    for external_id, name, active, device, secret, client_key in itertools.product(
        (None, "e"), (None, "n"), (None, True), (None, DeviceId("d")), (None, key), (None, key)
    ):
        yield ConfigPage(DEFAULT_TENANT, external_id, name, active, device, secret, client_key, DeviceId("d"), 1)


ORDERED = {Order.CREATED, Order.NAME, Order.STATE}
"""Orders that an index has."""


def searches() -> Iterator[DeviceSearch]:
    for order, descending, name, serial, owners, profiles, states in itertools.product(
        Order,
        (False, True),
        (None, "n"),
        (None, "s"),
        (None, ("o",), ("", "o")),
        (None, (ProfileId("p"),), (ProfileId("p"), ProfileId("q"))),
        (None, (DeviceState.DEFINED, DeviceState.CONNECTED)),
    ):
        yield DeviceSearch(
            tenant=DEFAULT_TENANT,
            order=order,
            descending=descending,
            name=name,
            serial=serial,
            owners=owners,
            profiles=profiles,
            states=states,
        )


def narrowest(query: DeviceSearch) -> str:
    """Return the index by which the devices of a search are to be found."""
    if query.name is not None:
        return "device_name (tenant=? AND name=?"
    if query.serial is not None:
        return "device_serial (tenant=? AND serial=?"
    if query.owners == ("o",):
        return "device_owner (tenant=? AND owner=?"
    return "device_profile (tenant=? AND profile=?" if query.profiles is not None else "device_state (tenant=?"


def entry_pages() -> Iterator[EntryPage]:
    for name, template, descending, parents in itertools.product(
        (None, "n"), (None, "t"), (False, True), (None, ("p",), ("p", "q"))
    ):
        yield EntryPage(
            tenant=DEFAULT_TENANT,
            kind=EntryKind.END_USER,
            parents=parents,
            template=template,
            name=name,
            descending=descending,
        )


def profile_searches() -> Iterator[ProfileSearch]:
    for name, descending in itertools.product((None, "n"), (False, True)):
        yield ProfileSearch(tenant=DEFAULT_TENANT, name=name, descending=descending)


def approval_pages() -> Iterator[ApprovalPage]:
    for profile, verdict in itertools.product((None, ProfileId("p")), (None, Verdict.GRANTED)):
        yield ApprovalPage(tenant=DEFAULT_TENANT, profile=profile, verdict=verdict, after=ApprovalId("a"))
