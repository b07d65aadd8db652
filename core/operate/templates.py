"""What operators do with profiles as templates: what each says of its devices, their fields and their channels."""

from collections.abc import Iterable
from functools import partial

import msgspec

from core.attestation import secret_row
from core.crypto.tokens import new_id
from core.model import DirectoryEntry, EntryKind, EventKind, Profile, ProfileId, Secret, Strategy
from core.operate import values
from core.operate.configuring import CountedPage
from core.operate.directing import ChangeTemplate, CreateTemplate, ListTemplates, ShowTemplate, TemplateView
from core.operate.registry import WRITERS, Registry, Scope, require_version
from core.ports import Changes
from core.queries import EntryPage, ProfileSearch

_AT_ONCE = 1_000


class Templates(msgspec.Struct, frozen=True):
    """Makes, lists, shows and changes profiles; all profiles of the tenant are templates."""

    registry: Registry

    async def create(self, command: CreateTemplate, scope: Scope) -> TemplateView:
        """Make a profile. Raises `Refusal` MALFORMED, or CONFLICT where its name is taken."""
        issuer = self.registry.issuer
        now = issuer.clock.now()
        identity = ProfileId(new_id(now, issuer.entropy))
        secret = Secret(values.draw_claim_text(issuer.entropy))
        values.require_metadata(command.attributes)
        profile = Profile(
            id=identity,
            tenant=scope.tenant,
            name=values.require_label(command.name, "name"),
            strategy=Strategy.DISABLED,
            provision_key=values.draw_claim_text(issuer.entropy),
            provision_secret=issuer.vault.seal(secret, secret_row(identity)),
            credential_kind=command.credential_kind,
            metadata=command.attributes,
            created_at=now,
            updated_at=now,
        )
        event = self.registry.profile_event(EventKind.PROFILE_CREATED, profile, scope, profile.name)
        await self.registry.settle(partial(self.registry.commit, event, Changes(insert=(profile,))))
        return await self.view(profile, scope)

    async def list(self, command: ListTemplates, scope: Scope) -> CountedPage[TemplateView]:
        """Return a page of profiles."""
        query = ProfileSearch(
            tenant=scope.tenant,
            name=command.name,
            descending=command.descending,
            offset=command.offset,
            limit=command.limit,
        )
        found = await self.registry.repository.read(query)
        views = await self.views(found.items, scope)
        return CountedPage(tuple(views[each.id] for each in found.items), found.total, command.offset, command.limit)

    async def show(self, command: ShowTemplate, scope: Scope) -> TemplateView:
        """Return one profile. Raises `Refusal` NOT_FOUND."""
        return await self.view(await self.registry.profile_of_id(command.id, scope), scope)

    async def change(self, command: ChangeTemplate, scope: Scope) -> TemplateView:
        """Change a profile. Raises `Refusal` MALFORMED, NOT_FOUND, STALE or CONFLICT."""
        name = None if command.name is None else values.require_label(command.name, "name")
        command = msgspec.structs.replace(command, name=name)
        profile = await self.registry.settle(partial(self._change, command, scope), attempts=WRITERS)
        return await self.view(profile, scope)

    async def view(self, profile: Profile, scope: Scope) -> TemplateView:
        """Return a profile with its fields and channels and those of all profiles."""
        return (await self.views((profile,), scope))[profile.id]

    async def views(self, profiles: Iterable[Profile], scope: Scope) -> dict[ProfileId, TemplateView]:
        """Return the views of some profiles, by id."""
        distinct = {profile.id: profile for profile in profiles}
        fields = await self._entries(EntryKind.DEVICE_FIELD, distinct, scope)
        channels = await self._entries(EntryKind.CHANNEL_TEMPLATE, distinct, scope)
        return {
            identity: TemplateView(profile, _of(identity, fields), _of(identity, channels))
            for identity, profile in distinct.items()
        }

    async def _change(self, command: ChangeTemplate, scope: Scope) -> Profile:
        before = await self.registry.profile_of_id(command.id, scope)
        require_version(command.version, before)
        metadata = before.metadata | (command.attributes or {})
        values.require_metadata(metadata)
        after = msgspec.structs.replace(
            before,
            name=before.name if command.name is None else command.name,
            metadata=metadata,
            updated_at=self.registry.issuer.clock.now(),
            version=before.version + 1,
        )
        changed = ", ".join(field for field in ("name", "metadata") if getattr(after, field) != getattr(before, field))
        event = self.registry.profile_event(EventKind.PROFILE_CHANGED, after, scope, changed)
        await self.registry.commit(event, Changes(replace=(after,)))
        return after

    async def _entries(self, kind: EntryKind, profiles: Iterable[ProfileId], scope: Scope) -> tuple[DirectoryEntry, ...]:
        """Read all entries of some profiles; how many each may have is bounded."""
        parents, items, total = ("", *profiles), tuple[DirectoryEntry, ...](), 1
        while len(items) < total:
            page = EntryPage(tenant=scope.tenant, kind=kind, parents=parents, offset=len(items), limit=_AT_ONCE)
            found = await self.registry.repository.read(page)
            items, total = (*items, *found.items), found.total if found.items else 0
        return items


def _of(profile: ProfileId, entries: Iterable[DirectoryEntry]) -> tuple[DirectoryEntry, ...]:
    return tuple(each for each in entries if each.parent in ("", profile))
