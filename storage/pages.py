"""Pages of rows in the order of their ids, each begun where an index says that the page before ended.

A column with a sign before it (`+name = ?`) is to be left alone by indexes: https://www.sqlite.org/optoverview.html#uplus.
SQLite, which is told the index, needs that for orders alone; PostgreSQL has nothing else by which it could be told.
"""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

from collections.abc import Sequence

from core.model import Device, DeviceState, Event, EventKind, OperatorToken, Profile, Tenant
from core.queries import DevicePage, EventPage, ProfilePage, TenantPage, TokenPage
from storage import event_rows, profile_rows, rows
from storage.bounds import page_size, page_start
from storage.statements import BY_INDEX, Statement
from storage.steps import Steps

NARROW = 4_000
"""Devices with a prefix in their name up to which a page is picked from all of them."""

TENANTS = f"SELECT {rows.TENANT} FROM tenant WHERE id > ? ORDER BY id LIMIT ?"
PROFILES = f"""SELECT {profile_rows.PROFILE} FROM profile INDEXED BY profile_tenant
    WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?"""
TOKENS = f"""SELECT {rows.TOKEN} FROM token INDEXED BY token_tenant WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?"""
PREFIX_SIZE = "SELECT count(*) FROM (SELECT 1 FROM device INDEXED BY device_name WHERE {prefix} LIMIT ?) AS few"


def tenants(query: TenantPage) -> Steps[tuple[Tenant, ...]]:
    """Answer a page of tenants."""
    found = yield Statement(TENANTS, (query.after or "", page_size(query.limit)))
    return tuple(map(rows.tenant, found))


def profiles(query: ProfilePage) -> Steps[tuple[Profile, ...]]:
    """Answer a page of profiles."""
    found = yield Statement(PROFILES, (query.tenant, query.after or "", page_size(query.limit)))
    return tuple(map(profile_rows.profile, found))


def tokens(query: TokenPage) -> Steps[tuple[OperatorToken, ...]]:
    """Answer a page of operator tokens."""
    found = yield Statement(TOKENS, (query.tenant, query.after or "", page_size(query.limit)))
    return tuple(map(rows.token, found))


def devices(query: DevicePage) -> Steps[tuple[Device, ...]]:
    """Answer a page of devices.

    The order of ids and the beginning of a name are two directions that no one index has. Where few names begin so, the page
    is picked from all of them; where many do, a walk in the order of ids meets them soon. What is not bounded is that walk
    when the many are all at its far end, and a state sought among the devices of one profile.
    """
    statement = devices_in_order(query)
    if query.name:
        ((size,),) = yield prefix_size(query)
        if size <= NARROW:
            statement = named_devices(query)
    return tuple(map(rows.device, (yield statement)))


def prefix_size(query: DevicePage) -> Statement:
    """Return the statement that counts the devices with the query's prefix, up to one more than `NARROW`."""
    prefix = _prefix(query)
    text = PREFIX_SIZE.format(prefix=f"tenant = ? AND {prefix.text}")
    return Statement(text, (query.tenant, *prefix.parameters, NARROW + 1))


def named_devices(query: DevicePage) -> Statement:
    """Return the statement that picks the page from all devices with the query's prefix: it sorts, `NARROW` rows at most."""
    prefix = _prefix(query)
    where, parameters = ["tenant = ?", prefix.text, "+id > ?"], [query.tenant, *prefix.parameters, query.after or ""]
    if query.profile is not None:
        where.append("+profile = ?")
        parameters.append(query.profile)
    if query.state is not None:
        where.append("+state = ?")
        parameters.append(query.state.value)
    text = f"SELECT {rows.DEVICE} FROM device INDEXED BY device_name WHERE {' AND '.join(where)} ORDER BY +id LIMIT ?"
    return Statement(text, (*parameters, page_size(query.limit)))


def devices_in_order(query: DevicePage) -> Statement:
    """Return the statement that walks the devices in the order of their ids, from the page before on.

    Without a filter it merges the walks over each state, so that one index serves pages with a state and without.
    """
    if query.profile is not None:
        walks = [_walk(query, "device_profile", "profile", query.profile)]
        if query.state is not None:
            walks = [Statement(f"{walks[0].text} AND +state = ?", (*walks[0].parameters, query.state.value))]
    else:
        states = [query.state] if query.state is not None else list(DeviceState)
        walks = [_walk(query, "device_state", "state", state.value) for state in states]
    return merged(walks, page_size(query.limit))


def merged(walks: Sequence[Statement], limit: int, offset: int = 0, *, descending: bool = False) -> Statement:
    """Return the statement that merges walks, each of them in the order of ids, which are their first column."""
    direction = " DESC" if descending else ""
    text = " UNION ALL ".join(walk.text for walk in walks)
    parameters = [parameter for walk in walks for parameter in walk.parameters]
    return Statement(
        f"{text} ORDER BY 1{direction} LIMIT ? OFFSET ?",
        (*parameters, limit, offset),
        _merged_in_postgres(walks, limit, offset, f"{BY_INDEX}{direction}"),
    )


def _merged_in_postgres(walks: Sequence[Statement], limit: int, offset: int, order: str) -> Statement:
    """PostgreSQL merges what is in order already, so it is told the order of each walk, and how far that can be of use."""
    text = " UNION ALL ".join(f"({walk.text} ORDER BY {order} LIMIT ?)" for walk in walks)
    furthest = page_start(limit + offset)
    parameters = [parameter for walk in walks for parameter in (*walk.parameters, furthest)]
    return Statement(f"SELECT * FROM ({text}) AS merged ORDER BY {order} LIMIT ? OFFSET ?", (*parameters, limit, offset))


def _walk(query: DevicePage, index: str, column: str, value: str) -> Statement:
    prefix = _prefix(query, "+name")
    text = f"""SELECT {rows.DEVICE} FROM device INDEXED BY {index}
        WHERE tenant = ? AND {column} = ? AND {BY_INDEX} > ? AND {prefix.text}"""
    return Statement(text, (query.tenant, value, query.after or "", *prefix.parameters))


def _prefix(query: DevicePage, name: str = "name") -> Statement:
    """Return the condition that a name begins with the query's: a range, for `LIKE` folds case and has wildcards."""
    if not query.name:
        return Statement("TRUE", ())
    end = successor(query.name)
    if end is None:
        return Statement(f"{name} >= ?", (query.name,))
    return Statement(f"{name} >= ? AND {name} < ?", (query.name, end))


def successor(prefix: str) -> str | None:
    """Return the first text after all that begin with the prefix, by code points as UTF-8 is compared; None if none is."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if following == 0xD800 else following)  # surrogates are no characters


def events(query: EventPage) -> Steps[tuple[Event, ...]]:
    """Answer a page of events."""
    return tuple(map(event_rows.event, (yield events_in_order(query))))


def events_in_order(query: EventPage) -> Statement:
    """Return the statement that walks the events in the order of their ids, by the index of the narrowest filter.

    Further filters are held against each row met. Not bounded is the walk for a kind that is rare among the events of one
    profile, and for successful provisions where there are hardly any.
    """
    filters = _event_filters(query)
    usable = [(index, column) for index, column in _EVENT_INDEXES if column in filters]
    if query.kind is EventKind.PROVISION_SUCCEEDED:
        usable.remove(("event_kind", "kind"))  # which leaves out this kind
    index, sought = usable[0] if usable else ("event_tenant", "tenant")
    tenant = "+tenant" if index in ("event_device", "event_profile") else "tenant"
    where = [f"{tenant} = ?", *(f"{column if column == sought else f'+{column}'} = ?" for column in filters)]
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
