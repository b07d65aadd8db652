"""What guards turn out to want to know is fetched when they ask for it, and what is known is not asked for again."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.errors import Guard
from core.model import DEFAULT_TENANT, Device, DeviceId, DirectoryEntry
from core.ports import Changes
from storage import open_repository
from storage.guards import LEVELS
from storage.postgres.connections import Connection, connect
from storage.postgres.examination import examined
from storage.postgres.facts import ApprovalsOf, CredentialsOf, DependantsOf, EntityIs, EventIs, Facts, HolderOf, Unknown
from storage.uniques import Unique
from tests.storage.entities import a_credential, a_device, a_profile, an_event, an_organization


@pytest.fixture
async def connection(postgres_url: str) -> AsyncIterator[Connection]:
    organizations = [an_organization(f"place-{level}", parent=f"place-{level - 1}" if level else "") for level in range(LEVELS)]
    async with open_repository(postgres_url) as repository:
        await repository.commit(Changes(insert=(a_profile(), a_device(), a_credential(), *organizations), events=(an_event(),)))
    opened = await connect(postgres_url, name="facts")
    yield opened
    await opened.close()


QUESTIONS: list[tuple[Any, Any, Any]] = [
    (EntityIs((Device, "device-0001")), lambda facts: facts.entity((Device, "device-0001")), a_device()),
    (EntityIs((Device, "device-0002")), lambda facts: facts.has((Device, "device-0002")), False),
    (
        HolderOf(Unique("device_name", (DEFAULT_TENANT, "sensor-0001"))),
        lambda facts: facts.holder(Unique("device_name", (DEFAULT_TENANT, "sensor-0001"))),
        "device-0001",
    ),
    (CredentialsOf(DeviceId("device-0001")), lambda facts: facts.credentials(DeviceId("device-0001")), (a_credential(),)),
    (ApprovalsOf(DEFAULT_TENANT, "one"), lambda facts: facts.approvals(DEFAULT_TENANT, "one"), (0, 0)),
    (
        DependantsOf((DirectoryEntry, "place-0"), 2),
        lambda facts: facts.dependants((DirectoryEntry, "place-0"), 2),
        ((DirectoryEntry, "place-1"),),
    ),
    (EventIs(DEFAULT_TENANT, "event-0001"), lambda facts: facts.has_event(an_event()), True),
]


@pytest.mark.parametrize(("question", "asked", "answer"), QUESTIONS, ids=lambda part: type(part).__name__)
async def test_what_is_not_known_is_asked_for(connection: Connection, question: Any, asked: Any, answer: Any) -> None:
    facts = Facts()
    with pytest.raises(Unknown) as caught:
        asked(facts)
    assert caught.value.question == question
    await facts.fetch(connection, [question])
    assert asked(facts) == answer


async def test_the_way_up_is_fetched_as_far_as_it_goes(connection: Connection) -> None:
    below = an_organization("below", parent=f"place-{LEVELS - 2}")
    moved = an_organization("place-0", parent=f"place-{LEVELS - 1}", version=2)
    new = Changes(insert=(below,))
    assert await examined(connection, [new, Changes(replace=(moved,))]) == [None, Guard.REFERENCE]
