"""What every store promises of organisations and of what belongs to them, and of names within a profile."""

import asyncio
from typing import Any

import msgspec
import pytest

from core.errors import Conflict, Guard
from core.model import DEFAULT_TENANT, Device, DirectoryEntry, EntryId, EntryKind
from core.ports import Changes, Delete, Entity, Repository
from core.queries import EntryQuery
from storage.guards import LEVELS
from tests.storage.entities import a_device, a_tenant, a_user, an_entry, an_organization

THERE = a_tenant().id
OF_PROFILES = (EntryKind.DEVICE_FIELD, EntryKind.CHANNEL_TEMPLATE)
KEPT = {
    "device": a_device(owner="north"),
    "end user": a_user(parent="north"),
    "account user": an_entry(kind=EntryKind.ACCOUNT_USER, parent="north"),
    "organisation": an_organization("below", parent="north"),
}
"""What belongs to an organisation, each by itself."""


def placed(entity: Entity, organization: str, **fields: Any) -> Entity:
    """Return a device or entry as that of another organisation."""
    owner = "owner" if isinstance(entity, Device) else "parent"
    return msgspec.structs.replace(entity, **{owner: organization} | fields)


def within(number: int, parent: str, **fields: Any) -> DirectoryEntry:
    """Return an organisation within another."""
    return an_organization(f"o-{number}", parent=parent, **fields)


async def guard_of(repository: Repository, changes: Changes) -> Guard | None:
    """Return what failed of a commit."""
    try:
        await repository.commit(changes)
    except Conflict as conflict:
        return conflict.guard
    return None


async def insert(repository: Repository, *entities: Entity) -> None:
    await repository.commit(Changes(insert=entities))


@pytest.mark.parametrize("entity", KEPT.values(), ids=KEPT.keys())
async def test_an_organization_that_is_named_is_there(repository: Repository, entity: Entity) -> None:
    others = (a_tenant(), an_organization("there", tenant=THERE), an_entry(20, kind=EntryKind.ORGANIZATION_TEMPLATE))
    await insert(repository, *others, an_entry(21))
    unknown = ("north", "there", an_entry(20).id, an_entry(21).id)
    for organization in unknown:
        assert await guard_of(repository, Changes(insert=(placed(entity, organization),))) is Guard.REFERENCE
    await insert(repository, placed(entity, ""))
    for organization in unknown:
        changed = placed(entity, organization, version=2)
        assert await guard_of(repository, Changes(replace=(changed,))) is Guard.REFERENCE
    named = placed(entity, "organization", version=2)
    assert await guard_of(repository, Changes(replace=(named,))) is None
    gone = Changes(delete=(Delete(an_organization()),), replace=(msgspec.structs.replace(named, version=3),))
    assert await guard_of(repository, gone) is Guard.REFERENCE


@pytest.mark.parametrize("entity", KEPT.values(), ids=KEPT.keys())
async def test_an_organization_stays_while_anything_is_in_it(repository: Repository, entity: Entity) -> None:
    north = an_organization("north")
    await insert(repository, north, entity)
    alone = Changes(delete=(Delete(north),))
    assert await guard_of(repository, alone) is Guard.REFERENCE
    assert await guard_of(repository, Changes(delete=alone.delete, insert=(an_organization("new"),))) is Guard.REFERENCE
    together = Changes(delete=(Delete(north), Delete(entity)))
    assert await guard_of(repository, together) is None
    await insert(repository, north, entity)
    moved = placed(entity, "organization", version=2)
    assert await guard_of(repository, Changes(delete=alone.delete, replace=(moved,))) is None


@pytest.mark.parametrize("entity", KEPT.values(), ids=KEPT.keys())
async def test_an_organization_comes_with_what_is_in_it(repository: Repository, entity: Entity) -> None:
    await insert(repository, entity, an_organization("north"))
    moved = placed(entity, "new", version=2)
    assert await guard_of(repository, Changes(replace=(moved,), insert=(an_organization("new"),))) is None
    assert await guard_of(repository, Changes(delete=(Delete(an_organization("north")),))) is None


async def test_an_entry_stays_what_it_is(repository: Repository) -> None:
    changed = an_organization(kind=EntryKind.END_USER, version=2)
    assert await guard_of(repository, Changes(replace=(changed,))) is Guard.REFERENCE


async def test_of_a_device_and_the_end_of_its_organization_one_wins(repository: Repository) -> None:
    north = an_organization("north")
    await insert(repository, north, a_device(1), a_device(2))
    given = [Changes(replace=(a_device(number, owner="north", version=2),)) for number in (1, 2)]
    ended, new = Changes(delete=(Delete(north),)), Changes(insert=(a_device(3, owner="north"),))
    found = await asyncio.gather(*map(repository.commit, (given[0], ended, given[1], new)), return_exceptions=True)
    assert [each is None for each in found] == [True, False, True, True]
    back = [Changes(replace=(a_device(number, version=3),), delete=()) for number in (1, 2)]
    gone = Changes(delete=(Delete(a_device(3)),))
    again = Changes(replace=(a_device(1, owner="north", version=4),))
    found = await asyncio.gather(*map(repository.commit, (*back, gone, ended, again, new)), return_exceptions=True)
    assert [each is None for each in found] == [True, True, True, True, False, False]


async def test_fields_and_channels_may_name_profiles_that_are_not_there(repository: Repository) -> None:
    for number, kind in enumerate(OF_PROFILES, 1):
        field = an_entry(number, kind=kind, name="field", parent="nowhere")
        assert await guard_of(repository, Changes(insert=(field,))) is None
        moved = msgspec.structs.replace(field, parent="elsewhere", version=2)
        assert await guard_of(repository, Changes(replace=(moved,))) is None


async def test_no_organization_is_below_itself(repository: Repository) -> None:
    await insert(repository, within(1, ""), within(2, "o-1"), within(3, "o-2"), within(4, ""), within(5, ""))
    for below in (1, 2, 3):
        assert await guard_of(repository, Changes(replace=(within(1, f"o-{below}", version=2),))) is Guard.REFERENCE
    crossed = Changes(replace=(within(4, "o-5", version=2), within(5, "o-4", version=2)))
    assert await guard_of(repository, crossed) is Guard.REFERENCE
    assert await guard_of(repository, Changes(insert=(within(6, "o-6"),))) is Guard.REFERENCE
    assert await guard_of(repository, Changes(insert=(within(6, "o-7"), within(7, "o-6")))) is Guard.REFERENCE
    through = Changes(insert=(within(6, "o-3"),), replace=(within(1, "o-6", version=2),))
    assert await guard_of(repository, through) is Guard.REFERENCE
    turned = Changes(replace=(within(1, "o-3", version=2), within(2, "", version=2)))
    assert await guard_of(repository, turned) is None
    assert await guard_of(repository, Changes(insert=(within(6, "o-7"), within(7, "o-1")))) is None


async def test_of_two_that_are_moved_into_each_other_one_is(repository: Repository) -> None:
    await insert(repository, within(1, ""), within(2, ""))
    moves = [Changes(replace=(within(1, "o-2", version=2),)), Changes(replace=(within(2, "o-1", version=2),))]
    found = await asyncio.gather(*map(repository.commit, moves), return_exceptions=True)
    assert found[0] is None
    assert isinstance(found[1], Conflict)
    assert found[1].guard is Guard.REFERENCE
    assert await repository.read(EntryQuery(DEFAULT_TENANT, EntryId("o-2"))) == within(2, "")


async def test_organizations_are_moved_so_deep_and_no_deeper(repository: Repository) -> None:
    chain = [within(place, f"o-{place - 1}" if place else "") for place in range(LEVELS + 2)]
    await insert(repository, *chain[:LEVELS])
    for each in chain[LEVELS:]:
        await insert(repository, each)
    await insert(repository, an_organization("spare"))
    for above, guard in ((LEVELS, Guard.REFERENCE), (LEVELS - 1, None)):
        moved = an_organization("spare", parent=f"o-{above}", version=2)
        assert await guard_of(repository, Changes(replace=(moved,))) is guard


@pytest.mark.parametrize("kind", OF_PROFILES)
async def test_a_name_is_taken_within_a_profile_and_kind(repository: Repository, kind: EntryKind) -> None:
    other = OF_PROFILES[kind is OF_PROFILES[0]]
    here = an_entry(1, kind=kind, name="color", parent="p")
    beside = (an_entry(2, kind=other, name="color", parent="p"), an_entry(3, kind=kind, name="color"))
    await insert(repository, a_tenant(), here, *beside, an_entry(4, tenant=THERE, kind=kind, name="color", parent="p"))
    again = an_entry(5, kind=kind, name="color", parent="p")
    assert await guard_of(repository, Changes(insert=(again,))) is Guard.ENTRY_NAME
    twice = (an_entry(6, kind=kind, name="new", parent="p"), an_entry(7, kind=kind, name="new", parent="p"))
    assert await guard_of(repository, Changes(insert=twice)) is Guard.ENTRY_NAME
    moved = an_entry(3, kind=kind, name="color", parent="p", version=2)
    assert await guard_of(repository, Changes(replace=(moved,))) is Guard.ENTRY_NAME
    assert await guard_of(repository, Changes(delete=(Delete(here),), replace=(moved,))) is None
    assert await guard_of(repository, Changes(insert=(an_entry(8, kind=kind, name="color"),))) is None


async def test_one_of_twenty_fields_of_a_name_is_made(repository: Repository) -> None:
    fields = [an_entry(number, kind=EntryKind.DEVICE_FIELD, name="color") for number in range(20)]
    made = [Changes(insert=(field,)) for field in fields]
    assert await asyncio.gather(*(guard_of(repository, each) for each in made)) == [None] + [Guard.ENTRY_NAME] * 19
