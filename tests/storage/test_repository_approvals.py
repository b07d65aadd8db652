"""The queue of devices that wait for an operator's approval, as every store answers for it."""

import pytest

from core.errors import Conflict, Guard
from core.limits import APPROVALS_OF_SOURCE
from core.model import DEFAULT_TENANT, Approval, ApprovalId, ProfileId, TenantId, Verdict
from core.ports import Changes, Repository
from core.queries import ApprovalPage, ApprovalQuery, ApprovalsQuery, NamedApprovalsQuery
from tests.storage.entities import a_profile, an_approval


@pytest.fixture
async def waiting(repository: Repository) -> Repository:
    """Twelve that wait: every third with another profile, every fourth granted."""
    queue = [
        an_approval(
            number,
            profile=ProfileId(f"profile-{2 if number % 3 == 0 else 1:04}"),
            verdict=Verdict.GRANTED if number % 4 == 0 else Verdict.WAITING,
            name=f"sensor-{number // 2:04}" if number % 3 == 0 else f"sensor-{number:04}",
            expires_at=number * 10,
        )
        for number in range(1, 13)
    ]
    await repository.commit(Changes(insert=(a_profile(2), *queue)))
    return repository


def numbers(found: tuple[Approval, ...]) -> list[int]:
    return [int(approval.id[-4:]) for approval in found]


async def test_a_queue_comes_in_pages(waiting: Repository) -> None:
    everything = numbers(await waiting.read(ApprovalPage(tenant=DEFAULT_TENANT)))
    assert everything == list(range(1, 13))
    later = ApprovalPage(tenant=DEFAULT_TENANT, after=ApprovalId("approval-0003"), limit=4)
    assert numbers(await waiting.read(later)) == [4, 5, 6, 7]
    assert numbers(await waiting.read(ApprovalPage(tenant=DEFAULT_TENANT, now=100))) == [11, 12]
    assert numbers(await waiting.read(ApprovalPage(tenant=DEFAULT_TENANT, profile=ProfileId("profile-0002")))) == [3, 6, 9, 12]
    assert numbers(await waiting.read(ApprovalPage(tenant=DEFAULT_TENANT, verdict=Verdict.GRANTED))) == [4, 8, 12]
    both = ApprovalPage(tenant=DEFAULT_TENANT, profile=ProfileId("profile-0002"), verdict=Verdict.GRANTED)
    assert numbers(await waiting.read(both)) == [12]
    assert await waiting.read(ApprovalPage(tenant=TenantId("another"))) == ()


async def test_entries_are_found_by_their_ids_and_names(waiting: Repository) -> None:
    ids = tuple(ApprovalId(f"approval-{number:04}") for number in (5, 99, 2, 5))
    found = await waiting.read(ApprovalsQuery(DEFAULT_TENANT, ids))
    assert [None if each is None else each.id for each in found] == [ids[0], None, ids[2], ids[0]]
    assert await waiting.read(ApprovalsQuery(TenantId("another"), ids[:1])) == (None,)
    assert await waiting.read(ApprovalsQuery(DEFAULT_TENANT, ())) == ()
    assert numbers(await waiting.read(NamedApprovalsQuery(DEFAULT_TENANT, "sensor-0004"))) == [4, 9]
    assert await waiting.read(NamedApprovalsQuery(DEFAULT_TENANT, "sensor-9999")) == ()
    asked = await waiting.read(ApprovalQuery(ProfileId("profile-0002"), "sensor-0004"))
    assert asked is not None
    assert asked.id == "approval-0009"


async def test_a_source_asks_for_no_more_than_it_may(repository: Repository) -> None:
    queue = tuple(an_approval(number) for number in range(1, APPROVALS_OF_SOURCE + 1))
    await repository.commit(Changes(insert=queue[:-1]))
    await repository.commit(Changes(insert=queue[-1:]))
    with pytest.raises(Conflict) as caught:
        await repository.commit(Changes(insert=(an_approval(APPROVALS_OF_SOURCE + 1),)))
    assert caught.value.guard is Guard.APPROVAL_ROOM
    await repository.commit(Changes(insert=(an_approval(APPROVALS_OF_SOURCE + 1, stranger="192.0.2.8"),)))
