"""What every store promises to many callers at once: one winner, no lost or mixed answers, a caller that goes harms nobody."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.model import DEFAULT_TENANT, TenantId
from core.ports import Changes, Delete, Repository
from core.queries import ClaimQuery, DevicePage, EventPage, LoginQuery, ProfileQuery, TenantQuery
from storage import open_repository
from tests.storage.entities import a_credential, a_device, a_lookup, a_profile, a_tenant, a_token, an_event


async def commit_all(repository: Repository, *group: Changes) -> list[Guard | None]:
    """Commit all at once and return, in order, the guard that failed each."""
    outcomes = await asyncio.gather(*map(repository.commit, group), return_exceptions=True)
    assert all(outcome is None or isinstance(outcome, Conflict) for outcome in outcomes)
    return [outcome.guard if isinstance(outcome, Conflict) else None for outcome in outcomes]


async def test_one_of_a_hundred_claims_of_a_name_wins(repository: Repository) -> None:
    claims = [Changes(insert=(a_device(number, name="same"), a_credential(number))) for number in range(100)]
    outcomes = await commit_all(repository, *claims)
    assert outcomes == [None] + [Guard.DEVICE_NAME] * 99
    assert [device.id for device in await repository.read(DevicePage(DEFAULT_TENANT))] == ["device-0000"]
    found = await repository.read(LoginQuery(tuple(a_lookup(number) for number in range(100))))
    assert [login is not None for login in found] == [True] + [False] * 99


async def test_each_of_a_thousand_commits_is_its_own(repository: Repository) -> None:
    changes = [Changes(insert=(a_device(number), a_credential(number)), events=(an_event(number),)) for number in range(1_000)]
    assert await commit_all(repository, *changes) == [None] * 1_000
    tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
    assert tenant is not None
    assert tenant.devices == 1_000
    claims = await asyncio.gather(*(repository.read(ClaimQuery("key-1", f"sensor-{number:04}")) for number in range(1_001)))
    assert [claim.device for claim in claims] == [*(a_device(number) for number in range(1_000)), None]
    assert [claim.credentials for claim in claims[:-1]] == [(a_credential(number),) for number in range(1_000)]
    assert await repository.read(EventPage(DEFAULT_TENANT, limit=1_001)) == tuple(an_event(number) for number in range(1_000))


async def test_those_who_conflict_leave_their_neighbours_alone(repository: Repository) -> None:
    outcomes = await commit_all(
        repository,
        Changes(insert=(a_device(1), a_credential(1)), events=(an_event(1),)),
        Changes(insert=(a_device(2), a_credential(2, lookup=a_lookup(1))), events=(an_event(2),)),
        Changes(insert=(a_device(3, profile="nowhere"),), events=(an_event(3),)),
        Changes(insert=(a_credential(4, device="device-0001"),), events=(an_event(4),)),
        Changes(insert=(a_credential(5, device="device-0002"),), events=(an_event(5),)),
        Changes(insert=(a_device(6),), events=(an_event(6),)),
    )
    assert outcomes == [None, Guard.CREDENTIAL_LOOKUP, Guard.REFERENCE, None, Guard.REFERENCE, None]
    events = await repository.read(EventPage(DEFAULT_TENANT))
    assert [event.id for event in events] == ["event-0001", "event-0004", "event-0006"]


async def test_commits_take_effect_in_the_order_of_arrival(repository: Repository) -> None:
    outcomes = await commit_all(
        repository,
        Changes(insert=(a_device(1),)),
        Changes(replace=(a_device(1, name="renamed", version=2),)),
        Changes(insert=(a_device(2, name="sensor-0001"),)),
        Changes(delete=(Delete(a_device(1)),)),
        Changes(delete=(Delete(a_device(1, name="renamed", version=2)),)),
        Changes(insert=(a_device(3, name="renamed"), a_credential(3))),
        Changes(insert=(a_credential(4, device="device-0001"),)),
        Changes(delete=(Delete(a_profile()),)),
        Changes(delete=(Delete(a_device(2, name="sensor-0001")), Delete(a_device(3, name="renamed")))),
        Changes(delete=(Delete(a_profile()),)),
        Changes(insert=(a_device(5),)),
        Changes(insert=(a_profile(2), a_device(6, profile="profile-0002"))),
        Changes(insert=(a_device(7, profile="profile-0002"),)),
    )
    assert outcomes == [
        None,
        None,
        None,
        Guard.VERSION,
        None,
        None,
        Guard.REFERENCE,
        Guard.REFERENCE,
        None,
        None,
        Guard.REFERENCE,
        None,
        None,
    ]
    assert await repository.read(DevicePage(DEFAULT_TENANT)) == (
        a_device(6, profile="profile-0002"),
        a_device(7, profile="profile-0002"),
    )


async def test_a_limit_holds_over_commits_that_come_together(repository: Repository) -> None:
    tenant, profile = a_tenant(device_limit=3), a_profile(2, tenant=a_tenant().id)
    await repository.commit(Changes(insert=(tenant, profile)))
    claims = [Changes(insert=(a_device(number, tenant=tenant.id, profile=profile.id),)) for number in range(10)]
    assert await commit_all(repository, *claims) == [None] * 3 + [Guard.DEVICE_LIMIT] * 7
    found = await repository.read(TenantQuery(TenantId(tenant.id)))
    assert found is not None
    assert found.devices == 3


async def test_one_of_many_replacements_of_a_version_wins(repository: Repository) -> None:
    replacements = [Changes(replace=(a_profile(1, options=(f"writer-{n}",), version=2),)) for n in range(20)]
    assert await commit_all(repository, *replacements) == [None] + [Guard.VERSION] * 19
    profile = await repository.read(ProfileQuery(DEFAULT_TENANT, "profile 1"))
    assert profile is not None
    assert profile.options == ("writer-0",)


async def test_a_read_sees_every_commit_that_returned_before(repository: Repository) -> None:
    async def device(number: int) -> bool:
        await repository.commit(Changes(insert=(a_device(number), a_credential(number)), events=(an_event(number),)))
        claim, logins, page, events = await asyncio.gather(
            repository.read(ClaimQuery("key-1", f"sensor-{number:04}", a_lookup(number))),
            repository.read(LoginQuery((a_lookup(number),))),
            repository.read(DevicePage(DEFAULT_TENANT, name=f"sensor-{number:04}")),
            repository.read(EventPage(DEFAULT_TENANT, correlation=f"request-{number}")),
        )
        seen = claim.device == a_device(number) and claim.lookup_taken and logins[0] is not None
        seen = seen and page == (a_device(number),) and events == (an_event(number),)
        await repository.commit(Changes(delete=(Delete(a_device(number)),)))
        gone = await repository.read(ClaimQuery("key-1", f"sensor-{number:04}", a_lookup(number)))
        return seen and gone.device is None and not gone.lookup_taken

    assert all(await asyncio.gather(*map(device, range(200))))


async def test_a_caller_that_is_cancelled_undoes_nothing(repository: Repository) -> None:
    tasks = [asyncio.create_task(repository.commit(Changes(insert=(a_device(number),)))) for number in range(50)]
    await asyncio.sleep(0)  # all of them wait now, or are done
    for task in tasks[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(outcome is None for outcome in outcomes[1::2])
    await repository.check()
    tenant = await repository.read(TenantQuery(DEFAULT_TENANT))
    assert tenant is not None
    assert tenant.devices == 50


async def test_a_reader_that_is_cancelled_leaves_its_neighbours_alone(repository: Repository) -> None:
    tasks = [asyncio.create_task(repository.read(ClaimQuery("key-1", ""))) for _ in range(10)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [getattr(outcome, "profile", None) for outcome in outcomes[4:]] == [a_profile()] * 6


async def test_a_closed_store_refuses(url: str) -> None:
    async with open_repository(url) as repository:
        await repository.commit(Changes(insert=(a_token(),)))
    calls: tuple[Coroutine[Any, Any, Any], ...] = (
        repository.commit(Changes()),
        repository.read(TenantQuery(DEFAULT_TENANT)),
        repository.read(ClaimQuery("", "")),
        repository.prune_events(1),
        repository.check(),
    )
    for call in calls:
        with pytest.raises(Refusal) as caught:
            await call
        assert (caught.value.reason, caught.value.check) == (Reason.UNAVAILABLE, "storage.closed")


async def test_closing_serves_what_was_asked_before(tmp_path: Path) -> None:
    url = f"sqlite:{tmp_path / 'registry.db'}"
    async with open_repository(url) as repository:
        await repository.commit(Changes(insert=(a_profile(),)))
        waiting = [asyncio.create_task(repository.commit(Changes(insert=(a_device(number),)))) for number in range(900)]
        reading = asyncio.create_task(repository.read(ClaimQuery("key-1", "sensor-0001")))
        await asyncio.sleep(0)
    assert await asyncio.gather(*waiting) == [None] * 900
    assert (await reading).profile == a_profile()
    async with open_repository(url) as repository:
        page = await repository.read(DevicePage(DEFAULT_TENANT, limit=1_000))
        assert len(page) == 900


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://user:password@host/name", "no store is named 'mysql'"),
        ("postgresql:user:password@host/name", "wants an address"),
        ("registry.db", "no store is named 'registry.db'"),
        ("", "no store is named ''"),
        ("sqlite:", "wants the path of a file"),
        ("memory:file", "takes nothing after the colon"),
    ],
)
def test_another_url_names_no_store(url: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence) as caught:
        open_repository(url)
    assert "password" not in str(caught.value)
    assert "\n" not in str(caught.value)
