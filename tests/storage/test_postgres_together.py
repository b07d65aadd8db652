"""Two gateways' stores over one database: what holds within one holds between them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import msgspec
import pytest

from core.errors import Conflict, Guard
from core.limits import APPROVALS_OF_SOURCE
from core.model import DEFAULT_TENANT, Approval, ClaimPolicy, Device, DeviceId
from core.ports import Changes, Delete, Repository
from core.queries import ApprovalPage, DevicePage, DeviceQuery, ProfileQuery, TenantQuery
from storage.postgres.repository import PostgresRepository, open_postgres
from tests.storage.entities import (
    a_channel,
    a_config,
    a_credential,
    a_device,
    a_lookup,
    a_profile,
    a_tenant,
    an_approval,
    an_event,
    an_organization,
)

Two = tuple[PostgresRepository, PostgresRepository]
Outcome = Guard | None


@pytest.fixture
async def two(postgres_url: str) -> AsyncIterator[Two]:
    async with AsyncExitStack() as stack:
        one, other = [await stack.enter_async_context(open_postgres(postgres_url)) for _ in range(2)]
        await one.commit(Changes(insert=(a_profile(),)))
        yield one, other


async def outcome(repository: Repository, changes: Changes) -> Outcome:
    try:
        await repository.commit(changes)
    except Conflict as conflict:
        return conflict.guard
    return None


async def at_once(two: Two, group: list[Changes]) -> list[Outcome]:
    """Commit by turns at the one and the other, all at the same time."""
    return await asyncio.gather(*(outcome(two[place % 2], changes) for place, changes in enumerate(group)))


def a_provision(number: int) -> Changes:
    return Changes(insert=(a_device(number), a_credential(number)), events=(an_event(number),))


async def test_the_limit_of_a_tenant(two: Two) -> None:
    limited = a_tenant(id=DEFAULT_TENANT, name="default", device_limit=30, version=2, secure_bootstrap=True)
    await two[1].commit(Changes(replace=(limited,)))
    found = await at_once(two, [a_provision(number) for number in range(1, 81)])
    assert sorted(found, key=str) == [Guard.DEVICE_LIMIT] * 50 + [None] * 30
    for repository in two:
        tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
        assert tenant is not None
        devices: tuple[Device, ...] = await repository.read(DevicePage(DEFAULT_TENANT))
        assert tenant.devices == len(devices) == 30


async def test_the_budget_of_a_claim_key(two: Two) -> None:
    await two[0].commit(Changes(insert=(a_profile(2, claims=ClaimPolicy(budget=10)),)))
    made = [Changes(insert=(a_device(number, profile="profile-0002"),), made_by=a_profile(2).id) for number in range(1, 31)]
    found = await at_once(two, made)
    assert sorted(found, key=str) == [Guard.DEVICE_BUDGET] * 20 + [None] * 10
    profile = await two[1].read(ProfileQuery(DEFAULT_TENANT, "profile-0002"))
    assert profile is not None
    assert profile.made == 10


async def test_whoever_begins_to_count_counts_what_comes_meanwhile(two: Two) -> None:
    made = [Changes(insert=(a_device(number),), made_by=a_profile().id) for number in range(1, 41)]
    limited = Changes(replace=(a_profile(claims=ClaimPolicy(budget=1000), version=2),))
    assert await at_once(two, [*made[:21], limited, *made[21:]]) == [None] * 41
    profile = await two[0].read(ProfileQuery(DEFAULT_TENANT, "profile-0001"))
    assert profile is not None
    assert profile.made == 40


async def test_a_unique_value_is_given_once(two: Two) -> None:
    names = [
        Changes(insert=(a_device(2 * number + turn, name=f"name {number}"),)) for number in range(1, 21) for turn in (0, 1)
    ]
    found = await at_once(two, names)
    assert sorted(found, key=str) == [Guard.DEVICE_NAME] * 20 + [None] * 20
    await two[0].commit(Changes(insert=(a_device(100), a_device(101))))
    lookups = [
        Changes(insert=(a_credential(number, device=f"device-01{number % 2:02}", lookup=a_lookup(1)),)) for number in range(8)
    ]
    found = await at_once(two, lookups)
    assert sorted(found, key=str) == [Guard.CREDENTIAL_LOOKUP] * 7 + [None]


async def test_no_version_is_lost(two: Two) -> None:
    await two[0].commit(Changes(insert=(a_device(), a_channel(), a_config(1, 1))))

    async def advance(repository: Repository) -> None:
        for _ in range(10):
            while True:
                found = await repository.read(DeviceQuery(DEFAULT_TENANT, DeviceId("device-0001")))
                assert found is not None
                after = msgspec.structs.replace(found.device, version=found.device.version + 1)
                if await outcome(repository, Changes(replace=(after,))) is None:
                    break

    await asyncio.gather(*(advance(repository) for repository in (*two, *two)))
    found = await two[0].read(DeviceQuery(DEFAULT_TENANT, DeviceId("device-0001")))
    assert found is not None
    assert found.device.version == 41


async def test_no_organization_is_below_itself(two: Two) -> None:
    for number in range(10):
        north, south = an_organization(f"north-{number}"), an_organization(f"south-{number}")
        await two[0].commit(Changes(insert=(north, south)))
        moves = [
            Changes(replace=(msgspec.structs.replace(north, parent=south.id, version=2),)),
            Changes(replace=(msgspec.structs.replace(south, parent=north.id, version=2),)),
        ]
        assert sorted(await at_once(two, moves), key=str) == [Guard.REFERENCE, None]


async def test_of_a_device_and_the_end_of_its_organization_one_wins(two: Two) -> None:
    for number in range(1, 21):
        place = an_organization(f"place-{number}")
        await two[0].commit(Changes(insert=(place,)))
        group = [Changes(insert=(a_device(number, owner=place.id),)), Changes(delete=(Delete(place),))]
        assert sorted(await at_once(two, group if number % 2 else group[::-1]), key=str) == [Guard.REFERENCE, None]


async def test_of_a_device_and_the_end_of_its_profile_one_wins(two: Two) -> None:
    for number in range(2, 22):
        await two[1].commit(Changes(insert=(a_profile(number),)))
        group = [
            Changes(insert=(a_device(number, profile=f"profile-{number:04}"),)),
            Changes(delete=(Delete(a_profile(number)),)),
        ]
        assert sorted(await at_once(two, group if number % 2 else group[::-1]), key=str) == [Guard.REFERENCE, None]


async def test_how_many_may_wait_for_operators(two: Two) -> None:
    before = tuple(an_approval(number, stranger="one") for number in range(1, APPROVALS_OF_SOURCE - 4))
    await two[0].commit(Changes(insert=before))
    waiting = [Changes(insert=(an_approval(1000 + number, stranger="one"),)) for number in range(20)]
    found = await at_once(two, waiting)
    assert sorted(found, key=str) == [Guard.APPROVAL_ROOM] * 15 + [None] * 5
    waiting_now: tuple[Approval, ...] = await two[1].read(ApprovalPage(tenant=DEFAULT_TENANT, limit=1000))
    assert len(waiting_now) == APPROVALS_OF_SOURCE


async def test_a_channel_that_goes_and_its_configurations(two: Two) -> None:
    devices = [a_device(number) for number in range(1, 11)]
    await two[0].commit(
        Changes(insert=(*devices, a_channel(1), a_channel(2), *(a_config(number, 1, 2) for number in range(1, 11))))
    )
    changed = [
        Changes(replace=(msgspec.structs.replace(a_config(number, 1, 2), active=True, version=2),)) for number in range(1, 11)
    ]
    found = await at_once(two, [*changed[:5], Changes(delete=(Delete(a_channel(1)),)), *changed[5:]])
    assert found[5] is None
    assert {each for place, each in enumerate(found) if place != 5} <= {None, Guard.VERSION}


async def test_events_are_forgotten_by_one_at_a_time(two: Two) -> None:
    for start in range(0, 60, 10):
        await two[0].commit(Changes(events=tuple(an_event(start + number) for number in range(10))))
    went = await asyncio.gather(*(repository.prune_events(20) for repository in (*two, *two)))
    assert sum(went) == 40
