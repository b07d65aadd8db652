"""How operators give serials their credentials, take them back, and change, replace and remove their devices."""

from functools import partial
from itertools import chain

import msgspec

from core import departures, lifecycle
from core.errors import Guard, Reason, Refusal
from core.model import Credential, CredentialKind, Departure, Device, DeviceState, Event, EventKind, Profile, Reallocation
from core.operate import values
from core.operate.allocating import (
    AllocateSerial,
    DeleteSerials,
    MasterData,
    ReplaceSerial,
    ResetAllocations,
    SerialView,
    UpdateSerial,
)
from core.operate.groups import find_group, require_serial, require_signed
from core.operate.registry import HEALED, Registry, Scope
from core.ports import Changes, Delete
from core.queries import DeviceNamesQuery, DeviceSnapshot, TombstoneQuery
from core.registration import Withheld

AT_ONCE = 1_000
TRIPLE_HEALED = HEALED | {Guard.CREDENTIAL_LOOKUP}
"""A drawn device key that is taken, once in an age, is drawn again."""


class Allocation(msgspec.Struct, frozen=True):
    """Allocates, resets, changes, replaces and removes devices that are known by their names."""

    registry: Registry

    async def allocate(self, command: AllocateSerial, scope: Scope) -> SerialView:
        """Give a device its credentials. Raises `Refusal` MALFORMED, NOT_FOUND, FORBIDDEN or CONFLICT."""
        require_data(command.data)
        return await self.registry.settle(partial(self._allocate, command, scope), healed=TRIPLE_HEALED)

    async def update(self, command: UpdateSerial, scope: Scope) -> SerialView:
        """Change a device. Raises `Refusal` MALFORMED, NOT_FOUND, or CONFLICT for a serial that is taken."""
        require_data(command.data)
        return await self.registry.settle(partial(self._update, command, scope))

    async def reset(self, command: ResetAllocations, scope: Scope) -> tuple[Device, ...]:
        """Bring devices back to where they had no credentials. Raises `Refusal` MALFORMED, NOT_FOUND, FORBIDDEN or CONFLICT."""
        _require_names(command.names)
        return await self.registry.settle(partial(self._reset, command, scope))

    async def replace(self, command: ReplaceSerial, scope: Scope) -> SerialView:
        """Hand a device's master data over to another. Raises `Refusal` MALFORMED, NOT_FOUND, FORBIDDEN or CONFLICT."""
        if command.name == command.replacement:
            raise values.malformed("replacement: it is the device itself", "serial.itself")
        return await self.registry.settle(partial(self._replace, command, scope))

    async def delete(self, command: DeleteSerials, scope: Scope) -> tuple[str, ...]:
        """Remove devices and their credentials. Raises `Refusal` MALFORMED, NOT_FOUND or CONFLICT."""
        _require_names(command.names)
        return await self.registry.settle(partial(self._delete, command, scope))

    async def _allocate(self, command: AllocateSerial, scope: Scope) -> SerialView:
        found = await self._find(command.name, scope)
        policy = require_signed(found.profile)
        _require_kept(found.device)
        issued: tuple[Credential, ...] = ()
        if not self._is_allocated(found):
            value = self.registry.issuer.new_triple(policy.product_key)
            issued = (await self.registry.issuer.issue(value, found.device.id, keep=True),)
        device = found.device
        if device.state is DeviceState.DEFINED:
            device = lifecycle.advance(device, DeviceState.PROVISIONED, self.registry.issuer.clock.now())
        elif issued:
            device = lifecycle.renew(device, self.registry.issuer.clock.now())
        if device is found.device:
            return await self._update(UpdateSerial(command.name, command.data), scope)
        device = _with_data(device, command.data, found.profile)
        event = self.registry.device_event(EventKind.DEVICE_ALLOCATED, device, scope)
        await self.registry.commit(event, Changes(insert=issued, replace=(device,)))
        return SerialView(device, found.profile)

    async def _update(self, command: UpdateSerial, scope: Scope) -> SerialView:
        found = await self._find(command.name, scope)
        device = _with_data(found.device, command.data, found.profile)
        fields = ("serial", "label", "metadata")
        changed = [field for field in fields if getattr(device, field) != getattr(found.device, field)]
        if changed:
            device = lifecycle.renew(device, self.registry.issuer.clock.now())
            event = self.registry.device_event(EventKind.DEVICE_CHANGED, device, scope, ", ".join(changed))
            await self.registry.commit(event, Changes(replace=(device,)))
        return SerialView(device, found.profile)

    async def _reset(self, command: ResetAllocations, scope: Scope) -> tuple[Device, ...]:
        profile, _ = await find_group(self.registry.repository, command.group, scope.tenant)
        policy = require_signed(profile).reallocation
        if policy is Reallocation.NONE:
            raise Refusal(Reason.FORBIDDEN, "devices of this group are not allocated anew", check="group.reallocation")
        all_found = [_among(each, profile.id) for each in await self._read(command.names, scope)]
        now = self.registry.issuer.clock.now()
        devices = tuple(_reset(found, policy, now) for found in all_found)
        reset = tuple(device for device, found in zip(devices, all_found, strict=True) if device is not found.device)
        if reset:
            events = tuple(self.registry.device_event(EventKind.DEVICE_RESET, each, scope, policy.value) for each in reset)
            old: tuple[Delete, ...] = tuple(Delete(credential) for found in all_found for credential in found.credentials)
            old += await self._marks_of(all_found, scope)
            await self.registry.repository.commit(Changes(replace=reset, delete=old, events=events))
        return devices

    async def _marks_of(self, all_found: list[DeviceSnapshot], scope: Scope) -> tuple[Delete, ...]:
        """Return the removal of what keeps out devices that were revoked: they are to come again."""
        revoked = (found.device for found in all_found if not found.credentials)
        marks = [await self.registry.repository.read(TombstoneQuery(scope.tenant, device.name)) for device in revoked]
        return tuple(Delete(mark) for mark in marks if mark is not None)

    async def _replace(self, command: ReplaceSerial, scope: Scope) -> SerialView:
        old = await self._find(command.name, scope)
        new = await self._find(command.replacement, scope)
        if new.profile.id != old.profile.id:
            raise values.malformed("replacement: it belongs to another group", "serial.other_group")
        if new.device.state is not DeviceState.DEFINED or self._is_allocated(new):
            raise Refusal(Reason.FORBIDDEN, "the replacement has its credentials already", check="serial.allocated")
        device = msgspec.structs.replace(
            lifecycle.renew(new.device, self.registry.issuer.clock.now()),
            label=old.device.label,
            metadata=old.device.metadata,
        )
        events = (
            self.registry.device_event(EventKind.DEVICE_CHANGED, device, scope, f"replaces {old.device.name}"),
            self.registry.device_event(EventKind.DEVICE_DELETED, old.device, scope, f"replaced by {device.name}"),
        )
        marks = departures.marks(old.device, old.profile, Departure.DELETED, self.registry.issuer)
        changes = Changes(insert=marks, replace=(device,), delete=(Delete(old.device),), events=events)
        await self.registry.repository.commit(changes)
        return SerialView(device, new.profile)

    async def _delete(self, command: DeleteSerials, scope: Scope) -> tuple[str, ...]:
        group = None
        if command.group is not None:
            group = (await find_group(self.registry.repository, command.group, scope.tenant))[0].id
        found = tuple(each for each in await self._read(command.names, scope) if each is not None)
        ours = [_among(each, group or each.profile.id) for each in found]
        devices = [each.device for each in ours]
        if devices:
            events: tuple[Event, ...] = tuple(
                self.registry.device_event(EventKind.DEVICE_DELETED, device, scope) for device in devices
            )
            issuer = self.registry.issuer
            marks = (departures.marks(each.device, each.profile, Departure.DELETED, issuer) for each in ours)
            gone = tuple(map(Delete, devices))
            await self.registry.repository.commit(Changes(insert=tuple(chain(*marks)), delete=gone, events=events))
        return tuple(dict.fromkeys(command.names))

    async def _find(self, name: str, scope: Scope) -> DeviceSnapshot:
        (found,) = await self._read((name,), scope)
        return _known(found)

    async def _read(self, names: tuple[str, ...], scope: Scope) -> tuple[DeviceSnapshot | None, ...]:
        """Return the devices of names, each once."""
        return await self.registry.repository.read(DeviceNamesQuery(scope.tenant, tuple(dict.fromkeys(names))))

    def _is_allocated(self, found: DeviceSnapshot) -> bool:
        now = self.registry.issuer.clock.now()
        return any(each.kind is CredentialKind.DEVICE_SECRET and not each.is_over(now) for each in found.credentials)


def require_data(data: MasterData) -> None:
    """Check what a device's master data is to be. Raises `Refusal` MALFORMED."""
    if data.serial is not None:
        require_serial(data.serial)
    values.require_size(data.label or "", "label", values.LABEL_CHARACTERS, of="serial")
    values.require_metadata(data.metadata)


def _require_names(names: tuple[str, ...]) -> None:
    if not 1 <= len(names) <= AT_ONCE:
        raise values.malformed(f"names: 1 to {AT_ONCE} at once", "serial.names")


def _with_data(device: Device, data: MasterData, profile: Profile) -> Device:
    """Return the device with its new master data, not yet in its next version. Raises `Refusal` MALFORMED."""
    merged = {name: value for name, value in (device.metadata | data.metadata).items() if value is not None}
    values.require_metadata(merged)
    return msgspec.structs.replace(
        device,
        serial=device.serial if data.serial is None else data.serial,
        unique_serial=device.unique_serial if data.serial is None else profile.signed is not None,
        label=device.label if data.label is None else data.label,
        metadata=merged,
    )


def _reset(found: DeviceSnapshot, policy: Reallocation, now: int) -> Device:
    """Return the device as one that has nothing yet, or itself where it is one. Raises `Refusal` FORBIDDEN."""
    before = found.device
    _require_kept(before)
    if before.state is DeviceState.DEFINED and not found.credentials:
        return before
    defined = before.state is DeviceState.DEFINED
    device = lifecycle.renew(before, now) if defined else lifecycle.advance(before, DeviceState.DEFINED, now)
    drops = policy is Reallocation.INITIALIZE
    return msgspec.structs.replace(
        device,
        owner="" if before.state is DeviceState.ASSOCIATED else before.owner,
        label="" if drops else before.label,
        metadata={} if drops else before.metadata,
        firmware=None if drops else before.firmware,
        provisioned_at=None,
        connected_at=None,
        associated_at=None,
    )


def _require_kept(device: Device) -> None:
    """Keep a discarded device out: it comes back by its state alone."""
    if device.state is DeviceState.DISCARDED:
        raise Withheld(Reason.FORBIDDEN, "the device is discarded", device.name, check="device.discarded")


def _among(found: DeviceSnapshot | None, group: str) -> DeviceSnapshot:
    known = _known(found)
    if known.profile.id != group:
        raise _unknown()
    return known


def _known(found: DeviceSnapshot | None) -> DeviceSnapshot:
    if found is None:
        raise _unknown()
    return found


def _unknown() -> Refusal:
    return Refusal(Reason.NOT_FOUND, "there is no device of this name", check="device.unknown")
