import asyncio
from collections.abc import Callable

import msgspec
import pytest

from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import AccessToken, Certificate, CredentialValue, MqttBasic, Provisioned, ProvisionRequest
from core.model import DeviceState, EventKind, Profile, Reprovision, Secret, Strategy
from core.ports import Changes, Delete
from tests.core.faulty import Conflicting, FaultyRepository, RacedRepository, no_fault
from tests.core.registry import CONTEXT, Registry, claim

NAME = "meter-0042"
TOKEN = AccessToken(Secret("0wnT0kenOfTheDevice0"))
BASIC = MqttBasic("meter-0042", "field", Secret("pw-0042"))
CERTIFICATE = Certificate("MIIBszCCAVmgAwIBAgIU")
OWN: list[CredentialValue] = [TOKEN, BASIC, MqttBasic("", "field"), MqttBasic("meter-0042"), CERTIFICATE]


async def refused(registry: Registry, request: ProvisionRequest) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        await registry.provision(request, CONTEXT)
    return refusal.value


async def conflicted(
    guard: Guard, times: int, prepare: Callable[[Registry], object] = lambda _: None
) -> tuple[Registry, Provisioned | Refusal]:
    """Provision a device while the first commits meet a conflict."""
    fault = Conflicting(Conflict(guard), times)
    repository = FaultyRepository(fault)
    await Registry(repository.inner).profile()
    registry = Registry(repository)
    prepare(registry)
    try:
        return registry, await registry.provision(claim(), CONTEXT)
    except Refusal as refusal:
        return registry, refusal


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("guard", Guard)
async def test_a_conflict_is_decided_anew(guard: Guard, times: int) -> None:
    registry, given = await conflicted(guard, times)
    assert isinstance(given, Provisioned)
    assert [device.id for device in await registry.devices()] == [given.device.id]
    assert [event.kind for event in await registry.events()] == [EventKind.PROVISION_SUCCEEDED]


async def test_after_three_conflicts_the_device_is_asked_to_come_again() -> None:
    registry, refusal = await conflicted(Guard.VERSION, 3)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.check, refusal.retry_after) == (Reason.UNAVAILABLE, "registry.conflict", 1.0)
    assert await registry.devices() == ()
    assert [event.check for event in await registry.events()] == ["registry.conflict"]


async def test_of_two_devices_with_one_name_exactly_one_gets_in() -> None:
    registry = Registry(FaultyRepository(no_fault))
    await registry.profile()
    results = await asyncio.gather(*(registry.provision(claim(), CONTEXT) for _ in range(8)), return_exceptions=True)
    assert [isinstance(result, Provisioned) for result in results].count(True) == 1
    assert {result.check for result in results if isinstance(result, Refusal)} == {"device.exists"}


async def raced(strategy: Strategy, reprovision: Reprovision) -> tuple[RacedRepository, Registry, Profile]:
    repository = RacedRepository()
    registry = Registry(repository)
    return repository, registry, await registry.profile(strategy, reprovision)


async def test_a_rival_that_took_the_name_is_seen_in_the_second_reading() -> None:
    repository, registry, profile = await raced(Strategy.CREATE_NEW, Reprovision.DENY)
    rival = Registry()
    device = await rival.device(await rival.profile(), NAME)
    repository.rival = Changes(insert=(msgspec.structs.replace(device, profile=profile.id),))
    assert (await refused(registry, claim())).check == "device.exists"
    assert repository.reads == 2
    (event,) = await registry.events()
    assert event.device == device.id


async def test_a_rival_that_took_the_token_is_seen_too() -> None:
    repository, registry, profile = await raced(Strategy.CREATE_NEW, Reprovision.DENY)
    device = await registry.device(profile, "other")
    repository.rival = Changes(insert=(await registry.issuer.issue(TOKEN, device.id, keep=False),))
    assert (await refused(registry, claim(value=TOKEN))).check == "credential.taken"
    assert await registry.snapshot(NAME) is None


async def test_a_rival_that_took_the_last_place_is_seen_too() -> None:
    repository, registry, profile = await raced(Strategy.CREATE_NEW, Reprovision.DENY)
    await registry.limit_devices(1)
    other = Registry()
    device = await other.device(await other.profile(), "other")
    repository.rival = Changes(insert=(msgspec.structs.replace(device, profile=profile.id),))
    assert (await refused(registry, claim())).check == "tenant.device_limit"


async def test_a_profile_that_was_deleted_meanwhile_is_not_known_any_more() -> None:
    repository, registry, profile = await raced(Strategy.CREATE_NEW, Reprovision.DENY)
    repository.rival = Changes(delete=(Delete(profile),))
    assert (await refused(registry, claim())).check == "claim.key"


async def test_an_expected_device_that_a_rival_activated_is_not_activated_twice() -> None:
    repository, registry, profile = await raced(Strategy.PRE_PROVISIONED, Reprovision.DENY)
    device = await registry.device(profile, NAME, TOKEN)
    repository.rival = Changes(replace=(msgspec.structs.replace(device, state=DeviceState.PROVISIONED, version=2),))
    assert (await refused(registry, claim())).check == "device.already_provisioned"


async def test_two_rotations_at_once_leave_the_old_credential_and_both_on_trial() -> None:
    registry = Registry(FaultyRepository(no_fault))
    await registry.profile(reprovision=Reprovision.ROTATE)
    old = await registry.provision(claim(), CONTEXT)
    given = await asyncio.gather(*(registry.provision(claim(), CONTEXT) for _ in range(2)))
    held = (await registry.known(NAME)).credentials
    on_trial = {each.lookup for each in held if each.trial}
    assert on_trial == {registry.issuer.lookup(one.credential) for one in given}
    assert [each.lookup for each in held if not each.trial] == [registry.issuer.lookup(old.credential)]
