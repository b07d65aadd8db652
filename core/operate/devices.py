"""What operators do with single devices."""

from functools import partial

import msgspec

from core import departures, lifecycle
from core.model import Departure, Device, DeviceId, DeviceState, EventKind
from core.operate import values
from core.operate.definition import define, make
from core.operate.messages import ChangeDevice, DefineDevice, DeleteDevice, ListDevices, ShowDevice
from core.operate.registry import Registry, Scope, paged
from core.operate.results import DefinedDevice, Done, Page, ShownCredential
from core.ports import Changes, Delete
from core.queries import DevicePage

SETTABLE = (DeviceState.DEFINED, DeviceState.DISCARDED)
"""The states that an operator may put a device in; the others are reached by what the device does."""


class Devices(msgspec.Struct, frozen=True):
    """Defines, shows, changes and removes devices."""

    registry: Registry

    async def define(self, command: DefineDevice, scope: Scope) -> DefinedDevice:
        """Make a device with a credential that is kept. Raises `Refusal` MALFORMED, NOT_FOUND, UNPROCESSABLE or CONFLICT."""
        return await self.registry.settle(partial(self._define, command, scope))

    async def list(self, command: ListDevices, scope: Scope) -> Page[Device]:
        """Return a page of devices. Raises `Refusal` NOT_FOUND for a profile that does not exist."""
        query = DevicePage(
            tenant=scope.tenant,
            name=command.name,
            profile=None if command.profile is None else (await self.registry.profile(command.profile, scope)).id,
            state=command.state,
            after=None if command.after is None else DeviceId(command.after),
            limit=command.limit + 1,
        )
        found = await self.registry.repository.read(query)
        return paged(found, command.limit)

    async def show(self, command: ShowDevice, scope: Scope) -> Device:
        """Return one device. Raises `Refusal` NOT_FOUND."""
        return (await self.registry.device(command.ref, scope)).device

    async def change(self, command: ChangeDevice, scope: Scope) -> Device:
        """Change a device. Raises `Refusal` MALFORMED, NOT_FOUND or CONFLICT."""
        if command.state is not None and command.state not in SETTABLE:
            raise values.malformed("state: only defined and discarded can be set", "device.state")
        if command.metadata is not None:
            values.require_metadata(command.metadata)
        return await self.registry.settle(partial(self._change, command, scope))

    async def delete(self, command: DeleteDevice, scope: Scope) -> Done:
        """Remove a device and its credentials. Raises `Refusal` NOT_FOUND or CONFLICT."""
        return await self.registry.settle(partial(self._delete, command, scope))

    async def _define(self, command: DefineDevice, scope: Scope) -> DefinedDevice:
        profile = await self.registry.profile(command.profile, scope)
        definition = define(command, profile, self.registry.issuer)
        device, credential = await make(definition, profile, self.registry.issuer)
        event = self.registry.device_event(EventKind.DEVICE_DEFINED, device, scope)
        await self.registry.commit(event, Changes(insert=(device, credential)))
        return DefinedDevice(device, (ShownCredential(credential, definition.value),))

    async def _change(self, command: ChangeDevice, scope: Scope) -> Device:
        before = (await self.registry.device(command.ref, scope)).device
        device = _changed(before, command, self.registry.issuer.clock.now())
        if device is before:
            return before
        fields = ("enabled", "state", "metadata")
        detail = ", ".join(field for field in fields if getattr(device, field) != getattr(before, field))
        event = self.registry.device_event(EventKind.DEVICE_CHANGED, device, scope, detail)
        await self.registry.commit(event, Changes(replace=(device,)))
        return device

    async def _delete(self, command: DeleteDevice, scope: Scope) -> Done:
        found = await self.registry.device(command.ref, scope)
        event = self.registry.device_event(EventKind.DEVICE_DELETED, found.device, scope)
        marks = departures.marks(found.device, found.profile, Departure.DELETED, self.registry.issuer)
        await self.registry.commit(event, Changes(insert=marks, delete=(Delete(found.device),)))
        return Done()


def _changed(before: Device, command: ChangeDevice, now: int) -> Device:
    """Return the device as the command wants it, in its next version; the same object where it is so already."""
    enabled = before.enabled if command.enabled is None else command.enabled
    state = before.state if command.state is None else command.state
    metadata = before.metadata if command.metadata is None else command.metadata
    if (enabled, state, metadata) == (before.enabled, before.state, before.metadata):
        return before
    device = lifecycle.renew(before, now) if state is before.state else lifecycle.advance(before, state, now)
    return msgspec.structs.replace(device, enabled=enabled, metadata=metadata)
