"""What operators do with entries of the directory: organisations, users, and what templates say of their devices."""

from functools import partial
from typing import Any

import msgspec

from core.crypto.tokens import new_id
from core.errors import Guard, Reason, Refusal
from core.model import DirectoryEntry, EntryId, EntryKind, EventKind
from core.operate import entry_rules
from core.operate.configuring import CountedPage
from core.operate.directing import ChangeEntry, CreateEntry, DeleteEntry, ListEntries, ShowEntry
from core.operate.entry_places import Places, own_organization
from core.operate.entry_search import EntrySearch
from core.operate.registry import HEALED, WRITERS, Registry, Scope, require_version
from core.ports import Changes, Delete

__all__ = ["Directory", "own_organization"]

NAME_HEALED = HEALED | {Guard.ENTRY_NAME}
"""The guards of which reading again tells what is in the way, in words of its own."""


class Directory(msgspec.Struct, frozen=True):
    """Makes, lists, shows, changes and removes entries.

    Every tenant has one organisation that nobody made: the empty reference and its own id both mean it, and it can be neither
    changed nor removed here.
    """

    registry: Registry

    async def create(self, command: CreateEntry, scope: Scope) -> DirectoryEntry:
        """Make an entry. Raises `Refusal` MALFORMED, FORBIDDEN, NOT_FOUND or CONFLICT."""
        kind, issuer = command.kind, self.registry.issuer
        now = issuer.clock.now()
        entry = DirectoryEntry(
            id=EntryId(new_id(now, issuer.entropy)),
            tenant=scope.tenant,
            kind=kind,
            name=entry_rules.require_name(kind, command.name),
            login=entry_rules.require_login(kind, command.login),
            role=entry_rules.require_role(kind, command.role),
            attributes=command.attributes,
            created_at=now,
            updated_at=now,
        )
        entry_rules.require_attributes(entry.attributes)
        entry_rules.require_writer(scope.actor, entry, password=command.password is not None)
        await self._placed(entry, command, scope)
        entry = msgspec.structs.replace(entry, **await self._verifier(command))
        return await self.registry.settle(partial(self._create, entry, command, scope), healed=NAME_HEALED)

    async def list(self, command: ListEntries, scope: Scope) -> CountedPage[DirectoryEntry]:
        """Return a page of entries of a kind. Raises `Refusal` as `EntrySearch.search` does."""
        return await EntrySearch(self.registry).search(command, scope)

    async def show(self, command: ShowEntry, scope: Scope) -> DirectoryEntry:
        """Return one entry. Raises `Refusal` NOT_FOUND."""
        return await EntrySearch(self.registry).show(command, scope)

    async def change(self, command: ChangeEntry, scope: Scope) -> DirectoryEntry:
        """Change an entry. Raises `Refusal` MALFORMED, FORBIDDEN, NOT_FOUND, STALE or CONFLICT."""
        entry_rules.require_writer(scope.actor, password=command.password is not None)
        wanted = _checked(command) | await self._verifier(command)
        return await self.registry.settle(partial(self._change, command, wanted, scope), healed=NAME_HEALED, attempts=WRITERS)

    async def delete(self, command: DeleteEntry, scope: Scope) -> DirectoryEntry:
        """Remove an entry and return what it was. Raises `Refusal` FORBIDDEN, NOT_FOUND, STALE or CONFLICT."""
        return await self.registry.settle(partial(self._delete, command, scope), attempts=WRITERS)

    async def _create(self, entry: DirectoryEntry, command: CreateEntry, scope: Scope) -> DirectoryEntry:
        entry = await self._placed(entry, command, scope)
        entry_rules.require_whole(entry)
        await self._places.require_room(entry, scope)
        event = self.registry.entry_event(EventKind.ENTRY_CREATED, entry, scope)
        await self.registry.commit(event, Changes(insert=(entry,)))
        return entry

    async def _placed(self, entry: DirectoryEntry, command: CreateEntry, scope: Scope) -> DirectoryEntry:
        """Return an entry with what it belongs to and is made from, as they are at this moment."""
        parent = await self._places.parent(entry.kind, command.parent, scope)
        template = await self._places.template(entry.kind, command.template, scope)
        return msgspec.structs.replace(entry, parent=parent, template=template)

    async def _change(self, command: ChangeEntry, wanted: dict[str, Any], scope: Scope) -> DirectoryEntry:
        before = await self._own_apart(command, scope)
        after = msgspec.structs.replace(before, **wanted)
        if command.parent is not None:
            parent = await self._places.parent(command.kind, command.parent, scope)
            after = msgspec.structs.replace(after, parent=parent)
        if command.attributes is not None:
            after = msgspec.structs.replace(after, attributes=before.attributes | command.attributes)
        entry_rules.require_writer(scope.actor, before, after)
        entry_rules.require_attributes(after.attributes)
        entry_rules.require_whole(after)
        await self._places.require_move(before, after, scope)
        after = msgspec.structs.replace(after, updated_at=self.registry.issuer.clock.now(), version=before.version + 1)
        event = self.registry.entry_event(EventKind.ENTRY_CHANGED, after, scope, _changed(before, after))
        await self.registry.commit(event, Changes(replace=(after,)))
        return after

    async def _delete(self, command: DeleteEntry, scope: Scope) -> DirectoryEntry:
        entry = await self._own_apart(command, scope)
        entry_rules.require_writer(scope.actor, entry)
        if entry.kind is EntryKind.ORGANIZATION and await self._places.is_used(entry, scope):
            raise Refusal(Reason.CONFLICT, "the organisation still has devices, users or organisations", check="entry.in_use")
        event = self.registry.entry_event(EventKind.ENTRY_DELETED, entry, scope)
        await self.registry.commit(event, Changes(delete=(Delete(entry),)))
        return entry

    @property
    def _places(self) -> Places:
        return Places(self.registry)

    async def _own_apart(self, command: ChangeEntry | DeleteEntry, scope: Scope) -> DirectoryEntry:
        """Return the entry as it was seen."""
        if command.kind is EntryKind.ORGANIZATION and command.id == own_organization(scope.tenant):
            raise Refusal(Reason.UNPROCESSABLE, "the tenant's own organisation stays as it is", check="entry.own")
        found = await self.registry.entry(command.kind, command.id, scope)
        require_version(command.version, found)
        return found

    async def _verifier(self, command: CreateEntry | ChangeEntry) -> dict[str, bytes]:
        if command.password is None:
            return {}
        entry_rules.require_password(command.kind, command.password)
        return {"verifier": await self.registry.issuer.password_verifier(command.password)}


def _checked(command: ChangeEntry) -> dict[str, Any]:
    """Return what of the change can be told without the registry."""
    wanted: dict[str, Any] = {}
    if command.name is not None:
        wanted["name"] = entry_rules.require_name(command.kind, command.name)
    if command.login is not None:
        wanted["login"] = entry_rules.require_login(command.kind, command.login)
    if command.role is not None:
        wanted["role"] = entry_rules.require_role(command.kind, command.role)
    return wanted


def _changed(before: DirectoryEntry, after: DirectoryEntry) -> str:
    """Name what changed, for the event; a password by its name alone."""
    names = {"verifier": "password"}
    fields = ("name", "parent", "login", "role", "verifier", "attributes")
    return ", ".join(names.get(field, field) for field in fields if getattr(before, field) != getattr(after, field))
