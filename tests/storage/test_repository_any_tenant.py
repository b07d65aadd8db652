"""What is found by its id alone, whatever its tenant."""

import asyncio

import msgspec

from core.model import DEFAULT_TENANT, DeviceId, EntryId
from core.ports import Changes, Delete, Repository
from core.queries import AnyDeviceQuery, AnyEntryQuery
from tests.storage.entities import a_credential, a_device, a_profile, a_tenant, a_user


async def test_a_device_is_found_in_any_tenant(repository: Repository) -> None:
    there = a_tenant().id
    profile = a_profile(2, tenant=there)
    far = a_device(2, tenant=there, profile=profile.id)
    await repository.commit(
        Changes(insert=(a_tenant(), profile, a_device(1), far, a_credential(1), a_credential(11, device=a_device(1).id)))
    )
    near = await repository.read(AnyDeviceQuery(a_device(1).id))
    assert near is not None
    assert (near.device, near.profile) == (a_device(1), a_profile())
    assert near.credentials == (a_credential(1), a_credential(11, device=a_device(1).id))
    found = await repository.read(AnyDeviceQuery(far.id))
    assert found is not None
    assert (found.device, found.profile, found.credentials) == (far, profile, ())
    await repository.commit(Changes(delete=(Delete(far),)))
    assert await repository.read(AnyDeviceQuery(far.id)) is None


async def test_an_entry_is_found_in_any_tenant(repository: Repository) -> None:
    there = a_tenant().id
    far = a_user(2, tenant=there, parent="")
    await repository.commit(Changes(insert=(a_tenant(), a_user(1), far)))
    assert await repository.read(AnyEntryQuery(a_user(1).id)) == a_user(1)
    assert await repository.read(AnyEntryQuery(far.id)) == far
    assert far.tenant != DEFAULT_TENANT
    changed = msgspec.structs.replace(far, name="renamed", version=2)
    await repository.commit(Changes(replace=(changed,)))
    assert await repository.read(AnyEntryQuery(far.id)) == changed


async def test_ids_that_are_nobodys_find_nobody(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(1), a_user(1))))
    for text in ("", "nobody", a_device(1).id.upper(), f"{a_device(1).id} ", f"{a_device(1).id}\0", "%", a_user(1).id):
        assert await repository.read(AnyDeviceQuery(DeviceId(text))) is None
    for text in ("", "nobody", a_device(1).id, f"{a_user(1).id}\0"):
        assert await repository.read(AnyEntryQuery(EntryId(text))) is None


async def test_many_are_asked_about_at_once(repository: Repository) -> None:
    devices = tuple(map(a_device, range(1, 120)))
    users = tuple(map(a_user, range(1, 120)))
    await repository.commit(Changes(insert=(*devices, *users)))
    found = await asyncio.gather(
        *(repository.read(AnyDeviceQuery(device.id)) for device in (*devices, *devices[:5], a_device(999)))
    )
    assert [each and each.device for each in found] == [*devices, *devices[:5], None]
    assert await asyncio.gather(*(repository.read(AnyEntryQuery(user.id)) for user in (*users, a_user(999)))) == [*users, None]
