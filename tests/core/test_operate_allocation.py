"""How operators allocate, reset, change, replace and remove devices by their names."""

from typing import Any

import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.model import Device, DeviceState, DirectoryEntry, EntryKind, EventKind, Firmware, Reallocation, Role
from core.operate.allocating import (
    AllocateSerial,
    CreateSerials,
    DeleteSerials,
    MasterData,
    ReplaceSerial,
    ResetAllocations,
    SerialView,
    UpdateSerial,
)
from core.operate.allocation import AT_ONCE
from core.operate.configuring import CreateTenant
from core.operate.directing import CreateEntry
from core.operate.messages import Command, RevokeCredentials
from core.operate.values import LABEL_CHARACTERS
from core.ports import Changes, Delete
from core.registration import Withheld
from tests.operating import Desk
from tests.serials import PRODUCT_KEY, add_group, alter, is_known, issue, known, triples

GROUP = "QK7M2A"
FIRMWARE = Firmware(version="1", url="https://example.net/1", size=1, sha256="0" * 64)


async def opened(*serials: str, **policy: Any) -> Desk:
    """Return a desk with one group and devices of it."""
    desk = Desk()
    await add_group(desk.repository, desk.issuer, GROUP, **policy)
    for serial in serials or ("SN-1",):
        await desk(CreateSerials(group=GROUP, serial=serial, label="Pump", metadata={"timezone": "+08:00"}))
    return desk


async def device(desk: Desk, name: str = "SN-1") -> Device:
    """Return a device as it is."""
    return (await known(desk.repository, name)).device


async def test_an_allocated_device_has_its_triple_before_it_asks() -> None:
    desk = await opened()
    view: SerialView = await desk(AllocateSerial("SN-1", MasterData(label="Pump 1", metadata={"scale": 1})))
    found = await known(desk.repository, "SN-1")
    assert (view.device, view.profile) == (found.device, found.profile)
    assert (view.device.state, view.device.provisioned_at) == (DeviceState.PROVISIONED, desk.clock.now())
    assert (view.device.label, view.device.metadata) == ("Pump 1", {"timezone": "+08:00", "scale": 1})
    (triple,) = triples(desk.issuer, found)
    assert triple.product_key == PRODUCT_KEY
    assert (await desk.last_event(EventKind.DEVICE_ALLOCATED)).device == view.device.id


async def test_a_device_that_has_a_triple_keeps_it() -> None:
    desk = await opened()
    await desk(AllocateSerial("SN-1"))
    before = await known(desk.repository, "SN-1")
    assert (await desk(AllocateSerial("SN-1"))).device == before.device
    again: SerialView = await desk(AllocateSerial("SN-1", MasterData(label="Pump 2")))
    after = await known(desk.repository, "SN-1")
    assert (again.device.label, again.device.version) == ("Pump 2", before.device.version + 1)
    assert after.credentials == before.credentials
    assert len(await desk.events(EventKind.DEVICE_ALLOCATED)) == 1
    assert (await desk.last_event(EventKind.DEVICE_CHANGED)).detail == "label"


async def test_a_defined_device_with_a_triple_is_allocated_with_that_one() -> None:
    desk = await opened()
    credential = await issue(desk.repository, desk.issuer, await device(desk))
    assert (await desk(AllocateSerial("SN-1"))).device.state is DeviceState.PROVISIONED
    assert (await known(desk.repository, "SN-1")).credentials == (credential,)


async def test_a_triple_that_was_revoked_or_is_over_makes_room_for_another() -> None:
    desk = await opened()
    await desk(AllocateSerial("SN-1"))
    await alter(desk.repository, await device(desk), state=DeviceState.CONNECTED, connected_at=1)
    await desk(RevokeCredentials("SN-1"))
    view: SerialView = await desk(AllocateSerial("SN-1"))
    assert (view.device.state, len((await known(desk.repository, "SN-1")).credentials)) == (DeviceState.CONNECTED, 1)
    await desk(RevokeCredentials("SN-1"))
    await issue(desk.repository, desk.issuer, view.device, expires_at=desk.clock.now())
    await desk(AllocateSerial("SN-1"))
    assert len((await known(desk.repository, "SN-1")).credentials) == 2


async def test_a_device_key_that_is_taken_is_drawn_again() -> None:
    desk = await opened()
    desk.repository.failures.append(Conflict(Guard.CREDENTIAL_LOOKUP))
    assert (await desk(AllocateSerial("SN-1"))).device.state is DeviceState.PROVISIONED


async def test_a_device_of_another_kind_of_profile_is_not_allocated() -> None:
    desk = await opened()
    await desk.profile()
    await desk.device("meter-1")
    refusal = await desk.refused(AllocateSerial("meter-1"))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "group.unsigned")


async def test_master_data_is_changed_member_by_member() -> None:
    desk = await opened()
    data = MasterData(serial="SN-9", label="Pump 9", metadata={"timezone": None, "scale": 2})
    view: SerialView = await desk(UpdateSerial("SN-1", data))
    assert (view.device.name, view.device.serial, view.device.unique_serial) == ("SN-1", "SN-9", True)
    assert (view.device.label, view.device.metadata) == ("Pump 9", {"scale": 2})
    assert (await desk.last_event(EventKind.DEVICE_CHANGED)).detail == "serial, label, metadata"
    assert (await desk(UpdateSerial("SN-1", data))).device == view.device
    assert len(await desk.events(EventKind.DEVICE_CHANGED)) == 1


async def test_any_device_of_the_tenant_can_be_changed() -> None:
    desk = await opened()
    await desk.profile()
    await desk.device("meter-1")
    view: SerialView = await desk(UpdateSerial("meter-1", MasterData(serial="SN-1")))
    assert (view.device.serial, view.device.unique_serial) == ("SN-1", False)


@pytest.mark.parametrize("make", [UpdateSerial, AllocateSerial])
async def test_a_serial_of_the_group_is_one_devices(make: Any) -> None:
    desk = await opened("SN-1", "SN-2")
    refusal = await desk.refused(make("SN-1", MasterData(serial="SN-2")))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "device_serial")
    assert (await device(desk)).state is DeviceState.DEFINED


@pytest.mark.parametrize("make", [UpdateSerial, AllocateSerial])
@pytest.mark.parametrize(
    ("data", "check"),
    [
        (MasterData(serial=""), "serial.length"),
        (MasterData(serial="\0"), "serial.characters"),
        (MasterData(label="l" * (LABEL_CHARACTERS + 1)), "serial.length"),
        (MasterData(metadata={"a": "x" * 20_000}), "metadata.size"),
    ],
)
async def test_what_cannot_be_kept_is_refused(make: Any, data: MasterData, check: str) -> None:
    desk = await opened()
    refusal = await desk.refused(make("SN-1", data))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)


async def test_master_data_does_not_grow_beyond_its_bound() -> None:
    desk = await opened()
    await desk(UpdateSerial("SN-1", MasterData(metadata={"a": "x" * 10_000})))
    assert (await desk.refused(UpdateSerial("SN-1", MasterData(metadata={"b": "x" * 10_000})))).check == "metadata.size"


@pytest.mark.parametrize("state", [DeviceState.PROVISIONED, DeviceState.CONNECTED, DeviceState.ASSOCIATED])
async def test_a_reset_device_has_nothing_but_its_serial_and_master_data(state: DeviceState) -> None:
    desk = await opened()
    await desk(AllocateSerial("SN-1"))
    org: DirectoryEntry = await desk(CreateEntry(kind=EntryKind.ORGANIZATION, name="North"))
    await alter(
        desk.repository, await device(desk), state=state, owner=org.id, connected_at=1, associated_at=2, firmware=FIRMWARE
    )
    (reset,) = await desk(ResetAllocations(GROUP, ("SN-1",)))
    found = await known(desk.repository, "SN-1")
    assert (found.device, found.credentials) == (reset, ())
    assert (reset.state, reset.serial, reset.unique_serial) == (DeviceState.DEFINED, "SN-1", True)
    assert (reset.provisioned_at, reset.connected_at, reset.associated_at) == (None, None, None)
    assert (reset.label, reset.metadata, reset.firmware) == ("Pump", {"timezone": "+08:00"}, FIRMWARE)
    assert reset.owner == ("" if state is DeviceState.ASSOCIATED else org.id)
    assert (await desk.last_event(EventKind.DEVICE_RESET)).detail == "migrate"


async def test_a_group_may_want_its_devices_without_their_master_data() -> None:
    desk = await opened(reallocation=Reallocation.INITIALIZE)
    await desk(AllocateSerial("SN-1"))
    await alter(desk.repository, await device(desk), firmware=FIRMWARE)
    (reset,) = await desk(ResetAllocations(GROUP, ("SN-1",)))
    assert (reset.label, reset.metadata, reset.firmware, reset.serial) == ("", {}, None, "SN-1")


async def test_a_group_may_not_want_its_devices_allocated_anew() -> None:
    desk = await opened(reallocation=Reallocation.NONE)
    await desk(AllocateSerial("SN-1"))
    refusal = await desk.refused(ResetAllocations(GROUP, ("SN-1",)))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "group.reallocation")


async def test_what_has_nothing_is_not_reset() -> None:
    desk = await opened()
    before = await device(desk)
    assert await desk(ResetAllocations(GROUP, ("SN-1",))) == (before,)
    assert await desk.events(EventKind.DEVICE_RESET) == ()
    await issue(desk.repository, desk.issuer, before)
    (reset,) = await desk(ResetAllocations(GROUP, ("SN-1",)))
    assert (reset.version, (await known(desk.repository, "SN-1")).credentials) == (before.version + 1, ())


async def test_all_are_reset_or_none() -> None:
    desk = await opened("SN-1", "SN-2")
    await add_group(desk.repository, desk.issuer, "OTHER1")
    await desk(CreateSerials(group="OTHER1", serial="SN-3"))
    await desk(AllocateSerial("SN-1"))
    for name in ("SN-3", "SN-4"):
        refusal = await desk.refused(ResetAllocations(GROUP, ("SN-1", name)))
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "device.unknown")
    assert (await device(desk)).state is DeviceState.PROVISIONED
    reset = await desk(ResetAllocations(GROUP, ("SN-2", "SN-1", "SN-2")))
    assert [each.name for each in reset] == ["SN-2", "SN-1"]
    assert (await device(desk)).state is DeviceState.DEFINED


@pytest.mark.parametrize("command", [AllocateSerial("SN-1"), ResetAllocations(GROUP, ("SN-1",))])
async def test_a_discarded_device_stays_out(command: Command) -> None:
    desk = await opened()
    await alter(desk.repository, await device(desk), state=DeviceState.DISCARDED, discarded_at=1)
    refusal = await desk.refused(command)
    assert isinstance(refusal, Withheld)
    assert (refusal.reason, refusal.check, refusal.serial) == (Reason.FORBIDDEN, "device.discarded", "SN-1")


async def test_a_replacement_takes_over_the_master_data() -> None:
    desk = await opened("SN-1", "SN-2")
    await desk(AllocateSerial("SN-1", MasterData(label="Pump 1", metadata={"scale": 3})))
    before = await device(desk, "SN-2")
    view: SerialView = await desk(ReplaceSerial("SN-1", "SN-2"))
    assert (view.device.id, view.device.name, view.device.serial) == (before.id, "SN-2", "SN-2")
    assert (view.device.label, view.device.metadata) == ("Pump 1", {"timezone": "+08:00", "scale": 3})
    assert view.device.state is DeviceState.DEFINED
    assert not await is_known(desk.repository, "SN-1")
    assert (await desk.last_event(EventKind.DEVICE_CHANGED)).detail == "replaces SN-1"
    assert (await desk.last_event(EventKind.DEVICE_DELETED)).detail == "replaced by SN-2"


async def test_a_replacement_is_a_device_of_the_group_that_has_nothing_yet() -> None:
    desk = await opened("SN-1", "SN-2", "SN-3")
    await add_group(desk.repository, desk.issuer, "OTHER1")
    await desk(CreateSerials(group="OTHER1", serial="SN-4"))
    await desk(AllocateSerial("SN-2"))
    await issue(desk.repository, desk.issuer, await device(desk, "SN-3"))
    for names, reason, check in (
        (("SN-1", "SN-1"), Reason.MALFORMED, "serial.itself"),
        (("SN-1", "SN-4"), Reason.MALFORMED, "serial.other_group"),
        (("SN-1", "SN-2"), Reason.FORBIDDEN, "serial.allocated"),
        (("SN-1", "SN-3"), Reason.FORBIDDEN, "serial.allocated"),
        (("SN-1", "SN-9"), Reason.NOT_FOUND, "device.unknown"),
        (("SN-9", "SN-1"), Reason.NOT_FOUND, "device.unknown"),
    ):
        refusal = await desk.refused(ReplaceSerial(*names))
        assert (refusal.reason, refusal.check) == (reason, check)
    assert await is_known(desk.repository, "SN-1")


async def test_devices_are_removed_and_those_that_are_gone_are_no_error() -> None:
    desk = await opened("SN-1", "SN-2")
    await add_group(desk.repository, desk.issuer, "OTHER1")
    assert (await desk.refused(DeleteSerials("OTHER1", ("SN-1",)))).check == "device.unknown"
    assert (await desk.refused(DeleteSerials("nobody", ("SN-1",)))).check == "profile.unknown"
    assert await desk(DeleteSerials(GROUP, ("SN-1", "SN-1", "gone"))) == ("SN-1", "gone")
    assert (await desk.last_event(EventKind.DEVICE_DELETED)).device_name == "SN-1"
    assert await desk(DeleteSerials(None, ("SN-2", "SN-1"))) == ("SN-2", "SN-1")
    assert await desk(DeleteSerials(None, ("SN-2",))) == ("SN-2",)
    assert len(await desk.events(EventKind.DEVICE_DELETED)) == 2


@pytest.mark.parametrize("names", [(), ("SN-1",) * (AT_ONCE + 1)])
@pytest.mark.parametrize("make", [ResetAllocations, DeleteSerials])
async def test_some_are_named_and_not_too_many(make: Any, names: tuple[str, ...]) -> None:
    desk = await opened()
    refusal = await desk.refused(make(GROUP, names))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "serial.names")


COMMANDS: list[Command] = [
    AllocateSerial("SN-1"),
    UpdateSerial("SN-1", MasterData(label="x")),
    ResetAllocations(GROUP, ("SN-1",)),
    ReplaceSerial("SN-1", "SN-2"),
]


@pytest.mark.parametrize("command", COMMANDS)
async def test_another_tenants_devices_are_unknown(command: Command) -> None:
    desk = await opened("SN-1", "SN-2")
    tenant = await desk(CreateTenant(id="elsewhere", name="Elsewhere"))
    refusal = await desk.refused(command, tenant=tenant.id)
    assert refusal.reason is Reason.NOT_FOUND
    assert await desk(DeleteSerials(None, ("SN-1",)), tenant=tenant.id) == ("SN-1",)
    assert await is_known(desk.repository, "SN-1")


@pytest.mark.parametrize("command", [*COMMANDS, DeleteSerials(None, ("SN-1",))])
@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR, Role.FACTORY])
async def test_operators_do_this_and_no_other_roles(command: Command, role: Role) -> None:
    desk = await opened("SN-1", "SN-2")
    bearer = await desk.token(role)
    if role is Role.OPERATOR:
        await desk(command, bearer)
    else:
        assert (await desk.refused(command, bearer)).check == "role"


@pytest.mark.parametrize("command", COMMANDS)
async def test_what_others_change_meanwhile_is_decided_again(command: Command) -> None:
    desk = await opened("SN-1", "SN-2")
    await desk(AllocateSerial("SN-1"))
    await desk(RevokeCredentials("SN-1"))
    desk.repository.failures.append(Conflict(Guard.VERSION))
    await desk(command)


async def test_a_device_that_goes_meanwhile_is_unknown() -> None:
    desk = await opened()
    desk.repository.overtaking.append(Changes(delete=(Delete(await device(desk)),)))
    with pytest.raises(Refusal) as caught:
        await desk(AllocateSerial("SN-1"))
    assert caught.value.check == "device.unknown"
