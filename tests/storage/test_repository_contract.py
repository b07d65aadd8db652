"""What every store promises of a commit: its guards and their order, all or nothing, what a deletion takes along."""

import msgspec
import pytest

from core.errors import Conflict, Guard
from core.model import DEFAULT_TENANT, DeviceState, Event, ProfileId, TenantId
from core.ports import Changes, Delete, Entity, Repository
from core.queries import (
    ClaimQuery,
    DevicePage,
    DeviceQuery,
    EventPage,
    LoginQuery,
    ProfilePage,
    ProfileQuery,
    TenantQuery,
    TokenPage,
    TokenQuery,
)
from tests.storage.entities import a_channel, a_credential, a_device, a_lookup, a_profile, a_tenant, a_token, an_event


async def guard_of(repository: Repository, changes: Changes) -> Guard:
    with pytest.raises(Conflict) as caught:
        await repository.commit(changes)
    return caught.value.guard


async def devices_of(repository: Repository, tenant: TenantId = DEFAULT_TENANT) -> int:
    found = await repository.read(TenantQuery(tenant))
    assert found is not None
    page = await repository.read(DevicePage(tenant))
    assert found.devices == len(page)
    return found.devices


def next_version(entity: Entity, **fields: object) -> Entity:
    return msgspec.structs.replace(entity, version=entity.version + 1, **fields)


async def test_an_empty_registry_has_the_default_tenant(repository: Repository) -> None:
    tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
    assert tenant is not None
    assert (tenant.name, tenant.devices, tenant.device_limit, tenant.version) == ("default", 0, None, 1)
    assert tenant.created_at > 1_700_000_000_000


async def test_what_was_written_is_read_back_as_it_was(repository: Repository) -> None:
    device = a_device(state=DeviceState.CONNECTED, enabled=False)
    credential = a_credential(verifier=b"\x00\xff")
    await repository.commit(Changes(insert=(device, credential, a_token()), events=(an_event(),)))
    found = await repository.read(DeviceQuery(DEFAULT_TENANT, device.id))
    assert found is not None
    assert (found.device, found.profile, found.credentials) == (device, a_profile(), (credential,))
    assert await repository.read(TokenQuery(a_token().lookup)) == a_token()
    assert await repository.read(EventPage(DEFAULT_TENANT)) == (an_event(),)


TAKEN = {
    "device name": (a_device(), a_device(2, name="sensor-0001"), Guard.DEVICE_NAME),
    "credential lookup": (a_credential(), a_credential(2, device="device-0001", lookup=a_lookup(1)), Guard.CREDENTIAL_LOOKUP),
    "profile name": (a_profile(2), a_profile(3, name="profile 2"), Guard.PROFILE_NAME),
    "provision key": (a_profile(2), a_profile(3, provision_key="key-2"), Guard.PROVISION_KEY),
    "token name": (a_token(), a_token(2, name="operator 1"), Guard.TOKEN_NAME),
    "token lookup": (a_token(), a_token(2, lookup=a_token().lookup), Guard.CREDENTIAL_LOOKUP),
}


async def test_the_id_of_a_tenant_is_given_once(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_tenant(),)))
    for taken in (a_tenant(name="another"), a_tenant(2, id=DEFAULT_TENANT)):
        assert await guard_of(repository, Changes(insert=(taken,))) is Guard.TENANT_ID
    assert await guard_of(repository, Changes(insert=(a_tenant(3), a_tenant(3, name="another")))) is Guard.TENANT_ID
    assert await repository.read(TenantQuery(a_tenant().id)) == a_tenant()
    assert await repository.read(TenantQuery(a_tenant(3).id)) is None
    await repository.commit(Changes(delete=(Delete(a_tenant()),), insert=(a_tenant(name="again"),)))
    assert await repository.read(TenantQuery(a_tenant().id)) == a_tenant(name="again")


@pytest.mark.parametrize(("first", "second", "guard"), TAKEN.values(), ids=TAKEN.keys())
async def test_a_unique_value_is_given_once(repository: Repository, first: Entity, second: Entity, guard: Guard) -> None:
    if guard is Guard.CREDENTIAL_LOOKUP:
        await repository.commit(Changes(insert=(a_device(),)))
    await repository.commit(Changes(insert=(first,)))
    assert await guard_of(repository, Changes(insert=(second,), events=(an_event(),))) is guard
    assert await repository.read(EventPage(DEFAULT_TENANT)) == ()


@pytest.mark.parametrize(("first", "second", "guard"), TAKEN.values(), ids=TAKEN.keys())
async def test_a_unique_value_is_given_once_in_one_commit(
    repository: Repository, first: Entity, second: Entity, guard: Guard
) -> None:
    if guard is Guard.CREDENTIAL_LOOKUP:
        await repository.commit(Changes(insert=(a_device(),)))
    assert await guard_of(repository, Changes(insert=(first, second))) is guard
    assert await repository.read(TokenPage(DEFAULT_TENANT)) == ()
    assert await repository.read(ProfilePage(DEFAULT_TENANT)) == (a_profile(),)


@pytest.mark.parametrize(("first", "second", "guard"), TAKEN.values(), ids=TAKEN.keys())
async def test_a_replacement_cannot_take_a_unique_value(
    repository: Repository, first: Entity, second: Entity, guard: Guard
) -> None:
    free: dict[Guard, Entity] = {
        Guard.DEVICE_NAME: a_device(2),
        Guard.CREDENTIAL_LOOKUP: a_credential(2, device="device-0001"),
        Guard.PROFILE_NAME: a_profile(3),
        Guard.PROVISION_KEY: a_profile(3),
        Guard.TOKEN_NAME: a_token(2),
    }
    before = a_token(2) if second.id == a_token(2).id else free[guard]
    if guard is Guard.CREDENTIAL_LOOKUP:
        await repository.commit(Changes(insert=(a_device(),)))
    await repository.commit(Changes(insert=(first, before)))
    assert await guard_of(repository, Changes(replace=(next_version(second),))) is guard
    await repository.commit(Changes(replace=(next_version(before),)))  # its own values stay its own


async def test_names_are_unique_within_a_tenant_only(repository: Repository) -> None:
    there = a_tenant().id
    await repository.commit(Changes(insert=(a_tenant(), a_profile(2, tenant=there, name="profile 1"), a_token())))
    elsewhere = a_device(2, tenant=there, profile=a_profile(2).id, name="sensor-0001")
    await repository.commit(Changes(insert=(a_device(), elsewhere, a_token(2, tenant=there, name="operator 1"))))
    assert await devices_of(repository) == await devices_of(repository, there) == 1


MISSING = {
    "a device's profile": a_device(profile="nowhere"),
    "a device's tenant": a_device(tenant="nowhere"),
    "a profile of another tenant": a_device(tenant="tenant-0001"),
    "a credential's device": a_credential(),
    "a profile's tenant": a_profile(2, tenant="nowhere"),
    "a token's tenant": a_token(tenant="nowhere"),
}


@pytest.mark.parametrize("entity", MISSING.values(), ids=MISSING.keys())
async def test_what_an_entity_points_at_exists(repository: Repository, entity: Entity) -> None:
    await repository.commit(Changes(insert=(a_tenant(),)))
    assert await guard_of(repository, Changes(insert=(entity,), events=(an_event(),))) is Guard.REFERENCE
    assert await repository.read(EventPage(DEFAULT_TENANT)) == ()


async def test_a_commit_may_point_at_what_it_adds_in_any_order(repository: Repository) -> None:
    there = a_tenant().id
    device = a_device(tenant=there, profile=a_profile(2).id)
    await repository.commit(
        Changes(insert=(a_credential(), device, a_token(tenant=there), a_profile(2, tenant=there), a_tenant()))
    )
    assert await devices_of(repository, there) == 1


async def test_a_device_cannot_enter_a_new_profile_of_another_tenant(repository: Repository) -> None:
    changes = Changes(insert=(a_tenant(), a_profile(2, tenant=a_tenant().id), a_device(profile=a_profile(2).id)))
    assert await guard_of(repository, changes) is Guard.REFERENCE


async def test_a_replacement_points_at_what_exists_and_stays_where_it_is(repository: Repository) -> None:
    there = a_tenant().id
    await repository.commit(Changes(insert=(a_tenant(), a_profile(2, tenant=there), a_device(), a_device(2), a_credential())))
    for moved in (
        next_version(a_device(), profile="nowhere"),
        next_version(a_device(), tenant=there, profile=a_profile(2).id),
        next_version(a_profile(), tenant=there),
        next_version(a_credential(), device=a_device(2).id),
    ):
        assert await guard_of(repository, Changes(replace=(moved,))) is Guard.REFERENCE


async def test_a_device_may_change_its_profile(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(), a_profile(2))))
    moved = next_version(a_device(), profile=a_profile(2).id, name="renamed")
    await repository.commit(Changes(replace=(moved,)))
    await repository.commit(Changes(delete=(Delete(a_profile()),)))
    assert await repository.read(DevicePage(DEFAULT_TENANT, profile=a_profile(2).id)) == (moved,)
    claim = await repository.read(ClaimQuery("key-2", "renamed"))
    assert claim.device == moved


async def test_what_is_pointed_at_stays(repository: Repository) -> None:
    there = a_tenant().id
    await repository.commit(Changes(insert=(a_tenant(), a_device(), a_tenant(2), a_token(tenant="tenant-0002"))))
    await repository.commit(Changes(insert=(a_profile(2, tenant=there),)))
    for held in (a_profile(), a_tenant(), a_tenant(2)):
        assert await guard_of(repository, Changes(delete=(Delete(held),))) is Guard.REFERENCE
    await repository.commit(Changes(delete=(Delete(a_tenant(2)), Delete(a_token(tenant="tenant-0002")))))
    await repository.commit(Changes(delete=(Delete(a_profile()), Delete(a_device()))))
    await repository.commit(Changes(delete=(Delete(a_tenant()), Delete(a_profile(2, tenant=there)))))
    assert await repository.read(ProfilePage(DEFAULT_TENANT)) == ()
    assert await repository.read(TenantQuery(there)) is None


async def test_a_tenant_goes_with_all_that_is_its_own(repository: Repository) -> None:
    there = a_tenant().id
    own = (a_tenant(), a_profile(2, tenant=there), a_device(tenant=there, profile=a_profile(2).id), a_token(tenant=there))
    await repository.commit(Changes(insert=(*own, a_credential())))
    await repository.commit(Changes(delete=tuple(Delete(entity) for entity in own)))
    assert await repository.read(TenantQuery(there)) is None
    assert await repository.read(LoginQuery((a_lookup(1),))) == (None,)
    assert await repository.read(TokenQuery(a_token().lookup)) is None


async def test_nothing_is_added_to_what_the_same_commit_removes(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(),)))
    device, profile = Delete(a_device()), Delete(a_profile())
    assert await guard_of(repository, Changes(delete=(device,), insert=(a_credential(),))) is Guard.REFERENCE
    assert await guard_of(repository, Changes(delete=(device, profile), insert=(a_device(2),))) is Guard.REFERENCE
    assert await devices_of(repository) == 1


STALE = {
    "replace a version not yet read": Changes(replace=(a_device(version=3),)),
    "replace by the same version": Changes(replace=(a_device(version=1),)),
    "replace what is not there": Changes(replace=(a_device(9, version=2),)),
    "delete another version": Changes(delete=(Delete(a_device(version=2)),)),
    "delete what is not there": Changes(delete=(Delete(a_credential(9)),)),
    "replace twice": Changes(replace=(a_device(version=2), a_device(version=2))),
    "replace and delete": Changes(replace=(a_device(version=2),), delete=(Delete(a_device()),)),
    "replace what is only added": Changes(insert=(a_device(2),), replace=(a_device(2, version=2),)),
}


@pytest.mark.parametrize("changes", STALE.values(), ids=STALE.keys())
async def test_an_entity_is_changed_only_as_it_was_read(repository: Repository, changes: Changes) -> None:
    await repository.commit(Changes(insert=(a_device(),)))
    assert await guard_of(repository, changes) is Guard.VERSION
    assert await repository.read(DevicePage(DEFAULT_TENANT)) == (a_device(),)


TAKEN_IDS = {
    "device": Changes(insert=(a_device(1, name="another"),)),
    "credential": Changes(insert=(a_credential(1, lookup=a_lookup(77)),)),
    "profile": Changes(insert=(a_profile(1, name="another", provision_key="another"),)),
    "token": Changes(insert=(a_token(1, name="another", lookup=a_lookup(77)),)),
    "channel": Changes(insert=(a_channel(1, name="another"),)),
    "event": Changes(events=(an_event(),)),
    "twice in one commit": Changes(insert=(a_device(5), a_device(5, name="another"))),
    "event twice in one commit": Changes(events=(an_event(5), an_event(5))),
}


@pytest.mark.parametrize("changes", TAKEN_IDS.values(), ids=TAKEN_IDS.keys())
async def test_an_id_is_given_once(repository: Repository, changes: Changes) -> None:
    await repository.commit(Changes(insert=(a_device(), a_credential(), a_token(), a_channel()), events=(an_event(),)))
    assert await guard_of(repository, changes) is Guard.VERSION
    assert await repository.read(DevicePage(DEFAULT_TENANT)) == (a_device(),)
    assert await repository.read(EventPage(DEFAULT_TENANT)) == (an_event(),)


async def test_an_id_that_goes_may_come_again(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(), a_credential())))
    await repository.commit(Changes(delete=(Delete(a_device()),), insert=(a_device(name="again"), a_credential())))
    found = await repository.read(DeviceQuery(DEFAULT_TENANT, a_device().id))
    assert found is not None
    assert (found.device.name, found.credentials) == ("again", (a_credential(),))


async def test_the_first_guard_in_order_is_named(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_tenant(3, device_limit=0), a_profile(3, tenant=a_tenant(3).id), a_device())))
    limited = a_device(4, tenant=a_tenant(3).id, profile=a_profile(3).id)
    named = a_device(2, name="sensor-0001")
    lost = a_device(5, profile="nowhere")
    stale = a_profile(version=7)
    doubled = an_event()
    assert await guard_of(repository, Changes(insert=(limited, named, lost), replace=(stale,))) is Guard.VERSION
    assert await guard_of(repository, Changes(insert=(limited, named, lost))) is Guard.REFERENCE
    assert await guard_of(repository, Changes(insert=(limited, named))) is Guard.DEVICE_NAME
    assert await guard_of(repository, Changes(insert=(limited,), events=(doubled, doubled))) is Guard.DEVICE_LIMIT
    assert await guard_of(repository, Changes(events=(doubled, doubled))) is Guard.VERSION


async def test_nothing_of_a_failed_commit_stays(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(), a_credential(), a_token())))
    changes = Changes(
        insert=(a_tenant(), a_profile(2), a_device(2), a_credential(2), a_token(2), a_device(3, name="sensor-0002")),
        replace=(next_version(a_token(), name="changed"),),
        delete=(Delete(a_device()),),
        events=(an_event(),),
    )
    assert await guard_of(repository, changes) is Guard.DEVICE_NAME
    assert await repository.read(DevicePage(DEFAULT_TENANT)) == (a_device(),)
    assert await repository.read(ProfilePage(DEFAULT_TENANT)) == (a_profile(),)
    assert await repository.read(TokenPage(DEFAULT_TENANT)) == (a_token(),)
    assert await repository.read(TenantQuery(a_tenant().id)) is None
    assert await repository.read(EventPage(DEFAULT_TENANT)) == ()
    (first, second) = await repository.read(LoginQuery((a_lookup(1), a_lookup(2))))
    assert first is not None
    assert first.credential == a_credential()
    assert second is None
    assert await devices_of(repository) == 1


async def test_a_rotated_credential_takes_over_the_lookup_of_the_one_that_goes(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(), a_credential())))
    new = a_credential(2, device="device-0001", lookup=a_lookup(1))
    await repository.commit(Changes(delete=(Delete(a_credential()),), insert=(new,)))
    (login,) = await repository.read(LoginQuery((a_lookup(1),)))
    assert login is not None
    assert login.credential == new


async def test_a_replaced_credential_gives_up_its_lookup(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(), a_credential())))
    rotated = next_version(a_credential(), lookup=a_lookup(50))
    taker = a_credential(2, device="device-0001", lookup=a_lookup(1))
    await repository.commit(Changes(replace=(rotated,), insert=(taker,)))
    old, new = await repository.read(LoginQuery((a_lookup(1), a_lookup(50))))
    assert old is not None
    assert new is not None
    assert (old.credential, new.credential) == (taker, rotated)


async def test_a_new_device_takes_the_name_of_one_that_goes(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(), a_credential())))
    await repository.commit(
        Changes(delete=(Delete(a_device()),), insert=(a_device(2, name="sensor-0001"), a_credential(2, lookup=a_lookup(1))))
    )
    claim = await repository.read(ClaimQuery("key-1", "sensor-0001", a_lookup(1)))
    assert claim.device is not None
    assert (claim.device.id, claim.lookup_taken) == (a_device(2).id, True)
    assert await devices_of(repository) == 1


async def test_each_replacement_meets_what_the_one_before_it_left(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(1, name="a"), a_device(2, name="b"))))
    swap = Changes(replace=(a_device(1, name="b", version=2), a_device(2, name="a", version=2)))
    assert await guard_of(repository, swap) is Guard.DEVICE_NAME
    await repository.commit(Changes(replace=(a_device(1, name="c", version=2), a_device(2, name="a", version=2))))
    assert [device.name for device in await repository.read(DevicePage(DEFAULT_TENANT))] == ["c", "a"]


async def test_a_device_takes_its_credentials_along(repository: Repository) -> None:
    credentials = tuple(a_credential(number, device="device-0001") for number in (1, 2, 3))
    await repository.commit(Changes(insert=(a_device(), *credentials)))
    await repository.commit(Changes(delete=(Delete(a_device()), Delete(credentials[0]))))
    assert await repository.read(LoginQuery(tuple(credential.lookup for credential in credentials))) == (None,) * 3
    claim = await repository.read(ClaimQuery("key-1", "sensor-0001", a_lookup(1)))
    assert (claim.device, claim.lookup_taken) == (None, False)
    assert await guard_of(repository, Changes(delete=(Delete(credentials[1]),))) is Guard.VERSION


async def test_a_removed_token_answers_nothing_at_once(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_token(),)))
    await repository.commit(Changes(delete=(Delete(a_token()),)))
    assert await repository.read(TokenQuery(a_token().lookup)) is None


async def test_events_outlive_what_they_tell_of(repository: Repository) -> None:
    event = an_event(device=a_device().id, profile=a_profile().id, tenant="tenant-0001")
    await repository.commit(Changes(insert=(a_tenant(), a_device()), events=(event,)))
    await repository.commit(Changes(delete=(Delete(a_device()), Delete(a_profile()), Delete(a_tenant()))))
    assert await repository.read(EventPage(TenantId("tenant-0001"), device=a_device().id)) == (event,)


async def test_an_event_needs_no_tenant(repository: Repository) -> None:
    event: Event = an_event(tenant="never was", profile=ProfileId("nor this"))
    await repository.commit(Changes(events=(event,)))
    assert await repository.read(EventPage(event.tenant)) == (event,)


async def test_a_limit_bounds_the_devices_of_a_tenant(repository: Repository) -> None:
    tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
    assert tenant is not None
    await repository.commit(Changes(replace=(next_version(tenant, device_limit=2),)))
    await repository.commit(Changes(insert=(a_device(1), a_device(2))))
    assert await guard_of(repository, Changes(insert=(a_device(3),))) is Guard.DEVICE_LIMIT
    await repository.commit(Changes(delete=(Delete(a_device(1)),), insert=(a_device(3),)))
    assert (
        await guard_of(repository, Changes(delete=(Delete(a_device(2)),), insert=(a_device(4), a_device(5))))
        is Guard.DEVICE_LIMIT
    )
    assert await devices_of(repository) == 2


async def test_a_limit_may_change_in_the_commit_that_needs_it(repository: Repository) -> None:
    tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
    assert tenant is not None
    narrowed = next_version(tenant, device_limit=0, devices=99)
    assert await guard_of(repository, Changes(replace=(narrowed,), insert=(a_device(),))) is Guard.DEVICE_LIMIT
    await repository.commit(Changes(replace=(next_version(tenant, device_limit=1),), insert=(a_device(),)))
    full = await repository.read(TenantQuery(DEFAULT_TENANT))
    assert full is not None
    assert (full.devices, full.device_limit, full.version) == (1, 1, 2)
    await repository.commit(Changes(replace=(next_version(full, device_limit=0),)))  # those who are in stay
    await repository.commit(Changes(replace=(a_device(version=2),)))
    assert await devices_of(repository) == 1


async def test_a_new_tenant_starts_without_devices_whatever_it_says(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_tenant(devices=7, device_limit=1),)))
    there = a_tenant().id
    await repository.commit(Changes(insert=(a_profile(2, tenant=there), a_device(tenant=there, profile=a_profile(2).id))))
    assert await devices_of(repository, there) == 1
    other = a_device(2, tenant=there, profile=a_profile(2).id)
    assert await guard_of(repository, Changes(insert=(other,))) is Guard.DEVICE_LIMIT


async def test_a_profile_is_found_by_what_it_became(repository: Repository) -> None:
    changed = next_version(a_profile(), name="other", provision_key="other key", options=())
    await repository.commit(Changes(replace=(changed,)))
    assert await repository.read(ProfileQuery(DEFAULT_TENANT, "profile 1")) is None
    assert await repository.read(ProfileQuery(DEFAULT_TENANT, "other")) == changed
    assert (await repository.read(ClaimQuery("key-1", ""))).profile is None
    assert (await repository.read(ClaimQuery("other key", ""))).profile == changed


async def test_a_token_is_replaced(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_token(),)))
    changed = next_version(a_token(), name="other", lookup=a_lookup(1999))
    await repository.commit(Changes(replace=(changed,)))
    assert await repository.read(TokenQuery(a_token().lookup)) is None
    assert await repository.read(TokenQuery(a_lookup(1999))) == changed


async def test_a_commit_of_nothing_is_one(repository: Repository) -> None:
    await repository.commit(Changes())
    await repository.check()
