"""What every store promises of a query: the right answer to each kind, pages in order and to the end, old events forgotten."""

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from core.model import DEFAULT_TENANT, DeviceState, EventKind, TenantId
from core.ports import Changes, Repository
from core.queries import (
    ClaimQuery,
    ClaimSnapshot,
    DeviceNamesQuery,
    DevicePage,
    DeviceQuery,
    EventPage,
    LoginQuery,
    ProfilePage,
    ProfileQuery,
    Query,
    TenantQuery,
    TokenPage,
    TokenQuery,
)
from tests.storage.entities import a_credential, a_device, a_lookup, a_profile, a_tenant, a_token, an_event


async def pages(repository: Repository, page: Callable[[Any], Query[Any]]) -> list[str]:
    """Return the ids of all pages, one after the other."""
    ids: list[str] = []
    while found := await repository.read(page(ids[-1] if ids else None)):
        ids += [row.id for row in found]
    return ids


def ids(rows: Any) -> list[str]:
    return [row.id for row in rows]


async def test_a_claim_by_an_unknown_key_finds_nothing(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(), a_credential())))
    assert await repository.read(ClaimQuery("key", "sensor-0001")) == ClaimSnapshot()
    assert await repository.read(ClaimQuery("", "", a_lookup(1))) == ClaimSnapshot(lookup_taken=True)


async def test_a_claim_finds_the_device_whatever_its_profile(repository: Repository) -> None:
    credentials = tuple(a_credential(number, device="device-0001") for number in (3, 1, 2))
    await repository.commit(Changes(insert=(a_device(), a_profile(2), *credentials)))
    claim = await repository.read(ClaimQuery("key-2", "sensor-0001", a_lookup(9)))
    tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
    ordered = tuple(sorted(credentials, key=lambda credential: credential.id))
    assert claim == ClaimSnapshot(tenant=tenant, profile=a_profile(2), device=a_device(), credentials=ordered)
    assert tenant is not None
    assert tenant.devices == 1


async def test_a_claim_does_not_see_another_tenant(repository: Repository) -> None:
    there = a_tenant().id
    await repository.commit(Changes(insert=(a_tenant(), a_profile(2, tenant=there), a_device())))
    claim = await repository.read(ClaimQuery("key-2", "sensor-0001"))
    assert claim.device is None
    assert claim.tenant == a_tenant()


async def test_a_claim_without_a_name_finds_no_device(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(name=""),)))
    claim = await repository.read(ClaimQuery("key-1", ""))
    assert (claim.profile, claim.device) == (a_profile(), None)


async def test_logins_are_answered_in_order(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(1), a_device(2), a_credential(1), a_credential(2))))
    found = await repository.read(LoginQuery((a_lookup(2), a_lookup(3), a_lookup(1), a_lookup(2))))
    assert [login and (login.credential, login.device, login.profile) for login in found] == [
        (a_credential(2), a_device(2), a_profile()),
        None,
        (a_credential(1), a_device(1), a_profile()),
        (a_credential(2), a_device(2), a_profile()),
    ]
    assert await repository.read(LoginQuery(())) == ()


async def test_a_device_is_found_in_its_tenant_only(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(), a_tenant())))
    assert await repository.read(DeviceQuery(a_tenant().id, a_device().id)) is None
    assert await repository.read(DeviceQuery(DEFAULT_TENANT, a_device(2).id)) is None
    found = await repository.read(DeviceQuery(DEFAULT_TENANT, a_device().id))
    assert found is not None
    assert (found.device, found.credentials) == (a_device(), ())


async def test_devices_are_found_by_many_names(repository: Repository) -> None:
    devices = tuple(a_device(number) for number in range(600))
    await repository.commit(Changes(insert=(*devices, *(a_credential(number) for number in range(0, 600, 3)))))
    names = ("nobody", *(device.name for device in reversed(devices)), "sensor-0000")
    found = await repository.read(DeviceNamesQuery(DEFAULT_TENANT, names))
    assert found[0] is None
    assert [snapshot and snapshot.device for snapshot in found[1:]] == [*reversed(devices), devices[0]]
    assert all(snapshot and len(snapshot.credentials) == (snapshot.device.created_at % 3 == 0) for snapshot in found[1:])
    assert await repository.read(DeviceNamesQuery(a_tenant().id, names)) == (None,) * len(names)
    assert await repository.read(DeviceNamesQuery(DEFAULT_TENANT, ())) == ()


async def test_an_id_wins_over_a_name(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_tenant(), a_profile(2, name=a_profile().id))))
    assert await repository.read(ProfileQuery(DEFAULT_TENANT, a_profile().id)) == a_profile()
    assert await repository.read(ProfileQuery(DEFAULT_TENANT, "profile 1")) == a_profile()
    assert await repository.read(ProfileQuery(DEFAULT_TENANT, "profile 3")) is None
    assert await repository.read(ProfileQuery(a_tenant().id, a_profile().id)) is None


async def test_what_is_not_there_is_none(repository: Repository) -> None:
    assert await repository.read(TenantQuery(TenantId("nowhere"))) is None
    assert await repository.read(TokenQuery(a_lookup(1))) is None


async def test_pages_lead_through_everything_in_order(repository: Repository) -> None:
    there = a_tenant().id
    numbers = [5, 3, 9, 1, 7]
    await repository.commit(Changes(insert=(a_tenant(), a_profile(90, tenant=there), a_token(90, tenant=there))))
    await repository.commit(Changes(insert=(a_device(90, tenant=there, profile=a_profile(90).id),)))
    for number in numbers:
        state = DeviceState.DEFINED if number % 2 else DeviceState.CONNECTED
        await repository.commit(
            Changes(insert=(a_profile(10 + number), a_token(number), a_device(number, state=state)), events=(an_event(number),))
        )
    pieces = 2
    assert await pages(repository, lambda after: DevicePage(DEFAULT_TENANT, after=after, limit=pieces)) == [
        f"device-000{number}" for number in sorted(numbers)
    ]
    assert await pages(repository, lambda after: ProfilePage(DEFAULT_TENANT, after=after, limit=pieces)) == [
        "profile-0001",
        *(f"profile-{10 + number:04}" for number in sorted(numbers)),
    ]
    assert await pages(repository, lambda after: TokenPage(DEFAULT_TENANT, after=after, limit=pieces)) == [
        f"token-000{number}" for number in sorted(numbers)
    ]
    assert await pages(repository, lambda after: EventPage(DEFAULT_TENANT, after=after, limit=pieces)) == [
        f"event-000{number}" for number in sorted(numbers)
    ]
    newest = await pages(repository, lambda after: EventPage(DEFAULT_TENANT, after=after, newest=True, limit=pieces))
    assert newest == [f"event-000{number}" for number in sorted(numbers, reverse=True)]


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_page_of_nothing_is_empty(repository: Repository, limit: int) -> None:
    await repository.commit(Changes(insert=(a_device(), a_token()), events=(an_event(),)))
    empty: tuple[Query[Any], ...] = (
        DevicePage(DEFAULT_TENANT, limit=limit),
        DevicePage(DEFAULT_TENANT, name="s", limit=limit),
        ProfilePage(DEFAULT_TENANT, limit=limit),
        TokenPage(DEFAULT_TENANT, limit=limit),
        EventPage(DEFAULT_TENANT, limit=limit),
        EventPage(DEFAULT_TENANT, newest=True, limit=limit),
    )
    for page in empty:
        assert await repository.read(page) == ()


NAMES = (
    *(
        "abc",
        "ABC",
        "Abc",
        "a%c",
        "a_c",
        "a",
        "ab",
        "%",
        "_",
        "%%",
        "Ärger",
        "ärger",
        "ä",
        "日本",
        "日本語",
        "\U0001f600",
        "'; --",
    ),
    *(
        "\ud7ff",
        "\ud7ff\U0010ffff",
        "\ue000",
        "\U0010ffff",
        "\U0010ffff\U0010ffff",
        "a\U0010ffff",
        "a\U0010ffffb",
        "b",
        "\x00",
        "a\x00b",
    ),
)
PREFIXES = (*NAMES, "A", "z", "\U0001f601", "a\ud7ff", "\x01")


async def test_a_prefix_is_taken_to_the_letter(repository: Repository) -> None:
    devices = tuple(a_device(number, name=name) for number, name in enumerate(NAMES))
    await repository.commit(Changes(insert=devices))
    for prefix in PREFIXES:

        def page(after: Any, prefix: str = prefix) -> DevicePage:
            return DevicePage(DEFAULT_TENANT, name=prefix, after=after, limit=2)

        expected = [device.id for device in devices if device.name.startswith(prefix)]
        assert ids(await repository.read(DevicePage(DEFAULT_TENANT, name=prefix))) == expected, prefix
        assert await pages(repository, page) == expected, prefix
    assert ids(await repository.read(DevicePage(DEFAULT_TENANT, name=""))) == ids(devices)


async def test_devices_by_every_combination_of_filters(repository: Repository) -> None:
    there = a_tenant().id
    await repository.commit(Changes(insert=(a_tenant(), a_profile(2), a_profile(3, tenant=there))))
    states = list(DeviceState)
    devices = [
        a_device(number, name=name, profile=f"profile-000{1 + number % 2}", state=states[number % 5])
        for number, name in enumerate(f"{kind}-{place}" for place in range(15) for kind in ("red", "blue"))
    ]
    elsewhere = a_device(99, name="red-1", tenant=there, profile="profile-0003", state=states[0])
    await repository.commit(Changes(insert=(*devices, elsewhere)))
    for name, profile, state, after in itertools.product(
        (None, "red", "blue-1", "blue-14", "green"),
        (None, "profile-0001", "profile-0002", "profile-0003"),
        (None, *states),
        (None, "device-0011"),
    ):
        query = DevicePage(DEFAULT_TENANT, name=name, profile=profile, state=state, after=after, limit=4)  # type: ignore[arg-type]  # texts for ids
        expected = [
            device
            for device in devices
            if device.name.startswith(name or "")
            and profile in (None, device.profile)
            and state in (None, device.state)
            and (after is None or device.id > after)
        ]
        assert await repository.read(query) == tuple(expected[:4]), query


async def test_events_by_every_combination_of_filters_in_both_directions(repository: Repository) -> None:
    kinds = (EventKind.PROVISION_SUCCEEDED, EventKind.LOGIN_REFUSED, EventKind.DEVICE_DELETED)
    events = [
        an_event(
            number,
            tenant=tenant,
            correlation=f"request-{number % 4}",
            device=(None, "device-0001", "device-0002")[number % 3],
            profile=(None, "profile-0001")[number % 2],
            kind=kinds[number // 3 % 3],
        )
        for number in range(60)
        for tenant in (DEFAULT_TENANT, "tenant-0001")
    ]
    await repository.commit(Changes(events=tuple(events)))
    here = [event for event in events if event.tenant == DEFAULT_TENANT]
    for correlation, device, profile, kind, after, newest in itertools.product(
        (None, "request-1", "request-9"),
        (None, "device-0001", "device-0009"),
        (None, "profile-0001", "profile-0009"),
        (None, *kinds),
        (None, "event-0030"),
        (False, True),
    ):
        query = EventPage(DEFAULT_TENANT, correlation, device, profile, kind, after, newest, 5)  # type: ignore[arg-type]  # texts for ids
        expected = [
            event
            for event in (reversed(here) if newest else here)
            if correlation in (None, event.correlation)
            and device in (None, event.device)
            and profile in (None, event.profile)
            and kind in (None, event.kind)
            and (after is None or (event.id < after if newest else event.id > after))
        ]
        assert await repository.read(query) == tuple(expected[:5]), query


async def test_events_come_in_the_order_of_their_ids_whenever_they_were_written(repository: Repository) -> None:
    for number in (3, 1, 2):
        await repository.commit(Changes(events=(an_event(number),)))
    assert ids(await repository.read(EventPage(DEFAULT_TENANT))) == ["event-0001", "event-0002", "event-0003"]


async def test_the_oldest_events_are_forgotten(repository: Repository) -> None:
    await repository.commit(Changes(events=tuple(an_event(number) for number in range(10))))
    assert await repository.prune_events(10) == 0
    assert await repository.prune_events(7) == 3
    assert await repository.prune_events(7) == 0
    assert ids(await repository.read(EventPage(DEFAULT_TENANT))) == [f"event-000{number}" for number in range(3, 10)]
    await repository.commit(Changes(events=(an_event(10),)))
    assert await repository.prune_events(1) == 7
    assert ids(await repository.read(EventPage(DEFAULT_TENANT))) == ["event-0010"]
    assert await repository.prune_events(-1) == 1
    assert await repository.prune_events(0) == 0
    await repository.commit(Changes(events=(an_event(1),)))
    assert await repository.prune_events(1) == 0


async def test_forgetting_is_done_in_pieces(repository: Repository) -> None:
    await repository.commit(Changes(events=tuple(an_event(number) for number in range(5_000))))
    gone = []
    while went := await repository.prune_events(500):
        gone.append(went)
    assert len(gone) > 1
    assert sum(gone) == 4_500
    oldest = await repository.read(EventPage(DEFAULT_TENANT, limit=1))
    assert oldest == (an_event(4_500),)
