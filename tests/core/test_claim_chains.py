"""How far a profile reaches whose devices come with a chain of certificates."""

import msgspec

from core.messages import CertificateLogin
from core.model import ChainPolicy, ClaimPolicy, Profile, Strategy
from core.operate.claim_rules import BurnProfile, GiveLeave
from core.operate.messages import DeleteDevice, RevokeCredentials
from tests.core.authorities import Holder, authority, issue, sent
from tests.core.gatehouse import Gatehouse
from tests.core.registry import CONTEXT
from tests.core.test_certificate_logins import refused

ROOT = authority("root")
ANCHOR = authority("field", ROOT)
PUMP = issue("pump7", ANCHOR)
OTHER = issue("pump8", ANCHOR)
ANEW = issue("pump7", ANCHOR)
CHAIN = ChainPolicy(anchor=ANCHOR.id, anchor_name=ANCHOR.name, authorities=(ANCHOR.credential.text,))


async def chained(gate: Gatehouse, **policy: object) -> Profile:
    return await gate.limit(await gate.profile(Strategy.CERTIFICATE_CHAIN, chain=CHAIN), **policy)


async def let_in(gate: Gatehouse, *chain: Holder) -> str:
    gate.clock.advance(0.001)
    return (await gate.authenticate(CertificateLogin(sent(*chain)), CONTEXT)).device_name


async def test_a_chain_makes_no_more_than_it_may() -> None:
    gate = Gatehouse()
    profile = await chained(gate, budget=1)
    assert await let_in(gate, PUMP, ANCHOR) == "pump7"
    await refused(gate, OTHER, ANCHOR, check="claim.budget")
    assert await let_in(gate, ANEW, ANCHOR) == "pump7"
    assert await gate.made(profile) == 1


async def test_a_chain_is_for_some_names_and_some_time() -> None:
    gate = Gatehouse()
    profile = await chained(gate, ranges=("pump1..pump7",))
    await let_in(gate, PUMP, ANCHOR)
    await refused(gate, OTHER, ANCHOR, check="claim.name")
    await gate.limit(profile, closes_at=gate.clock.now())
    await refused(gate, OTHER, ANCHOR, check="claim.over")


async def test_a_burned_chain_lets_in_whom_it_knows_and_nobody_else() -> None:
    gate = Gatehouse()
    profile = await chained(gate)
    await let_in(gate, PUMP, ANCHOR)
    await gate.command(BurnProfile(profile.name))
    assert await let_in(gate, PUMP, ANCHOR) == "pump7"
    for chain in (OTHER, ANEW):
        await refused(gate, chain, ANCHOR, check="claim.burned")


async def test_a_device_that_left_comes_back_with_its_chain_by_leave_alone() -> None:
    gate = Gatehouse()
    assert (await chained(gate)).claims == ClaimPolicy()
    await let_in(gate, PUMP, ANCHOR)
    await gate.command(DeleteDevice("pump7"))
    await refused(gate, PUMP, ANCHOR, check="device.tombstone")
    await gate.leave("pump7")
    assert await let_in(gate, PUMP, ANCHOR) == "pump7"
    await gate.command(RevokeCredentials("pump7"))
    await refused(gate, PUMP, ANCHOR, check="credential.revoked")
    await gate.leave("pump7")
    assert await let_in(gate, PUMP, ANCHOR) == "pump7"
    assert not await gate.is_marked("pump7")


async def test_a_chain_that_makes_no_devices_brings_none_back() -> None:
    gate = Gatehouse()
    profile = await chained(gate)
    await let_in(gate, PUMP, ANCHOR)
    await gate.command(DeleteDevice("pump7"))
    await gate.change_group(profile, chain=msgspec.structs.replace(CHAIN, create=False))
    assert (await gate.commanded_in_vain(GiveLeave("pump7"))).check == "leave.pre_provisioned"
