"""What every store promises of claim keys: what they have made, and who does not come back by them."""

import time

import msgspec
import pytest

from core.errors import Conflict, Guard
from core.model import DEFAULT_TENANT, ClaimPolicy, ClaimRate, Departure, Profile, ProfileId, TombstoneId
from core.ports import Changes, Delete, Entity, Repository
from core.queries import ClaimQuery, EnrolQuery, ProfileQuery, TombstonePage, TombstoneQuery
from storage.bounds import TOMBSTONE_KEPT_MS
from tests.storage.entities import a_credential, a_device, a_profile, a_signed, a_tenant, a_tombstone, an_event

PROFILE = ProfileId("profile-0001")
OTHER = ProfileId("profile-0002")
POLICY = ClaimPolicy(
    budget=3,
    opens_at=1,
    closes_at=2,
    names="one\ntwo",
    ranges=("a1..a9",),
    pattern="b.*",
    rate=ClaimRate(1, 2),
    source_rate=ClaimRate(3, 4),
    tombstones=False,
)


async def profile(repository: Repository, identity: str = PROFILE) -> Profile:
    found = await repository.read(ProfileQuery(DEFAULT_TENANT, identity))
    assert found is not None
    return found


async def limit(repository: Repository, claims: ClaimPolicy | None, identity: str = PROFILE) -> None:
    before = await profile(repository, identity)
    changed = msgspec.structs.replace(before, claims=claims, version=before.version + 1)
    await repository.commit(Changes(replace=(changed,)))


async def made(repository: Repository, identity: str = PROFILE) -> int | None:
    return (await profile(repository, identity)).made


async def make(repository: Repository, *numbers: int, by: ProfileId = PROFILE, of: ProfileId = PROFILE) -> None:
    new: tuple[Entity, ...] = tuple(a_device(number, profile=of) for number in numbers)
    issued: tuple[Entity, ...] = tuple(a_credential(number) for number in numbers)
    await repository.commit(Changes(insert=(*new, *issued), events=(an_event(numbers[0]),), made_by=by))


async def guard(repository: Repository, changes: Changes) -> Guard | None:
    try:
        await repository.commit(changes)
    except Conflict as conflict:
        return conflict.guard
    return None


async def tombstones(repository: Repository) -> list[str]:
    return [each.id for each in await repository.read(TombstonePage(DEFAULT_TENANT))]


# What a key has made


async def test_all_of_a_policy_is_kept(repository: Repository) -> None:
    await limit(repository, POLICY)
    assert (await profile(repository)).claims == POLICY
    known = (await repository.read(ClaimQuery("key-1", ""))).profile
    assert known is not None
    assert (known.claims, known.made) == (POLICY, 0)
    await limit(repository, None)
    assert (await profile(repository)).claims is None


async def test_what_a_key_makes_is_counted_from_its_first_limit_on(repository: Repository) -> None:
    await make(repository, 1)
    assert await made(repository) is None
    await limit(repository, ClaimPolicy())
    assert await made(repository) == 1
    await make(repository, 2, 3)
    await repository.commit(Changes(insert=(a_device(4),)))
    assert await made(repository) == 3
    await limit(repository, None)
    await make(repository, 5)
    await limit(repository, POLICY)
    assert await made(repository) == 4


async def test_a_new_profile_begins_at_nothing_whatever_is_said(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_profile(2, claims=POLICY, made=77),)))
    await make(repository, 1, by=OTHER, of=OTHER)
    assert await made(repository, OTHER) == 1
    stale = msgspec.structs.replace(await profile(repository, OTHER), made=0, version=2)
    await repository.commit(Changes(replace=(stale,)))
    assert await made(repository, OTHER) == 1


async def test_deleted_devices_stay_counted(repository: Repository) -> None:
    await limit(repository, POLICY)
    await make(repository, 1)
    await repository.commit(Changes(delete=(Delete(a_device(1)),)))
    assert await made(repository) == 1


async def test_a_key_makes_no_more_than_it_may(repository: Repository) -> None:
    await limit(repository, POLICY)
    await make(repository, 1, 2)
    for numbers in ((3, 4), (3, 4, 5)):
        changes = Changes(insert=tuple(map(a_device, numbers)), made_by=PROFILE)
        assert await guard(repository, changes) is Guard.DEVICE_BUDGET
    await make(repository, 3)
    assert await guard(repository, Changes(insert=(a_device(4),), made_by=PROFILE)) is Guard.DEVICE_BUDGET
    assert await guard(repository, Changes(insert=(a_device(4),))) is None
    assert await made(repository) == 3


async def test_a_key_counts_what_it_makes_in_another_profile(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_profile(2),)))
    await limit(repository, ClaimPolicy(budget=1))
    await make(repository, 1, of=OTHER)
    assert (await made(repository), await made(repository, OTHER)) == (1, None)
    changes = Changes(insert=(a_device(2, profile=OTHER),), made_by=PROFILE)
    assert await guard(repository, changes) is Guard.DEVICE_BUDGET


async def test_a_burned_key_makes_nothing(repository: Repository) -> None:
    await limit(repository, ClaimPolicy(burned_at=1))
    assert await guard(repository, Changes(insert=(a_device(1),), made_by=PROFILE)) is Guard.DEVICE_BUDGET
    assert await guard(repository, Changes(insert=(a_device(1),))) is None


async def test_changes_that_do_more_than_add_are_held_to_the_budget_too(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_tombstone(1), a_tombstone(2))))
    await limit(repository, ClaimPolicy(budget=1))
    back = Changes(insert=(a_device(1),), delete=(Delete(a_tombstone(1)),), made_by=PROFILE)
    assert await guard(repository, back) is None
    more = Changes(insert=(a_device(2),), delete=(Delete(a_tombstone(2)),), made_by=PROFILE)
    assert await guard(repository, more) is Guard.DEVICE_BUDGET
    assert await made(repository) == 1
    assert await repository.read(TombstoneQuery(DEFAULT_TENANT, "meter-2")) is not None


# Tombstones


async def test_a_tombstone_is_found_by_who_it_keeps_out(repository: Repository) -> None:
    stone = a_tombstone(1, serial="SN-1", departure=Departure.REVOKED, leave_until=99)
    await repository.commit(Changes(insert=(stone, a_tombstone(2))))
    assert (await repository.read(ClaimQuery("key-1", "meter-1"))).tombstone == stone
    assert (await repository.read(EnrolQuery("key-1", "SN-1", ()))).tombstone == stone
    for ref in (stone.id, stone.name):
        assert await repository.read(TombstoneQuery(DEFAULT_TENANT, ref)) == stone
    for query in (ClaimQuery("key-1", "meter-9"), ClaimQuery("key-1", ""), ClaimQuery("key-9", "meter-1")):
        assert (await repository.read(query)).tombstone is None
    for serial in ("SN-2", ""):
        assert (await repository.read(EnrolQuery("key-1", serial, ()))).tombstone is None
    assert await repository.read(TombstoneQuery(DEFAULT_TENANT, "meter-9")) is None


async def test_a_tombstone_is_its_tenants(repository: Repository) -> None:
    elsewhere = a_tenant()
    stone = a_tombstone(1, tenant=elsewhere.id, profile=OTHER)
    await repository.commit(Changes(insert=(elsewhere, a_profile(2, tenant=elsewhere.id), stone)))
    assert (await repository.read(ClaimQuery("key-1", "meter-1"))).tombstone is None
    assert (await repository.read(ClaimQuery("key-2", "meter-1"))).tombstone == stone
    assert await repository.read(TombstoneQuery(DEFAULT_TENANT, stone.id)) is None
    assert await guard(repository, Changes(insert=(a_tombstone(2, tenant=elsewhere.id),))) is Guard.REFERENCE


async def test_a_new_tombstone_takes_the_place_of_those_with_its_name_or_serial(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_tombstone(1, serial="SN-1"), a_tombstone(2, serial="SN-2"), a_tombstone(3))))
    await repository.commit(Changes(insert=(a_tombstone(4, name="meter-1", serial="SN-2"),)))
    assert await tombstones(repository) == ["tombstone-0003", "tombstone-0004"]
    assert (await repository.read(EnrolQuery("key-1", "SN-1", ()))).tombstone is None


async def test_a_tombstone_is_used_once(repository: Repository) -> None:
    stone = a_tombstone(1)
    await repository.commit(Changes(insert=(stone,)))
    given = msgspec.structs.replace(stone, leave_until=5, version=2)
    await repository.commit(Changes(replace=(given,)))
    assert await guard(repository, Changes(delete=(Delete(stone),))) is Guard.VERSION
    await repository.commit(Changes(delete=(Delete(given),)))
    assert await guard(repository, Changes(delete=(Delete(given),))) is Guard.VERSION


async def test_those_whose_device_is_there_again_are_not_listed(repository: Repository) -> None:
    await repository.commit(Changes(insert=tuple(map(a_tombstone, (1, 2, 3)))))
    there = (a_device(1, name="meter-1"), a_credential(1), a_device(2, name="meter-2"))
    await repository.commit(Changes(insert=there))
    assert await tombstones(repository) == ["tombstone-0002", "tombstone-0003"]
    after = TombstonePage(DEFAULT_TENANT, after=TombstoneId("tombstone-0002"), limit=1)
    assert [each.id for each in await repository.read(after)] == ["tombstone-0003"]


async def test_a_profile_takes_its_tombstones_with_it(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_profile(2), a_tombstone(1, profile=OTHER), a_tombstone(2))))
    await repository.commit(Changes(delete=(Delete(await profile(repository, OTHER)),)))
    assert await tombstones(repository) == ["tombstone-0002"]


async def test_tombstones_go_after_years(repository: Repository) -> None:
    now = time.time_ns() // 1_000_000
    old, new = now - TOMBSTONE_KEPT_MS - 1_000, now - TOMBSTONE_KEPT_MS + 60_000
    await repository.commit(Changes(insert=(a_tombstone(1, created_at=old), a_tombstone(2, created_at=new))))
    await repository.prune_events(100)
    assert await tombstones(repository) == ["tombstone-0002"]


@pytest.mark.parametrize("serial", ["", "SN-1"])
async def test_a_device_leaves_its_tombstone_in_one_commit(repository: Repository, serial: str) -> None:
    device = a_signed(1) if serial else a_device(1)
    await repository.commit(Changes(insert=(device,)))
    stone = a_tombstone(1, name=device.name, serial=serial)
    await repository.commit(Changes(insert=(stone,), delete=(Delete(device),)))
    assert await repository.read(TombstoneQuery(DEFAULT_TENANT, device.name)) == stone
