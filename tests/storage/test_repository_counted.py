"""What every store promises of pages that count: the right entries and total, any part of a name in any case."""

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.model import DEFAULT_TENANT, ChannelId, DeviceId, DeviceState, EventKind, TenantId
from core.ports import Changes, Delete, Repository
from core.queries import (
    BootstrapQuery,
    BootstrapSnapshot,
    ChannelPage,
    ChannelsQuery,
    ConfigPage,
    DeviceSnapshot,
    LabelledPage,
    Query,
    TenantPage,
    UnknownPage,
)
from storage.bounds import UNKNOWN_AMONG
from storage.memory import MemoryRepository
from storage.sqlite import open_sqlite
from tests.storage.entities import a_channel, a_config, a_credential, a_device, a_lookup, a_profile, a_tenant, an_event
from tests.thorough import often

THERE = a_tenant().id


def ids(items: Any) -> list[str]:
    return [item.id for item in items]


async def elsewhere(repository: Repository) -> None:
    """Put one of each into another tenant, with ids in the midst of the others."""
    device = a_device(5, tenant=THERE, profile=a_profile(9).id, label="red", name="red")
    channel = a_channel(5, tenant=THERE, name="red")
    config = a_config(5, 5, tenant=THERE, name="red", external_id="elsewhere")
    await repository.commit(Changes(insert=(a_tenant(), a_profile(9, tenant=THERE), device, channel, config, a_credential(5))))


async def test_configurations_by_every_combination_of_filters(repository: Repository) -> None:
    await elsewhere(repository)
    numbers = [number for number in range(1, 13) if number != 5]
    key = a_lookup(3000)
    channels = tuple(map(a_channel, (1, 2, 3)))
    held = {
        number: (a_credential(100 + number, device=a_device(number).id), a_credential(200 + number, device=a_device(number).id))
        for number in numbers
    }
    configs = {
        number: a_config(
            number,
            *((1, 2, 3), (), (3,))[number % 3],
            name=("Red", "blue_%", "RED Straße", "")[number % 4],
            client_key=key if number % 2 else None,
        )
        for number in numbers
    }
    await repository.commit(
        Changes(insert=(*map(a_device, numbers), *channels, *itertools.chain(*held.values()), *configs.values()))
    )
    secrets = {f"lookup of {number}": held[number][number % 2].lookup for number in (2, 7)}
    for external_id, name, active, wanted, secret, client_key in itertools.product(
        (None, "external-0002", "external-0007", "elsewhere", ""),
        (None, "", "red", "STRASSE", "_%", "%", "nothing"),
        (None, True, False),
        (None, DeviceId("device-0002"), DeviceId("device-0005")),
        (None, *secrets.values(), a_lookup(5)),
        (None, key, a_lookup(1)),
    ):
        expected = [
            config
            for number, config in configs.items()
            if external_id in (None, config.external_id)
            and (name is None or name.casefold() in config.name.casefold())
            and active in (None, config.active)
            and wanted in (None, config.id)
            and (secret is None or secret in [credential.lookup for credential in held[number]])
            and client_key in (None, config.client_key)
        ]
        query = ConfigPage(DEFAULT_TENANT, external_id, name, active, wanted, secret, client_key)
        found = await repository.read(query)
        assert ([item.config for item in found.items], found.total) == (expected, len(expected)), query
        later = ConfigPage(DEFAULT_TENANT, external_id, name, active, wanted, secret, client_key, DeviceId("device-0003"), 1, 2)
        part = await repository.read(later)
        assert [item.config for item in part.items] == [config for config in expected if config.id > "device-0003"][1:3], later
        assert part.total == len(expected), later
    for item in (await repository.read(ConfigPage(DEFAULT_TENANT))).items:
        number = item.config.created_at
        listed = tuple(channel for channel in channels if channel.id in configs[number].channels)
        assert item == BootstrapSnapshot(configs[number], a_device(number), held[number], listed)
        assert await repository.read(BootstrapQuery(item.config.external_id)) == item


async def test_channels_by_a_part_of_their_name(repository: Repository) -> None:
    await elsewhere(repository)
    names = {1: "Red", 2: "blue_%", 3: "", 4: "bored", 6: "STRASSE", 7: "Straße", 8: "\u017ftrasse"}
    made = [a_channel(number, name=name) for number, name in names.items()]
    await repository.commit(Changes(insert=tuple(made)))
    for part in (None, "", "red", "RED", "_", "%", "_%", "straße", "ß", "\u017fS", "nothing", "\x00"):
        expected = [channel for channel in made if part is None or part.casefold() in channel.name.casefold()]
        for after, offset, limit in itertools.product(
            (None, "channel-0000", "channel-0003", "z"), (0, 1, 5, 99), (0, 1, 3, 99)
        ):
            query = ChannelPage(DEFAULT_TENANT, part, None if after is None else ChannelId(after), offset, limit)
            found = await repository.read(query)
            later = [channel for channel in expected if channel.id > (after or "")]
            assert (list(found.items), found.total) == (later[offset : offset + limit], len(expected)), query


async def test_devices_by_a_part_of_their_label_or_else_of_their_name(repository: Repository) -> None:
    await elsewhere(repository)
    labels = {1: "Red", 2: "", 3: "blue_%", 4: "", 6: "größer", 7: ""}
    states = list(DeviceState)
    made = [
        a_device(number, label=label, name=f"Bored-{number}" if number < 6 else f"sensor-{number}", state=states[number % 5])
        for number, label in labels.items()
    ]
    await repository.commit(Changes(insert=(*made, a_credential(2), a_credential(6))))
    for part in (None, "", "RED", "bored", "d-4", "d-1", "_%", "GRÖSSER", "SENSOR", "nothing"):
        expected = [device for device in made if part is None or part.casefold() in (device.label or device.name).casefold()]
        for offset, limit in itertools.product((0, 1, 3, 99), (0, 2, 99)):
            query = LabelledPage(DEFAULT_TENANT, part, offset, limit)
            found = await repository.read(query)
            assert ([item.device for item in found.items], found.total) == (expected[offset : offset + limit], len(expected)), (
                query
            )
    held = {2: (a_credential(2),), 6: (a_credential(6),)}
    found = await repository.read(LabelledPage(DEFAULT_TENANT))
    assert list(found.items) == [DeviceSnapshot(device, a_profile(), held.get(device.created_at, ())) for device in made]


async def test_a_name_is_found_by_what_it_became(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(label="Old"), a_channel(name="Old"), a_config(name="Old"))))
    new = Changes(
        replace=(
            a_device(label="", name="NEW", version=2),
            a_channel(name="NEW", version=2),
            a_config(name="NEW", version=2),
        )
    )
    await repository.commit(new)
    for part, total in (("old", 0), ("new", 1)):
        pages: tuple[Query[Any], ...] = (
            LabelledPage(DEFAULT_TENANT, part),
            ChannelPage(DEFAULT_TENANT, part),
            ConfigPage(DEFAULT_TENANT, name=part),
        )
        for page in pages:
            assert (await repository.read(page)).total == total, page


async def test_what_goes_is_counted_no_more(repository: Repository) -> None:
    await repository.commit(Changes(insert=(a_device(1), a_device(2), a_channel(1), a_channel(2), a_config(1), a_config(2))))
    await repository.commit(Changes(delete=(Delete(a_device(1)), Delete(a_channel(2)))))
    assert (await repository.read(LabelledPage(DEFAULT_TENANT))).total == 1
    assert (await repository.read(ConfigPage(DEFAULT_TENANT))).total == 1
    assert (await repository.read(ChannelPage(DEFAULT_TENANT))).total == 1


async def test_a_tenant_that_is_not_there_has_nothing(repository: Repository) -> None:
    nowhere = TenantId("nowhere")
    pages: tuple[Query[Any], ...] = (
        LabelledPage(nowhere),
        LabelledPage(nowhere, ""),
        ConfigPage(nowhere),
        ChannelPage(nowhere),
    )
    for page in pages:
        found = await repository.read(page)
        assert (found.items, found.total) == ((), 0), page
    assert await repository.read(UnknownPage(nowhere)) == ()


@pytest.mark.parametrize(("offset", "limit"), [(-1, -1), (2**70, 2**70), (-(2**70), 0), (0, -(2**70))])
async def test_absurd_numbers_are_taken_as_far_as_they_go(repository: Repository, offset: int, limit: int) -> None:
    refused = an_event(kind=EventKind.BOOTSTRAP_REFUSED, check="bootstrap.unknown")
    await repository.commit(Changes(insert=(a_device(), a_channel(), a_config()), events=(refused,)))
    pages: tuple[Query[Any], ...] = (
        LabelledPage(DEFAULT_TENANT, offset=offset, limit=limit),
        ConfigPage(DEFAULT_TENANT, offset=offset, limit=limit),
        ChannelPage(DEFAULT_TENANT, offset=offset, limit=limit),
    )
    for page in pages:
        found = await repository.read(page)
        assert (found.items, found.total) == ((), 1), page
    assert await repository.read(UnknownPage(DEFAULT_TENANT, offset, limit)) == ()


async def test_channels_are_found_by_many_ids(repository: Repository) -> None:
    await elsewhere(repository)
    made = {channel.id: channel for channel in map(a_channel, range(10, 700))}
    await repository.commit(Changes(insert=tuple(made.values())))
    wanted = (ChannelId("nothing"), *reversed(made), a_channel(10).id, a_channel(5).id)
    found = await repository.read(ChannelsQuery(DEFAULT_TENANT, wanted))
    assert found == (None, *reversed(made.values()), a_channel(10), None)
    assert await repository.read(ChannelsQuery(DEFAULT_TENANT, ())) == ()


async def test_pages_of_tenants_lead_through_all_of_them(repository: Repository) -> None:
    await repository.commit(Changes(insert=tuple(a_tenant(number, device_limit=number) for number in (3, 1, 2))))
    found = await repository.read(TenantPage())
    assert ids(found) == ["default", "tenant-0001", "tenant-0002", "tenant-0003"]
    assert found[1:] == tuple(a_tenant(number, device_limit=number) for number in (1, 2, 3))
    assert await repository.read(TenantPage(limit=0)) == ()
    assert ids(await repository.read(TenantPage(after=TenantId("default"), limit=2))) == ["tenant-0001", "tenant-0002"]
    assert ids(await repository.read(TenantPage(after=TenantId("tenant-0002"), limit=2))) == ["tenant-0003"]


def asked(number: int, name: str, **fields: Any) -> Any:
    return an_event(number, device_name=name, kind=EventKind.BOOTSTRAP_REFUSED, **{"check": "bootstrap.unknown"} | fields)


async def test_external_ids_that_no_configuration_has(repository: Repository) -> None:
    await elsewhere(repository)
    names = ("b", "a", "Z", "ä", "\U0001f600", "\ue000", "b", "external-0001", "elsewhere", "a%", "日本", "\x00")
    others = (
        asked(50, "of another tenant", tenant=THERE),
        asked(51, "of another check", check="bootstrap.key"),
        an_event(52, device_name="of another kind", check="bootstrap.unknown", kind=EventKind.REQUEST_REFUSED),
        an_event(53, device_name="served", kind=EventKind.BOOTSTRAP_SUCCEEDED),
    )
    events = tuple(asked(number, name) for number, name in enumerate(names, 1))
    await repository.commit(Changes(insert=(a_device(), a_config()), events=(*events, *others)))
    expected = sorted(set(names) - {"external-0001", "elsewhere"})
    for offset, limit in itertools.product((0, 1, 5, 99), (0, 1, 4, 99)):
        found = await repository.read(UnknownPage(DEFAULT_TENANT, offset, limit))
        assert list(found) == expected[offset : offset + limit]
    assert await repository.read(UnknownPage(THERE)) == ("of another tenant",)
    await repository.commit(Changes(delete=(Delete(a_config()),), insert=(a_device(2), a_config(2, external_id="Z"))))
    left = await repository.read(UnknownPage(DEFAULT_TENANT))
    assert set(left) == {*expected, "external-0001"} - {"Z"}


async def test_unknown_ids_are_sought_among_the_newest_refused_bootstraps(repository: Repository) -> None:
    old = (asked(1, "too old"), asked(2, "old enough"))
    newer = tuple(
        asked(number, "again", check="bootstrap.key" if number % 2 else "bootstrap.unknown")
        for number in range(3, 2 + UNKNOWN_AMONG)
    )
    between = tuple(an_event(number) for number in range(20_000, 20_100))
    await repository.commit(Changes(events=(*between, *newer, *old)))
    assert await repository.read(UnknownPage(DEFAULT_TENANT)) == ("again", "old enough")


TEXTS = st.text(max_size=6) | st.text("aAßẞ\u017fsSİ\u0131IiΣ\u03c3ςﬁ\u0345%_'\\\x00\U0001f600", max_size=6)
"""Any characters, and some that fold to several or to one another's."""


@st.composite
def searches(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """Draw names and what to seek: other texts, and parts of the names in every case."""
    names = draw(st.lists(TEXTS, min_size=1, max_size=8))
    parts = draw(st.lists(TEXTS, max_size=4))
    for name in names:
        start, end = draw(st.integers(0, 6)), draw(st.integers(0, 6))
        parts += [name[start:end], name.upper(), name.lower()[start:], name.swapcase()[:end], name.title()]
    return names, parts


@settings(
    max_examples=often(15, 40), deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(search=searches())
async def test_stores_find_the_same_parts_of_all_texts(search: tuple[list[str], list[str]], tmp_path_factory: Any) -> None:
    names, parts = search
    insert: list[Any] = [a_profile()]
    for number, name in enumerate(names):
        label, plain = (name, f"device {number}") if number % 2 else ("", f"{name}{number}")
        insert += [a_device(number, label=label, name=plain), a_channel(number, name=name), a_config(number, number, name=name)]
    memory = MemoryRepository()
    async with open_sqlite(tmp_path_factory.mktemp("agree") / "registry.db") as sqlite:
        for repository in (memory, sqlite):
            await repository.commit(Changes(insert=tuple(insert)))
        for part in parts:
            queries: tuple[Query[Any], ...] = (
                LabelledPage(DEFAULT_TENANT, part),
                ChannelPage(DEFAULT_TENANT, part),
                ConfigPage(DEFAULT_TENANT, name=part),
            )
            for query in queries:
                assert await memory.read(query) == await sqlite.read(query), query
            named = [number for number, name in enumerate(names) if part.casefold() in name.casefold()]
            assert [item.created_at for item in (await sqlite.read(ChannelPage(DEFAULT_TENANT, part))).items] == named
    await memory.close()
