"""Devices and profiles sought by exact values and sorted.

To count is to walk along an index over all that the narrowest filter leaves, so these pages are for operators.
"""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

from collections.abc import Iterable, Sequence

from core.model import DeviceState, Profile
from core.queries import Counted, DeviceSearch, DeviceSnapshot, Order, ProfileSearch
from storage import counted, profile_rows
from storage.answers import devices_by_id
from storage.bounds import page_size, page_start
from storage.counted import DEVICES, Filtered
from storage.pages import NARROW, merged
from storage.statements import BY_INDEX, Statement
from storage.steps import Steps

_SORTED_BY = {
    Order.CREATED: (BY_INDEX,),
    Order.UPDATED: ("updated_at", "id"),
    Order.SERIAL: ("coalesce(serial, '')", "id"),  # NULL comes first in one database and last in another
    Order.NAME: ("name",),
    Order.LABEL: ("coalesce(label, name)", "id"),
    Order.STATE: ("state", BY_INDEX),
}
_WALKED = {Order.NAME: "device_name", Order.STATE: "device_state"}
"""The index that has an order; that of creation is behind each value that any index has."""

_OF_NO_INDEX = (Order.UPDATED, Order.SERIAL, Order.LABEL)


def devices(query: DeviceSearch) -> Steps[Counted[DeviceSnapshot]]:
    """Answer a page of devices, sorted."""
    if () in (query.profiles, query.owners, query.states):
        return Counted(items=(), total=0)  # and an index of those that have an owner cannot be asked for none
    ((total,),) = yield devices_total(query)
    ids = [row[0] for row in (yield sorted_devices(query, total))]
    found = yield from devices_by_id(ids)
    return Counted(items=tuple(found[device] for device in ids), total=total)


def devices_total(query: DeviceSearch) -> Statement:
    """Return the statement that counts what matches; without a filter that is done already."""
    conditions = _conditions(query)
    if not conditions:
        return Statement(DEVICES, (query.tenant,))
    filtered = _filtered(query, _index(conditions), conditions)
    return Statement(f"SELECT count(*) FROM {filtered.text}", filtered.parameters)


def sorted_devices(query: DeviceSearch, total: int) -> Statement:
    """Return the statement for the ids of one page of the `total` devices that match.

    Where an index has both the order and the narrowest filter, it is walked. Otherwise what the filter leaves is sorted, but
    for names: where more than `NARROW` match, a walk along all names meets them soon.
    """
    conditions = _conditions(query)
    index = _index(conditions)
    if query.order is Order.CREATED and index == "device_state":
        return _merged(query, conditions)
    if query.order is Order.NAME and index in ("device_state", "device_profile") and total > NARROW:
        index = "device_name"
    filtered = _filtered(query, index, conditions)
    first, *others = _SORTED_BY[query.order]
    walked = _WALKED.get(query.order) == index or (query.order is Order.CREATED and not filtered.keyed)
    left_alone = {BY_INDEX: "+id"}.get(first, f"+{first}")
    order = _order([first if walked or query.order in _OF_NO_INDEX else left_alone, *others], query)
    text = f"SELECT id FROM {filtered.text} ORDER BY {order} LIMIT ? OFFSET ?"
    return Statement(text, (*filtered.parameters, *_part(query)))


def _merged(query: DeviceSearch, conditions: dict[str, Sequence[str]]) -> Statement:
    """Return the statement that merges the walks over each state, each of them in the order of ids."""
    left = {condition: values for condition, values in conditions.items() if not condition.startswith("state IN")}
    states = list(DeviceState) if query.states is None else sorted(set(query.states), key=lambda state: state.value)
    walks = [_filtered(query, "device_state", {"state = ?": (state.value,), **left}) for state in states]
    statements = [Statement(f"SELECT id FROM {walk.text}", walk.parameters) for walk in walks]
    return merged(statements, *_part(query), descending=query.descending)


def _conditions(query: DeviceSearch) -> dict[str, Sequence[str]]:
    """Return the conditions of a query with the values of each; an empty text is NULL in the table."""
    states = None if query.states is None else tuple(state.value for state in query.states)
    conditions: dict[str, Sequence[str]] = {}
    if query.name is not None:
        conditions["name = ?"] = (query.name,)
    for column, value in (("serial", query.serial), ("runs", query.runs), ("label", query.label)):
        if value is not None:
            conditions[f"{column} = ?" if value else f"{column} IS NULL"] = (value,) if value else ()
    for column, values in (("owner", query.owners), ("profile", query.profiles), ("state", states)):
        if values is not None:
            conditions[_any_of(column, values)] = [value for value in values if value]
    return conditions


def _any_of(column: str, values: Sequence[str]) -> str:
    if not any(values):
        return f"{column} IS NULL"
    given = f"{column} IN ({', '.join('?' for value in values if value)})"
    return given if all(values) else f"({column} IS NULL OR {given})"


_INDEXES = (
    ("device_name", "name ="),
    ("device_serial", "serial ="),
    ("device_runs", "runs ="),
    ("device_owner", "owner IN"),
    ("device_profile", "profile IN"),
)


def _index(conditions: Iterable[str]) -> str:
    """Return the index of the narrowest filter."""
    for index, beginning in _INDEXES:
        if any(condition.startswith(beginning) for condition in conditions):
            return index
    return "device_state"


def _filtered(query: DeviceSearch, index: str, conditions: dict[str, Sequence[str]]) -> Filtered:
    """Return the devices that one index finds; what further conditions are about is left alone by all the others."""
    column = f"{index.removeprefix('device_')} "
    text = " AND ".join(["tenant = ?", *(each if each.startswith(column) else _left_alone(each) for each in conditions)])
    values = [value for some in conditions.values() for value in some]
    several = any(each.startswith(column) and len(some) > 1 for each, some in conditions.items())
    keyed = several or index in ("device_name", "device_runs")
    return Filtered(f"device INDEXED BY {index} WHERE {text}", (query.tenant, *values), keyed=keyed)


def _left_alone(condition: str) -> str:
    return condition if condition.startswith("(") else f"+{condition}"


def _order(columns: Sequence[str], query: DeviceSearch) -> str:
    return ", ".join(f"{column} DESC" if query.descending else column for column in columns)


def _part(query: DeviceSearch | ProfileSearch) -> tuple[int, int]:
    return page_size(query.limit), page_start(query.offset)


def profiles(query: ProfileSearch) -> Steps[Counted[Profile]]:
    """Answer a page of profiles."""
    filtered = filtered_profiles(query)
    ((total,),) = yield counted.total(filtered)
    found = yield profiles_in_order(filtered, query)
    return Counted(items=tuple(map(profile_rows.profile, found)), total=total)


def filtered_profiles(query: ProfileSearch) -> Filtered:
    """Return the profiles of a page."""
    if query.name is None:
        return Filtered("profile INDEXED BY profile_tenant WHERE tenant = ?", (query.tenant,))
    return Filtered("profile INDEXED BY profile_name WHERE tenant = ? AND name = ?", (query.tenant, query.name), keyed=True)


def profiles_in_order(filtered: Filtered, query: ProfileSearch) -> Statement:
    """Return the statement for one page."""
    order = f"{'+id' if filtered.keyed else 'id'}{' DESC' if query.descending else ''}"
    text = f"SELECT {profile_rows.PROFILE} FROM {filtered.text} ORDER BY {order} LIMIT ? OFFSET ?"
    return Statement(text, (*filtered.parameters, *_part(query)))
