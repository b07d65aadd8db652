"""What operators do with devices that are not to come back by a claim key: see them, and let one of them come."""

from functools import partial

import msgspec

from core import departures
from core.errors import Reason, Refusal
from core.model import Departure, Device, EventKind, Profile, Strategy, Tombstone, TombstoneId
from core.operate import values
from core.operate.claim_rules import GiveLeave, ListTombstones
from core.operate.registry import Registry, Scope, paged
from core.operate.results import Page
from core.ports import Changes
from core.queries import DeviceNamesQuery, DeviceSnapshot, TombstonePage, TombstoneQuery

LONGEST_SECONDS = 366 * 86_400


class Leaves(msgspec.Struct, frozen=True):
    """Gives leave. It is good once: the device's coming takes the tombstone away in the same commit."""

    registry: Registry

    async def list(self, command: ListTombstones, scope: Scope) -> Page[Tombstone]:
        """Return a page of the tombstones that count."""
        after = None if command.after is None else TombstoneId(command.after)
        found = await self.registry.repository.read(TombstonePage(scope.tenant, after, command.limit + 1))
        return paged(found, command.limit)

    async def give(self, command: GiveLeave, scope: Scope) -> Tombstone:
        """Let a device come back by its claim key. Raises `Refusal` MALFORMED, NOT_FOUND, UNPROCESSABLE or CONFLICT."""
        values.require_seconds(command.seconds, "seconds", 1, LONGEST_SECONDS)
        return await self.registry.settle(partial(self._give, command, scope))

    async def _give(self, command: GiveLeave, scope: Scope) -> Tombstone:
        until = self.registry.issuer.clock.now() + command.seconds * 1000
        found = await self.registry.repository.read(TombstoneQuery(scope.tenant, command.ref))
        there = await self._there(found, command, scope)
        if there is not None:
            return await self._let_back(there, found, until, scope)
        assert found is not None  # noqa: S101 - without a tombstone there is a device, or it was refused
        if not _makes_devices(await self.registry.profile(found.profile, scope)):
            detail = "devices of this profile are defined by operators: define it anew"
            raise Refusal(Reason.UNPROCESSABLE, detail, check="leave.pre_provisioned")
        return await self._extend(found, until, scope)

    async def _there(self, found: Tombstone | None, command: GiveLeave, scope: Scope) -> DeviceSnapshot | None:
        """Return the device that is meant, None where it is gone. Raises `Refusal` NOT_FOUND where there never was one."""
        if found is None:
            return await self.registry.device(command.ref, scope)
        (known,) = await self.registry.repository.read(DeviceNamesQuery(scope.tenant, (found.name,)))
        return known

    async def _let_back(self, known: DeviceSnapshot, found: Tombstone | None, until: int, scope: Scope) -> Tombstone:
        """Give leave to a device that is there, and was revoked, perhaps before tombstones were made."""
        if known.credentials:
            detail = "the device is there and has credentials: it needs no leave"
            raise Refusal(Reason.UNPROCESSABLE, detail, check="leave.present")
        if found is not None and found.device == known.device.id:
            return await self._extend(found, until, scope)
        tombstone = departures.mark(known.device, Departure.REVOKED, self.registry.issuer, leave_until=until)
        await self._commit(tombstone, Changes(insert=(tombstone,)), known.device, scope)
        return tombstone

    async def _extend(self, found: Tombstone, until: int, scope: Scope) -> Tombstone:
        tombstone = msgspec.structs.replace(found, leave_until=until, version=found.version + 1)
        await self._commit(tombstone, Changes(replace=(tombstone,)), None, scope)
        return tombstone

    async def _commit(self, tombstone: Tombstone, changes: Changes, device: Device | None, scope: Scope) -> None:
        event = self.registry.audit.event(
            EventKind.LEAVE_GRANTED,
            scope.context,
            tenant=scope.tenant,
            profile=tombstone.profile,
            device=device.id if device is not None else tombstone.device,
            device_name=tombstone.name,
            detail=tombstone.departure.value,
        )
        await self.registry.commit(event, changes)


def _makes_devices(profile: Profile) -> bool:
    """Tell whether a device that is not there can come to be by itself."""
    if profile.strategy is Strategy.SIGNED:
        return profile.signed is not None and profile.signed.self_registration
    if profile.strategy is Strategy.CERTIFICATE_CHAIN:
        return profile.chain is not None and profile.chain.create
    return profile.strategy is not Strategy.PRE_PROVISIONED
