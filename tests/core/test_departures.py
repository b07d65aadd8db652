"""Devices that were deleted or revoked: they do not come back by their claim key, but by an operator's leave, once."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from core.errors import Reason, Refusal
from core.messages import AccessToken, Certificate, EnrolRequest, Provisioned, ProvisionRequest
from core.model import Departure, DeviceState, EventKind, Profile, Reallocation, Reprovision, Secret, Strategy, Tombstone
from core.operate import allocating, messages
from core.operate.claim_rules import GiveLeave, ListTombstones
from core.operate.configuring import CreateClients, DeleteClient, NewClient
from core.operate.results import Page
from storage.sqlite import open_sqlite
from tests.core.gatehouse import NAME, Gatehouse
from tests.core.registry import CONTEXT, claim
from tests.core.signing_fleet import GROUP, SERIAL, enrolment

TOKEN = AccessToken(Secret("0wnT0kenOfTheDevice0"))
Ask = ProvisionRequest | EnrolRequest
WAYS = ("create", "expected", "signed")


@pytest.fixture(params=["memory", "sqlite"])
async def gate(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Gatehouse]:
    if request.param == "memory":
        yield Gatehouse()
        return
    async with open_sqlite(tmp_path / "registry.db") as repository:
        yield Gatehouse(repository)


async def came(gate: Gatehouse, way: str, **policy: bool) -> tuple[Profile, Ask, str]:
    """Let a device in; returns its profile, its request and its name."""
    if way == "signed":
        profile, name = await gate.group(), SERIAL
        request: Ask = enrolment()
    else:
        strategy = Strategy.PRE_PROVISIONED if way == "expected" else Strategy.CREATE_NEW
        profile, name = await gate.profile(strategy, Reprovision.SAME), NAME
        request = claim()
        if way == "expected":
            await gate.device(profile, NAME, TOKEN)
    if policy:
        profile = await gate.limit(profile, **policy)
    await gate.come(request)
    return profile, request, name


@pytest.mark.parametrize("way", ["create", "signed"])
async def test_a_deleted_device_comes_back_by_leave_alone_and_once(gate: Gatehouse, way: str) -> None:
    _, request, name = await came(gate, way)
    await gate.command(messages.DeleteDevice(name))
    refusal = await gate.refused(request)
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "device.tombstone")
    await gate.leave(name)
    back = await gate.come(request)
    assert back.device.name == name
    assert not await gate.is_marked(name)
    assert [each.detail for each in await gate.events() if each.kind is EventKind.PROVISION_SUCCEEDED][-1].endswith(
        ", by leave"
    )
    await gate.command(messages.DeleteDevice(name))
    assert (await gate.refused(request)).check == "device.tombstone"


@pytest.mark.parametrize("way", WAYS)
async def test_a_revoked_device_comes_back_by_leave_alone_and_once(gate: Gatehouse, way: str) -> None:
    _, request, name = await came(gate, way)
    await gate.command(messages.RevokeCredentials(name))
    assert (await gate.refused(request)).check == "credential.revoked"
    await gate.leave(name)
    back = await gate.come(request)
    assert not await gate.is_marked(name)
    assert (await gate.known(name)).credentials
    if isinstance(back, Provisioned):
        assert back.credential != TOKEN
    await gate.command(messages.RevokeCredentials(name))
    assert (await gate.refused(request)).check == "credential.revoked"


async def test_leave_counts_whatever_the_profile_says_of_those_who_come_again(gate: Gatehouse) -> None:
    await gate.profile(reprovision=Reprovision.DENY)
    await gate.come(claim())
    await gate.command(messages.RevokeCredentials(NAME))
    await gate.leave()
    await gate.come(claim())
    assert (await gate.refused(claim())).check == "device.exists"


async def test_leave_lets_no_disabled_device_in(gate: Gatehouse) -> None:
    await came(gate, "create")
    await gate.command(messages.RevokeCredentials(NAME))
    await gate.command(messages.ChangeDevice(ref=NAME, enabled=False))
    await gate.leave()
    assert (await gate.refused(claim())).check == "device.disabled"
    assert await gate.is_marked()


async def test_of_many_at_once_one_uses_a_leave(gate: Gatehouse) -> None:
    await gate.profile()
    await gate.come(claim())
    await gate.command(messages.DeleteDevice(NAME))
    await gate.leave()
    outcomes = await asyncio.gather(*(gate.provision(claim(), CONTEXT) for _ in range(20)), return_exceptions=True)
    assert sum(isinstance(each, Provisioned) for each in outcomes) == 1
    assert {each.check for each in outcomes if isinstance(each, Refusal)} <= {"device.exists", "registry.conflict"}


@pytest.mark.parametrize("way", ["create", "signed"])
async def test_a_leave_ends(gate: Gatehouse, way: str) -> None:
    _, request, name = await came(gate, way)
    await gate.command(messages.DeleteDevice(name))
    await gate.leave(name, seconds=60)
    gate.clock.advance(60.0)
    assert (await gate.refused(request)).check == "device.tombstone"
    await gate.leave(name, seconds=60)
    await gate.come(request)


async def test_a_key_of_another_profile_does_not_bring_it_back(gate: Gatehouse) -> None:
    await came(gate, "create")
    await gate.profile(key="another")
    await gate.command(messages.DeleteDevice(NAME))
    assert (await gate.refused(claim(key="another"))).check == "device.tombstone"


@pytest.mark.parametrize("way", ["create", "signed"])
async def test_fleets_that_delete_on_purpose_may_have_it_so(gate: Gatehouse, way: str) -> None:
    _, request, name = await came(gate, way, tombstones=False)
    await gate.command(messages.DeleteDevice(name))
    assert not await gate.is_marked(name)
    await gate.come(request)


async def test_a_profile_that_lets_devices_come_back_lets_those_back_that_left_before(gate: Gatehouse) -> None:
    profile, request, _ = await came(gate, "create")
    await gate.command(messages.DeleteDevice(NAME))
    await gate.limit(profile, tombstones=False)
    await gate.come(request)
    assert not await gate.is_marked()


async def test_an_operator_defines_a_device_anew(gate: Gatehouse) -> None:
    profile, _, _ = await came(gate, "expected")
    await gate.command(messages.DeleteDevice(NAME))
    assert await gate.gone() == [NAME]
    refusal = await gate.commanded_in_vain(GiveLeave(NAME))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "leave.pre_provisioned")
    await gate.command(messages.DefineDevice(name=NAME, profile=profile.name))
    assert await gate.gone() == []
    await gate.come(claim())
    await gate.command(messages.DeleteDevice(NAME))
    assert await gate.gone() == [NAME]


async def test_every_way_to_delete_a_device_keeps_it_out(gate: Gatehouse) -> None:
    group = await gate.group(reallocation=Reallocation.INITIALIZE)
    for serial in ("SN-1", "SN-2", "SN-3"):
        await gate.come(enrolment(serial))
    await gate.expect(group, "SN-4")
    await gate.command(allocating.DeleteSerials(GROUP, ("SN-1", "SN-2")))
    await gate.command(allocating.ReplaceSerial("SN-3", "SN-4"))
    (client,) = await gate.command(CreateClients((NewClient(id="client"),)))
    await gate.command(DeleteClient(id="client"))
    assert set(await gate.gone()) == {"SN-1", "SN-2", "SN-3", client.device.name}
    for serial in ("SN-1", "SN-2", "SN-3"):
        assert (await gate.refused(enrolment(serial))).check == "device.tombstone"


async def test_a_device_that_was_revoked_and_is_put_back_by_an_operator_still_needs_leave(gate: Gatehouse) -> None:
    await came(gate, "signed")
    await gate.command(messages.RevokeCredentials(SERIAL))
    await gate.command(messages.ChangeDevice(ref=SERIAL, state=DeviceState.DEFINED))
    assert (await gate.refused(enrolment())).check == "credential.revoked"
    await gate.command(allocating.ResetAllocations(GROUP, (SERIAL,)))
    await gate.leave(SERIAL)
    await gate.come(enrolment())


async def test_an_allocation_that_is_reset_is_no_revocation(gate: Gatehouse) -> None:
    await came(gate, "signed")
    await gate.command(messages.RevokeCredentials(SERIAL))
    assert await gate.is_marked(SERIAL)
    await gate.command(allocating.ResetAllocations(GROUP, (SERIAL,)))
    assert not await gate.is_marked(SERIAL)
    await gate.come(enrolment())


async def test_one_credential_of_several_is_no_departure(gate: Gatehouse) -> None:
    await came(gate, "create")
    page = await gate.command(messages.AddCredential(ref=NAME))
    added = page.items[0].credential.id
    await gate.command(messages.RevokeCredential(NAME, added))
    assert not await gate.is_marked()
    (last,) = (await gate.known(NAME)).credentials
    await gate.command(messages.RevokeCredential(NAME, last.id))
    assert await gate.is_marked()


async def test_nobody_is_given_leave_who_could_not_come(gate: Gatehouse) -> None:
    group, _, _ = await came(gate, "signed")
    await gate.command(messages.DeleteDevice(SERIAL))
    assert group.signed is not None
    closed = msgspec.structs.replace(group.signed, self_registration=False)
    await gate.change_group(group, signed=closed)
    assert (await gate.commanded_in_vain(GiveLeave(SERIAL))).check == "leave.pre_provisioned"


async def test_who_may_be_given_leave(gate: Gatehouse) -> None:
    await came(gate, "create")
    for ref, check in ((NAME, "leave.present"), ("nobody", "device.unknown")):
        assert (await gate.commanded_in_vain(GiveLeave(ref))).check == check
    assert (await gate.commanded_in_vain(GiveLeave(NAME, 0))).reason is Reason.MALFORMED
    await gate.command(messages.DeleteDevice(NAME))
    await gate.command(messages.DefineDevice(name=NAME, profile=(await gate.profile(key="p2")).name))
    assert (await gate.commanded_in_vain(GiveLeave(NAME))).check == "leave.present"


async def test_devices_that_were_revoked_before_are_given_leave_too(gate: Gatehouse) -> None:
    profile = await gate.profile()
    device = await gate.device(profile, NAME, state=DeviceState.CONNECTED)
    tombstone = await gate.command(GiveLeave(device.id))
    assert isinstance(tombstone, Tombstone)
    assert (tombstone.departure, tombstone.name) == (Departure.REVOKED, NAME)
    assert await gate.command(GiveLeave(tombstone.id)) != tombstone
    await gate.come(claim())


async def test_what_an_operator_sees(gate: Gatehouse) -> None:
    await gate.profile()
    for name in ("m1", "m2", "m3"):
        await gate.come(claim(name))
        await gate.command(messages.DeleteDevice(name))
    page = await gate.command(ListTombstones(limit=2))
    assert isinstance(page, Page)
    assert [each.name for each in page.items] == ["m1", "m2"]
    rest = await gate.command(ListTombstones(after=page.next, limit=2))
    assert ([each.name for each in rest.items], rest.next) == (["m3"], None)
    await gate.leave("m3")
    assert [event.device_name for event in await gate.events() if event.kind is EventKind.LEAVE_GRANTED] == ["m3"]


async def test_a_device_that_brings_its_own_certificate_brings_it_again(gate: Gatehouse) -> None:
    await gate.profile()
    request = claim(value=Certificate("MIIBszCCAVmgAwIBAgIU"))
    await gate.come(request)
    await gate.command(messages.RevokeCredentials(NAME))
    await gate.leave()
    back = await gate.come(request)
    assert isinstance(back, Provisioned)
    assert back.credential == request.credential
