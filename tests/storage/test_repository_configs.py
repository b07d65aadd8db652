"""What every store promises of channels and configurations: their guards, what a deletion changes, and no lost update."""

import asyncio
from typing import Any

import msgspec
import pytest

from core.errors import Conflict, Guard
from core.model import DEFAULT_TENANT, BootstrapConfig, ChannelId, DeviceId
from core.ports import Changes, Delete, Entity, Repository
from core.queries import (
    BootstrapQuery,
    BootstrapSnapshot,
    ChannelsQuery,
    ConfigPage,
    ConfigQuery,
    DeviceQuery,
    ExternalKeyQuery,
    KeySnapshot,
    LoginQuery,
    TenantQuery,
)
from tests.storage.entities import a_channel, a_config, a_credential, a_device, a_lookup, a_profile, a_tenant, an_event

THERE = a_tenant().id
ELSEWHERE: tuple[Entity, ...] = (
    a_tenant(),
    a_profile(9, tenant=THERE),
    a_device(9, tenant=THERE, profile=a_profile(9).id),
    a_channel(9, tenant=THERE),
)
"""A tenant beside the default one, with a device and a channel."""


async def guard_of(repository: Repository, changes: Changes) -> Guard:
    with pytest.raises(Conflict) as caught:
        await repository.commit(changes)
    return caught.value.guard


async def insert(repository: Repository, *entities: Entity) -> None:
    await repository.commit(Changes(insert=entities))


async def config_of(repository: Repository, number: int = 1) -> BootstrapConfig | None:
    """Return a configuration, having read it by both of its keys."""
    found = await repository.read(ConfigQuery(DEFAULT_TENANT, a_device(number).id))
    assert found is None or await repository.read(BootstrapQuery(found.config.external_id)) == found
    return None if found is None else found.config


def next_version(entity: Any, **fields: object) -> Any:
    return msgspec.structs.replace(entity, version=entity.version + 1, **fields)


async def test_what_was_written_is_read_back_as_it_was(repository: Repository) -> None:
    held = (a_credential(2, device="device-0001"), a_credential(1))
    channels = (a_channel(3), a_channel(1), a_channel(2))
    full = a_config(1, 3, 1, 2, unique_name=True, active=True)
    bare = a_config(6, name="", content=None, certificates=None)
    await insert(repository, a_device(label="Größe"), a_device(6), *held, *channels, full, bare)
    found = await repository.read(BootstrapQuery("external-0001"))
    assert found == BootstrapSnapshot(config=full, device=a_device(label="Größe"), credentials=held[::-1], channels=channels)
    assert await repository.read(ExternalKeyQuery("external-0001")) == KeySnapshot(a_device(label="Größe"), full.external_key)
    found = await repository.read(ConfigQuery(DEFAULT_TENANT, bare.id))
    assert found == BootstrapSnapshot(config=bare, device=a_device(6), credentials=(), channels=())


async def test_a_label_is_replaced_and_taken_away(repository: Repository) -> None:
    await insert(repository, a_device(label="one"))
    for version, label in ((2, "Two"), (3, ""), (4, "four")):
        changed = a_device(label=label, version=version)
        await repository.commit(Changes(replace=(changed,)))
        found = await repository.read(DeviceQuery(DEFAULT_TENANT, changed.id))
        assert found is not None
        assert found.device == changed


TAKEN = {
    "the device has one": (a_config(1, external_id="another", name="another"), Guard.CONFIG_DEVICE),
    "the device has it": (a_config(1), Guard.CONFIG_DEVICE),
    "external id": (a_config(2, external_id="external-0001"), Guard.EXTERNAL_ID),
    "external id of another tenant": (a_config(2, external_id="external-0009"), Guard.EXTERNAL_ID),
    "name": (a_config(2, name="Config 1", unique_name=True), Guard.CONFIG_NAME),
    "external id before name": (
        a_config(2, external_id="external-0001", name="Config 1", unique_name=True),
        Guard.EXTERNAL_ID,
    ),
}


@pytest.mark.parametrize(("config", "guard"), TAKEN.values(), ids=TAKEN.keys())
async def test_a_unique_value_of_a_configuration_is_given_once(
    repository: Repository, config: BootstrapConfig, guard: Guard
) -> None:
    first = (a_config(1, unique_name=True), a_config(9, tenant=THERE, name="elsewhere", unique_name=True))
    everything = (*ELSEWHERE, a_device(1), a_device(2), *first)
    assert await guard_of(repository, Changes(insert=(*everything, config))) is guard
    await insert(repository, *everything)
    assert await guard_of(repository, Changes(insert=(config,))) is guard
    assert await config_of(repository) == first[0]
    assert await config_of(repository, 2) is None


@pytest.mark.parametrize("guard", [Guard.EXTERNAL_ID, Guard.CONFIG_NAME])
async def test_a_replacement_cannot_take_a_unique_value(repository: Repository, guard: Guard) -> None:
    mine = a_config(2, unique_name=True)
    await insert(repository, a_device(1), a_device(2), a_config(1, unique_name=True), mine)
    taken = {"external_id": "external-0001"} if guard is Guard.EXTERNAL_ID else {"name": "Config 1"}
    assert await guard_of(repository, Changes(replace=(next_version(mine, **taken),))) is guard
    await repository.commit(Changes(replace=(next_version(mine),)))  # its own values stay its own


async def test_a_name_is_unique_only_among_those_that_want_it_so(repository: Repository) -> None:
    await insert(repository, *ELSEWHERE, *(a_device(number) for number in range(1, 8)))
    await insert(repository, a_config(1, name="same"), a_config(2, name="same"), a_config(3, name="same", unique_name=True))
    await insert(repository, a_config(4, name="", unique_name=True), a_config(5, name="", unique_name=True))
    await insert(
        repository, a_config(9, tenant=THERE, name="same", unique_name=True), a_config(6, name="Same", unique_name=True)
    )
    assert await guard_of(repository, Changes(insert=(a_config(7, name="same", unique_name=True),))) is Guard.CONFIG_NAME
    wants_it_too = next_version(a_config(1, name="same", unique_name=True))
    assert await guard_of(repository, Changes(replace=(wants_it_too,))) is Guard.CONFIG_NAME
    wants_no_more = next_version(a_config(3, name="same"))
    await repository.commit(Changes(replace=(wants_no_more, wants_it_too)))
    assert await config_of(repository, 1) == wants_it_too


async def test_a_configuration_gives_up_what_it_held(repository: Repository) -> None:
    old = a_config(1, name="name", unique_name=True)
    await insert(repository, a_device(1), a_device(2), a_device(3), old)
    renamed = next_version(old, external_id="other", name="other")
    taker = a_config(2, external_id="external-0001", name="name", unique_name=True)
    await repository.commit(Changes(replace=(renamed,), insert=(taker,)))
    assert (await config_of(repository, 1), await config_of(repository, 2)) == (renamed, taker)
    heir = a_config(3, external_id="other", name="other", unique_name=True)
    new = a_config(1, external_id="new", name="new")
    await repository.commit(Changes(delete=(Delete(renamed),), insert=(heir, new)))
    assert (await config_of(repository, 1), await config_of(repository, 3)) == (new, heir)


LOST = {
    "no such device": a_config(3),
    "a device of another tenant": a_config(9),
    "its tenant another than the device's": a_config(1, tenant=THERE),
    "no such channel": a_config(1, 1, 7),
    "a channel of another tenant": a_config(1, 1, 9),
    "a channel of no tenant": a_channel(5, tenant="nowhere"),
}


@pytest.mark.parametrize("entity", LOST.values(), ids=LOST.keys())
async def test_what_is_pointed_at_exists_in_the_tenant(repository: Repository, entity: Entity) -> None:
    assert await guard_of(repository, Changes(insert=(*ELSEWHERE, a_device(), a_channel(), entity))) is Guard.REFERENCE
    await insert(repository, *ELSEWHERE, a_device(), a_channel())
    assert await guard_of(repository, Changes(insert=(entity,))) is Guard.REFERENCE


async def test_a_replacement_points_at_what_exists_and_stays_where_it_is(repository: Repository) -> None:
    config = a_config(1, 1)
    await insert(repository, *ELSEWHERE, a_device(), a_channel(), config)
    for moved in (
        next_version(config, tenant=THERE),
        next_version(config, channels=(a_channel(1).id, ChannelId("channel-0007"))),
        next_version(config, channels=(a_channel(9).id,)),
        next_version(a_channel(), tenant=THERE),
    ):
        assert await guard_of(repository, Changes(replace=(moved,))) is Guard.REFERENCE
    assert await guard_of(repository, Changes(replace=(next_version(a_config(3)),))) is Guard.VERSION
    assert await config_of(repository) == config


async def test_a_tenant_with_channels_or_configurations_stays(repository: Repository) -> None:
    await insert(repository, a_tenant(2), a_channel(1, tenant=a_tenant(2).id))
    assert await guard_of(repository, Changes(delete=(Delete(a_tenant(2)),))) is Guard.REFERENCE
    own = (*ELSEWHERE, a_config(9, 9, tenant=THERE))
    await insert(repository, *own)
    for kept in (3, 4):  # the channel or the configuration
        left = [entity for place, entity in enumerate(own) if place != kept and place != kept - 1]
        assert await guard_of(repository, Changes(delete=tuple(map(Delete, left)))) is Guard.REFERENCE
    await repository.commit(Changes(delete=tuple(map(Delete, own))))
    assert await repository.read(TenantQuery(THERE)) is None
    assert await repository.read(BootstrapQuery("external-0009")) is None
    assert await repository.read(ChannelsQuery(THERE, (a_channel(9).id,))) == (None,)


async def test_the_channels_of_a_configuration_are_replaced_in_their_new_order(repository: Repository) -> None:
    config = a_config(1, 1, 2)
    await insert(repository, a_device(), *(a_channel(number) for number in (1, 2, 3)), config)
    for numbers in ((3, 2, 1), (), (2,), (2, 3)):
        config = next_version(config, channels=a_config(1, *numbers).channels, content=None, active=bool(numbers))
        await repository.commit(Changes(replace=(config,)))
        found = await repository.read(BootstrapQuery(config.external_id))
        assert found is not None
        assert (found.config, found.channels) == (config, tuple(map(a_channel, numbers)))


async def test_a_channel_that_goes_vanishes_from_every_configuration(repository: Repository) -> None:
    channels = tuple(map(a_channel, (1, 2, 3)))
    configs = (a_config(1, 1, 2, 3), a_config(2, 3, 2, 1), a_config(3, 2), a_config(4, 1, 3), a_config(5))
    await insert(repository, *(a_device(number) for number in range(1, 6)), *channels, *configs)
    await repository.commit(Changes(delete=(Delete(a_channel(2)),)))
    page = await repository.read(ConfigPage(DEFAULT_TENANT))
    assert [item.config for item in page.items] == [
        next_version(a_config(1, 1, 3)),
        next_version(a_config(2, 3, 1)),
        next_version(a_config(3)),
        *configs[3:],
    ]
    assert [item.channels for item in page.items[:2]] == [channels[::2], channels[::-2]]
    assert await repository.read(ChannelsQuery(DEFAULT_TENANT, (a_channel(2).id,))) == (None,)


async def test_each_channel_that_goes_makes_a_version(repository: Repository) -> None:
    await insert(repository, a_device(), *map(a_channel, (1, 2, 3)), a_config(1, 1, 2, 3))
    await repository.commit(Changes(delete=(Delete(a_channel(3)), Delete(a_channel(1)))))
    assert await config_of(repository) == a_config(1, 2, version=3)


async def test_a_channel_that_goes_overtakes_a_replacement(repository: Repository) -> None:
    config = a_config(1, 1, 2)
    await insert(repository, a_device(1), a_device(2), a_channel(1), a_channel(2), config, a_config(2, 2))
    goes = Delete(a_channel(1))
    for channels in (config.channels, config.channels[1:]):
        late = next_version(config, channels=channels)
        assert await guard_of(repository, Changes(delete=(goes,), replace=(late,))) is Guard.VERSION
    newly = next_version(a_config(2, 1, 2))
    assert await guard_of(repository, Changes(delete=(goes,), replace=(newly,))) is Guard.REFERENCE
    await repository.commit(Changes(delete=(goes,), replace=(next_version(a_config(2, 2)),)))
    assert await guard_of(repository, Changes(replace=(next_version(config, channels=()),))) is Guard.VERSION
    left = a_config(1, 2, version=2)
    assert await config_of(repository) == left
    await repository.commit(Changes(replace=(next_version(left, active=True),)))


async def test_nothing_is_added_to_a_channel_or_device_that_goes(repository: Repository) -> None:
    await insert(repository, a_device(), a_channel())
    assert await guard_of(repository, Changes(delete=(Delete(a_channel()),), insert=(a_config(1, 1),))) is Guard.REFERENCE
    assert await guard_of(repository, Changes(delete=(Delete(a_device()),), insert=(a_config(),))) is Guard.REFERENCE
    await insert(repository, a_config())
    goes = Delete(a_device())
    assert await guard_of(repository, Changes(delete=(goes,), replace=(next_version(a_config()),))) is Guard.REFERENCE


async def test_a_configuration_goes_with_its_channels_at_once(repository: Repository) -> None:
    await insert(repository, a_device(1), a_device(2), a_channel(), a_config(1, 1), a_config(2, 1))
    await repository.commit(Changes(delete=(Delete(a_channel()), Delete(a_config(1, 1)), Delete(a_device(2)))))
    assert await repository.read(ConfigPage(DEFAULT_TENANT, limit=0)) == await repository.read(ConfigPage(THERE))
    assert await repository.read(DeviceQuery(DEFAULT_TENANT, a_device(1).id)) is not None


async def test_a_device_takes_its_configuration_along(repository: Repository) -> None:
    await insert(repository, a_device(1), a_device(2), a_channel(), a_config(1, 1, unique_name=True), a_credential())
    await repository.commit(Changes(delete=(Delete(a_device()),)))
    assert await repository.read(BootstrapQuery("external-0001")) is None
    assert await repository.read(ConfigQuery(DEFAULT_TENANT, a_device().id)) is None
    assert await repository.read(LoginQuery((a_lookup(1),))) == (None,)
    assert await repository.read(ChannelsQuery(DEFAULT_TENANT, (a_channel().id,))) == (a_channel(),)
    heir = a_config(2, external_id="external-0001", name="Config 1", unique_name=True)
    await insert(repository, heir)
    assert await config_of(repository, 2) == heir


async def test_a_device_comes_again_with_another_configuration(repository: Repository) -> None:
    await insert(repository, a_device(), a_channel(), a_config(1, 1))
    again = (a_device(name="again"), a_config(1, name="again"))
    await repository.commit(Changes(delete=(Delete(a_device()), Delete(a_config(1, 1))), insert=again))
    assert await config_of(repository) == again[1]


async def test_a_configuration_goes_alone(repository: Repository) -> None:
    await insert(repository, a_device(), a_channel(), a_credential(), a_config(1, 1))
    await repository.commit(Changes(delete=(Delete(a_config()),)))
    assert await config_of(repository) is None
    found = await repository.read(DeviceQuery(DEFAULT_TENANT, a_device().id))
    assert found is not None
    assert (found.device, found.credentials) == (a_device(), (a_credential(),))
    assert await guard_of(repository, Changes(delete=(Delete(a_config()),))) is Guard.VERSION
    await repository.commit(Changes(delete=(Delete(a_channel()),)))


STALE = {
    "replace a version not yet read": Changes(replace=(a_config(version=3),)),
    "replace by the same version": Changes(replace=(a_config(),)),
    "replace what is not there": Changes(replace=(a_config(2, version=2),)),
    "delete another version": Changes(delete=(Delete(a_config(version=2)),)),
    "delete another version of a channel": Changes(delete=(Delete(a_channel(version=2)),)),
    "replace another version of a channel": Changes(replace=(a_channel(version=3),)),
    "replace and delete": Changes(replace=(a_config(version=2),), delete=(Delete(a_config()),)),
}


@pytest.mark.parametrize("changes", STALE.values(), ids=STALE.keys())
async def test_a_configuration_is_changed_only_as_it_was_read(repository: Repository, changes: Changes) -> None:
    await insert(repository, a_device(1), a_device(2), a_channel(), a_config())
    assert await guard_of(repository, changes) is Guard.VERSION
    assert await config_of(repository) == a_config()


async def test_nothing_of_a_failed_commit_stays(repository: Repository) -> None:
    config = a_config(1, 1, 2)
    await insert(repository, a_device(1), a_device(2), *map(a_channel, (1, 2)), config, a_config(2, 2))
    changes = Changes(
        delete=(Delete(a_channel(1)),),
        replace=(next_version(a_config(2, 2), name="changed"),),
        insert=(a_channel(3), a_device(3), a_config(3, 3, external_id="external-0001")),
        events=(an_event(),),
    )
    assert await guard_of(repository, changes) is Guard.EXTERNAL_ID
    assert (await config_of(repository, 1), await config_of(repository, 2)) == (config, a_config(2, 2))
    found = await repository.read(ChannelsQuery(DEFAULT_TENANT, (a_channel(1).id, a_channel(3).id)))
    assert found == (a_channel(1), None)


async def test_no_update_of_fifty_writers_is_lost(repository: Repository) -> None:
    config = a_config(1, 1, 2)
    await insert(repository, a_device(), a_channel(1), a_channel(2), config)
    versions: list[int] = []

    async def attempt(number: int) -> BaseException | int | None:
        found = await repository.read(BootstrapQuery(config.external_id))
        assert found is not None
        new = next_version(found.config, content=(found.config.content or b"") + f" {number}".encode())
        (outcome,) = await asyncio.gather(repository.commit(Changes(replace=(new,))), return_exceptions=True)
        return int(new.version) if outcome is None else outcome

    async def writer(number: int) -> None:
        while isinstance(outcome := await attempt(number), Conflict):
            assert outcome.guard is Guard.VERSION
        assert isinstance(outcome, int)
        versions.append(outcome)

    async def remover() -> None:
        await asyncio.sleep(0)
        await repository.commit(Changes(delete=(Delete(a_channel(1)),)))

    await asyncio.wait_for(asyncio.gather(remover(), *map(writer, range(50))), 60)
    last = await config_of(repository)
    assert last is not None
    assert last.content is not None
    assert sorted(map(int, last.content.split()[1:])) == list(range(50))
    assert versions == sorted(set(versions))
    assert (last.version, last.channels) == (52, a_config(1, 2).channels)


async def test_commits_that_come_together_meet_one_another(repository: Repository) -> None:
    config, changed = a_config(1, 1), next_version(a_config(1, 1), active=True)
    group = (
        Changes(insert=(a_device(1), a_credential(1))),
        Changes(insert=(a_channel(1), config)),
        Changes(insert=(a_device(2), a_credential(2))),
        Changes(insert=(a_config(2, 1, external_id="external-0001"),)),
        Changes(insert=(a_config(2, 1),)),
        Changes(replace=(changed,)),
        Changes(delete=(Delete(a_channel(1)),)),
        Changes(replace=(next_version(changed),)),
        Changes(insert=(a_device(3), a_config(3, 1))),
        Changes(insert=(a_device(3),)),
        Changes(insert=(a_tenant(),)),
        Changes(insert=(a_tenant(),)),
    )
    outcomes = await asyncio.gather(*map(repository.commit, group), return_exceptions=True)
    assert [outcome.guard if isinstance(outcome, Conflict) else outcome for outcome in outcomes] == [
        *(None, None, None, Guard.EXTERNAL_ID, None, None, None),
        *(Guard.VERSION, Guard.REFERENCE, None, None, Guard.TENANT_ID),
    ]
    assert await config_of(repository, 1) == a_config(1, active=True, version=3)
    assert await config_of(repository, 2) == a_config(2, version=2)


async def test_an_id_of_no_configuration_finds_none(repository: Repository) -> None:
    await insert(repository, *ELSEWHERE, a_config(9, tenant=THERE), a_device())
    assert await repository.read(BootstrapQuery("external-0001")) is None
    assert await repository.read(BootstrapQuery("")) is None
    assert await repository.read(ExternalKeyQuery("external-0001")) is None
    assert await repository.read(ExternalKeyQuery("")) is None
    assert await repository.read(ConfigQuery(DEFAULT_TENANT, DeviceId("device-0009"))) is None
    assert await repository.read(ConfigQuery(THERE, a_device().id)) is None
