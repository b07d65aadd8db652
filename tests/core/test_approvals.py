"""Devices that wait for an operator's approval: the queue as devices meet it."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from core.approvals import FULL, WAITING_MS
from core.errors import Conflict, Guard, Reason, Refusal
from core.limits import APPROVALS, APPROVALS_OF_SOURCE
from core.messages import AccessToken, Provisioned, TokenLogin
from core.model import DEFAULT_TENANT, Approval, ApprovalId, EventKind, Profile, Reprovision, Secret, Strategy, Verdict
from core.ports import Changes, Delete, Repository
from core.queries import ApprovalPage, ApprovalQuery
from core.strategy import APPROVE_NEW
from storage import open_repository
from tests.core.approving import an_approval
from tests.core.faulty import FaultyRepository, RacedRepository, no_fault
from tests.core.registry import CONTEXT, SOURCE, Registry, claim

NAME = "meter-0042"
ELSEWHERE = msgspec.structs.replace(CONTEXT, source="198.51.100.9")


@pytest.fixture(params=["memory", "sqlite"])
async def repository(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Repository]:
    url = "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'registry.db'}"
    async with open_repository(url) as opened:
        yield opened


async def known(repository: Repository | None = None) -> tuple[Registry, Profile]:
    """Return a registry with a device whose profile has it wait when it comes again."""
    registry = Registry(repository)
    profile = await registry.profile(reprovision=Reprovision.APPROVE)
    await registry.provision(claim(), CONTEXT)
    registry.clock.advance(1)
    return registry, profile


async def ask(registry: Registry, name: str | None = NAME) -> Provisioned | str:
    """Ask for an identity; returns it or the check that refused."""
    registry.clock.advance(1)
    try:
        return await registry.provision(claim(name), CONTEXT)
    except Refusal as refusal:
        if refusal.check.startswith("approval."):  # whatever it waits for, it is told the same
            told = (refusal.reason, refusal.detail)
            return refusal.check if told == (Reason.FORBIDDEN, "the device has to be approved first") else str(told)
        return refusal.check


async def queue(registry: Registry) -> tuple[Approval, ...]:
    return await registry.repository.read(ApprovalPage(tenant=DEFAULT_TENANT, limit=APPROVALS))


async def answer(registry: Registry, verdict: Verdict = Verdict.GRANTED) -> None:
    """Answer the only device that waits."""
    (entry,) = await queue(registry)
    answered = msgspec.structs.replace(entry, verdict=verdict, version=entry.version + 1)
    await registry.repository.commit(Changes(replace=(answered,)))


async def test_a_known_device_waits_and_asks_again_without_a_second_entry(repository: Repository) -> None:
    registry, profile = await known(repository)
    assert [await ask(registry) for _ in range(3)] == ["approval.waiting"] * 3
    (entry,) = await queue(registry)
    device = (await registry.known(NAME)).device
    assert (entry.name, entry.profile, entry.device, entry.verdict) == (NAME, profile.id, device.id, Verdict.WAITING)
    assert (entry.source, entry.stranger, entry.protocol, entry.dialect) == (SOURCE, SOURCE, "http", "thingsboard")
    assert entry.expires_at == entry.created_at + WAITING_MS
    (event,) = [event for event in await registry.events() if event.kind is EventKind.APPROVAL_REQUESTED]
    assert (event.device, event.device_name, event.detail) == (device.id, NAME, "again")


async def test_the_first_try_after_a_grant_gets_its_credentials_once(repository: Repository) -> None:
    registry, _ = await known(repository)
    await ask(registry)
    await answer(registry)
    given = await ask(registry)
    assert isinstance(given, Provisioned)
    assert isinstance(given.credential, AccessToken)
    assert await queue(registry) == ()
    await registry.authenticate(TokenLogin(given.credential.token), CONTEXT)
    assert await ask(registry) == "approval.waiting"


async def test_until_it_is_granted_nothing_of_the_device_changes() -> None:
    registry, _ = await known()
    before = await registry.known(NAME)
    await ask(registry)
    await answer(registry, Verdict.REFUSED)
    await ask(registry)
    assert await registry.known(NAME) == before


async def test_ten_tries_at_once_make_one_entry_and_use_a_grant_once(repository: Repository) -> None:
    registry, _ = await known(repository)
    assert await asyncio.gather(*(ask(registry) for _ in range(10))) == ["approval.waiting"] * 10
    await answer(registry)
    given = await asyncio.gather(*(ask(registry) for _ in range(10)))
    assert sum(isinstance(each, Provisioned) for each in given) == 1
    (entry,) = await queue(registry)
    assert entry.verdict is Verdict.WAITING


async def test_a_device_that_was_refused_stays_so_until_its_answer_ends() -> None:
    registry, _ = await known()
    await ask(registry)
    await answer(registry, Verdict.REFUSED)
    assert await ask(registry) == "approval.refused"
    registry.clock.advance(WAITING_MS / 1000)
    assert await ask(registry) == "approval.waiting"
    (entry,) = await queue(registry)
    assert (entry.verdict, entry.version) == (Verdict.WAITING, 3)


async def test_a_grant_that_ended_is_none() -> None:
    registry, _ = await known()
    await ask(registry)
    await answer(registry)
    registry.clock.advance(WAITING_MS / 1000)
    assert await ask(registry) == "approval.waiting"


async def test_a_new_device_waits_where_the_profile_says_so(repository: Repository) -> None:
    registry = Registry(repository)
    profile = await registry.profile(options=(APPROVE_NEW,))
    assert await ask(registry) == "approval.waiting"
    assert await registry.devices() == ()
    assert await registry.repository.read(ApprovalQuery(profile.id, NAME)) is not None
    await answer(registry)
    given = await ask(registry)
    assert isinstance(given, Provisioned)
    assert await queue(registry) == ()


async def test_a_new_device_without_a_name_cannot_be_approved() -> None:
    registry = Registry()
    await registry.profile(options=(APPROVE_NEW,))
    assert await ask(registry, None) == "device.name_missing"
    assert await queue(registry) == ()


async def test_an_expected_device_was_approved_by_its_definition() -> None:
    registry = Registry()
    profile = await registry.profile(Strategy.PRE_PROVISIONED, Reprovision.APPROVE, options=(APPROVE_NEW,))
    await registry.device(profile, NAME, AccessToken(Secret("0wnT0kenOfTheDevice0")))
    assert isinstance(await ask(registry), Provisioned)
    assert await ask(registry) == "approval.waiting"


async def test_a_grant_for_one_device_is_none_for_another_of_its_name() -> None:
    registry, profile = await known()
    await ask(registry)
    await answer(registry)
    await registry.repository.commit(Changes(delete=(Delete((await registry.known(NAME)).device),)))
    await registry.device(profile, NAME, AccessToken(Secret("0wnT0kenOfTheDevice0")))
    assert await ask(registry) == "approval.waiting"


async def test_who_does_not_know_the_claim_secret_enters_nobody() -> None:
    registry, _ = await known()
    with pytest.raises(Refusal) as refusal:
        await registry.provision(claim(secret="wrong"), CONTEXT)
    assert refusal.value.reason is Reason.UNAUTHENTICATED
    assert await queue(registry) == ()


async def test_a_source_has_so_many_wait_and_no_more(repository: Repository) -> None:
    registry = Registry(repository)
    profile = await registry.profile(options=(APPROVE_NEW,))
    some = [an_approval(profile, f"waiting {place}") for place in range(APPROVALS_OF_SOURCE - 10)]
    await registry.repository.commit(Changes(insert=tuple(some)))
    told = await asyncio.gather(*(ask(registry, f"meter-{place}") for place in range(30)))
    assert sorted(map(str, told)) == [FULL] * 20 + ["approval.waiting"] * 10
    with pytest.raises(Refusal) as refusal:
        await registry.provision(claim("meter-elsewhere"), ELSEWHERE)
    assert refusal.value.check == "approval.waiting"


async def test_a_tenant_has_so_many_wait_and_no_more(repository: Repository) -> None:
    registry = Registry(repository)
    profile = await registry.profile(options=(APPROVE_NEW,))
    strangers = [str(place // APPROVALS_OF_SOURCE) for place in range(APPROVALS)]
    some = [an_approval(profile, f"waiting {place}", stranger=stranger) for place, stranger in enumerate(strangers)]
    await registry.repository.commit(Changes(insert=tuple(some)))
    assert await ask(registry) == FULL
    entry = (await queue(registry))[0]
    await registry.repository.commit(Changes(delete=(Delete(entry),)))
    assert await ask(registry) == "approval.waiting"


async def test_those_who_wait_for_nothing_any_more_are_forgotten(repository: Repository) -> None:
    registry = Registry(repository)
    profile = await registry.profile(options=(APPROVE_NEW,))
    over, later = an_approval(profile, "over", expires_at=1), an_approval(profile, "later", expires_at=2**52)
    await registry.repository.commit(Changes(insert=(over, later)))
    await registry.repository.prune_events(10)
    assert await queue(registry) == (later,)


async def test_a_profile_that_goes_takes_its_queue_along(repository: Repository) -> None:
    registry = Registry(repository)
    profile = await registry.profile(options=(APPROVE_NEW,))
    await ask(registry)
    await registry.repository.commit(Changes(delete=(Delete(profile),)))
    assert await queue(registry) == ()


async def test_an_entry_that_changes_meanwhile_is_looked_at_again() -> None:
    repository = RacedRepository()
    registry, _ = await known(repository)
    await ask(registry)
    await answer(registry)
    (entry,) = await queue(registry)
    refused = msgspec.structs.replace(entry, verdict=Verdict.REFUSED, version=entry.version + 1)
    repository.rival = Changes(replace=(refused,))
    assert await ask(registry) == "approval.refused"


async def test_an_entry_that_another_request_made_is_enough() -> None:
    repository = RacedRepository()
    registry, profile = await known(repository)
    repository.rival = Changes(insert=(an_approval(profile, NAME, id=ApprovalId("rival"), device=None),))
    assert await ask(registry) == "approval.waiting"
    (entry,) = await queue(registry)
    assert entry.id == "rival"


async def test_a_profile_that_goes_meanwhile_is_decided_about_anew() -> None:
    repository = FaultyRepository(lambda changes: Conflict(Guard.REFERENCE) if changes.insert else None)
    registry = Registry(repository)
    repository.fault = no_fault
    await registry.profile(options=(APPROVE_NEW,))
    repository.fault = lambda changes: Conflict(Guard.REFERENCE) if changes.insert else None
    with pytest.raises(Refusal) as refusal:
        await registry.provision(claim(), CONTEXT)
    assert refusal.value.check == "registry.conflict"
