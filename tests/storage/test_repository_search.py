"""What every store promises of sorted and counted pages by exact values, and of the count of firmware versions."""

import itertools
import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.model import DEFAULT_TENANT, Device, DeviceState, DirectoryEntry, EntryKind, ProfileId, TenantId
from core.ports import Changes, Delete, Repository
from core.queries import (
    Counted,
    DeviceSearch,
    DeviceSnapshot,
    EntryPage,
    FirmwareCount,
    FirmwareCountsQuery,
    Order,
    ProfileSearch,
    Query,
)
from storage.memory import MemoryRepository
from storage.pages import NARROW
from storage.sqlite import open_sqlite
from tests.storage.entities import a_credential, a_device, a_profile, a_tenant, an_entry, an_organization
from tests.thorough import often

THERE = a_tenant().id
STATES = list(DeviceState)
KEYS: dict[Order, Callable[[Device], Any]] = {
    Order.CREATED: lambda device: device.id,
    Order.UPDATED: lambda device: (device.updated_at, device.id),
    Order.SERIAL: lambda device: (device.serial, device.id),
    Order.NAME: lambda device: device.name,
    Order.LABEL: lambda device: (device.label or device.name, device.id),
    Order.STATE: lambda device: (device.state.value, device.id),
}


def matching(devices: Sequence[Device], query: DeviceSearch) -> list[Device]:
    """Return what a query matches, in its order, put as plainly as it can be."""
    found = [
        device
        for device in devices
        if device.tenant == query.tenant
        and (query.profiles is None or device.profile in query.profiles)
        and (query.owners is None or device.owner in query.owners)
        and (query.states is None or device.state in query.states)
        and all(
            wanted is None or wanted == found
            for wanted, found in (
                (query.name, device.name),
                (query.serial, device.serial),
                (query.label, device.label),
                (query.runs, device.runs),
            )
        )
    ]
    return sorted(found, key=KEYS[query.order], reverse=query.descending)


async def require(repository: Repository, devices: Sequence[Device], query: DeviceSearch) -> None:
    expected = matching(devices, query)
    found = await repository.read(query)
    part = expected[query.offset : query.offset + query.limit]
    assert ([item.device for item in found.items], found.total) == (part, len(expected)), query


def fleet() -> list[Device]:
    """Return devices of every sort in two tenants, their ids in no order of anything else."""
    names = ["", "a", "A", "ä", "b\x00", "b", "Z", "日本", "\U0001f600", "\ue000", *(f"sensor-{n:02}" for n in range(20))]
    draw = random.Random(7)
    numbers = draw.sample(range(100, 200), len(names))
    return [
        a_device(
            number,
            name=name,
            tenant=(DEFAULT_TENANT, THERE)[place % 7 == 0],
            profile="profile-0009" if place % 7 == 0 else f"profile-000{1 + place % 2}",
            label=draw.choice(["", "", "a", "B", "b", "sensor-07", "\U0001f600", "\ue000"]),
            serial=draw.choice(["", "", "1", "10", "2", "\U0001f600", "\ue000", "x\x00y"]),
            owner=draw.choice(["", "", "there-1", "there-2"] if place % 7 == 0 else ["", "", "owner-1", "owner-2"]),
            runs=draw.choice(["", "1.0", "2.0"]),
            state=draw.choice(STATES),
            updated_at=draw.randrange(5),
        )
        for place, (name, number) in enumerate(zip(names, numbers, strict=True))
    ]


async def filled(repository: Repository) -> list[Device]:
    devices = fleet()
    owners = [an_organization(f"owner-{number}") for number in (1, 2)]
    owners += [an_organization(f"there-{number}", tenant=THERE) for number in (1, 2)]
    await repository.commit(Changes(insert=(a_tenant(), a_profile(2), a_profile(9, tenant=THERE), *owners, *devices)))
    return devices


FILTERS: dict[str, tuple[Any, ...]] = {
    "profiles": (None, (), ("profile-0001",), ("profile-0002", "profile-0001", "profile-0002"), ("profile-0009", "nowhere")),
    "owners": (None, (), ("",), ("owner-1",), ("owner-2", "owner-1"), ("", "owner-1"), ("nobody",)),
    "states": (None, (), (DeviceState.DEFINED,), (DeviceState.CONNECTED, DeviceState.DEFINED), tuple(STATES)),
    "name": (None, "", "a", "b\x00", "nothing"),
    "serial": (None, "", "1", "x\x00y", "nothing"),
    "label": (None, "", "b", "nothing"),
    "runs": (None, "", "1.0", "nothing"),
}


@pytest.mark.parametrize("order", Order)
async def test_devices_by_each_pair_of_filters_in_each_order(repository: Repository, order: Order) -> None:
    devices = await filled(repository)
    for first, second in itertools.combinations(FILTERS, 2):
        for place, (one, other) in enumerate(itertools.product(FILTERS[first], FILTERS[second])):
            options: dict[str, Any] = {first: one, second: other, "order": order, "descending": bool(place % 2)}
            await require(repository, devices, DeviceSearch(tenant=DEFAULT_TENANT, **options))


@pytest.mark.parametrize("order", Order)
async def test_pages_of_devices_begin_and_end_where_they_are_told(repository: Repository, order: Order) -> None:
    devices = await filled(repository)
    filters: tuple[dict[str, Any], ...] = (
        {},
        {"profiles": ("profile-0001",)},
        {"owners": ("", "owner-2")},
        {"states": STATES[:2]},
    )
    for filter_, descending, offset, limit in itertools.product(
        filters, (False, True), (0, 1, 7, 99, 2**70, -1), (0, 1, 5, 99, 2**70, -1)
    ):
        query = DeviceSearch(tenant=DEFAULT_TENANT, order=order, descending=descending, offset=offset, limit=limit, **filter_)
        expected = matching(devices, query)
        found = await repository.read(query)
        part = expected[max(offset, 0) :][: max(limit, 0)]
        assert ([item.device for item in found.items], found.total) == (part, len(expected)), query


async def test_a_device_is_found_with_its_profile_and_credentials(repository: Repository) -> None:
    held = tuple(a_credential(number, device="device-0001") for number in (2, 1))
    await repository.commit(Changes(insert=(a_device(), a_device(2, profile="profile-0002"), a_profile(2), *held)))
    found = await repository.read(DeviceSearch(tenant=DEFAULT_TENANT, descending=True))
    assert found == Counted(
        items=(
            DeviceSnapshot(a_device(2, profile="profile-0002"), a_profile(2), ()),
            DeviceSnapshot(a_device(), a_profile(), held[::-1]),
        ),
        total=2,
    )


async def test_nothing_is_found_in_another_tenant_or_in_none(repository: Repository) -> None:
    await repository.commit(
        Changes(insert=(a_tenant(), an_organization("o"), a_device(serial="s", owner="o", runs="r"), an_entry()))
    )
    for tenant, order in itertools.product((THERE, TenantId("nowhere")), Order):
        for filters in ({}, {"serial": "s"}, {"owners": ("o",)}, {"runs": "r"}, {"profiles": (a_profile().id,)}):
            query = DeviceSearch(tenant=tenant, order=order, **filters)
            assert await repository.read(query) == Counted(items=(), total=0)
    for tenant in (THERE, TenantId("nowhere")):
        pages: tuple[Query[Any], ...] = (ProfileSearch(tenant=tenant), EntryPage(tenant=tenant, kind=EntryKind.END_USER))
        for page in pages:
            assert await repository.read(page) == Counted(items=(), total=0)
        assert await repository.read(FirmwareCountsQuery(tenant)) == ()


async def test_names_among_many_devices_are_sorted(repository: Repository) -> None:
    numbers = list(range(NARROW + 10))
    random.Random(3).shuffle(numbers)
    devices = [a_device(number, name=f"n-{numbers[number]:05}", metadata={}) for number in range(NARROW + 10)]
    few = [a_device(10_000 + number, name=f"n-{number}", profile="profile-0002", metadata={}) for number in range(5)]
    await repository.commit(Changes(insert=(a_profile(2), *devices, *few)))
    for filters, descending in itertools.product(
        ({}, {"profiles": ("profile-0001",)}, {"profiles": ("profile-0002",)}), (False, True)
    ):
        query = DeviceSearch(tenant=DEFAULT_TENANT, order=Order.NAME, descending=descending, offset=2, limit=3, **filters)  # type: ignore[arg-type]  # texts for ids
        await require(repository, [*devices, *few], query)


async def test_a_device_is_found_by_what_it_became(repository: Repository) -> None:
    before = a_device(serial="old", owner="old", runs="old", label="old")
    after = a_device(serial="new", owner="new", runs="new", label="new", version=2)
    await repository.commit(Changes(insert=(before, an_organization("old"), an_organization("new"))))
    await repository.commit(Changes(replace=(after,)))
    for field in ("serial", "label", "runs", "owners"):
        for value, total in (("old", 0), ("new", 1)):
            options: dict[str, Any] = {field: (value,) if field == "owners" else value}
            assert (await repository.read(DeviceSearch(tenant=DEFAULT_TENANT, **options))).total == total
    await repository.commit(Changes(delete=(Delete(after),)))
    assert (await repository.read(DeviceSearch(tenant=DEFAULT_TENANT, serial="new"))).total == 0


async def test_profiles_in_both_directions(repository: Repository) -> None:
    made = [a_profile(number, name=f"p-{number % 3}{number}") for number in (4, 2, 3)]
    await repository.commit(Changes(insert=(a_tenant(), a_profile(9, tenant=THERE, name="p-24"), *made)))
    ordered = [a_profile(), *sorted(made, key=lambda profile: profile.id)]
    for name, descending, offset, limit in itertools.product((None, "p-14", "p-24", ""), (False, True), (0, 1, 9), (0, 2, 9)):
        expected = [profile for profile in ordered if name in (None, profile.name)][:: -1 if descending else 1]
        query = ProfileSearch(tenant=DEFAULT_TENANT, name=name, descending=descending, offset=offset, limit=limit)
        found = await repository.read(query)
        assert (list(found.items), found.total) == (expected[offset : offset + limit], len(expected)), query


async def test_entries_by_every_combination_of_filters(repository: Repository) -> None:
    kinds = (EntryKind.ORGANIZATION, EntryKind.END_USER)
    made: list[DirectoryEntry] = [
        an_entry(
            number,
            tenant=(DEFAULT_TENANT, THERE)[number % 5 == 0],
            kind=kinds[number // 2 % 2],
            name=("same", f"name {number}", "")[number % 3],
            parent=("", *(("there-1", "there-2") if number % 5 == 0 else ("upper-1", "upper-2")))[number // 3 % 3],
            template=("", "entry-0003")[number % 2],
        )
        for number in random.Random(5).sample(range(1, 41), 40)
    ]
    await repository.commit(Changes(delete=(Delete(an_organization()),)))
    there = [an_organization(f"there-{number}", tenant=THERE) for number in (1, 2)]
    made += [an_organization(f"upper-{number}") for number in (1, 2)]
    await repository.commit(Changes(insert=(a_tenant(), *there, *made)))
    ordered = sorted((entry for entry in made if entry.tenant == DEFAULT_TENANT), key=lambda entry: entry.id)
    parents = (None, (), ("",), ("upper-2",), ("upper-2", "", "upper-2"), ("nothing",))
    for kind, parent, template, name, descending, (offset, limit) in itertools.product(
        (*kinds, EntryKind.DEVICE_FIELD),
        parents,
        (None, "entry-0003", "", "nothing"),
        (None, "same", "", "nothing"),
        (False, True),
        ((0, 99), (1, 2), (99, 1), (0, 0)),
    ):
        query = EntryPage(
            tenant=DEFAULT_TENANT,
            kind=kind,
            parents=parent,
            template=template,
            name=name,
            descending=descending,
            offset=offset,
            limit=limit,
        )
        expected = [
            entry
            for entry in (reversed(ordered) if descending else ordered)
            if entry.kind is kind
            and (parent is None or entry.parent in parent)
            and template in (None, entry.template)
            and name in (None, entry.name)
        ]
        found = await repository.read(query)
        assert (list(found.items), found.total) == (expected[offset : offset + limit], len(expected)), query


async def test_who_runs_what(repository: Repository) -> None:
    devices = await filled(repository)
    for tenant, profile in itertools.product(
        (DEFAULT_TENANT, THERE), (None, ProfileId("profile-0001"), ProfileId("profile-0009"), ProfileId("nowhere"))
    ):
        counted = Counter(
            (device.profile, device.runs)
            for device in devices
            if device.tenant == tenant and device.state is not DeviceState.DISCARDED and profile in (None, device.profile)
        )
        expected = [FirmwareCount(key[0], key[1], number) for key, number in sorted(counted.items())]
        found = await repository.read(FirmwareCountsQuery(tenant, profile))
        assert list(found) == expected


async def test_a_version_that_only_discarded_devices_run_is_not_counted(repository: Repository) -> None:
    gone = [a_device(number, runs=runs, state=DeviceState.DISCARDED) for number, runs in enumerate(("1.0", "", "2.0"))]
    await repository.commit(Changes(insert=(*gone, a_device(9, runs="2.0"))))
    assert await repository.read(FirmwareCountsQuery(DEFAULT_TENANT)) == (FirmwareCount(a_profile().id, "2.0", 1),)


TEXTS = st.text("aAä\u0345\x00%\U0001f600\ue000\uffff", max_size=3)
FLEETS = st.lists(st.tuples(TEXTS, TEXTS, TEXTS, st.integers(0, 2), st.sampled_from(STATES)), max_size=12)


@settings(
    max_examples=often(15, 40), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(rows=FLEETS, order=st.permutations(range(12)))
async def test_stores_sort_all_texts_alike(rows: list[Any], order: list[int], tmp_path_factory: Any) -> None:
    devices = [
        a_device(number, name=f"{name}{number}", label=label, serial=serial, updated_at=updated_at, state=state)
        for number, (name, label, serial, updated_at, state) in zip(order, rows, strict=False)
    ]
    memory = MemoryRepository()
    async with open_sqlite(tmp_path_factory.mktemp("sort") / "registry.db") as sqlite:
        for repository in (memory, sqlite):
            await repository.commit(Changes(insert=(a_profile(), *devices)))
            for by, descending in itertools.product(Order, (False, True)):
                query = DeviceSearch(tenant=DEFAULT_TENANT, order=by, descending=descending, offset=1, limit=5)
                await require(repository, devices, query)
    await memory.close()
