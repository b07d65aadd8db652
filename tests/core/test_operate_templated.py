"""What operators do with devices that they make from templates."""

import asyncio
from typing import Any

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.model import DEFAULT_TENANT, Device, DeviceId, DeviceState, DirectoryEntry, EntryKind, EventKind, Role
from core.operate.directing import (
    EditDevice,
    IssueSecret,
    ListTemplates,
    RegisterDevice,
    RemoveDevice,
    SearchDevices,
    ViewDevice,
)
from core.operate.directory import own_organization
from core.operate.messages import ChangeDevice, Command, DeleteProfile, ListDevices, ShowDevice
from core.operate.templated import owns
from core.ports import Changes, Delete
from core.queries import Order
from tests.core.directing import Reception

OWN = own_organization(DEFAULT_TENANT)


async def test_a_device_is_registered_shown_changed_and_removed() -> None:
    desk = Reception()
    template, north = await desk.template(), await desk.organization()
    made = await desk.register(template, "sn-1", owner=north.id, label="Lamp", attributes={"color": "red"})
    device = made.device
    assert (device.serial, device.name, device.label, device.owner) == ("sn-1", "sn-1", "Lamp", north.id)
    assert (device.state, device.metadata, device.version) == (DeviceState.DEFINED, {"color": "red"}, 1)
    assert (device.unique_serial, made.template, made.connected) == (False, template, False)
    assert await desk(ViewDevice(device.id)) == made
    assert await desk(ShowDevice("sn-1")) == device
    changed = await desk(
        EditDevice(id=device.id, version=1, serial="sn-2", owner=OWN, label="Bulb", attributes={"color": None, "size": 3})
    )
    after = changed.device
    assert (after.serial, after.name, after.label, after.owner) == ("sn-2", "sn-1", "Bulb", "")
    assert (after.metadata, after.version, changed.template) == ({"color": None, "size": 3}, 2, template)
    assert (await desk(EditDevice(id=device.id, attributes={}))).device.version == 3
    removed = await desk(RemoveDevice(id=device.id, version=3))
    assert (removed.device.version, removed.template) == (3, template)
    for command in (ViewDevice(device.id), EditDevice(id=device.id), RemoveDevice(id=device.id)):
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "device.unknown")
    assert (await desk.last_event(EventKind.DEVICE_DEFINED)).device_name == "sn-1"
    first, second = await desk.events(EventKind.DEVICE_CHANGED)
    assert (first.detail, second.detail) == ("serial, label, owner, metadata", "")
    assert (await desk.last_event(EventKind.DEVICE_DELETED)).device == device.id


async def test_what_has_been_changed_since_stays_as_it_is() -> None:
    desk = Reception()
    device = (await desk.register(await desk.template())).device
    await desk(EditDevice(id=device.id, label="new"))
    commands: tuple[Command, ...] = (EditDevice(id=device.id, version=1, label="x"), RemoveDevice(id=device.id, version=1))
    for command in commands:
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.STALE, "version.mismatch")
    assert (await desk(ViewDevice(device.id))).device.label == "new"


async def test_of_many_who_saw_the_same_one_alone_changes_it() -> None:
    desk = Reception()
    device = (await desk.register(await desk.template())).device
    commands = [EditDevice(id=device.id, version=1, label=str(place)) for place in range(20)]
    found = await asyncio.gather(*map(desk, commands), return_exceptions=True)
    assert [type(each) for each in found].count(Refusal) == 19
    await asyncio.gather(*(desk(EditDevice(id=device.id, attributes={f"m{place}": place})) for place in range(20)))
    shown = (await desk(ViewDevice(device.id))).device
    assert (shown.version, len(shown.metadata)) == (22, 20)


async def test_a_device_changes_under_the_hands_of_who_removes_it() -> None:
    desk = Reception()
    device = (await desk.register(await desk.template())).device
    desk.repository.failures.append(Conflict(Guard.VERSION))
    assert (await desk(RemoveDevice(id=device.id, version=1))).device == device


async def test_many_devices_may_have_one_serial() -> None:
    desk = Reception()
    template = await desk.template()
    made = await asyncio.gather(*(desk.register(template, "same") for _ in range(20)))
    names = [each.device.name for each in made]
    assert names.count("same") == 1
    assert {each.device.name for each in made if each.device.name != "same"} == {
        each.device.id for each in made if each.device.name != "same"
    }
    assert (await desk(SearchDevices(serial="same"))).total == 20


async def test_a_name_that_is_taken_meanwhile_is_given_up() -> None:
    desk = Reception()
    template = await desk.template()
    first = (await desk.register(template, "gone")).device
    rival = Changes(insert=(_renamed(first, "sn-1"),))
    desk.repository.overtaking.append(rival)
    made = (await desk.register(template, "sn-1")).device
    assert (made.serial, made.name) == ("sn-1", made.id)


def _renamed(device: Device, name: str) -> Device:
    return msgspec.structs.replace(device, id=DeviceId("rival"), name=name)


@pytest.mark.parametrize("serial", ["<b>", "  ", "x" * 255, "name:x"])
async def test_what_cannot_be_a_name_is_a_serial_still(serial: str) -> None:
    desk = Reception()
    device = (await desk.register(await desk.template(), serial)).device
    assert device.serial == serial
    assert device.name in (serial, device.id)
    assert (await desk(ViewDevice(device.id))).device == device


@pytest.mark.parametrize(
    ("fields", "check"),
    [
        ({"serial": ""}, "device.length"),
        ({"serial": "x" * 256}, "device.length"),
        ({"serial": "a\x00b"}, "device.characters"),
        ({"label": "x" * 1025}, "device.length"),
        ({"owner": "nowhere"}, "entry.unknown"),
        ({"attributes": {"x": "x" * 20_000}}, "metadata.size"),
    ],
)
async def test_what_cannot_be_is_refused(fields: dict[str, Any], check: str) -> None:
    desk = Reception()
    template = await desk.template()
    values = {"template": template.profile.id, "serial": "sn-9"} | fields
    refusal = await desk.refused(RegisterDevice(**values))
    assert refusal.check == check
    made = await desk.register(template)
    assert (await desk.refused(EditDevice(id=made.device.id, **fields))).check == check
    assert await desk(ViewDevice(made.device.id)) == made
    assert (await desk(SearchDevices())).total == 1


async def test_a_device_needs_a_template() -> None:
    desk = Reception()
    template = await desk.template()
    for ref in ("nothing", template.profile.name, ""):
        refusal = await desk.refused(RegisterDevice(template=ref, serial="sn-1"))
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "profile.unknown")
    profile = await desk.profile("gone")
    desk.repository.overtaking.append(Changes(delete=(Delete(profile),)))
    assert (await desk.refused(RegisterDevice(template=profile.id, serial="sn-1"))).check == "profile.unknown"


async def test_a_tenant_has_so_many_devices_and_no_more() -> None:
    desk = Reception()
    template = await desk.template()
    await desk.limit_devices(1)
    await desk.register(template)
    refusal = await desk.refused(RegisterDevice(template=template.profile.id, serial="sn-2"))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "device_limit")


async def test_fields_have_defaults_and_may_be_required() -> None:
    desk = Reception()
    template = await desk.template()
    profile = template.profile.id
    field = EntryKind.DEVICE_FIELD
    await desk.entry(field, name="color", parent=profile, attributes={"fieldType": "string", "default": "red"})
    await desk.entry(field, name="size", parent=profile, attributes={"required": True, "default": 3})
    await desk.entry(field, name="place", attributes={"required": True, "default": None})
    await desk.entry(field, name="note", attributes={"required": False})
    refusal = await desk.refused(RegisterDevice(template=profile, serial="sn-1"))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "device.field_missing")
    assert refusal.detail.partition(":")[0] == "place"
    assert (await desk.refused(RegisterDevice(template=profile, serial="x", attributes={"place": None}))).check == (
        "device.field_missing"
    )
    device = (await desk.register(template, attributes={"place": "hall", "size": 4})).device
    assert device.metadata == {"color": "red", "size": 4, "place": "hall"}
    refusal = await desk.refused(EditDevice(id=device.id, attributes={"size": None}))
    assert (refusal.check, refusal.detail.partition(":")[0]) == ("device.field_missing", "size")
    edited = await desk(EditDevice(id=device.id, attributes={"color": None, "size": 5}))
    assert edited.device.metadata == {"color": None, "size": 5, "place": "hall"}
    assert len(edited.template.fields) == 4


async def test_devices_are_searched() -> None:
    desk = Reception()
    lamps, bulbs, north = await desk.template("lamps"), await desk.template("bulbs"), await desk.organization()
    first = (await desk.register(lamps, "b", label="Hall")).device
    second = (await desk.register(bulbs, "a", owner=north.id)).device
    await desk.profile("meters")
    third = await desk.device("meter-1")
    await desk(IssueSecret(second.id))

    async def found(**filters: Any) -> list[str]:
        page = await desk(SearchDevices(**filters))
        assert page.total >= len(page.items)
        return [each.device.id for each in page.items]

    assert await found() == [first.id, second.id, third.id]
    assert await found(template=lamps.profile.id) == [first.id]
    assert await found(template="lamps") == []
    assert await found(owner=north.id) == [second.id]
    assert await found(owner=OWN) == await found(owner="") == [first.id, third.id]
    assert await found(owner="nowhere") == []
    assert await found(states=(DeviceState.PROVISIONED, DeviceState.CONNECTED)) == [second.id]
    assert await found(states=()) == []
    assert await found(serial="a") == [second.id]
    assert await found(label="Hall") == [first.id]
    assert await found(order=Order.SERIAL) == [third.id, second.id, first.id]
    assert await found(descending=True, limit=1, offset=1) == [second.id]
    page = await desk(SearchDevices(limit=2, offset=2))
    assert (page.total, page.limit, page.offset) == (3, 2, 2)
    assert [each.template.profile.name for each in (await desk(SearchDevices())).items] == ["lamps", "bulbs", "meters"]


async def test_who_is_connected_is_told() -> None:
    desk = Reception()
    template = await desk.template()
    on, off = (await desk.register(template, "on")).device, (await desk.register(template, "off")).device
    desk.connected.devices.add(on.id)
    assert [each.connected for each in (await desk(SearchDevices())).items] == [True, False]
    assert [(await desk(ViewDevice(each.id))).connected for each in (on, off)] == [True, False]
    assert (await desk(RemoveDevice(id=on.id))).connected


async def test_customers_see_what_their_organization_owns() -> None:
    desk = Reception()
    template, north, south = await desk.template(), await desk.organization("N"), await desk.organization("S")
    await desk.user("ann@example.com", Role.CUSTOMER, parent=north.id)
    bearer = (await desk.open("ann@example.com")).token
    mine = (await desk.register(template, "1", owner=north.id)).device
    others = (await desk.register(template, "2", owner=south.id)).device
    nobodys = (await desk.register(template, "3")).device
    assert (await desk(ViewDevice(mine.id), bearer)).device == mine
    for device in (others.id, nobodys.id, "nowhere"):
        refusal = await desk.refused(ViewDevice(device), bearer)
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "device.unknown")
    commands: tuple[Command, ...] = (
        ListTemplates(),
        EditDevice(id=mine.id, label="x"),
        RemoveDevice(id=mine.id),
        IssueSecret(mine.id),
        ListDevices(),
    )
    for command in commands:
        assert (await desk.refused(command, bearer)).check == "role"


async def test_customers_find_what_their_organization_owns() -> None:
    desk = Reception()
    template, north, south = await desk.template(), await desk.organization("N"), await desk.organization("S")
    await desk.user("ann@example.com", Role.CUSTOMER, parent=north.id)
    bearer = (await desk.open("ann@example.com")).token
    mine = [(await desk.register(template, serial, owner=north.id)).device for serial in ("1", "2", "3")]
    await desk.register(template, "1", owner=south.id)
    await desk.register(template, "1")

    async def found(**filters: Any) -> list[DeviceId]:
        page = await desk(SearchDevices(**filters), bearer)
        assert page.total == len(page.items)
        return [each.device.id for each in page.items]

    assert await found() == await found(owner=north.id) == [device.id for device in mine]
    assert await found(serial="1") == [mine[0].id]
    assert await found(states=(DeviceState.DEFINED,), template=template.profile.id) == [device.id for device in mine]
    none: tuple[dict[str, Any], ...] = ({"owner": south.id}, {"owner": OWN}, {"owner": ""}, {"states": ()}, {"serial": "9"})
    for filters in none:
        assert await found(**filters) == []
    page = await desk(SearchDevices(limit=1, offset=1, descending=True), bearer)
    assert ([each.device.id for each in page.items], page.total) == ([mine[1].id], 3)


async def test_customers_of_the_tenant_itself_find_what_is_associated() -> None:
    desk = Reception()
    template = await desk.template()
    await desk.user("ann@example.com", Role.CUSTOMER)
    bearer = (await desk.open("ann@example.com")).token
    await desk.register(template, "1")
    device = (await desk.register(template, "2")).device
    other = (await desk.register(template, "3", owner=(await desk.organization()).id)).device
    for each in (device, other):
        associated = msgspec.structs.replace(each, state=DeviceState.ASSOCIATED, version=2)
        await desk.repository.commit(Changes(replace=(associated,)))
    searches: tuple[tuple[dict[str, Any], int], ...] = (
        ({}, 1),
        ({"owner": OWN}, 1),
        ({"states": (DeviceState.ASSOCIATED, DeviceState.DEFINED)}, 1),
        ({"states": (DeviceState.DEFINED,)}, 0),
        ({"states": ()}, 0),
        ({"owner": other.owner}, 0),
    )
    for filters, total in searches:
        page = await desk(SearchDevices(**filters), bearer)
        assert ([each.device.id for each in page.items], page.total) == ([device.id][:total], total)


async def test_what_is_nobody_s_is_not_even_the_tenant_s_own_users() -> None:
    desk = Reception()
    ann: DirectoryEntry = await desk.user("ann@example.com", Role.CUSTOMER)
    device = (await desk.register(await desk.template())).device
    assert not owns(ann, device)
    assert not owns(None, device)
    associated = msgspec.structs.replace(device, state=DeviceState.ASSOCIATED)
    assert owns(ann, associated)
    assert not owns(None, associated)


async def test_devices_of_other_ways_are_shown_and_changed_alike() -> None:
    desk = Reception()
    await desk.profile()
    device = await desk.device()
    await desk(ChangeDevice(ref=device.id, metadata={"kept": 1}))
    view = await desk(EditDevice(id=device.id, serial="sn-7", attributes={"new": 2}))
    assert (view.device.serial, view.device.metadata, view.device.name) == ("sn-7", {"kept": 1, "new": 2}, device.name)
    assert view.template.profile.credential_kind is None
    await desk(RemoveDevice(id=device.id))
    await desk(DeleteProfile("meters"))
    assert (await desk(SearchDevices())).items == ()
