"""What operators do with devices that they make from templates, one by one, and with all others in the same way."""

from functools import partial
from typing import Any

import msgspec

from core import departures, lifecycle, strategy
from core.associate import is_owned
from core.crypto.tokens import new_id
from core.errors import Guard, Refusal
from core.model import Departure, Device, DeviceId, DeviceState, DirectoryEntry, EventKind, ProfileId, Role
from core.operate import values
from core.operate.configuring import CountedPage
from core.operate.directing import (
    DeviceView,
    EditDevice,
    RegisterDevice,
    RemoveDevice,
    SearchDevices,
    TemplateView,
    ViewDevice,
)
from core.operate.entry_places import Places, owner_of
from core.operate.registry import HEALED, WRITERS, Registry, Scope, no_device, require_version
from core.operate.templates import Templates
from core.ports import Changes, Delete, Presence
from core.queries import DeviceNamesQuery, DeviceSearch

NAME_HEALED = HEALED | {Guard.DEVICE_NAME}
_ASSOCIATED = DeviceState.ASSOCIATED


class Templated(msgspec.Struct, frozen=True):
    """Registers, searches, shows, changes and removes devices. Without `presence` nobody is connected."""

    registry: Registry
    presence: Presence | None = None

    async def register(self, command: RegisterDevice, scope: Scope) -> DeviceView:
        """Make a device. Raises `Refusal` MALFORMED, NOT_FOUND or CONFLICT.

        What of its profile's fields it is not given it gets by default; the detail of the refusal for one that is missing
        begins with the field's name and a colon.
        """
        values.require_text(command.serial, "serial", of="device")
        _require_label(command.label)
        return await self.registry.settle(partial(self._register, command, scope), healed=NAME_HEALED)

    async def search(self, command: SearchDevices, scope: Scope) -> CountedPage[DeviceView]:
        """Return a page of devices; a filter that names nothing finds nothing. A customer finds its organisation's alone."""
        query = _query(command, scope)
        if scope.actor.role is Role.CUSTOMER:
            query = _owned(query, scope.actor.user)
        found = await self.registry.repository.read(query)
        views = await self._templates.views((each.profile for each in found.items), scope)
        connected = await self._connected(*(each.device.id for each in found.items))
        items = tuple(DeviceView(each.device, views[each.profile.id], each.device.id in connected) for each in found.items)
        return CountedPage(items, found.total, command.offset, command.limit)

    async def view(self, command: ViewDevice, scope: Scope) -> DeviceView:
        """Return one device. Raises `Refusal` NOT_FOUND, which a customer is told of all devices but its organisation's."""
        found = await self.registry.device_of_id(command.id, scope)
        if scope.actor.role is Role.CUSTOMER and not owns(scope.actor.user, found.device):
            raise no_device()
        return await self._view(found.device, await self._templates.view(found.profile, scope))

    async def edit(self, command: EditDevice, scope: Scope) -> DeviceView:
        """Change a device. Raises `Refusal` MALFORMED, NOT_FOUND, STALE or CONFLICT."""
        if command.serial is not None:
            values.require_text(command.serial, "serial", of="device")
        _require_label(command.label or "")
        return await self.registry.settle(partial(self._edit, command, scope), attempts=WRITERS)

    async def remove(self, command: RemoveDevice, scope: Scope) -> DeviceView:
        """Remove a device and its credentials, and return what it was. Raises `Refusal` NOT_FOUND, STALE or CONFLICT."""
        return await self.registry.settle(partial(self._remove, command, scope), attempts=WRITERS)

    async def _register(self, command: RegisterDevice, scope: Scope) -> DeviceView:
        profile = await self.registry.profile_of_id(command.template, scope)
        template = await self._templates.view(profile, scope)
        issuer = self.registry.issuer
        now = issuer.clock.now()
        identity = DeviceId(new_id(now, issuer.entropy))
        device = Device(
            id=identity,
            tenant=scope.tenant,
            profile=profile.id,
            name=await self._name(command.serial, scope) or identity,
            label=command.label,
            serial=command.serial,
            owner=await Places(self.registry).organization(command.owner, scope),
            metadata=_filled(command.attributes, template),
            created_at=now,
            updated_at=now,
        )
        values.require_metadata(device.metadata)
        event = self.registry.device_event(EventKind.DEVICE_DEFINED, device, scope)
        await self.registry.commit(event, Changes(insert=(device,)))
        return DeviceView(device, template, connected=False)

    async def _edit(self, command: EditDevice, scope: Scope) -> DeviceView:
        found = await self.registry.device_of_id(command.id, scope)
        before = found.device
        require_version(command.version, before)
        template = await self._templates.view(found.profile, scope)
        _require_kept(command.attributes or {}, template)
        wanted = {"serial": command.serial, "label": command.label, "owner": await self._owner(command.owner, scope)}
        metadata = before.metadata | (command.attributes or {})
        values.require_metadata(metadata)
        after = msgspec.structs.replace(
            lifecycle.renew(before, self.registry.issuer.clock.now()),
            metadata=metadata,
            **{field: value for field, value in wanted.items() if value is not None},
        )
        fields = (*wanted, "metadata")
        detail = ", ".join(field for field in fields if getattr(after, field) != getattr(before, field))
        event = self.registry.device_event(EventKind.DEVICE_CHANGED, after, scope, detail)
        await self.registry.commit(event, Changes(replace=(after,)))
        return await self._view(after, template)

    async def _remove(self, command: RemoveDevice, scope: Scope) -> DeviceView:
        found = await self.registry.device_of_id(command.id, scope)
        require_version(command.version, found.device)
        view = await self._view(found.device, await self._templates.view(found.profile, scope))
        event = self.registry.device_event(EventKind.DEVICE_DELETED, found.device, scope)
        marks = departures.marks(found.device, found.profile, Departure.DELETED, self.registry.issuer)
        await self.registry.commit(event, Changes(insert=marks, delete=(Delete(found.device),)))
        return view

    @property
    def _templates(self) -> Templates:
        return Templates(self.registry)

    async def _name(self, serial: str, scope: Scope) -> str:
        """Return the serial where no device has that name and it may be one, otherwise nothing."""
        name = serial.strip()
        try:
            strategy.require_writable(name)
        except Refusal:
            return ""
        (taken,) = await self.registry.repository.read(DeviceNamesQuery(scope.tenant, (name,)))
        return "" if taken else name

    async def _owner(self, ref: str | None, scope: Scope) -> str | None:
        return None if ref is None else await Places(self.registry).organization(ref, scope)

    async def _view(self, device: Device, template: TemplateView) -> DeviceView:
        return DeviceView(device, template, device.id in await self._connected(device.id))

    async def _connected(self, *devices: DeviceId) -> frozenset[DeviceId]:
        return frozenset() if self.presence is None else await self.presence.connected(devices)


def owns(user: DirectoryEntry | None, device: Device) -> bool:
    """Tell whether a device is a user's organisation's; what is nobody's is not even that of the tenant's own users."""
    return user is not None and is_owned(device) and device.owner == user.parent


def _owned(query: DeviceSearch, user: DirectoryEntry | None) -> DeviceSearch:
    """Return a query that finds what it did as far as the user `owns` it."""
    if user is None or user.parent not in (query.owners or (user.parent,)):
        return msgspec.structs.replace(query, owners=())
    states = query.states
    if not user.parent:
        states = (_ASSOCIATED,) if states is None or _ASSOCIATED in states else ()
    return msgspec.structs.replace(query, owners=(user.parent,), states=states)


def _query(command: SearchDevices, scope: Scope) -> DeviceSearch:
    return DeviceSearch(
        tenant=scope.tenant,
        profiles=None if command.template is None else (ProfileId(command.template),),
        owners=None if command.owner is None else (owner_of(command.owner, scope),),
        states=command.states,
        serial=command.serial,
        label=command.label,
        order=command.order,
        descending=command.descending,
        offset=command.offset,
        limit=command.limit,
    )


def _filled(attributes: dict[str, Any], template: TemplateView) -> dict[str, Any]:
    """Return attributes with the defaults of the fields that are missing. Raises `Refusal` MALFORMED for a required one."""
    defaults = {each.name: each.attributes.get("default") for each in template.fields}
    filled = {name: value for name, value in defaults.items() if value is not None} | attributes
    for field in template.fields:
        if _is_required(field) and filled.get(field.name) is None:
            raise _missing(field)
    return filled


def _require_kept(attributes: dict[str, Any], template: TemplateView) -> None:
    for field in template.fields:
        if _is_required(field) and field.name in attributes and attributes[field.name] is None:
            raise _missing(field)


def _is_required(field: DirectoryEntry) -> bool:
    return field.attributes.get("required") is True


def _missing(field: DirectoryEntry) -> Refusal:
    return values.malformed(f"{field.name}: devices of this kind need a value", "device.field_missing")


def _require_label(label: str) -> None:
    values.require_size(label, "name", values.LABEL_CHARACTERS, of="device")
