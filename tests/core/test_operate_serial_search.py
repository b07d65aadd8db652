"""How operators find devices by serial, name, group and state."""

import msgspec
import pytest

from core.errors import Reason, Refusal
from core.limits import AtOnce
from core.model import DEFAULT_TENANT, DeviceId, DeviceState, Role
from core.operate.access import Actor
from core.operate.allocating import CreateSerials, Member, SearchSerials, SerialView, ShowSerial
from core.operate.configuring import CountedPage, CreateTenant
from core.operate.registry import Registry, Scope
from core.operate.serial_scan import STEP, SerialScan
from core.operate.serial_search import DEPTH, NAMES, VALUES
from core.ports import Changes
from core.queries import Order
from tests.operating import DEVICE_CONTEXT, Desk
from tests.serials import add_group, alter, known

GROUP, OTHER = "QK7M2A", "OTHER1"


async def stocked() -> Desk:
    """Return a desk with devices of two groups and of another kind of profile, and one of another tenant."""
    desk = Desk()
    for group, serials in ((GROUP, ("SN-1", "SN-2")), (OTHER, ("SN-1", "SN-3"))):
        await add_group(desk.repository, desk.issuer, group)
        for serial in serials:
            await desk(CreateSerials(group=group, serial=serial))
    await desk.profile(provision_key="plain-key")
    await desk.device("meter-1")
    tenant = await desk(CreateTenant(id="elsewhere", name="Elsewhere"))
    await add_group(desk.repository, desk.issuer, "FAR001", tenant=tenant.id)
    await desk(CreateSerials(group="FAR001", serial="SN-1"), tenant=tenant.id)
    await alter(desk.repository, (await known(desk.repository, "SN-2")).device, state=DeviceState.CONNECTED)
    return desk


async def names(desk: Desk, query: SearchSerials) -> tuple[list[str], int]:
    """Return the names that are found, and how many there are on all pages."""
    page: CountedPage[SerialView] = await desk(query)
    assert (page.offset, page.limit) == (query.offset, query.limit)
    return [view.device.name for view in page.items], page.total


async def test_one_device_is_shown_with_its_group() -> None:
    desk = await stocked()
    view: SerialView = await desk(ShowSerial(f"{OTHER}_SN-1"))
    assert (view.device.serial, view.profile.provision_key) == ("SN-1", OTHER)
    assert (await desk(ShowSerial("meter-1"))).profile.provision_key == "plain-key"
    for name in ("SN-9", view.device.id, "name:SN-1", ""):
        refusal = await desk.refused(ShowSerial(name))
        assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "device.unknown")


ALL = ["SN-1", "SN-2", "OTHER1_SN-1", "SN-3", "meter-1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (SearchSerials(), ALL),
        (SearchSerials(descending=True), ALL[::-1]),
        (SearchSerials(groups=(GROUP,)), ["SN-1", "SN-2"]),
        (SearchSerials(groups=(OTHER, "plain-key", "nobody")), ["OTHER1_SN-1", "SN-3", "meter-1"]),
        (SearchSerials(groups=("FAR001",)), []),
        (SearchSerials(groups=()), []),
        (SearchSerials(states=(DeviceState.CONNECTED,)), ["SN-2"]),
        (SearchSerials(states=()), []),
        (SearchSerials(names=("meter-1", "SN-2", "SN-2", "gone")), ["SN-2", "meter-1"]),
        (SearchSerials(names=("SN-1", "SN-2"), descending=True), ["SN-2", "SN-1"]),
        (SearchSerials(names=("OTHER1_SN-1", "SN-1"), serials=("SN-1",), groups=(OTHER,)), ["OTHER1_SN-1"]),
        (SearchSerials(names=("SN-1", "SN-2"), states=(DeviceState.DEFINED,)), ["SN-1"]),
        (SearchSerials(names=()), []),
        (SearchSerials(serials=("SN-1",)), ["SN-1", "OTHER1_SN-1"]),
        (SearchSerials(serials=("meter-1", "SN-2", "SN-2", "", "gone")), ["SN-2", "meter-1"]),
        (SearchSerials(serials=("SN-1", "meter-1"), groups=(OTHER,)), ["OTHER1_SN-1"]),
        (SearchSerials(serials=("SN-1", "SN-2"), states=(DeviceState.CONNECTED,)), ["SN-2"]),
        (SearchSerials(serials=()), []),
        (SearchSerials(serials=("SN-3", "SN-1"), order=Order.SERIAL, descending=True), ["SN-3", "OTHER1_SN-1", "SN-1"]),
        (SearchSerials(names=("SN-2", "SN-1"), order=Order.UPDATED), ["SN-1", "SN-2"]),
        (SearchSerials(names=("SN-3", "OTHER1_SN-1", "SN-1"), order=Order.NAME), ["OTHER1_SN-1", "SN-1", "SN-3"]),
        (SearchSerials(names=("SN-3", "OTHER1_SN-1"), order=Order.LABEL), ["OTHER1_SN-1", "SN-3"]),
        (SearchSerials(names=("SN-2", "SN-3"), order=Order.STATE), ["SN-2", "SN-3"]),
    ],
)
async def test_what_matches_every_filter_is_found(query: SearchSerials, expected: list[str]) -> None:
    assert await names(await stocked(), query) == (expected, len(expected))


@pytest.mark.parametrize(
    "query", [SearchSerials(), SearchSerials(names=tuple(ALL)), SearchSerials(serials=("SN-1", "SN-2", "SN-3", "meter-1"))]
)
async def test_pages_follow_each_other(query: SearchSerials) -> None:
    desk = await stocked()
    found = []
    for offset in range(0, 8, 2):
        page, total = await names(desk, SearchSerials(names=query.names, serials=query.serials, offset=offset, limit=2))
        assert total == len(ALL)
        found += page
    assert found == ALL


@pytest.mark.parametrize(
    ("query", "check"),
    [
        (SearchSerials(groups=("g",) * (VALUES + 1)), "search.values"),
        (SearchSerials(serials=("s",) * (VALUES + 1)), "search.values"),
        (SearchSerials(names=("n",) * (NAMES + 1)), "search.values"),
    ],
)
async def test_a_search_is_bounded(query: SearchSerials, check: str) -> None:
    refusal = await Desk().refused(query)
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)


def member(*path: str, values: tuple[str, ...]) -> Member:
    """Return what a device's metadata has to have."""
    return Member(path, frozenset(values))


TAGGED = member("batchTag", "defaultValue", values=("spring", "summer"))


async def tagged() -> Desk:
    """Return a desk whose devices differ in their metadata."""
    desk = await stocked()
    for name, metadata in {
        "SN-1": {"batchTag": {"defaultValue": "spring"}, "scale": 2, "on": True},
        "SN-2": {"batchTag": {"defaultValue": "summer"}, "scale": 2.5, "on": False},
        "SN-3": {"batchTag": "spring", "scale": "2", "on": None},
        "meter-1": {"batchTag": {"defaultValue": "spring"}, "scale": [2]},
    }.items():
        await alter(desk.repository, (await known(desk.repository, name)).device, metadata=metadata)
    return desk


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (SearchSerials(members=(TAGGED,)), ["SN-1", "SN-2", "meter-1"]),
        (SearchSerials(members=(TAGGED,), order=Order.NAME, descending=True), ["meter-1", "SN-2", "SN-1"]),
        (SearchSerials(members=(TAGGED,), groups=(GROUP, OTHER, GROUP)), ["SN-1", "SN-2"]),
        (SearchSerials(members=(TAGGED,), groups=()), []),
        (SearchSerials(members=(TAGGED,), states=(DeviceState.CONNECTED,)), ["SN-2"]),
        (SearchSerials(members=(TAGGED,), states=(DeviceState.CONNECTED, DeviceState.DISCARDED)), ["SN-2"]),
        (SearchSerials(members=(TAGGED,), states=()), []),
        (SearchSerials(members=(TAGGED,), names=("SN-2", "SN-3")), ["SN-2"]),
        (SearchSerials(members=(TAGGED,), serials=("SN-1", "meter-1")), ["SN-1", "meter-1"]),
        (SearchSerials(members=(TAGGED, member("scale", values=("2",)))), ["SN-1"]),
        (SearchSerials(members=(member("scale", values=("2", "2.5")),)), ["SN-1", "SN-2", "SN-3"]),
        (SearchSerials(members=(member("on", values=("true",)),)), ["SN-1"]),
        (SearchSerials(members=(member("on", values=("false", "None", "null")),)), ["SN-2"]),
    ],
)
async def test_devices_are_found_by_their_metadata(query: SearchSerials, expected: list[str]) -> None:
    assert await names(await tagged(), query) == (expected, len(expected))


async def test_pages_of_what_is_looked_at_follow_each_other() -> None:
    desk = await tagged()
    query = SearchSerials(members=(TAGGED,), limit=2)
    assert await names(desk, query) == (["SN-1", "SN-2"], 3)
    assert await names(desk, msgspec.structs.replace(query, offset=2)) == (["meter-1"], 3)


async def test_so_many_devices_are_looked_at_and_no_more() -> None:
    desk = await tagged()
    scope = Scope(DEFAULT_TENANT, DEVICE_CONTEXT, Actor("admin", Role.ADMIN, DEFAULT_TENANT))
    registry = Registry(desk.repository, desk.issuer, desk.audit)
    query = SearchSerials(members=(TAGGED,))
    assert (await SerialScan(registry, AtOnce(1, "search.scans"), most=len(ALL)).search(query, None, scope)).total == 3
    with pytest.raises(Refusal) as caught:
        await SerialScan(registry, AtOnce(1, "search.scans"), most=len(ALL) - 1).search(query, None, scope)
    assert (caught.value.reason, caught.value.check) == (Reason.MALFORMED, "search.scan")


async def test_so_many_look_at_once_and_no_more() -> None:
    desk = await tagged()
    scope = Scope(DEFAULT_TENANT, DEVICE_CONTEXT, Actor("admin", Role.ADMIN, DEFAULT_TENANT))
    turns = AtOnce(1, "search.scans")
    scan = SerialScan(Registry(desk.repository, desk.issuer, desk.audit), turns)
    query = SearchSerials(members=(TAGGED,))
    with turns, pytest.raises(Refusal) as caught:
        await scan.search(query, None, scope)
    assert (caught.value.reason, caught.value.check) == (Reason.UNAVAILABLE, "search.scans")
    assert caught.value.retry_after
    assert (await scan.search(query, None, scope)).total == 3  # the turn was given back


async def test_more_devices_than_fit_in_one_step_are_looked_at() -> None:
    desk = await stocked()
    batch = await desk(CreateSerials(group=OTHER, count=STEP, metadata={"batchTag": {"defaultValue": "spring"}}))
    assert sum([len(devices) async for devices in batch.rest]) == STEP
    found, total = await names(desk, SearchSerials(members=(TAGGED,), groups=(OTHER,), limit=3))
    assert (len(found), total) == (3, STEP)


async def test_serials_of_very_many_devices_are_not_looked_up() -> None:
    desk = await stocked()
    one = (await known(desk.repository, "SN-3")).device
    many = [
        msgspec.structs.replace(one, id=DeviceId(f"d-{number}"), name=f"d-{number}", serial="shared", unique_serial=False)
        for number in range(DEPTH + 1)
    ]
    await desk.repository.commit(Changes(insert=tuple(many[:-1])))
    assert (await names(desk, SearchSerials(serials=("shared",), limit=1)))[1] == DEPTH
    await desk.repository.commit(Changes(insert=tuple(many[-1:])))
    assert (await desk.refused(SearchSerials(serials=("shared",), limit=1))).check == "search.depth"


async def test_serials_beside_names_are_not_looked_up() -> None:
    desk = await stocked()
    many = tuple(f"SN-{number}" for number in range(NAMES))
    assert await names(desk, SearchSerials(names=("SN-1", "meter-1"), serials=many)) == (["SN-1"], 1)


async def test_auditors_read_and_factories_do_not() -> None:
    desk = await stocked()
    auditor, factory = await desk.token(Role.AUDITOR), await desk.token(Role.FACTORY)
    for command in (ShowSerial("SN-1"), SearchSerials()):
        await desk(command, auditor)
        assert (await desk.refused(command, factory)).check == "role"
