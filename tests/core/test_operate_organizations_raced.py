"""What is told to those who use an organisation, or a name, that another request takes at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.errors import Reason, Refusal
from core.model import DEFAULT_TENANT, DirectoryEntry, EntryId, EntryKind
from core.operate.associating import AssociateByCode
from core.operate.directing import ChangeEntry, CreateEntry, DeleteEntry, EditDevice, RegisterDevice
from core.operate.messages import Command
from core.ports import Changes, Delete, Repository
from core.queries import EntryQuery
from storage import open_repository
from tests.core.associating import Counter, counter
from tests.core.directing import Reception

ORGANIZATION = EntryKind.ORGANIZATION
FIELD = EntryKind.DEVICE_FIELD
ROUNDS = 10


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Repository]:
    async with open_repository(f"sqlite:{tmp_path / 'registry.db'}") as opened:
        yield opened


async def both(desk: Reception, *commands: Command) -> list[Any]:
    """Give commands at the same time; return what became of each."""
    return await asyncio.gather(*map(desk, commands), return_exceptions=True)


def told(outcome: Any) -> tuple[Reason, str] | None:
    """Return how a command was refused; it may have been in no other way."""
    assert not isinstance(outcome, BaseException) or isinstance(outcome, Refusal)
    return (outcome.reason, outcome.check) if isinstance(outcome, Refusal) else None


def require_one(used: Any, ended: Any) -> None:
    """Either the organisation is gone and whoever would use it is told so, or it is in use and stays."""
    gone, stays = [(Reason.NOT_FOUND, "entry.unknown"), None], [None, (Reason.CONFLICT, "entry.in_use")]
    assert [told(used), told(ended)] in (gone, stays)


async def present(desk: Reception, identity: str) -> bool:
    """Tell whether an entry is there."""
    return await desk.repository.read(EntryQuery(DEFAULT_TENANT, EntryId(identity))) is not None


async def test_a_device_is_given_to_an_organization_that_ends(registry: Repository) -> None:
    desk: Counter = await counter(repository=registry)
    for number in range(ROUNDS):
        north = await desk.organization(f"north {number}")
        await desk.woken(f"meter-{number}")
        offer = await desk.offered(f"meter-{number}")
        commands: list[Command] = [
            AssociateByCode(code=offer.code, organization=north.id),
            DeleteEntry(kind=ORGANIZATION, id=north.id),
        ]
        outcomes = await both(desk, *commands[:: -1 if number % 2 else 1])
        require_one(*outcomes[:: -1 if number % 2 else 1])
        device = await desk.known(f"meter-{number}")
        assert (device.owner == north.id) is await present(desk, north.id)


@pytest.mark.parametrize("kind", [EntryKind.END_USER, EntryKind.ACCOUNT_USER, ORGANIZATION])
async def test_an_entry_is_made_in_an_organization_that_ends(registry: Repository, kind: EntryKind) -> None:
    desk = Reception(repository=registry)
    for number in range(ROUNDS):
        north = await desk.organization(f"north {number}")
        commands: list[Command] = [
            CreateEntry(kind=kind, name="new", parent=north.id),
            DeleteEntry(kind=ORGANIZATION, id=north.id),
        ]
        outcomes = await both(desk, *commands[:: -1 if number % 2 else 1])
        require_one(*outcomes[:: -1 if number % 2 else 1])


async def test_an_end_in_between_is_told_by_whoever_comes_second() -> None:
    desk = Reception()
    profile = (await desk.template()).profile
    device = (await desk.register(await desk.template("other"))).device
    spare = await desk.organization("spare")

    def commands(parent: str) -> tuple[Command, ...]:
        return (
            CreateEntry(kind=EntryKind.END_USER, parent=parent),
            ChangeEntry(kind=ORGANIZATION, id=spare.id, parent=parent),
            RegisterDevice(template=profile.id, serial="1", owner=parent),
            EditDevice(id=device.id, owner=parent),
        )

    for place in range(4):
        north = await desk.organization()
        desk.repository.overtaking = [Changes(delete=(Delete(north),))]
        assert told(await desk.refused(commands(north.id)[place])) == (Reason.NOT_FOUND, "entry.unknown")
    north = await desk.organization()
    desk.repository.overtaking = [Changes(replace=(msgspec.structs.replace(spare, parent=north.id, version=2),))]
    assert told(await desk.refused(DeleteEntry(kind=ORGANIZATION, id=north.id))) == (Reason.CONFLICT, "entry.in_use")


async def test_of_two_moved_into_each_other_one_is_refused(registry: Repository) -> None:
    desk = Reception(repository=registry)
    for _ in range(ROUNDS):
        one, other = await desk.organization("one"), await desk.organization("other")
        moves = [ChangeEntry(kind=ORGANIZATION, id=a.id, parent=b.id) for a, b in ((one, other), (other, one))]
        outcomes = await both(desk, *moves)
        assert {told(each) for each in outcomes} == {None, (Reason.UNPROCESSABLE, "entry.circle")}


async def test_one_of_twenty_fields_of_a_name_is_made(registry: Repository) -> None:
    desk = Reception(repository=registry)
    outcomes = await both(desk, *(CreateEntry(kind=FIELD, name="color") for _ in range(20)))
    assert sorted(map(str, map(told, outcomes))) == sorted(
        ["None", *[str((Reason.CONFLICT, "entry.name_taken"))] * 19],
    )


async def test_a_name_taken_in_between_is_told() -> None:
    desk = Reception()
    size: DirectoryEntry = await desk.entry(FIELD, name="size")
    rival = msgspec.structs.replace(size, id=EntryId("rival"), name="color")
    for command in (CreateEntry(kind=FIELD, name="color"), ChangeEntry(kind=FIELD, id=size.id, name="color")):
        desk.repository.overtaking = [Changes(insert=(rival,))]
        assert told(await desk.refused(command)) == (Reason.CONFLICT, "entry.name_taken")
        await desk.repository.commit(Changes(delete=(Delete(rival),)))
