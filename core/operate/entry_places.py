"""Where an entry of the directory may stand: in which organisation or profile, among how many, and made from what."""

import hashlib

import msgspec

from core.errors import Reason, Refusal
from core.model import DirectoryEntry, EntryId, EntryKind, TenantId
from core.operate import entry_rules, values
from core.operate.registry import Registry, Scope
from core.queries import DeviceSearch, EntryPage, EntryQuery

DEPTH = 32
"""How deep organisations may be moved into each other."""

OF_A_KIND = 100
"""How many fields or channels a profile may have, and how many may be those of all profiles."""


def own_organization(tenant: TenantId) -> str:
    """Return the id of a tenant's own organisation: a UUIDv8 (RFC 9562, section 5.8) of the tenant's id."""
    digits = hashlib.sha256(b"own organization\0" + tenant.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-8{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"


def owner_of(ref: str, scope: Scope) -> str:
    """Return an organisation's id as devices and users name it: empty for the tenant's own, any other as it is."""
    return "" if ref == own_organization(scope.tenant) else ref


class Places(msgspec.Struct, frozen=True):
    """Looks up what entries and devices refer to. An organisation that goes at the same moment is a conflict."""

    registry: Registry

    async def organization(self, ref: str, scope: Scope) -> str:
        """Return `owner_of` an organisation that exists. Raises `Refusal` NOT_FOUND."""
        ref = owner_of(ref, scope)
        return (await self.registry.entry(EntryKind.ORGANIZATION, ref, scope)).id if ref else ""

    async def parent(self, kind: EntryKind, ref: str, scope: Scope) -> str:
        """Return what an entry of a kind belongs to. Raises `Refusal` MALFORMED or NOT_FOUND."""
        if kind in entry_rules.OF_ORGANIZATIONS:
            return await self.organization(ref, scope)
        if not ref:
            return ""
        if kind not in entry_rules.OF_PROFILES:
            raise values.malformed("parent: an entry of this kind belongs to none", "entry.parent")
        return (await self.registry.profile_of_id(ref, scope)).id

    async def template(self, kind: EntryKind, ref: str, scope: Scope) -> str:
        """Return what an entry of a kind is made from. Raises `Refusal` MALFORMED or NOT_FOUND."""
        if not ref:
            return ""
        if kind not in entry_rules.TEMPLATES:
            raise values.malformed("template: an entry of this kind is made from none", "entry.template")
        return (await self.registry.entry(entry_rules.TEMPLATES[kind], ref, scope)).id

    async def require_move(self, before: DirectoryEntry, after: DirectoryEntry, scope: Scope) -> None:
        """Check the place of an entry that was there already. Raises `Refusal` CONFLICT or UNPROCESSABLE."""
        if after.parent != before.parent:
            await self._require_no_circle(after, scope)
            await self.require_room(after, scope)
        elif after.name != before.name:
            await self._require_name(after, scope)

    async def require_room(self, entry: DirectoryEntry, scope: Scope) -> None:
        """Refuse a field or channel whose profile has one of this name (CONFLICT), or all it may have (UNPROCESSABLE)."""
        await self._require_name(entry, scope)
        if entry.kind in entry_rules.OF_PROFILES and await self._count(entry.kind, entry.parent, scope) >= OF_A_KIND:
            raise Refusal(Reason.UNPROCESSABLE, f"there are {OF_A_KIND} of this kind already", check="entry.count")

    async def is_used(self, organization: DirectoryEntry, scope: Scope) -> bool:
        """Tell whether devices, users or organisations belong to an organisation."""
        devices = DeviceSearch(tenant=scope.tenant, owners=(organization.id,), limit=0)
        if (await self.registry.repository.read(devices)).total:
            return True
        for kind in entry_rules.OF_ORGANIZATIONS:
            if await self._count(kind, organization.id, scope):
                return True
        return False

    async def _require_name(self, entry: DirectoryEntry, scope: Scope) -> None:
        if entry.kind not in entry_rules.OF_PROFILES:
            return
        query = EntryPage(tenant=scope.tenant, kind=entry.kind, parents=(entry.parent,), name=entry.name, limit=2)
        named = await self.registry.repository.read(query)
        if any(each.id != entry.id for each in named.items):
            raise Refusal(Reason.CONFLICT, f"there is a {entry.kind.value} of this name already", check="entry.name_taken")

    async def _require_no_circle(self, entry: DirectoryEntry, scope: Scope) -> None:
        """Refuse an organisation that would be within itself, as far as one looks."""
        above, levels = entry.parent, 0
        while above and entry.kind is EntryKind.ORGANIZATION:
            levels += 1
            if above == entry.id or levels > DEPTH:
                raise Refusal(
                    Reason.UNPROCESSABLE, "the organisation would be within itself, or too deep", check="entry.circle"
                )
            found = await self.registry.repository.read(EntryQuery(scope.tenant, EntryId(above)))
            above = found.parent if found else ""

    async def _count(self, kind: EntryKind, parent: str, scope: Scope) -> int:
        page = EntryPage(tenant=scope.tenant, kind=kind, parents=(parent,), limit=0)
        return (await self.registry.repository.read(page)).total
