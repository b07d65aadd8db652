"""How far a claim key reaches: its time, the names it is for, its rates and its budget, and its end."""

from typing import Any

import pytest

from core.claim_policy import read_range, takes_name
from core.errors import Reason, Refusal
from core.messages import AccessToken, PresharedQuestion, TokenLogin
from core.model import ClaimPolicy, ClaimRate, EventKind, Reprovision, Secret, Strategy
from core.operate.claim_rules import BurnProfile
from core.operate.messages import RotateProfile
from tests.core.gatehouse import NAME, Gatehouse, from_host
from tests.core.registry import CONTEXT, KEY, claim
from tests.core.signing_fleet import SERIAL, enrolment
from tests.fakes import START

TOKEN = AccessToken(Secret("0wnT0kenOfTheDevice0"))
NOT_KNOWN = "the claim key and its secret are not known"

# Names


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("sensor-0001..sensor-5000", ("sensor-", "0001", "5000")),
        ("8..12", ("", "8", "12")),
        ("a0..a0", ("a", "0", "0")),
        ("1a1..1a9", ("1a", "1", "9")),
        ("sensor-5..sensor-1", None),
        ("sensor-08..sensor-120", None),
        ("a1..b9", None),
        ("a..b", None),
        ("meter", None),
        ("1" * 19 + ".." + "9" * 19, None),
    ],
)
def test_what_is_a_range(text: str, read: tuple[str, str, str] | None) -> None:
    assert read_range(text) == read


@pytest.mark.parametrize(
    ("policy", "taken", "not_taken"),
    [
        ({}, ["", "anything"], []),
        ({"names": "one\ntwo"}, ["one", "two"], ["", "three", "on", "one\ntwo", "\n"]),
        (
            {"ranges": ("s-0001..s-5000",)},
            ["s-0001", "s-2500", "s-5000"],
            ["", "s-0000", "s-5001", "s-1", "s-00001", "x-0001", "s-", "s-000a", "s-²001"],
        ),
        ({"ranges": ("8..12",)}, ["8", "9", "10", "12"], ["7", "13", "08", "1²"]),
        ({"pattern": "gw-[a-f]{2}"}, ["gw-ab"], ["gw-abc", "xgw-ab", ""]),
        ({"names": "one", "ranges": ("a1..a3",), "pattern": "b.*"}, ["one", "a2", "bee"], ["two"]),
        ({"ranges": ("no range",)}, [], ["no range"]),
    ],
)
def test_which_names_a_key_is_for(policy: dict[str, Any], taken: list[str], not_taken: list[str]) -> None:
    assert [name for name in (*taken, *not_taken) if takes_name(ClaimPolicy(**policy), name)] == taken


@pytest.mark.parametrize("strategy", [Strategy.CREATE_NEW, Strategy.PRE_PROVISIONED])
async def test_a_key_lets_in_only_those_it_is_for(strategy: Strategy) -> None:
    gate = Gatehouse()
    profile = await gate.limit(await gate.profile(strategy), ranges=("meter-0001..meter-0100",))
    for name in (NAME, "meter-0101"):
        if strategy is Strategy.PRE_PROVISIONED:
            await gate.device(profile, name, AccessToken(Secret(f"token of {name} 0000")))
    await gate.come(claim())
    refusal = await gate.refused(claim("meter-0101"))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "claim.name")
    assert (await gate.refused(claim(None))).check in ("claim.name", "device.name_missing")
    assert (await gate.events())[-1].check == "claim.name"


async def test_devices_that_sign_are_held_to_their_serial() -> None:
    gate = Gatehouse()
    await gate.limit(await gate.group(), names=SERIAL)
    await gate.come(enrolment())
    refusal = await gate.refused(enrolment("SN-0002"))
    assert (refusal.reason, refusal.check) == (Reason.FORBIDDEN, "claim.name")


# Time


@pytest.mark.parametrize("reprovision", [Reprovision.SAME, Reprovision.ROTATE])
async def test_a_key_is_good_in_its_time_alone(reprovision: Reprovision) -> None:
    gate = Gatehouse()
    await gate.limit(await gate.profile(reprovision=reprovision), opens_at=START + 10_000, closes_at=START + 20_000)
    refusal = await gate.refused(claim())
    assert (refusal.reason, refusal.check, refusal.detail) == (Reason.UNAUTHENTICATED, "claim.early", NOT_KNOWN)
    gate.clock.advance(10.0)
    await gate.come(claim())
    gate.clock.advance(10.0)
    for name in (NAME, "another"):
        refusal = await gate.refused(claim(name))
        assert (refusal.reason, refusal.check, refusal.detail) == (Reason.UNAUTHENTICATED, "claim.over", NOT_KNOWN)


async def test_a_wrong_secret_looks_the_same_out_of_time() -> None:
    gate = Gatehouse()
    await gate.limit(await gate.profile(), closes_at=START)
    right, wrong = await gate.refused(claim()), await gate.refused(claim(secret="wrong"))
    assert (right.reason, right.detail) == (wrong.reason, wrong.detail)
    assert (right.check, wrong.check) == ("claim.over", "claim.secret")


async def test_a_group_is_let_in_in_its_time_alone() -> None:
    gate = Gatehouse()
    await gate.limit(await gate.group(), opens_at=START + 1_000_000)
    refusal, wrong = await gate.refused(enrolment()), await gate.refused(enrolment(password="wrong"))
    assert (refusal.reason, refusal.check, refusal.detail) == (Reason.UNAUTHENTICATED, "claim.early", wrong.detail)


# Rates


async def test_a_key_lets_in_so_many_at_a_time() -> None:
    gate = Gatehouse()
    await gate.limit(await gate.profile(), rate=ClaimRate(60, 2))
    for number in range(2):
        await gate.provision(claim(f"m{number}"), from_host(number))
    with pytest.raises(Refusal) as refused:
        await gate.provision(claim("m2"), from_host(2))
    assert (refused.value.reason, refused.value.check, refused.value.retry_after) == (Reason.TOO_MANY, "claim.rate", 1.0)
    gate.clock.advance(1.0)
    await gate.provision(claim("m2"), from_host(2))


async def test_a_source_gets_in_so_many_at_a_time_and_others_beside_it() -> None:
    gate = Gatehouse()
    await gate.limit(await gate.profile(), source_rate=ClaimRate(1, 1), rate=ClaimRate(60_000, 60_000))
    await gate.come(claim("m1"))
    refusal = await gate.refused(claim("m2"))
    assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "claim.source_rate")
    assert refusal.retry_after is not None
    await gate.come(claim("m2"), from_host(1))


async def test_groups_have_rates_too_and_a_request_counts_once() -> None:
    gate = Gatehouse()
    await gate.limit(await gate.group(), rate=ClaimRate(1, 2))
    await gate.come(enrolment())
    await gate.come(enrolment())
    refusal = await gate.refused(enrolment("SN-0002"))
    assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "claim.rate")


# The end of a key


async def test_a_burned_key_is_dead_and_what_it_made_lives() -> None:
    gate = Gatehouse()
    profile = await gate.profile(reprovision=Reprovision.SAME)
    await gate.come(claim(value=TOKEN))
    handshake = await gate.handshakes.preshared(PresharedQuestion(KEY), CONTEXT)
    assert handshake.claim == KEY
    burned = await gate.command(BurnProfile(profile.name))
    assert burned.claims.burned_at == gate.clock.now()
    assert burned.made == 1
    for request in (claim("new"), claim(), claim(value=TOKEN)):
        refusal = await gate.refused(request)
        assert (refusal.reason, refusal.check, refusal.detail) == (Reason.UNAUTHENTICATED, "claim.burned", NOT_KNOWN)
    assert not (await gate.handshakes.preshared(PresharedQuestion(KEY), CONTEXT)).claim
    assert (await gate.authenticate(TokenLogin(TOKEN.token), CONTEXT)).device_name == NAME
    assert [event.kind for event in await gate.events()].count(EventKind.PROFILE_BURNED) == 1


async def test_a_burned_key_stays_burned() -> None:
    gate = Gatehouse()
    profile = await gate.profile()
    first = await gate.command(BurnProfile(profile.name))
    assert await gate.command(BurnProfile(profile.name)) == first
    refusal = await gate.commanded_in_vain(RotateProfile(profile.name))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "profile.burned")


async def test_a_burned_group_gives_nobody_a_triple() -> None:
    gate = Gatehouse()
    group = await gate.group()
    await gate.come(enrolment())
    await gate.command(BurnProfile(group.name))
    for serial in (SERIAL, "SN-0002"):
        refusal = await gate.refused(enrolment(serial))
        assert (refusal.reason, refusal.check) == (Reason.UNAUTHENTICATED, "claim.burned")


async def test_both_secrets_of_a_rotation_let_in() -> None:
    gate = Gatehouse()
    profile = await gate.limit(await gate.profile(), budget=3)
    rotated = await gate.command(RotateProfile(profile.name, overlap_seconds=60))
    await gate.come(claim("with the old one"))
    await gate.come(claim("with the new one", secret=rotated.secret.reveal()))
    gate.clock.advance(60.0)
    assert (await gate.refused(claim("too late"))).check == "claim.secret"
    await gate.come(claim("new still", secret=rotated.secret.reveal()))
    assert await gate.made(profile) == 3
