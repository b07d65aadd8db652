"""Changes written by one statement, which is a transaction of its own: no lock is held while the network is waited for.

Each of its parts changes one table. What no constraint keeps - versions, limits, budgets - is asked at the end: where it does
not hold, that divides by zero, and nothing of the statement stays (class 22 of
https://www.postgresql.org/docs/15/errcodes-appendix.html). Which of the changes it was is not told.
"""

# ruff: noqa: S608 - SQL is put together from constants alone; what is written goes in as parameters

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from core.model import (
    BootstrapConfig,
    Channel,
    Credential,
    Device,
    IssuedCertificate,
    OperatorToken,
    OscoreState,
    PendingClaim,
)
from core.notices import names_of, write
from core.ports import Changes, Entity
from storage import rows
from storage.guards import Key, Kind, device_balance, key_of, made_balance
from storage.postgres import columns
from storage.postgres.columns import Columns, arrays_of, turned
from storage.postgres.connections import Connection
from storage.rows import Row
from storage.uniques import Unique, uniques

_REPLACED: dict[Kind, tuple[Columns, tuple[str, ...]]] = {
    Device: (columns.DEVICE, ("tenant", "profile", "name", "serial", "unique_serial", "owner")),
    Credential: (columns.CREDENTIAL, ("device", "lookup")),
    OscoreState: (columns.OSCORE, ()),
    IssuedCertificate: (columns.ISSUED, ("tenant",)),
}
"""What may be replaced by a part, and what has to stay as it is: where it belongs and what is unique of it.

So no change in a statement frees a value that another one takes, whichever of them comes first.
"""

_DELETED: dict[Kind, str] = {
    OscoreState: "oscore_state",
    IssuedCertificate: "issued",
    Credential: "credential",
    PendingClaim: "pending_claim",
}
_ADDED = frozenset((*_REPLACED, Channel, BootstrapConfig, PendingClaim, OperatorToken))
_LOCKED_IN_ORDER: dict[Kind, Callable[[Any], Any]] = {
    Device: lambda device: (device.tenant, device.name),
    Credential: lambda credential: credential.lookup,
}
"""What is unique of these, in the order in which every gateway asks for it, so that two wait for each other seldom."""

_TENANTS = """UPDATE tenant SET devices = tenant.devices + asked.growth FROM {arrays} AS asked (id, growth)
    WHERE tenant.id = asked.id
    RETURNING coalesce(asked.growth > 0 AND tenant.devices > tenant.device_limit, false) AS is_full"""
# Also where nobody counts yet: whoever begins to meanwhile is to wait until the new devices are there to be counted.
_PROFILES = """UPDATE profile SET made = profile.made + asked.growth FROM {arrays} AS asked (id, growth)
    WHERE profile.id = asked.id
    RETURNING coalesce(profile.made > profile.budget, false) AS is_full"""
_NOTICE = "INSERT INTO notice (origin, names) SELECT * FROM {arrays}"


class _Part(NamedTuple):
    """What is done to one table.

    `counts` tells that as many rows are to be met as are given, `limits` that none may be full, `first` that it is done before
    what limits: a tenant's row is everybody's, and is to be held no longer than it takes to end.
    """

    name: str
    text: str
    types: tuple[str, ...]
    counts: bool = False
    limits: bool = False
    first: bool = False


_ANCHORED: dict[Kind, _Part] = {
    kind: _Part(
        f"anchored_{table}",
        f"""SELECT 1 FROM {{arrays}} AS asked (id, tenant)
            JOIN {table} ON {table}.id = asked.id AND {table}.tenant = asked.tenant""",
        ("text", "text"),
        counts=True,
    )
    for kind, table in ((Device, "device"), (Channel, "channel"))
}


def is_swift(changes: Changes) -> bool:
    """Tell whether one statement can write changes and keep their guards."""
    for entity in changes.insert:
        if type(entity) not in _ADDED or (isinstance(entity, Device) and entity.owner):
            return False
    if not all(type(entity) in _REPLACED for entity in changes.replace):
        return False
    if not all(type(deletion.entity) in _DELETED for deletion in changes.delete):
        return False
    if not (changes.replace or changes.delete):
        return True
    keys = _keys(changes)
    return len(set(keys)) == len(keys)


def touched(changes: Changes) -> set[Key | Unique]:
    """Return what sets of changes of one statement must not have in common."""
    found: set[Key | Unique] = set(_keys(changes))
    for entity in chain(changes.insert, changes.replace, (deletion.entity for deletion in changes.delete)):
        found.update(uniques(entity))
    for entity in changes.insert:
        if isinstance(entity, BootstrapConfig | PendingClaim):
            found.update(key for key, _ in _anchors(entity))
    return found


def _anchors(entity: BootstrapConfig | PendingClaim) -> list[tuple[Key, str]]:
    """Return what has to be there in the tenant of an entity, which no foreign key says."""
    channels = entity.channels if isinstance(entity, BootstrapConfig) else ()
    return [((Device, entity.id), entity.tenant), *(((Channel, channel), entity.tenant) for channel in channels)]


def _keys(changes: Changes) -> list[Key]:
    keys = [key_of(entity) for entity in changes.insert]
    if changes.replace or changes.delete:
        keys += [key_of(entity) for entity in changes.replace]
        keys += [key_of(deletion.entity) for deletion in changes.delete]
        keys += [(OscoreState, deletion.entity.id) for deletion in changes.delete if isinstance(deletion.entity, Credential)]
    return keys


async def write_swiftly(connection: Connection, group: Sequence[Changes], origin: str) -> None:
    """Write all of a group or nothing. Raises what asyncpg raises, `DivisionByZeroError` where a guard fails.

    `origin` is the replica that is named in the notice of what is written: it knows already.
    """
    parts: list[tuple[_Part, list[Row]]] = []
    for kind, table in _DELETED.items():
        gone = [each.entity for changes in group for each in changes.delete if type(each.entity) is kind]
        if gone:
            parts.append((_deletion(table), sorted((entity.id, entity.version) for entity in gone)))
    for kind in _REPLACED:
        replaced = [each for changes in group for each in changes.replace if type(each) is kind]
        if replaced:
            part = _replacement(kind)
            parts.append((part, [row for each in sorted(replaced, key=_id) for row in _REPLACED[kind][0].rows(each)]))
    await _write(connection, parts + _anchored(group) + _counts(group) + _additions(group, origin))


async def add(connection: Connection, changes: Changes, origin: str) -> None:
    """Put in what changes of any kind insert, with their events, counts and notice; raises as `write_swiftly` does."""
    await _write(connection, _additions([changes], origin))
    await _write(connection, _counts([changes]))  # by itself: a statement does not see the tenant that it puts in


def _additions(group: Sequence[Changes], origin: str) -> list[tuple[_Part, list[Row]]]:
    added: dict[Kind, list[Entity]] = {}
    for changes in group:
        for entity in changes.insert:
            added.setdefault(type(entity), []).append(entity)
    parts: list[tuple[_Part, list[Row]]] = []
    for kind, tables in columns.INSERTED.items():
        if kind in added:
            entities = sorted(added[kind], key=_LOCKED_IN_ORDER[kind]) if kind in _LOCKED_IN_ORDER else added[kind]
            for table in _narrowed(kind, tables, entities):
                made = [row for entity in entities for row in table.rows(entity)]
                if made:
                    parts.append((_insertion(table), made))
    events = [row for changes in group for event in changes.events for row in columns.EVENT.rows(event)]
    if events:
        parts.append((_insertion(columns.EVENT), events))
    names = frozenset[str]().union(*map(names_of, group))
    if names:
        parts.append((_Part("notice", _NOTICE, ("text", "text")), [(origin, write(names))]))
    return parts


def _anchored(group: Sequence[Changes]) -> list[tuple[_Part, list[Row]]]:
    """Return the parts that look for what additions point at in their tenant, but for what comes with them."""
    wanted: dict[Kind, list[Row]] = {}
    for changes in group:
        pointing = [entity for entity in changes.insert if isinstance(entity, BootstrapConfig | PendingClaim)]
        if pointing:
            new = {key_of(entity): entity.tenant for entity in changes.insert if isinstance(entity, Device | Channel)}
            for (kind, identity), tenant in {anchor for entity in pointing for anchor in _anchors(entity)}:
                if new.get((kind, identity)) != tenant:
                    wanted.setdefault(kind, []).append((identity, tenant))
    parts = ((_ANCHORED[kind], sorted(found)) for kind, found in wanted.items())
    return sorted(parts, key=lambda part: part[0].name)


def _counts(group: Sequence[Changes]) -> list[tuple[_Part, list[Row]]]:
    parts: list[tuple[_Part, list[Row]]] = []
    for part, balance in (
        (_Part("counted_tenant", _TENANTS, ("text", "bigint"), limits=True), device_balance),
        (_Part("counted_profile", _PROFILES, ("text", "bigint"), limits=True), made_balance),
    ):
        growths: dict[str, int] = {}
        for changes in group:
            for owner, growth in balance(changes).items():
                growths[owner] = growths.get(owner, 0) + growth
        if growths:
            parts.append((part, sorted(growths.items())))
    return parts


def _narrowed(kind: Kind, tables: tuple[Columns, ...], entities: Iterable[Entity]) -> tuple[Columns, ...]:
    """Leave out the columns in which most devices have nothing."""
    if kind is Device and not any(isinstance(each, Device) and rows.has_reached(each) for each in entities):
        return (columns.DEVICE_LABELLED,)
    return tables


async def _write(connection: Connection, parts: Sequence[tuple[_Part, list[Row]]]) -> None:
    if not parts:
        return
    expected = [len(given) for part, given in parts if part.counts]
    parameters = [column for _, given in parts for column in turned(given)]
    if expected:
        parameters.append(sum(expected))  # type: ignore[arg-type]  # the one parameter that is no array
    await connection.fetchval(_text(tuple(part for part, _ in parts)), *parameters)


@lru_cache(maxsize=512)
def _text(parts: tuple[_Part, ...]) -> str:
    first = 1
    done: list[str] = []
    for part in parts:
        done.append(f"{part.name} AS ({part.text.format(arrays=arrays_of(part.types, first))})")
        first += len(part.types)
    # The database does what is asked for here, from left to right, and the rest at the end.
    limits = [f"NOT EXISTS (SELECT FROM {part.name} WHERE is_full)" for part in parts if part.limits]
    conditions = [f"(SELECT count(*) FROM {part.name}) >= 0" for part in parts if part.first and limits] + limits
    counted = [f"(SELECT count(*) FROM {part.name})" for part in parts if part.counts]
    if counted:
        conditions.insert(0, f"{' + '.join(counted)} = ${first}::bigint")
    return f"WITH {', '.join(done)} SELECT 1 / ({' AND '.join(conditions) or 'true'})::int"


def _insertion(table: Columns) -> _Part:
    text = f"INSERT INTO {table.table} ({', '.join(table.names)}) SELECT * FROM {{arrays}} RETURNING 1"
    return _Part(f"new_{table.table}", text, table.types, first=True)


def _deletion(table: str) -> _Part:
    text = f"""DELETE FROM {table} USING {{arrays}} AS asked (id, version)
        WHERE {table}.id = asked.id AND {table}.version = asked.version RETURNING 1"""
    return _Part(f"gone_{table}", text, ("text", "bigint"), counts=True)


def _replacement(kind: Kind) -> _Part:
    (table, names, _), kept = _REPLACED[kind]
    unmoved = " AND ".join(f"{table}.{name} IS NOT DISTINCT FROM asked.{name}" for name in kept) or "true"
    text = f"""UPDATE {table} SET ({", ".join(names[1:])}) = ROW({", ".join(f"asked.{name}" for name in names[1:])})
        FROM {{arrays}} AS asked ({", ".join(names)})
        WHERE {table}.id = asked.id AND {table}.version = asked.version - 1 AND {unmoved} RETURNING 1"""
    return _Part(f"next_{table}", text, _REPLACED[kind][0].types, counts=True)


def _id(entity: Entity) -> str:
    return entity.id
