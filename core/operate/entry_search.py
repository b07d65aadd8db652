"""How entries of the directory are found, one by one and in pages, and which of them a customer may find."""

from collections.abc import Iterable

import msgspec

from core.errors import Reason, Refusal
from core.model import DirectoryEntry, EntryId, EntryKind, Role, Tenant
from core.operate import values
from core.operate.configuring import CountedPage
from core.operate.directing import ListEntries, ShowEntry
from core.operate.entry_places import own_organization, owner_of
from core.operate.registry import Registry, Scope, no_entry
from core.queries import Counted, EntryPage, EntryQuery, TenantQuery

VALUES = 100
"""Ids or parents of one list: each is looked up by itself."""


class EntrySearch(msgspec.Struct, frozen=True):
    """Shows one entry, and lists many.

    The tenant's own organisation is found as if it were older than all others. A customer finds itself and its organisation,
    and is told of all others that they are not there.
    """

    registry: Registry

    async def show(self, command: ShowEntry, scope: Scope) -> DirectoryEntry:
        """Return one entry. Raises `Refusal` NOT_FOUND."""
        if scope.actor.role is Role.CUSTOMER and command.id not in _known_to(scope.actor.user, scope):
            raise no_entry(command.kind)
        if command.kind is EntryKind.ORGANIZATION and command.id == own_organization(scope.tenant):
            return await self._own(scope)
        return await self.registry.entry(command.kind, command.id, scope)

    async def search(self, command: ListEntries, scope: Scope) -> CountedPage[DirectoryEntry]:
        """Return a page of the entries that match every filter. Raises `Refusal` MALFORMED for more than can be looked up."""
        if max(len(command.ids or ()), len(command.parents or ())) > VALUES:
            raise values.malformed(f"ids or parents: {VALUES} are possible", "entry.filters")
        found = await self._page(_for(command, scope), scope)
        return CountedPage(found.items, found.total, command.offset, command.limit)

    async def _page(self, command: ListEntries, scope: Scope) -> Counted[DirectoryEntry]:
        if command.ids is not None:
            return _part([each for each in await self._named(command.ids, scope) if _matches(each, command, scope)], command)
        query = _query(command, scope)
        if command.kind is EntryKind.ORGANIZATION:
            own = await self._own(scope)
            if _matches(own, command, scope):
                return await self._with_own(query, own)
        return await self.registry.repository.read(query)

    async def _named(self, ids: Iterable[str], scope: Scope) -> list[DirectoryEntry]:
        """Return the entries of some ids in the order of a list."""
        wanted, own = set(ids), own_organization(scope.tenant)
        first = [await self._own(scope)] if own in wanted else []
        queries = [EntryQuery(scope.tenant, EntryId(each)) for each in sorted(wanted - {own})]
        found = [await self.registry.repository.read(query) for query in queries]
        return [*first, *(each for each in found if each is not None)]

    async def _with_own(self, query: EntryPage, own: DirectoryEntry) -> Counted[DirectoryEntry]:
        read = self.registry.repository.read
        if query.descending:
            found = await read(query)
            shown = (own,) if query.offset <= found.total < query.offset + query.limit else ()
            return Counted((*found.items, *shown), found.total + 1)
        shown = (own,) if not query.offset and query.limit else ()
        others = msgspec.structs.replace(query, offset=max(query.offset - 1, 0), limit=query.limit - len(shown))
        found = await read(others)
        return Counted((*shown, *found.items), found.total + 1)

    async def _own(self, scope: Scope) -> DirectoryEntry:
        found = await self.registry.repository.read(TenantQuery(scope.tenant))
        if found is None:
            raise Refusal(Reason.NOT_FOUND, "there is no tenant of this id", check="tenant.unknown")
        return _own_entry(found)


def _known_to(user: DirectoryEntry | None, scope: Scope) -> frozenset[str]:
    """Return the ids that a customer may know of; one who came with a token is no user and knows of nothing."""
    return frozenset() if user is None else frozenset({user.id, user.parent or own_organization(scope.tenant)})


def _for(command: ListEntries, scope: Scope) -> ListEntries:
    """Return a command as it stands for who gives it: a customer names all that it may know of, or some of it."""
    if scope.actor.role is not Role.CUSTOMER:
        return command
    known = _known_to(scope.actor.user, scope)
    return msgspec.structs.replace(command, ids=tuple(known if command.ids is None else known.intersection(command.ids)))


def _query(command: ListEntries, scope: Scope) -> EntryPage:
    return EntryPage(
        tenant=scope.tenant,
        kind=command.kind,
        parents=_parents(command, scope),
        template=command.template,
        name=command.name,
        descending=command.descending,
        offset=command.offset,
        limit=command.limit,
    )


def _parents(command: ListEntries, scope: Scope) -> tuple[str, ...] | None:
    return None if command.parents is None else tuple(owner_of(each, scope) for each in command.parents)


def _matches(entry: DirectoryEntry, command: ListEntries, scope: Scope) -> bool:
    """Tell whether an entry matches all filters but that of ids; the tenant's own organisation is within none."""
    parents = _parents(command, scope)
    return (
        entry.kind is command.kind
        and (parents is None or (entry.parent in parents and entry.id != own_organization(scope.tenant)))
        and command.name in (None, entry.name)
        and command.template in (None, entry.template)
    )


def _part(found: list[DirectoryEntry], command: ListEntries) -> Counted[DirectoryEntry]:
    ordered = found[::-1] if command.descending else found
    return Counted(tuple(ordered[command.offset : command.offset + command.limit]), len(found))


def _own_entry(tenant: Tenant) -> DirectoryEntry:
    return DirectoryEntry(
        id=EntryId(own_organization(tenant.id)),
        tenant=tenant.id,
        kind=EntryKind.ORGANIZATION,
        name=tenant.name,
        created_at=tenant.created_at,
        updated_at=tenant.created_at,
    )
