"""Texts with characters that a database may have no room for, or may spell in some way of its own: found as what they are."""

import itertools

import pytest

from core.model import DEFAULT_TENANT
from core.ports import Changes, Repository
from core.queries import (
    ChannelPage,
    DeviceNamesQuery,
    DevicePage,
    DeviceSearch,
    LabelledPage,
    Order,
)
from tests.storage.entities import a_channel, a_device

ALPHABET = ("\x00", "\x01", "\x02", "a")
TEXTS = ["".join(some) for size in (1, 2, 3) for some in itertools.product(ALPHABET, repeat=size)]


@pytest.fixture
async def peopled(repository: Repository) -> Repository:
    devices = [a_device(number, name=text, label="") for number, text in enumerate(TEXTS, 1)]
    channels = [a_channel(number, name=text) for number, text in enumerate(TEXTS, 1)]
    await repository.commit(Changes(insert=(*devices, *channels)))
    return repository


async def test_parts_of_texts_are_found_where_they_are(peopled: Repository) -> None:
    for part in ("", *TEXTS[:20], "\x01\x01\x01", "A", ".", "\\", "[", "a.*"):
        expected = [text for text in TEXTS if part.casefold() in text]
        labelled = await peopled.read(LabelledPage(DEFAULT_TENANT, part, 0, 200))
        assert [item.device.name for item in labelled.items] == expected, ascii(part)
        assert labelled.total == len(expected)
        channels = await peopled.read(ChannelPage(DEFAULT_TENANT, part, None, 0, 200))
        assert [channel.name for channel in channels.items] == expected, ascii(part)
        assert channels.total == len(expected)


async def test_special_characters_are_sought_as_they_are(peopled: Repository) -> None:
    specials = [f"\x01{special}" for special in "a.*+?^$|\\()[]{}-é😀"]
    await peopled.commit(Changes(insert=tuple(a_device(number, name=text) for number, text in enumerate(specials[1:], 500))))
    for special in specials[1:]:
        found = await peopled.read(LabelledPage(DEFAULT_TENANT, special, 0, 200))
        assert [item.device.name for item in found.items] == [special]


async def test_beginnings_of_names_are_found_and_names_sorted_by_their_characters(peopled: Repository) -> None:
    for prefix in TEXTS:
        page = await peopled.read(DevicePage(DEFAULT_TENANT, name=prefix, limit=200))
        assert [device.name for device in page] == [text for text in TEXTS if text.startswith(prefix)], ascii(prefix)
    found = await peopled.read(DeviceSearch(tenant=DEFAULT_TENANT, order=Order.NAME, limit=200))
    assert [item.device.name for item in found.items] == sorted(TEXTS)


async def test_names_are_found_each_for_itself(peopled: Repository) -> None:
    found = await peopled.read(DeviceNamesQuery(DEFAULT_TENANT, tuple(TEXTS)))
    assert [snapshot.device.name for snapshot in found if snapshot is not None] == TEXTS
