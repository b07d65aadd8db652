"""How many devices a claim key makes, whoever asks at once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.errors import Guard, Reason, Refusal
from core.messages import AccessToken, Provisioned
from core.model import DeviceState, Reprovision, Secret, Strategy
from core.operate.claim_rules import BurnProfile
from core.operate.messages import DefineDevice, DeleteDevice
from core.queries import Query, S
from core.strategy import APPROVE_NEW
from storage.memory import MemoryRepository
from storage.sqlite import open_sqlite
from tests.core.gatehouse import Gatehouse, from_host
from tests.core.registry import CONTEXT, claim
from tests.core.signing_fleet import enrolment

BUDGET = 100


@pytest.fixture(params=["memory", "sqlite"])
async def gate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Gatehouse]:
    if request.param == "memory":
        yield Gatehouse(Yielding())
        return
    async with open_sqlite(tmp_path / "registry.db") as repository:
        yield Gatehouse(repository)


class Yielding(MemoryRepository):
    """A memory store that lets others go on between a reading and what is written after it."""

    async def read(self, query: Query[S]) -> S:
        """Answer a query, and then let others go on."""
        answer = await super().read(query)
        await asyncio.sleep(0)
        return answer


async def test_of_two_hundred_at_once_as_many_get_in_as_may(gate: Gatehouse) -> None:
    profile = await gate.limit(await gate.profile(), budget=BUDGET)
    requests = (gate.provision(claim(f"meter-{number}"), from_host(number)) for number in range(2 * BUDGET))
    outcomes = await asyncio.gather(*requests, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, Refusal)]
    assert len(outcomes) - len(refused) == BUDGET == len(await gate.devices()) == await gate.made(profile)
    assert {(each.reason, each.check) for each in refused} == {(Reason.FORBIDDEN, "claim.budget")}


async def test_of_two_hundred_that_sign_at_once_as_many_get_in_as_may(gate: Gatehouse) -> None:
    group = await gate.limit(await gate.group(), budget=BUDGET)
    requests = (gate.enrol(enrolment(f"SN-{number}"), from_host(number)) for number in range(2 * BUDGET))
    outcomes = await asyncio.gather(*requests, return_exceptions=True)
    refused = [each for each in outcomes if isinstance(each, Refusal)]
    assert len(outcomes) - len(refused) == BUDGET == await gate.made(group)
    assert {(each.reason, each.check) for each in refused} == {(Reason.FORBIDDEN, "claim.budget")}


async def test_nobody_is_made_beside_a_key_that_burns(gate: Gatehouse) -> None:
    profile = await gate.profile()
    requests = [gate.provision(claim(f"meter-{number}"), from_host(number)) for number in range(50)]
    outcomes = await asyncio.gather(*requests, gate.command(BurnProfile(profile.name)), return_exceptions=True)
    made = len(await gate.devices())
    assert await gate.made(profile) == made
    checks = {each.check for each in outcomes if isinstance(each, Refusal)}
    assert checks <= {"claim.burned"}


async def test_deleted_devices_count_still_and_those_of_operators_do_not(gate: Gatehouse) -> None:
    profile = await gate.limit(await gate.profile(), budget=2)
    await gate.come(claim("m1"))
    await gate.command(DefineDevice(name="by hand", profile=profile.name))
    assert await gate.made(profile) == 1
    await gate.command(DeleteDevice("m1"))
    await gate.come(claim("m2"))
    assert (await gate.refused(claim("m3"))).check == "claim.budget"
    assert await gate.made(profile) == 2


async def test_who_asks_again_is_not_made(gate: Gatehouse) -> None:
    profile = await gate.limit(await gate.profile(reprovision=Reprovision.SAME), budget=1)
    first = await gate.come(claim())
    again = await gate.come(claim())
    assert isinstance(first, Provisioned)
    assert isinstance(again, Provisioned)
    assert again.credential == first.credential
    assert await gate.made(profile) == 1


async def test_expected_devices_are_not_made(gate: Gatehouse) -> None:
    profile = await gate.limit(await gate.profile(Strategy.PRE_PROVISIONED), budget=0)
    await gate.device(profile, "meter-0042", AccessToken(Secret("0wnT0kenOfTheDevice0")))
    await gate.come(claim())
    assert (await gate.known("meter-0042")).device.state is DeviceState.PROVISIONED
    assert await gate.made(profile) == 0


async def test_what_a_profile_has_when_it_is_limited_counts(gate: Gatehouse) -> None:
    profile = await gate.profile()
    await gate.come(claim("m1"))
    await gate.come(claim("m2"))
    assert await gate.made(profile) is None
    await gate.limit(profile, budget=3)
    assert await gate.made(profile) == 2
    await gate.come(claim("m3"))
    assert (await gate.refused(claim("m4"))).check == "claim.budget"
    assert Guard.DEVICE_BUDGET.value == "device_budget"
    await gate.limit(profile, budget=4)
    await gate.provision(claim("m4"), CONTEXT)
    assert await gate.made(profile) == 4


async def test_nobody_waits_for_approval_whom_a_key_may_not_make(gate: Gatehouse) -> None:
    await gate.limit(await gate.profile(options=(APPROVE_NEW,)), budget=0)
    assert (await gate.refused(claim())).check == "claim.budget"


async def test_a_serial_that_waits_for_its_allocation_is_made(gate: Gatehouse) -> None:
    group = await gate.limit(await gate.group(auto_activation=False), budget=1)
    assert (await gate.refused(enrolment("SN-1"))).check == "device.not_allocated"
    assert (await gate.refused(enrolment("SN-2"))).check == "claim.budget"
    assert await gate.made(group) == 1
