"""How operators define many devices at once that have nothing yet but a serial."""

import contextlib
from collections.abc import AsyncGenerator
from functools import partial

import msgspec

from core.crypto.tokens import LOWER_AND_DIGITS, new_id
from core.errors import Conflict, Guard, Reason, Refusal
from core.model import Device, DeviceId, Event, EventKind, Profile
from core.operate import values
from core.operate.allocating import CreateSerials, SerialBatch
from core.operate.groups import find_group, require_serial, serial_names
from core.operate.registry import HEALED, SENTENCES, Registry, Scope
from core.ports import Changes
from core.queries import EnrolSnapshot

COUNT = 1_000_000
CHUNK = 500
"""Devices of one commit: enough that syncing the disk costs little, few enough that others hardly wait for it."""

DRAWN_CHARACTERS = 16  # 82 bits
STEM_CHARACTERS = 64
BATCH_CHARACTERS = 255

GIVEN_HEALED = HEALED | {Guard.DEVICE_NAME}
"""The name was taken by another device in the meantime: there is another one for this."""

DRAWN_HEALED = GIVEN_HEALED | {Guard.DEVICE_SERIAL}


class Serials(msgspec.Struct, frozen=True):
    """Defines devices, some hundreds in a commit.

    A call that fits in one commit leaves one event for each device, any other one when it begins and one when it ends, however
    it ends: a million events would push out all others.
    """

    registry: Registry

    async def create(self, command: CreateSerials, scope: Scope) -> SerialBatch:
        """Make the devices of a small call, or check a large one and return how its devices are made.

        Everything that can be refused is refused here, with nothing made: `Refusal` MALFORMED, NOT_FOUND for the group,
        CONFLICT for a serial that is taken and for a tenant that has no room for all of the devices.
        """
        _require(command)
        if command.count > CHUNK:
            profile, known = await find_group(self.registry.repository, command.group, scope.tenant)
            _require_room(known, command.count)
            return SerialBatch(rest=self._many(command, profile, scope))
        healed = DRAWN_HEALED if command.serial is None else GIVEN_HEALED
        return SerialBatch(await self.registry.settle(partial(self._few, command, scope), healed=healed))

    async def _few(self, command: CreateSerials, scope: Scope) -> tuple[Device, ...]:
        names = () if command.serial is None else serial_names(command.group, command.serial)
        profile, known = await find_group(self.registry.repository, command.group, scope.tenant, names)
        _require_room(known, command.count)
        devices = self._devices(command, profile, command.count, known)
        kind = EventKind.DEVICE_DEFINED
        events = tuple(self.registry.device_event(kind, device, scope, _called(command)) for device in devices)
        await self.registry.repository.commit(Changes(insert=devices, events=events))
        return devices

    async def _many(self, command: CreateSerials, profile: Profile, scope: Scope) -> AsyncGenerator[tuple[Device, ...], None]:
        made = under_way = 0
        events: tuple[Event, ...] = (self._event(f"{command.count} devices begun", command, profile, scope),)
        try:
            while made < command.count:
                under_way = min(CHUNK, command.count - made)
                attempt = partial(self._chunk, command, profile, under_way, events)
                devices = await self.registry.settle(attempt, healed=DRAWN_HEALED)
                made, under_way, events = made + under_way, 0, ()
                yield devices
        except Refusal:
            under_way = 0
            raise
        finally:
            # Who is cancelled while the registry writes cannot know whether it did.
            shown = f"{made} to {made + under_way}" if under_way else f"{made}"
            event = self._event(f"{shown} of {command.count} devices made", command, profile, scope)
            with contextlib.suppress(Refusal, Conflict):
                await self.registry.commit(event, Changes())

    async def _chunk(
        self, command: CreateSerials, profile: Profile, size: int, events: tuple[Event, ...]
    ) -> tuple[Device, ...]:
        devices = self._devices(command, profile, size, EnrolSnapshot())
        await self.registry.repository.commit(Changes(insert=devices, events=events))
        return devices

    def _devices(self, command: CreateSerials, profile: Profile, count: int, known: EnrolSnapshot) -> tuple[Device, ...]:
        if command.serial is None:
            return tuple(self._device(command, profile, drawn, drawn) for drawn in (self._draw() for _ in range(count)))
        free = [name for name in serial_names(command.group, command.serial) if name not in known.names_taken]
        name = free[0] if free else f"{command.group[:STEM_CHARACTERS]}_{self._draw()}"
        return (self._device(command, profile, command.serial, name),)

    def _device(self, command: CreateSerials, profile: Profile, serial: str, name: str) -> Device:
        issuer = self.registry.issuer
        now = issuer.clock.now()
        return Device(
            id=DeviceId(new_id(now, issuer.entropy)),
            tenant=profile.tenant,
            profile=profile.id,
            name=name,
            label=command.label,
            serial=serial,
            unique_serial=True,
            metadata=command.metadata,
            created_at=now,
            updated_at=now,
        )

    def _draw(self) -> str:
        return LOWER_AND_DIGITS.draw(DRAWN_CHARACTERS, self.registry.issuer.entropy).upper()

    def _event(self, what: str, command: CreateSerials, profile: Profile, scope: Scope) -> Event:
        detail = ", ".join(filter(None, (what, _called(command))))
        return self.registry.profile_event(EventKind.DEVICE_DEFINED, profile, scope, detail)


def _called(command: CreateSerials) -> str:
    return f"batch {command.batch}" if command.batch else ""


def _require(command: CreateSerials) -> None:
    if not 1 <= command.count <= COUNT:
        raise values.malformed(f"count: 1 to {COUNT}", "serial.count")
    if command.serial is not None:
        if command.count > 1:
            raise values.malformed("serial: a serial is one device's, count says more", "serial.shared")
        require_serial(command.serial)
    values.require_size(command.batch, "batch", BATCH_CHARACTERS, of="serial")
    values.require_size(command.label, "label", values.LABEL_CHARACTERS, of="serial")
    values.require_metadata(command.metadata)


def _require_room(known: EnrolSnapshot, count: int) -> None:
    tenant = known.tenant
    if tenant is not None and tenant.device_limit is not None and tenant.devices + count > tenant.device_limit:
        guard = Guard.DEVICE_LIMIT
        raise Refusal(Reason.CONFLICT, SENTENCES[guard], check=guard.value)
