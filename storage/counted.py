"""Pages that can be begun anywhere and say how many there are in all, and the search by a part of a name.

To count is to walk along an index over all that the other filters leave, so these pages are for operators.
"""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

from typing import Any, NamedTuple

from core.model import Channel, DeviceState, EventKind
from core.queries import BootstrapSnapshot, ChannelPage, ConfigPage, Counted, DeviceSnapshot, LabelledPage, UnknownPage
from storage.answers import devices_by_id
from storage.bounds import UNKNOWN_AMONG, page_size, page_start
from storage.configurations import channels_by_id, configs_by_id
from storage.pages import merged
from storage.statements import BY_INDEX, Statement
from storage.steps import Steps

DEVICES = "SELECT coalesce((SELECT devices FROM tenant WHERE id = ?), 0)"
LABELLED = "device INDEXED BY device_state WHERE tenant = ?"
LABEL_MATCHES = "instr(coalesce(folded, label, name), ?)"
NAME_MATCHES = "instr(coalesce(folded, name), ?)"
"""`instr` knows no wildcards and compares bytes; of UTF-8 texts that finds the same parts as comparing characters."""


class Filtered(NamedTuple):
    """What stands behind SELECT ... FROM, with its parameters: rows that have an `id`, met in the order of it.

    `keyed` are those found by what one row alone has, or few have: they are not met in that order, but sorted.
    """

    text: str
    parameters: tuple[Any, ...]
    keyed: bool = False


def configs(query: ConfigPage) -> Steps[Counted[BootstrapSnapshot]]:
    """Answer a page of configurations."""
    filtered = filtered_configs(query)
    ids = [row[0] for row in (yield page(filtered, query))]
    found = yield from configs_by_id(ids)
    ((number,),) = yield total(filtered)
    return Counted(items=tuple(found[device] for device in ids), total=number)


def channels(query: ChannelPage) -> Steps[Counted[Channel]]:
    """Answer a page of channels."""
    filtered = filtered_channels(query)
    ids = [row[0] for row in (yield page(filtered, query))]
    found = yield from channels_by_id(ids)
    ((number,),) = yield total(filtered)
    return Counted(items=tuple(found[channel] for channel in ids), total=number)


def labelled(query: LabelledPage) -> Steps[Counted[DeviceSnapshot]]:
    """Answer a page of devices by label."""
    ids = [row[0] for row in (yield labelled_devices(query))]
    found = yield from devices_by_id(ids)
    ((number,),) = yield labelled_total(query)
    return Counted(items=tuple(found[device] for device in ids), total=number)


def unknown(query: UnknownPage) -> Steps[tuple[str, ...]]:
    """Answer a page of external ids that no configuration has."""
    return tuple(row[0] for row in (yield unknown_names(query)))


def filtered_configs(query: ConfigPage) -> Filtered:
    """Return the configurations of a page: one by its key where the query has one, else a walk in the order of ids."""
    keys: dict[str, object] = {
        "external_id = ?": query.external_id,
        "id = ?": query.id,
        "id = (SELECT device FROM credential WHERE lookup = ?)": query.secret,
    }
    conditions: dict[str, object] = {
        "tenant = ?": query.tenant,
        **keys,
        "client_key = ?": query.client_key,
        "active = ?": None if query.active is None else int(query.active),
        NAME_MATCHES: None if query.name is None else query.name.casefold(),
    }
    given = {condition: value for condition, value in conditions.items() if value is not None}
    if given.keys() & keys:
        found = " AND ".join(given).replace("tenant = ?", "+tenant = ?")
        return Filtered(f"config WHERE {found}", tuple(given.values()), keyed=True)
    walk = f"config INDEXED BY config_{'tenant' if query.client_key is None else 'client_key'}"
    return Filtered(f"{walk} WHERE {' AND '.join(given)}", tuple(given.values()))


def filtered_channels(query: ChannelPage) -> Filtered:
    """Return the channels of a page."""
    walk = "channel INDEXED BY channel_tenant WHERE tenant = ?"
    if query.name is None:
        return Filtered(walk, (query.tenant,))
    return Filtered(f"{walk} AND {NAME_MATCHES}", (query.tenant, query.name.casefold()))


def page(filtered: Filtered, query: ConfigPage | ChannelPage) -> Statement:
    """Return the statement for the ids of one page."""
    order = "+id" if filtered.keyed else BY_INDEX
    text = f"SELECT id FROM {filtered.text} AND {order} > ? ORDER BY {order} LIMIT ? OFFSET ?"
    return Statement(text, (*filtered.parameters, query.after or "", page_size(query.limit), page_start(query.offset)))


def total(filtered: Filtered) -> Statement:
    """Return the statement that counts."""
    return Statement(f"SELECT count(*) FROM {filtered.text}", filtered.parameters)


def labelled_devices(query: LabelledPage) -> Statement:
    """Return the statement for the ids of one page of devices: the walks over each state, merged in the order of ids."""
    matched = "" if query.label is None else f" AND {LABEL_MATCHES}"
    part = () if query.label is None else (query.label.casefold(),)
    text = f"SELECT id FROM {LABELLED} AND state = ?{matched}"
    walks = [Statement(text, (query.tenant, state.value, *part)) for state in DeviceState]
    return merged(walks, page_size(query.limit), page_start(query.offset))


def labelled_total(query: LabelledPage) -> Statement:
    """Return the statement that counts the devices of a page; without a filter that is done already."""
    if query.label is None:
        return Statement(DEVICES, (query.tenant,))
    return Statement(f"SELECT count(*) FROM {LABELLED} AND {LABEL_MATCHES}", (query.tenant, query.label.casefold()))


def unknown_names(query: UnknownPage) -> Statement:
    """Return the statement for the external ids of one page. It sorts, `UNKNOWN_AMONG` names at most."""
    text = f"""SELECT DISTINCT device_name FROM (
        SELECT device_name, "check" FROM event INDEXED BY event_kind
        WHERE tenant = ? AND kind = ? AND kind <> '{EventKind.PROVISION_SUCCEEDED.value}' ORDER BY id DESC LIMIT ?
    ) AS asked WHERE "check" = ? AND NOT EXISTS (SELECT 1 FROM config WHERE config.external_id = asked.device_name)
    ORDER BY device_name LIMIT ? OFFSET ?"""
    refused = (query.tenant, EventKind.BOOTSTRAP_REFUSED.value, UNKNOWN_AMONG, "bootstrap.unknown")
    return Statement(text, (*refused, page_size(query.limit), page_start(query.offset)))
