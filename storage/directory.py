"""Pending claims and entries of the directory, by key and in pages."""

# ruff: noqa: S608 - SQL is put together from constants alone; what is asked for goes in as parameters

from collections.abc import Collection, Sequence

from core.model import DirectoryEntry, EntryId, PendingClaim
from core.queries import (
    AnyEntryQuery,
    Counted,
    DeviceClaimQuery,
    EntryLoginQuery,
    EntryPage,
    EntryQuery,
    EntrySecretQuery,
    PendingClaimQuery,
    PendingClaimSnapshot,
)
from storage import counted, directory_rows, rows
from storage.bounds import page_size, page_start
from storage.counted import Filtered
from storage.statements import BY_INDEX, Grouped, Statement
from storage.steps import Steps

# CROSS JOIN keeps the order of the tables: left to itself the planner may walk through a whole table instead.
CLAIMS_BY_LOOKUP = Grouped(
    f"""WITH asked (lookup) AS (VALUES {{rows}}) SELECT {directory_rows.CLAIM}, {rows.DEVICE} FROM asked
    CROSS JOIN pending_claim ON pending_claim.lookup = asked.lookup CROSS JOIN device ON device.id = pending_claim.id""",
    width=1,
    types=("bytea",),
)
CLAIMS_BY_DEVICE = Grouped(
    f"""WITH asked (device, tenant) AS (VALUES {{rows}}) SELECT {directory_rows.CLAIM} FROM asked
    CROSS JOIN pending_claim ON pending_claim.id = asked.device AND +pending_claim.tenant = asked.tenant""",
    width=2,
)
ENTRIES_BY_LOOKUP = Grouped(
    f"""WITH asked (lookup) AS (VALUES {{rows}}) SELECT {directory_rows.ENTRY} FROM asked
    CROSS JOIN entry ON entry.lookup = asked.lookup""",
    width=1,
    types=("bytea",),
)
ENTRIES_BY_ID = Grouped(
    f"""WITH asked (id) AS (VALUES {{rows}}) SELECT {directory_rows.ENTRY} FROM asked
    CROSS JOIN entry ON entry.id = asked.id""",
    width=1,
)
ENTRY_BY_LOGIN = f"SELECT {directory_rows.ENTRY} FROM entry WHERE tenant = ? AND login = ? AND login <> ''"

_CLAIM_COLUMNS = directory_rows.CLAIM.count(",") + 1


def pending_claims(queries: Sequence[PendingClaimQuery]) -> Steps[list[PendingClaimSnapshot | None]]:
    """Answer for the pending claims of lookups, all from the same moment."""
    asked = {query.lookup for query in queries}
    found = {
        row[2]: PendingClaimSnapshot(claim=directory_rows.claim(row), device=rows.device(row[_CLAIM_COLUMNS:]))
        for row in (yield CLAIMS_BY_LOOKUP.asked([(lookup,) for lookup in asked]))
    }
    return [found.get(query.lookup) for query in queries]


def device_claims(queries: Sequence[DeviceClaimQuery]) -> Steps[list[PendingClaim | None]]:
    """Answer for the pending claims of devices, all from the same moment."""
    asked = {(query.device, query.tenant) for query in queries}
    claims = map(directory_rows.claim, (yield CLAIMS_BY_DEVICE.asked(asked)))
    found = {(claim.id, claim.tenant): claim for claim in claims}
    return [found.get((query.device, query.tenant)) for query in queries]


def entry_secrets(queries: Sequence[EntrySecretQuery]) -> Steps[list[DirectoryEntry | None]]:
    """Answer for the users of secrets, all from the same moment."""
    asked = {query.lookup for query in queries}
    entries = map(directory_rows.entry, (yield ENTRIES_BY_LOOKUP.asked([(lookup,) for lookup in asked])))
    found = {entry.lookup: entry for entry in entries}
    return [found.get(query.lookup) for query in queries]


def any_entries(queries: Sequence[AnyEntryQuery]) -> Steps[list[DirectoryEntry | None]]:
    """Answer for entries of any tenant, all from the same moment."""
    found = yield from entries_by_id({query.id for query in queries})
    return [found.get(query.id) for query in queries]


def entries_of_tenants(queries: Sequence[EntryQuery]) -> Steps[list[DirectoryEntry | None]]:
    """Answer for entries of a tenant, all from the same moment."""
    found = yield from entries_by_id({query.id for query in queries})
    entries = [(found.get(query.id), query.tenant) for query in queries]
    return [each if each is not None and each.tenant == tenant else None for each, tenant in entries]


def entries_by_id(ids: Collection[EntryId]) -> Steps[dict[EntryId, DirectoryEntry]]:
    """Return the entries of distinct ids."""
    entries = map(directory_rows.entry, (yield ENTRIES_BY_ID.asked([(entry,) for entry in ids])))
    return {entry.id: entry for entry in entries}


def entry_login(query: EntryLoginQuery) -> Steps[DirectoryEntry | None]:
    """Answer for the user who logs in with something."""
    found = yield Statement(ENTRY_BY_LOGIN, (query.tenant, query.login))
    return directory_rows.entry(found[0]) if found else None


def entries(query: EntryPage) -> Steps[Counted[DirectoryEntry]]:
    """Answer a page of entries."""
    if query.parents == ():
        return Counted(items=(), total=0)
    filtered = filtered_entries(query)
    ((total,),) = yield counted.total(filtered)
    found = yield entries_in_order(filtered, query)
    return Counted(items=tuple(map(directory_rows.entry, found)), total=total)


def filtered_entries(query: EntryPage) -> Filtered:
    """Return the entries of a page, by the index of the narrowest filter; what was made from a template has none."""
    index, conditions, parameters = "entry_kind", ["tenant = ?", "kind = ?"], [query.tenant, query.kind.value]
    several = query.name is None and query.parents is not None and len(query.parents) > 1
    if query.parents is not None:
        index = "entry_parent"
        parent = "parent" if query.name is None else "+parent"
        conditions.append(f"{parent} IN ({', '.join('?' * len(query.parents))})")
        parameters += query.parents
    if query.name is not None:
        index = "entry_name"
        conditions.append("name = ?")
        parameters.append(query.name)
    if query.template is not None:
        conditions.append("template = ?")
        parameters.append(query.template)
    return Filtered(f"entry INDEXED BY {index} WHERE {' AND '.join(conditions)}", tuple(parameters), keyed=several)


def entries_in_order(filtered: Filtered, query: EntryPage) -> Statement:
    """Return the statement for one page; among several parents it sorts."""
    order = f"{'+id' if filtered.keyed else BY_INDEX}{' DESC' if query.descending else ''}"
    text = f"SELECT {directory_rows.ENTRY} FROM {filtered.text} ORDER BY {order} LIMIT ? OFFSET ?"
    return Statement(text, (*filtered.parameters, page_size(query.limit), page_start(query.offset)))
