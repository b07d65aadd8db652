"""Pages of rows in the order of their ids, each begun where an index says that the page before ended."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

import sqlite3
from typing import NamedTuple

from core.model import Device, DeviceState, Event, EventKind, OperatorToken, Profile, Tenant
from core.queries import DevicePage, EventPage, ProfilePage, TenantPage, TokenPage
from storage import event_rows, profile_rows, rows
from storage.bounds import page_size
from storage.rows import Row

NARROW = 4_000
"""Devices with a prefix in their name up to which a page is picked from all of them."""

TENANTS = f"SELECT {rows.TENANT} FROM tenant WHERE id > ? ORDER BY id LIMIT ?"
PROFILES = f"""SELECT {profile_rows.PROFILE} FROM profile INDEXED BY profile_tenant
    WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?"""
TOKENS = f"""SELECT {rows.TOKEN} FROM token INDEXED BY token_tenant WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?"""
PREFIX_SIZE = "SELECT count(*) FROM (SELECT 1 FROM device INDEXED BY device_name WHERE {prefix} LIMIT ?)"


class Statement(NamedTuple):
    """SQL with its parameters."""

    text: str
    parameters: Row


def tenants(connection: sqlite3.Connection, query: TenantPage) -> tuple[Tenant, ...]:
    """Answer a page of tenants."""
    found = connection.execute(TENANTS, (query.after or "", page_size(query.limit)))
    return tuple(map(rows.tenant, found.fetchall()))


def profiles(connection: sqlite3.Connection, query: ProfilePage) -> tuple[Profile, ...]:
    """Answer a page of profiles."""
    found = connection.execute(PROFILES, (query.tenant, query.after or "", page_size(query.limit)))
    return tuple(map(profile_rows.profile, found.fetchall()))


def tokens(connection: sqlite3.Connection, query: TokenPage) -> tuple[OperatorToken, ...]:
    """Answer a page of operator tokens."""
    found = connection.execute(TOKENS, (query.tenant, query.after or "", page_size(query.limit)))
    return tuple(map(rows.token, found.fetchall()))


def devices(connection: sqlite3.Connection, query: DevicePage) -> tuple[Device, ...]:
    """Answer a page of devices.

    The order of ids and the beginning of a name are two directions that no one index has. Where few names begin so, the page
    is picked from all of them; where many do, a walk in the order of ids meets them soon. What is not bounded is that walk
    when the many are all at its far end, and a state sought among the devices of one profile.
    """
    narrow = bool(query.name) and connection.execute(*prefix_size(query)).fetchone()[0] <= NARROW
    statement = named_devices(query) if narrow else devices_in_order(query)
    return tuple(map(rows.device, connection.execute(*statement).fetchall()))


def prefix_size(query: DevicePage) -> Statement:
    """Return the statement that counts the devices with the query's prefix, up to one more than `NARROW`."""
    prefix = _prefix(query)
    text = PREFIX_SIZE.format(prefix=f"tenant = ? AND {prefix.text}")
    return Statement(text, (query.tenant, *prefix.parameters, NARROW + 1))


def named_devices(query: DevicePage) -> Statement:
    """Return the statement that picks the page from all devices with the query's prefix: it sorts, `NARROW` rows at most."""
    prefix = _prefix(query)
    where, parameters = ["tenant = ?", prefix.text, "id > ?"], [query.tenant, *prefix.parameters, query.after or ""]
    if query.profile is not None:
        where.append("profile = ?")
        parameters.append(query.profile)
    if query.state is not None:
        where.append("state = ?")
        parameters.append(query.state.value)
    text = f"SELECT {rows.DEVICE} FROM device INDEXED BY device_name WHERE {' AND '.join(where)} ORDER BY id LIMIT ?"
    return Statement(text, (*parameters, page_size(query.limit)))


def devices_in_order(query: DevicePage) -> Statement:
    """Return the statement that walks the devices in the order of their ids, from the page before on.

    Without a filter it merges the walks over each state, so that one index serves pages with a state and without.
    """
    if query.profile is not None:
        walks = [_walk(query, "device_profile", "profile", query.profile)]
        if query.state is not None:
            walks = [Statement(f"{walks[0].text} AND state = ?", (*walks[0].parameters, query.state.value))]
    else:
        states = [query.state] if query.state is not None else list(DeviceState)
        walks = [_walk(query, "device_state", "state", state.value) for state in states]
    text = " UNION ALL ".join(walk.text for walk in walks)
    parameters = [parameter for walk in walks for parameter in walk.parameters]
    return Statement(f"{text} ORDER BY 1 LIMIT ?", (*parameters, page_size(query.limit)))


def _walk(query: DevicePage, index: str, column: str, value: str) -> Statement:
    prefix = _prefix(query)
    text = f"""SELECT {rows.DEVICE} FROM device INDEXED BY {index}
        WHERE tenant = ? AND {column} = ? AND id > ? AND {prefix.text}"""
    return Statement(text, (query.tenant, value, query.after or "", *prefix.parameters))


def _prefix(query: DevicePage) -> Statement:
    """Return the condition that a name begins with the query's: a range, for `LIKE` folds case and has wildcards."""
    if not query.name:
        return Statement("TRUE", ())
    end = successor(query.name)
    return Statement("name >= ?", (query.name,)) if end is None else Statement("name >= ? AND name < ?", (query.name, end))


def successor(prefix: str) -> str | None:
    """Return the first text after all that begin with the prefix, by code points as SQLite compares UTF-8; None if none is."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)  # surrogates are no characters


def events(connection: sqlite3.Connection, query: EventPage) -> tuple[Event, ...]:
    """Answer a page of events."""
    return tuple(map(event_rows.event, connection.execute(*events_in_order(query)).fetchall()))


def events_in_order(query: EventPage) -> Statement:
    """Return the statement that walks the events in the order of their ids, by the index of the narrowest filter.

    Further filters are held against each row met. Not bounded is the walk for a kind that is rare among the events of one
    profile, and for successful provisions where there are hardly any.
    """
    filters = _event_filters(query)
    usable = [(index, column) for index, column in _EVENT_INDEXES if column in filters]
    if query.kind is EventKind.PROVISION_SUCCEEDED:
        usable.remove(("event_kind", "kind"))  # which leaves out this kind
    index = usable[0][0] if usable else "event_tenant"
    where = ["tenant = ?", *(f"{column} = ?" for column in filters)]
    if index == "event_kind":
        where.append(f"kind <> '{EventKind.PROVISION_SUCCEEDED.value}'")  # or SQLite does not see that the index may serve
    parameters = [query.tenant, *filters.values()]
    if query.after is not None:
        where.append("id < ?" if query.newest else "id > ?")
        parameters.append(query.after)
    order = "id DESC" if query.newest else "id"
    text = f"SELECT {event_rows.EVENT} FROM event INDEXED BY {index} WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?"
    return Statement(text, (*parameters, page_size(query.limit)))


_EVENT_INDEXES = (
    ("event_device", "device"),
    ("event_correlation", "correlation"),
    ("event_kind", "kind"),
    ("event_profile", "profile"),
)


def _event_filters(query: EventPage) -> dict[str, str]:
    kind = None if query.kind is None else query.kind.value
    asked = {"device": query.device, "correlation": query.correlation, "kind": kind, "profile": query.profile}
    return {column: value for column, value in asked.items() if value is not None}
