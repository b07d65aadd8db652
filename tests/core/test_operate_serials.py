"""How operators define devices by their serials: one, some, and a great many."""

import asyncio
import re

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.model import DEFAULT_TENANT, Device, DeviceState, EventKind, Role, TenantId
from core.operate.allocating import CreateSerials, SerialBatch
from core.operate.configuring import CreateTenant
from core.operate.groups import SERIAL_CHARACTERS
from core.operate.serials import BATCH_CHARACTERS, CHUNK, COUNT
from core.operate.values import LABEL_CHARACTERS
from core.ports import Changes, Delete
from core.queries import DeviceSearch
from tests.operating import ContendedRepository, Desk
from tests.serials import add_group, alter, known

GROUP = "QK7M2A"


async def opened() -> Desk:
    """Return a desk with one group."""
    desk = Desk()
    await add_group(desk.repository, desk.issuer, GROUP)
    return desk


async def one(desk: Desk, serial: str = "SN-1", **fields: object) -> Device:
    """Define one device of a serial."""
    made: SerialBatch = await desk(msgspec.structs.replace(CreateSerials(group=GROUP, serial=serial), **fields))
    (device,) = made.made
    return device


async def count(desk: Desk) -> int:
    """Return how many devices there are."""
    return (await desk.repository.read(DeviceSearch(tenant=DEFAULT_TENANT, limit=0))).total


async def test_one_device_has_its_serial_for_a_name() -> None:
    desk = await opened()
    device = await one(desk, label="Pump 1", metadata={"timezone": "+08:00"}, batch="spring")
    assert (device.name, device.serial, device.unique_serial, device.state) == ("SN-1", "SN-1", True, DeviceState.DEFINED)
    assert (device.label, device.metadata) == ("Pump 1", {"timezone": "+08:00"})
    found = await known(desk.repository, "SN-1")
    assert (found.device, found.credentials, found.profile.provision_key) == (device, (), GROUP)
    event = await desk.last_event(EventKind.DEVICE_DEFINED)
    assert (event.device, event.device_name, event.detail, event.actor) == (device.id, "SN-1", "batch spring", "admin")


async def test_a_name_that_is_taken_gets_its_group_before_it_and_then_something_drawn() -> None:
    desk = await opened()
    other = await add_group(desk.repository, desk.issuer, "OTHER1")
    assert (await desk(CreateSerials(group=other.provision_key, serial="SN-1"))).made[0].name == "SN-1"
    assert (await one(desk)).name == f"{GROUP}_SN-1"
    await alter(desk.repository, (await known(desk.repository, f"{GROUP}_SN-1")).device, serial="another")
    assert re.fullmatch(rf"{GROUP}_[A-Z0-9]{{16}}", (await one(desk)).name)


@pytest.mark.parametrize("serial", ["<b>", " padded ", "a" * SERIAL_CHARACTERS])
async def test_a_serial_that_is_no_name_is_kept_as_it_is(serial: str) -> None:
    desk = await opened()
    device = await one(desk, serial)
    assert device.serial == serial
    named = {"<b>": rf"{GROUP}_[A-Z0-9]{{16}}", " padded ": rf"{GROUP}_[A-Z0-9]{{16}}"}
    assert re.fullmatch(named.get(serial, serial), device.name)


async def test_a_serial_is_one_devices() -> None:
    desk = await opened()
    await one(desk)
    refusal = await desk.refused(CreateSerials(group=GROUP, serial="SN-1"))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "device_serial")
    assert await count(desk) == 1


async def test_drawn_serials_are_names_too() -> None:
    desk = await opened()
    made: SerialBatch = await desk(CreateSerials(group=GROUP, count=3))
    assert made.rest is None
    assert len({device.serial for device in made.made}) == 3
    for device in made.made:
        assert re.fullmatch("[A-Z0-9]{16}", device.serial)
        assert device.name == device.serial
    assert len(await desk.events(EventKind.DEVICE_DEFINED)) == 3


async def test_many_are_made_as_they_are_asked_for() -> None:
    desk = await opened()
    batch: SerialBatch = await desk(CreateSerials(group=GROUP, count=2 * CHUNK + 1, batch="spring"))
    assert (batch.made, await count(desk)) == ((), 0)
    assert batch.rest is not None
    chunks = []
    async for devices in batch.rest:
        chunks.append(devices)
        desk.clock.advance(0.001)
    assert [len(chunk) for chunk in chunks] == [CHUNK, CHUNK, 1]
    assert len({device.name for chunk in chunks for device in chunk}) == 2 * CHUNK + 1 == await count(desk)
    begun, ended = await desk.events(EventKind.DEVICE_DEFINED)
    assert begun.detail == "1001 devices begun, batch spring"
    assert ended.detail == "1001 of 1001 devices made, batch spring"
    assert begun.profile == ended.profile == chunks[0][0].profile


async def test_what_is_stopped_stays_as_far_as_it_went() -> None:
    desk = await opened()
    batch: SerialBatch = await desk(CreateSerials(group=GROUP, count=COUNT))
    assert batch.rest is not None
    first = await anext(batch.rest)
    desk.clock.advance(0.001)
    await batch.rest.aclose()
    assert await count(desk) == CHUNK == len(first)
    ended = (await desk.events(EventKind.DEVICE_DEFINED))[-1]
    assert ended.detail == f"{CHUNK} of {COUNT} devices made"


async def test_what_fails_half_way_says_so_and_keeps_what_was_made() -> None:
    desk = await opened()
    batch: SerialBatch = await desk(CreateSerials(group=GROUP, count=2 * CHUNK))
    assert batch.rest is not None
    await anext(batch.rest)
    desk.clock.advance(0.001)
    await desk.limit_devices(CHUNK)
    with pytest.raises(Refusal) as caught:
        await anext(batch.rest)
    assert (caught.value.reason, caught.value.check) == (Reason.CONFLICT, "device_limit")
    assert await count(desk) == CHUNK
    assert (await desk.events(EventKind.DEVICE_DEFINED))[-1].detail == f"{CHUNK} of {2 * CHUNK} devices made"


class CutRepository(ContendedRepository):
    """A registry whose caller is cancelled once, while it writes devices."""

    is_cutting = False

    async def commit(self, changes: Changes) -> None:
        """Write, and then be cancelled."""
        await super().commit(changes)
        if self.is_cutting and changes.insert:
            self.is_cutting = False
            raise asyncio.CancelledError


async def test_who_is_cancelled_in_the_middle_of_a_commit_says_what_may_be() -> None:
    repository = CutRepository()
    desk = Desk(repository=repository)
    await add_group(desk.repository, desk.issuer, GROUP)
    batch: SerialBatch = await desk(CreateSerials(group=GROUP, count=COUNT))
    assert batch.rest is not None
    await anext(batch.rest)
    desk.clock.advance(0.001)
    repository.is_cutting = True
    with pytest.raises(asyncio.CancelledError):
        await anext(batch.rest)
    assert await count(desk) == 2 * CHUNK
    assert (await desk.events(EventKind.DEVICE_DEFINED))[-1].detail == f"500 to 1000 of {COUNT} devices made"


async def test_an_end_that_cannot_be_recorded_changes_nothing() -> None:
    desk = await opened()
    batch: SerialBatch = await desk(CreateSerials(group=GROUP, count=2 * CHUNK))
    assert batch.rest is not None
    await anext(batch.rest)
    desk.repository.failures.append(Refusal(Reason.UNAVAILABLE, "full", check="storage.full"))
    await batch.rest.aclose()
    assert len(await desk.events(EventKind.DEVICE_DEFINED)) == 1


async def test_a_drawn_serial_that_is_taken_is_drawn_again() -> None:
    desk = await opened()
    desk.repository.failures += [Conflict(Guard.DEVICE_NAME), Conflict(Guard.DEVICE_SERIAL)]
    assert len((await desk(CreateSerials(group=GROUP, count=2))).made) == 2
    batch: SerialBatch = await desk(CreateSerials(group=GROUP, count=CHUNK + 1))
    assert batch.rest is not None
    desk.repository.failures += [Conflict(Guard.DEVICE_SERIAL), Conflict(Guard.DEVICE_NAME)]
    assert sum([len(devices) async for devices in batch.rest]) == CHUNK + 1
    assert await count(desk) == CHUNK + 3


async def test_a_name_taken_at_the_same_time_is_another_one() -> None:
    desk = await opened()
    other = await add_group(desk.repository, desk.issuer, "OTHER1")
    rival = await one(desk)
    await desk.repository.commit(Changes(delete=(Delete(rival),)))
    named = msgspec.structs.replace(rival, profile=other.id)
    desk.repository.overtaking.append(Changes(insert=(named,)))
    assert (await one(desk)).name == f"{GROUP}_SN-1"


async def test_a_tenant_has_room_for_all_or_none_are_made() -> None:
    desk = await opened()
    await desk.limit_devices(CHUNK + 1)
    for asked in (CHUNK + 2, COUNT):
        refusal = await desk.refused(CreateSerials(group=GROUP, count=asked))
        assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "device_limit")
    assert await count(desk) == 0
    batch: SerialBatch = await desk(CreateSerials(group=GROUP, count=CHUNK + 1))
    assert batch.rest is not None
    assert sum([len(devices) async for devices in batch.rest]) == CHUNK + 1
    assert (await desk.refused(CreateSerials(group=GROUP))).check == "device_limit"


@pytest.mark.parametrize(
    ("fields", "check"),
    [
        ({"count": 0}, "serial.count"),
        ({"count": COUNT + 1}, "serial.count"),
        ({"count": 2, "serial": "SN-1"}, "serial.shared"),
        ({"serial": ""}, "serial.length"),
        ({"serial": "a" * (SERIAL_CHARACTERS + 1)}, "serial.length"),
        ({"serial": "a\nb"}, "serial.characters"),
        ({"batch": "b" * (BATCH_CHARACTERS + 1)}, "serial.length"),
        ({"label": "l" * (LABEL_CHARACTERS + 1)}, "serial.length"),
        ({"metadata": {"a": "x" * 20_000}}, "metadata.size"),
    ],
)
async def test_what_cannot_be_kept_is_refused(fields: dict[str, object], check: str) -> None:
    desk = await opened()
    refusal = await desk.refused(msgspec.structs.replace(CreateSerials(group=GROUP), **fields))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)


@pytest.mark.parametrize("asked", [1, COUNT])
async def test_a_group_is_one_of_the_tenant_whose_devices_sign(asked: int) -> None:
    desk = await opened()
    tenant = await desk(CreateTenant(id="elsewhere", name="Elsewhere"))
    await add_group(desk.repository, desk.issuer, "FAR001", tenant=tenant.id)
    await desk.profile("plain", provision_key="plain-key")
    for group in ("nobody", "FAR001", "plain-key", ""):
        refusal = await desk.refused(CreateSerials(group=group, count=asked))
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "profile.unknown")
    far: SerialBatch = await desk(CreateSerials(group="FAR001", serial="SN-1"), tenant=tenant.id)
    assert far.made[0].tenant == TenantId("elsewhere")


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR, Role.FACTORY, Role.CUSTOMER])
async def test_operators_make_devices_and_no_other_roles(role: Role) -> None:
    desk = await opened()
    bearer = await desk.token(role)
    if role is Role.OPERATOR:
        assert len((await desk(CreateSerials(group=GROUP), bearer)).made) == 1
    else:
        assert (await desk.refused(CreateSerials(group=GROUP), bearer)).check == "role"
