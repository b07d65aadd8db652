import msgspec

from core.model import DEFAULT_TENANT, Hook, ProfileId, Sealed
from core.ports import Changes, Repository
from core.queries import ClaimQuery, DeviceQuery, ProfilePage, ProfileQuery
from tests.storage.entities import a_chain, a_device, a_profile

HOOK = Hook(url="https://hooks.example.net/a?b=ü", secret=Sealed(bytes(range(256))), seconds=9)


async def test_a_hook_is_kept_with_its_profile(repository: Repository) -> None:
    hooked = a_profile(2, hook=HOOK, chain=a_chain(), metadata={"a": 1})
    device = a_device(7, profile=hooked.id)
    await repository.commit(Changes(insert=(hooked, a_profile(3), device)))
    assert await repository.read(ProfileQuery(DEFAULT_TENANT, hooked.id)) == hooked
    assert (await repository.read(ClaimQuery(hooked.provision_key, ""))).profile == hooked
    assert hooked in await repository.read(ProfilePage(DEFAULT_TENANT))
    found = await repository.read(DeviceQuery(DEFAULT_TENANT, device.id))
    assert found is not None
    assert found.profile == hooked
    plain = await repository.read(ProfileQuery(DEFAULT_TENANT, ProfileId("profile-0003")))
    assert plain is not None
    assert plain.hook is None


async def test_a_hook_is_changed_and_goes(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_profile(2, hook=HOOK),)))
    for version, hook in ((2, msgspec.structs.replace(HOOK, seconds=1)), (3, None), (4, HOOK)):
        changed = a_profile(2, hook=hook, version=version)
        await repository.commit(Changes(replace=(changed,)))
        assert await repository.read(ProfileQuery(DEFAULT_TENANT, changed.id)) == changed
