"""Rotation that can be interrupted anywhere: the device can always log in with something it holds."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import (
    AccessToken,
    ClientSecret,
    CredentialValue,
    Identity,
    MqttBasic,
    MqttLogin,
    PresharedQuestion,
    ProvenLogin,
    TokenLogin,
)
from core.model import Credential, CredentialId, CredentialKind, DeviceState, EventKind, Reprovision, Secret, Strategy
from core.ports import Changes, Delete, Repository
from core.trials import ATTEMPTS, MOST
from storage import open_repository
from tests.core.faulty import Conflicting, FaultyRepository, RacedRepository, no_fault
from tests.core.registry import CONTEXT, Registry, claim

NAME = "meter-0042"
PASSWORD = Secret("pw-0042")


@pytest.fixture(params=["memory", "sqlite"])
async def repository(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Repository]:
    url = "memory:" if request.param == "memory" else f"sqlite:{tmp_path / 'registry.db'}"
    async with open_repository(url) as opened:
        yield opened


async def rotating(repository: Repository | None = None) -> Registry:
    registry = Registry(repository)
    await registry.profile(reprovision=Reprovision.ROTATE)
    return registry


async def asked(registry: Registry, value: CredentialValue | None = None) -> CredentialValue:
    """Ask for an identity, a moment later, and return what came of it."""
    registry.clock.advance(1)
    return (await registry.provision(claim(NAME, value), CONTEXT)).credential


async def logged_in(registry: Registry, value: CredentialValue) -> Identity:
    """Log in with a credential."""
    registry.clock.advance(1)
    if isinstance(value, MqttBasic):
        return await registry.authenticate(MqttLogin(value.client_id, value.username, value.password), CONTEXT)
    assert isinstance(value, AccessToken)
    return await registry.authenticate(TokenLogin(value.token), CONTEXT)


async def is_good(registry: Registry, value: CredentialValue) -> bool:
    """Tell whether a credential is one that the device has, without using it."""
    lookup = registry.issuer.lookup(value)
    return lookup in {each.lookup for each in (await registry.known(NAME)).credentials}


async def on_trial(registry: Registry) -> list[bool]:
    return [each.trial for each in sorted((await registry.known(NAME)).credentials, key=lambda each: each.created_at)]


async def test_an_answer_that_was_lost_leaves_the_old_credential_good(repository: Repository) -> None:
    registry = await rotating(repository)
    old = await asked(registry)
    await asked(registry)  # the answer is lost
    for _ in range(3):
        await logged_in(registry, old)
    assert await on_trial(registry) == [False, True]


async def test_answers_that_are_lost_again_and_again_leave_the_newest_and_the_old_one(repository: Repository) -> None:
    registry = await rotating(repository)
    old = await asked(registry)
    given = [await asked(registry) for _ in range(2 * MOST)]
    assert await on_trial(registry) == [False] + [True] * (MOST - 1)
    assert [each for each in given if await is_good(registry, each)] == given[1 - MOST :]
    await logged_in(registry, old)


async def test_an_answer_that_is_never_used_changes_nothing(repository: Repository) -> None:
    registry = await rotating(repository)
    old = await asked(registry)
    new = await asked(registry)
    registry.clock.advance(10 * 366 * 86_400)
    await logged_in(registry, old)
    assert await is_good(registry, new)


async def test_a_credential_that_is_used_once_takes_the_place_of_the_older_ones(repository: Repository) -> None:
    registry = await rotating(repository)
    old = await asked(registry)
    new = await asked(registry)
    identity = await logged_in(registry, new)
    assert await on_trial(registry) == [False]
    assert not await is_good(registry, old)
    with pytest.raises(Refusal) as refusal:
        await logged_in(registry, old)
    assert refusal.value.check == "login.token"
    assert (await registry.authenticate.holds(identity)).holds
    await logged_in(registry, new)


@pytest.mark.parametrize("arrived", [0, 1])
async def test_of_two_answers_the_one_that_arrived_counts(repository: Repository, arrived: int) -> None:
    registry = await rotating(repository)
    old = await asked(registry)
    given = [await asked(registry), await asked(registry)]
    await logged_in(registry, old)
    await logged_in(registry, given[arrived])
    assert [await is_good(registry, each) for each in (old, *given)] == [False, arrived == 0, True]
    await logged_in(registry, given[arrived])


async def test_a_device_that_asks_twice_at_once_can_use_what_it_has(repository: Repository) -> None:
    registry = await rotating(repository)
    old = await asked(registry)
    given = await asyncio.gather(asked(registry), asked(registry))
    assert await is_good(registry, old)
    assert [await is_good(registry, each) for each in given] == [True, True]


async def test_a_rotation_at_the_moment_of_the_first_login_leaves_something_to_log_in_with(repository: Repository) -> None:
    registry = await rotating(repository)
    old, new = await asked(registry), await asked(registry)
    later, used = await asyncio.gather(asked(registry), logged_in(registry, new), return_exceptions=True)
    assert not isinstance(later, BaseException)
    if isinstance(used, BaseException):
        assert isinstance(used, Refusal)
        assert await is_good(registry, old)
    else:
        assert await is_good(registry, new)
    assert await is_good(registry, later)


async def test_ten_first_logins_at_once_are_one(repository: Repository) -> None:
    registry = await rotating(repository)
    await asked(registry)
    new = await asked(registry)
    await asyncio.gather(*(logged_in(registry, new) for _ in range(10)))
    told = [event.kind for event in await registry.events()]
    assert (told.count(EventKind.CREDENTIAL_ADOPTED), told.count(EventKind.DEVICE_CONNECTED)) == (1, 1)
    assert await on_trial(registry) == [False]


async def test_the_first_login_marks_the_device_in_the_same_commit() -> None:
    repository = FaultyRepository(no_fault)
    registry = await rotating(repository)
    await asked(registry)
    new = await asked(registry)
    commits: list[Changes] = []

    def remember(changes: Changes) -> Exception | None:
        commits.append(changes)
        return None

    repository.fault = remember
    await logged_in(registry, new)
    (adoption,) = commits
    assert [event.kind for event in adoption.events] == [EventKind.CREDENTIAL_ADOPTED, EventKind.DEVICE_CONNECTED]
    assert [event.detail for event in adoption.events] == ["access_token", ""]
    assert len(adoption.delete) == 1
    assert (await registry.known(NAME)).device.state is DeviceState.CONNECTED


async def test_a_device_that_has_been_here_is_not_said_to_come_for_the_first_time() -> None:
    registry = await rotating()
    await logged_in(registry, await asked(registry))
    await logged_in(registry, await asked(registry))
    told = [event.kind for event in await registry.events()]
    assert (told.count(EventKind.CREDENTIAL_ADOPTED), told.count(EventKind.DEVICE_CONNECTED)) == (1, 1)


@pytest.mark.parametrize("times", [1, ATTEMPTS - 1])
async def test_a_first_login_that_others_overtake_is_decided_anew(times: int) -> None:
    repository = FaultyRepository(no_fault)
    registry = await rotating(repository)
    await asked(registry)
    new = await asked(registry)
    repository.fault = Conflicting(Conflict(Guard.VERSION), times)
    await logged_in(registry, new)
    assert await on_trial(registry) == [False]


async def test_a_first_login_that_is_overtaken_for_ever_is_to_come_again() -> None:
    repository = FaultyRepository(no_fault)
    registry = await rotating(repository)
    await asked(registry)
    new = await asked(registry)
    repository.fault = Conflicting(Conflict(Guard.VERSION), ATTEMPTS)
    with pytest.raises(Refusal) as refusal:
        await logged_in(registry, new)
    assert (refusal.value.reason, refusal.value.check) == (Reason.UNAVAILABLE, "registry.conflict")
    await logged_in(registry, new)


@pytest.mark.parametrize("whole", [False, True])
async def test_a_credential_that_goes_at_its_first_login_is_good_no_more(whole: bool) -> None:
    repository = RacedRepository()
    registry = await rotating(repository)
    await asked(registry)
    new = await asked(registry)
    found = await registry.known(NAME)
    tried = next(each for each in found.credentials if each.trial)
    repository.rival = Changes(delete=(Delete(found.device if whole else tried),))
    with pytest.raises(Refusal) as refusal:
        await logged_in(registry, new)
    assert (refusal.value.reason, refusal.value.check) == (Reason.UNAUTHENTICATED, "credential.superseded")


async def test_a_credential_that_was_proved_to_the_transport_is_used_like_any_other() -> None:
    registry = await rotating()
    old = await asked(registry)
    await asked(registry)
    found = await registry.known(NAME)
    tried = next(each for each in found.credentials if each.trial)
    proven = Identity(found.device.tenant, found.device.id, NAME, tried.id)
    await registry.authenticate(ProvenLogin(proven), CONTEXT)
    assert not await is_good(registry, old)


async def test_what_an_operator_adds_meanwhile_stays() -> None:
    registry = await rotating()
    await asked(registry)
    new = await asked(registry)
    device = (await registry.known(NAME)).device
    registry.clock.advance(1)
    added = AccessToken(Secret("added-by-an-operator"))
    await registry.repository.commit(Changes(insert=(await registry.issuer.issue(added, device.id, keep=True),)))
    await logged_in(registry, new)
    assert await is_good(registry, added)


async def test_what_ended_goes_and_leaves_nothing_to_try() -> None:
    registry = await rotating()
    await asked(registry)
    (old,) = (await registry.known(NAME)).credentials
    ended = msgspec.structs.replace(old, expires_at=registry.clock.now() + 10, version=old.version + 1)
    await registry.repository.commit(Changes(replace=(ended,)))
    await asked(registry)
    assert await on_trial(registry) == [False]


async def test_a_device_that_brings_its_own_password_anew_has_it_at_once() -> None:
    registry = await rotating()
    await asked(registry, MqttBasic("", "field", PASSWORD))
    anew = MqttBasic("", "field", Secret("pw-0043"))
    assert await asked(registry, anew) == anew
    assert await on_trial(registry) == [False]
    await logged_in(registry, anew)


async def test_beside_others_its_own_is_tried_all_the_same() -> None:
    registry = await rotating()
    token = await asked(registry)
    device = (await registry.known(NAME)).device
    registry.clock.advance(1)
    basic = MqttBasic("", "field", PASSWORD)
    await registry.repository.commit(Changes(insert=(await registry.issuer.issue(basic, device.id, keep=False),)))
    await asked(registry, basic)
    assert await on_trial(registry) == [False, True]
    await logged_in(registry, basic)
    assert not await is_good(registry, token)


async def test_a_device_that_has_all_it_may_have_gets_no_other() -> None:
    registry = await rotating()
    await asked(registry)
    device = (await registry.known(NAME)).device
    more: Iterable[Credential] = [
        await registry.issuer.issue(AccessToken(Secret(f"one-more-{place}")), device.id, keep=False)
        for place in range(MOST - 1)
    ]
    await registry.repository.commit(Changes(insert=tuple(more)))
    with pytest.raises(Refusal) as refusal:
        await asked(registry)
    assert (refusal.value.reason, refusal.value.check) == (Reason.CONFLICT, "credential.count")
    assert len((await registry.known(NAME)).credentials) == MOST


async def test_a_connection_that_uses_the_new_credential_ends_its_trial_by_asking_again() -> None:
    registry = await rotating()
    old = await asked(registry)
    new = await asked(registry)
    found = await registry.known(NAME)
    tried = next(each for each in found.credentials if each.trial)
    identity = Identity(found.device.tenant, found.device.id, NAME, tried.id)
    registry.clock.advance(1)
    latest = await registry.provision(msgspec.structs.replace(claim(NAME), proof=identity), CONTEXT)
    assert [await is_good(registry, each) for each in (old, new, latest.credential)] == [False, True, True]
    assert await on_trial(registry) == [False, True]


async def test_the_connection_of_another_device_proves_nothing() -> None:
    registry = await rotating()
    old = await asked(registry)
    await registry.provision(claim("other"), CONTEXT)
    other = (await registry.known("other")).device
    identity = Identity(other.tenant, other.id, "other", CredentialId("c"))
    await registry.provision(msgspec.structs.replace(claim(NAME), proof=identity), CONTEXT)
    assert await is_good(registry, old)


async def test_an_expected_device_gets_its_new_credential_the_same_way() -> None:
    registry = Registry()
    profile = await registry.profile(Strategy.PRE_PROVISIONED, Reprovision.ROTATE)
    await registry.device(profile, NAME, AccessToken(Secret("0wnT0kenOfTheDevice0")))
    given = await asked(registry)
    new = await asked(registry)
    await logged_in(registry, given)
    await logged_in(registry, new)
    assert not await is_good(registry, given)


async def test_either_secret_may_be_the_key_of_a_handshake_while_one_is_on_trial() -> None:
    registry = Registry()
    profile = await registry.profile(Strategy.PRE_PROVISIONED, Reprovision.ROTATE, credential_kind=CredentialKind.CLIENT_SECRET)
    device = await registry.device(profile, NAME, registry.issuer.new_secret())
    old, new = await asked(registry), await asked(registry)
    question = PresharedQuestion(device.id)
    keys = [(await registry.handshakes.preshared(question, CONTEXT)) for _ in range(64)]
    assert isinstance(old, ClientSecret)
    assert isinstance(new, ClientSecret)
    assert {each.key for each in keys} == {old.secret, new.secret}
    (tried,) = {each.identity for each in keys if each.key == new.secret}
    assert tried is not None
    await registry.authenticate(ProvenLogin(tried), CONTEXT)
    assert {(await registry.handshakes.preshared(question, CONTEXT)).key for _ in range(64)} == {new.secret}
