"""What every store promises of queries by serial, by the secret of a claim and by a user's login or secret."""

import asyncio
from collections.abc import Sequence
from typing import Any

from core.model import DEFAULT_TENANT, EntryId, Lookup, ProfileId
from core.ports import Changes, Repository
from core.queries import (
    DeviceClaimQuery,
    DeviceSnapshot,
    EnrolQuery,
    EnrolSnapshot,
    EntryLoginQuery,
    EntryQuery,
    EntrySecretQuery,
    PendingClaimQuery,
    PendingClaimSnapshot,
    SerialsQuery,
    SignedDevicesQuery,
    TenantQuery,
)
from tests.storage.entities import (
    a_claim,
    a_credential,
    a_device,
    a_lookup,
    a_profile,
    a_signed,
    a_tenant,
    a_user,
    an_entry,
)

THERE = a_tenant().id
HERE = a_profile().id


def devices(found: Sequence[DeviceSnapshot | None]) -> list[Any]:
    return [snapshot and snapshot.device for snapshot in found]


async def test_an_enrolment_by_an_unknown_group_finds_nothing(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_signed(),)))
    assert await repository.read(EnrolQuery("key", "serial-0001", ("sensor-0001",))) == EnrolSnapshot()
    assert await repository.read(EnrolQuery("", "", ())) == EnrolSnapshot()


async def test_an_enrolment_finds_the_device_of_its_profile(repository: Repository) -> None:
    held = tuple(a_credential(number, device="device-0001") for number in (3, 1, 2))
    other = a_signed(2, serial="serial-0001", profile="profile-0002")
    there = (a_tenant(), a_profile(3, tenant=THERE), a_signed(3, serial="serial-0001", profile="profile-0003", tenant=THERE))
    unsigned = a_device(4, serial="serial-0004")
    await repository.commit(Changes(insert=(a_signed(), a_profile(2), other, *there, unsigned, *held, a_credential(4))))
    tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
    found = await repository.read(EnrolQuery("key-1", "serial-0001", ("sensor-0004", "free", "sensor-0003", "sensor-0001")))
    assert found == EnrolSnapshot(
        tenant=tenant,
        profile=a_profile(),
        device=a_signed(),
        credentials=tuple(sorted(held, key=lambda credential: credential.id)),
        names_taken=frozenset({"sensor-0001", "sensor-0004"}),
    )
    elsewhere = await repository.read(EnrolQuery("key-3", "serial-0001", ("sensor-0001", "sensor-0003")))
    assert (elsewhere.device, elsewhere.names_taken) == (there[2], frozenset({"sensor-0003"}))
    beside = await repository.read(EnrolQuery("key-2", "serial-0001", ()))
    assert (beside.device, beside.credentials, beside.names_taken) == (other, (), frozenset())
    unknown = await repository.read(EnrolQuery("key-1", "serial-0004", ("",)))
    assert (unknown.tenant, unknown.profile, unknown.device, unknown.names_taken) == (tenant, a_profile(), None, frozenset())


async def test_an_empty_serial_is_nobodys(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_signed(serial=""), a_device(2, name=""))))
    found = await repository.read(EnrolQuery("key-1", "", ("",)))
    assert (found.profile, found.device, found.names_taken) == (a_profile(), None, frozenset({""}))
    assert await repository.read(SerialsQuery(HERE, ("",))) == (None,)
    assert await repository.read(SignedDevicesQuery("")) == ()


async def test_serials_are_taken_to_the_letter(repository: Repository) -> None:
    serials = ("a", "A", "a\x00", "a\x00b", " a", "a ", "ä", "a\u0308", "日本", "\U0001f600", "\ue000", "%", "_", "0", "00")
    made = [a_signed(number, serial=serial) for number, serial in enumerate(serials)]
    await repository.commit(Changes(insert=tuple(made)))
    numbered = await repository.read(SerialsQuery(HERE, (*serials, "b", "a\x00c")))
    assert devices(numbered) == [*made, None, None]
    found = await asyncio.gather(*(repository.read(EnrolQuery("key-1", serial, (serial,))) for serial in serials))
    assert [one.device for one in found] == made
    signed = await asyncio.gather(*(repository.read(SignedDevicesQuery(serial)) for serial in serials))
    assert [devices(some) for some in signed] == [[device] for device in made]


async def test_each_of_many_enrolments_gets_its_own_answer(repository: Repository) -> None:
    made = [a_signed(number) for number in range(400)]
    held = [a_credential(number) for number in range(0, 400, 3)]
    await repository.commit(Changes(insert=(*made, *held, a_profile(2))))
    queries = [
        EnrolQuery(f"key-{1 + number % 3}", f"serial-{number:04}", (f"sensor-{number:04}", f"free-{number}"))
        for number in range(600)
    ]
    found = await asyncio.gather(*map(repository.read, queries))
    for number, snapshot in enumerate(found):
        profile = (a_profile(), a_profile(2), None)[number % 3]
        device = made[number] if number % 3 == 0 and number < 400 else None
        assert (snapshot.profile, snapshot.device) == (profile, device)
        assert snapshot.credentials == ((held[number // 3],) if device is not None else ())
        taken = {f"sensor-{number:04}"} if profile is not None and number < 400 else set()
        assert snapshot.names_taken == taken


async def test_devices_are_found_by_many_serials(repository: Repository) -> None:
    made = [a_signed(number) for number in range(1_000)]
    others = (
        a_profile(2),
        a_signed(2_000, serial="serial-2000", profile="profile-0002"),
        a_device(2_001, serial="serial-2001"),
    )
    await repository.commit(Changes(insert=(*made, *others, *(a_credential(number) for number in range(0, 1_000, 3)))))
    serials = (*(device.serial for device in reversed(made)), "serial-0000", "serial-2000", "serial-2001", "nothing")
    found = await repository.read(SerialsQuery(HERE, serials))
    assert devices(found) == [*reversed(made), made[0], None, None, None]
    assert all(one and len(one.credentials) == (one.device.created_at % 3 == 0) for one in found[:1_001])
    assert await repository.read(SerialsQuery(HERE, ())) == ()
    assert await repository.read(SerialsQuery(ProfileId("nowhere"), serials[:2])) == (None, None)


async def test_signed_devices_are_found_by_name_and_by_serial_in_all_tenants(repository: Repository) -> None:
    there = a_profile(9, tenant=THERE)
    named = [a_signed(5, name="x"), a_signed(6, name="x", tenant=THERE, profile=there.id)]
    numbered = [a_signed(2, serial="x"), a_signed(1, serial="x", tenant=THERE, profile=there.id)]
    apart = (a_device(3, serial="x"), a_signed(4, name="X", serial="X"), a_credential(1), a_credential(6))
    await repository.commit(Changes(insert=(a_tenant(), there, *named, *numbered, *apart)))
    found = await repository.read(SignedDevicesQuery("x"))
    assert devices(found) == [*named, *numbered]
    assert [one.profile for one in found] == [a_profile(), there, a_profile(), there]
    assert [one.credentials for one in found] == [(), (a_credential(6),), (), (a_credential(1),)]
    both = a_signed(7, name="y", serial="y")
    await repository.commit(Changes(insert=(both, a_signed(8, serial="y", tenant=THERE, profile=there.id))))
    found = await repository.read(SignedDevicesQuery("y"))
    assert devices(found) == [
        both,
        a_signed(8, serial="y", tenant=THERE, profile=there.id),
    ]
    assert await repository.read(SignedDevicesQuery("z")) == ()


async def test_only_so_many_signed_devices_of_a_kind_are_answered(repository: Repository) -> None:
    numbers = range(1, 20)
    tenants = [a_tenant(number) for number in numbers]
    profiles = [a_profile(10 + number, tenant=tenant.id) for number, tenant in zip(numbers, tenants, strict=True)]
    named = [a_signed(20 - n, name="x", tenant=profiles[n - 1].tenant, profile=profiles[n - 1].id) for n in numbers]
    numbered = [a_signed(60 - n, serial="x", tenant=profiles[n - 1].tenant, profile=profiles[n - 1].id) for n in numbers]
    await repository.commit(Changes(insert=(*tenants, *profiles, *named, *numbered)))
    found = await repository.read(SignedDevicesQuery("x"))
    assert devices(found) == [*named[:-17:-1], *numbered[:16]]
    asked = await asyncio.gather(*(repository.read(SignedDevicesQuery(name)) for name in ("x", "y", "serial-0019", "x")))
    assert asked == [found, (), (asked[2][0],), found]
    assert devices(asked[2]) == [named[0]]


async def test_pending_claims_are_found_by_their_secret_in_all_tenants(repository: Repository) -> None:
    device = a_device(9, tenant=THERE, profile=a_profile(9).id)
    there = (a_tenant(), a_profile(9, tenant=THERE), device, a_claim(9, tenant=THERE))
    await repository.commit(Changes(insert=(*there, a_device(1), a_device(2), a_claim(1), a_credential(2))))
    lookups = [a_claim(1).lookup, a_claim(9).lookup, a_credential(2).lookup, a_claim(1).lookup]
    found = await asyncio.gather(*(repository.read(PendingClaimQuery(lookup)) for lookup in lookups))
    first = PendingClaimSnapshot(claim=a_claim(1), device=a_device(1))
    assert found == [first, PendingClaimSnapshot(claim=a_claim(9, tenant=THERE), device=device), None, first]
    wanted = [(DEFAULT_TENANT, 1), (THERE, 9), (DEFAULT_TENANT, 9), (THERE, 1), (DEFAULT_TENANT, 2)]
    claims = await asyncio.gather(*(repository.read(DeviceClaimQuery(tenant, a_device(n).id)) for tenant, n in wanted))
    assert claims == [a_claim(1), a_claim(9, tenant=THERE), None, None, None]


async def test_entries_are_found_by_id_login_and_secret(repository: Repository) -> None:
    there = a_user(2, tenant=THERE, parent="")
    await repository.commit(Changes(insert=(a_tenant(), a_user(1), there, an_entry(3))))
    assert await repository.read(EntryQuery(THERE, a_user(1).id)) is None
    assert await repository.read(EntryQuery(DEFAULT_TENANT, EntryId("nothing"))) is None
    assert await repository.read(EntryQuery(DEFAULT_TENANT, an_entry(3).id)) == an_entry(3)
    assert await repository.read(EntryLoginQuery(THERE, a_user(1).login)) is None
    assert await repository.read(EntryLoginQuery(THERE, there.login)) == there
    lookups: list[Lookup] = [a_user(1).lookup or a_lookup(0), a_lookup(1), there.lookup or a_lookup(0)]
    found = await asyncio.gather(*(repository.read(EntrySecretQuery(lookup)) for lookup in lookups))
    assert found == [a_user(1), None, there]
