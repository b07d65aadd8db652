"""What all commands do alike: find what a reference names, read pages, and decide again after a conflict."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec

from core.audit import Audit
from core.errors import Conflict, Guard, Reason, Refusal
from core.issuer import Issuer
from core.messages import Context
from core.model import (
    Approval,
    BootstrapConfig,
    Channel,
    Device,
    DeviceId,
    DirectoryEntry,
    EntryId,
    EntryKind,
    Event,
    EventKind,
    OperatorToken,
    Profile,
    Tenant,
    TenantId,
    Tombstone,
)
from core.operate.access import Actor
from core.operate.results import Done, Page
from core.ports import Changes, Repository
from core.queries import DeviceNamesQuery, DeviceQuery, DeviceSnapshot, EntryQuery, ProfileQuery

T = TypeVar("T")
E = TypeVar("E", Tenant, Profile, Device, OperatorToken, Event, Approval, Tombstone)

ATTEMPTS = 3
WRITERS = 100
"""How often a change to what many write at once is decided anew: at every round one of them gets through."""

HEALED = frozenset({Guard.VERSION, Guard.REFERENCE})
"""The guards that may hold once what was read is read again; the others say that a value is taken."""

SENTENCES: dict[Guard, str] = {
    Guard.DEVICE_NAME: "a device of this name exists already",
    Guard.DEVICE_SERIAL: "a device of this serial exists already in its profile",
    Guard.CREDENTIAL_LOOKUP: "the credential is in use already",
    Guard.PROFILE_NAME: "a profile of this name exists already",
    Guard.PROVISION_KEY: "the provision key is in use already",
    Guard.TOKEN_NAME: "a token of this name exists already",
    Guard.EXTERNAL_ID: "a configuration of this external id exists already",
    Guard.CONFIG_DEVICE: "the device has a configuration already",
    Guard.CONFIG_NAME: "a configuration of this name exists already",
    Guard.CLAIM_LOOKUP: "another device waits for its owner by the same code",
    Guard.CLAIM_DEVICE: "the device waits for its owner already",
    Guard.ENTRY_LOGIN: "a user of this login exists already",
    Guard.ENTRY_NAME: "a field or channel of this name exists already in its profile",
    Guard.CERTIFICATE_SERIAL: "another certificate has this serial number already",
    Guard.APPROVAL_NAME: "a device of this name waits for approval already",
    Guard.APPROVAL_ROOM: "too many devices wait for approval",
    Guard.TENANT_ID: "a tenant of this id exists already",
    Guard.DEVICE_LIMIT: "the tenant has all the devices it may have",
    Guard.DEVICE_BUDGET: "the profile has made all the devices it may make",
    Guard.OSCORE_CONTEXT: "the context is in use already",
    Guard.CERTIFICATE_SERIAL: "a certificate of this serial number exists already",
    Guard.REFERENCE: "something that this refers to is gone or still in use, try again",
    Guard.VERSION: "it is being changed by others at this moment, try again",
}

_BY_NAME = "name:"


class Scope(msgspec.Struct, frozen=True):
    """Whose registry a command is for, and the request with its actor, for the events.

    `actor` is who asks, by a role and perhaps as a user of the directory. `reveals` tells whether it may see the secrets of
    configurations and clients; an auditor may not.
    """

    tenant: TenantId
    context: Context
    actor: Actor
    reveals: bool = True


class Registry(msgspec.Struct, frozen=True):
    """The repository as operators see it: one tenant at a time, by ids and names."""

    repository: Repository
    issuer: Issuer
    audit: Audit

    async def find_profile(self, ref: str, scope: Scope) -> Profile | None:
        """Return the profile of an id or name, an id first."""
        return await self.repository.read(ProfileQuery(scope.tenant, ref))

    async def profile(self, ref: str, scope: Scope) -> Profile:
        """Return the profile of an id or name. Raises `Refusal` NOT_FOUND."""
        found = await self.find_profile(ref, scope)
        if found is None:
            raise _no_profile()
        return found

    async def profile_of_id(self, identity: str, scope: Scope) -> Profile:
        """Return the profile of an id; a name is none here. Raises `Refusal` NOT_FOUND."""
        found = await self.profile(identity, scope)
        if found.id != identity:
            raise _no_profile()
        return found

    async def entry(self, kind: EntryKind, identity: str, scope: Scope) -> DirectoryEntry:
        """Return the entry of a kind and id. Raises `Refusal` NOT_FOUND."""
        found = await self.repository.read(EntryQuery(scope.tenant, EntryId(identity)))
        if found is None or found.kind is not kind:
            raise no_entry(kind)
        return found

    async def find_device(self, ref: str, scope: Scope) -> DeviceSnapshot | None:
        """Return the device of an id, of a name, or of `name:` and a name; an id wins over a name."""
        if not ref.startswith(_BY_NAME):
            found = await self.repository.read(DeviceQuery(scope.tenant, DeviceId(ref)))
            if found is not None:
                return found
        (named,) = await self.repository.read(DeviceNamesQuery(scope.tenant, (ref.removeprefix(_BY_NAME),)))
        return named

    async def device(self, ref: str, scope: Scope) -> DeviceSnapshot:
        """Return the device that a reference names. Raises `Refusal` NOT_FOUND."""
        found = await self.find_device(ref, scope)
        if found is None:
            raise no_device()
        return found

    async def device_of_id(self, identity: str, scope: Scope) -> DeviceSnapshot:
        """Return the device of an id; a name is none here. Raises `Refusal` NOT_FOUND."""
        found = await self.repository.read(DeviceQuery(scope.tenant, DeviceId(identity)))
        if found is None:
            raise no_device()
        return found

    async def settle(
        self,
        attempt: Callable[[], Awaitable[T]],
        *,
        in_use: str = "",
        healed: frozenset[Guard] = HEALED,
        attempts: int = ATTEMPTS,
    ) -> T:
        """Return what an attempt (reading, deciding, committing) returns, tried `attempts` times at most.

        Raises `Refusal` CONFLICT with the guard as its check; `in_use` is the sentence for an entity that others point at.
        `healed` are the guards that may hold at the next attempt.
        """
        left = attempts
        while True:
            left -= 1
            try:
                return await attempt()
            except Conflict as conflict:
                if left and conflict.guard in healed:
                    continue
                sentence = in_use if in_use and conflict.guard is Guard.REFERENCE else SENTENCES[conflict.guard]
                raise Refusal(Reason.CONFLICT, sentence, check=conflict.guard.value) from conflict

    async def remove(self, attempt: Callable[[], Awaitable[Done]], unknown: str, *, missing_ok: bool) -> Done:
        """Settle a removal; with `missing_ok` a refusal by the check `unknown` says that it was made already."""
        try:
            return await self.settle(attempt, attempts=WRITERS)
        except Refusal as refusal:
            if refusal.check == unknown and missing_ok:
                return Done()
            raise

    def profile_event(self, kind: EventKind, profile: Profile, scope: Scope, detail: str) -> Event:
        """Make the event of a change to a profile."""
        return self.audit.event(kind, scope.context, tenant=scope.tenant, profile=profile.id, detail=detail)

    def device_event(self, kind: EventKind, device: Device, scope: Scope, detail: str = "") -> Event:
        """Make the event of a change to a device."""
        return self.audit.device_event(kind, scope.context, device, detail)

    def config_event(self, kind: EventKind, config: BootstrapConfig, device: Device, scope: Scope, detail: str = "") -> Event:
        """Make the event of a change to a configuration: it is its device's."""
        return self.device_event(kind, device, scope, ": ".join(filter(None, (config.external_id, detail))))

    def channel_event(self, kind: EventKind, channel: Channel, scope: Scope) -> Event:
        """Make the event of a change to a channel."""
        detail = " ".join(filter(None, (channel.id, channel.name)))
        return self.audit.event(kind, scope.context, tenant=scope.tenant, detail=detail)

    def entry_event(self, kind: EventKind, entry: DirectoryEntry, scope: Scope, detail: str = "") -> Event:
        """Make the event of a change to an entry of the directory."""
        named = " ".join(filter(None, (entry.kind.value, entry.id, entry.name)))
        return self.audit.event(kind, scope.context, tenant=scope.tenant, detail=": ".join(filter(None, (named, detail))))

    def token_event(self, kind: EventKind, token: OperatorToken, scope: Scope) -> Event:
        """Make the event of a change to a bearer token."""
        return self.audit.event(kind, scope.context, tenant=scope.tenant, detail=f"{token.name} ({token.role.value})")

    async def commit(self, event: Event, changes: Changes) -> None:
        """Write changes with the event that tells of them. Raises `Conflict`."""
        await self.repository.commit(msgspec.structs.replace(changes, events=(event,)))


def no_device() -> Refusal:
    """Make the refusal of a reference that names no device, or none that who asks may know of."""
    return Refusal(Reason.NOT_FOUND, "there is no device of this id or name", check="device.unknown")


def no_entry(kind: EntryKind) -> Refusal:
    """Make the refusal of an id that no entry of a kind has, or none that who asks may know of."""
    return Refusal(Reason.NOT_FOUND, f"there is no {kind.value.replace('_', ' ')} of this id", check="entry.unknown")


def _no_profile() -> Refusal:
    return Refusal(Reason.NOT_FOUND, "there is no profile of this id or name", check="profile.unknown")


def require_version(seen: int | None, entity: Profile | Device | DirectoryEntry) -> None:
    """Refuse a change to what is not as it was seen any more; None was not looked at. Raises `Refusal` STALE."""
    if seen is not None and seen != entity.version:
        raise Refusal(Reason.STALE, "it has been changed since it was read", check="version.mismatch")


def paged(found: Sequence[E], limit: int) -> Page[E]:
    """Make a page of `limit` entries from a reading that asked for one more, which tells whether there is a next page."""
    items = tuple(found[:limit])
    return Page(items, items[-1].id if len(found) > limit else None)
