"""Guesses at a claim secret: how many are looked at, and that the owner comes in from elsewhere meanwhile."""

from core.errors import Reason
from core.limits import Rate
from core.messages import Context
from tests.core.gatehouse import Gatehouse, from_host
from tests.core.registry import claim
from tests.core.signing_fleet import SERIAL, enrolment

GUESSES = 10_000
OF_A_KEY = 500
OF_A_SOURCE = 200
OWNER = Context("c", "http", "thingsboard", "203.0.113.5")


def gatehouse() -> Gatehouse:
    return Gatehouse(sources=Rate(1.0, OF_A_SOURCE), claim_keys=Rate(1.0, OF_A_KEY), refusals=Rate(0.01, 1))


def a_guess(number: int) -> str:
    return f"guess {number:014}"


async def looked_at(gate: Gatehouse, hosts: int) -> int:
    """Guess from so many hosts in turn; returns at how many guesses anybody looked."""
    checks = [(await gate.refused(claim(secret=a_guess(at)), from_host(at % hosts))) for at in range(GUESSES)]
    assert {each.reason for each in checks} == {Reason.UNAUTHENTICATED, Reason.TOO_MANY}
    return sum(each.check == "claim.secret" for each in checks)


async def test_guesses_from_one_source_end() -> None:
    gate = gatehouse()
    await gate.profile()
    assert await looked_at(gate, 1) <= OF_A_SOURCE + 11  # it takes ten seconds, in which some more may be made
    assert (await gate.refused(claim(), from_host(0))).check in ("limit.source", "limit.claim_key")
    await gate.come(claim(), OWNER)


async def test_guesses_from_a_hundred_sources_end() -> None:
    gate = gatehouse()
    await gate.profile()
    assert await looked_at(gate, 100) <= OF_A_KEY + 100 + 11
    refusal = await gate.refused(claim(), from_host(0))
    assert (refusal.reason, refusal.check) == (Reason.TOO_MANY, "limit.claim_key")
    assert refusal.retry_after is not None
    await gate.come(claim(), OWNER)


async def test_guesses_that_go_on_do_not_keep_the_owner_out() -> None:
    gate = gatehouse()
    await gate.profile()
    await looked_at(gate, 100)
    for number in range(100):
        await gate.refused(claim(secret="wrong"), from_host(number))
        await gate.come(claim(f"meter-{number}"), OWNER)


async def test_guesses_at_one_key_are_nothing_to_another() -> None:
    gate = gatehouse()
    await gate.profile()
    await gate.profile(key="another")
    await looked_at(gate, 100)
    await gate.come(claim(key="another"), OWNER)


async def test_a_source_is_listened_to_again_after_a_while() -> None:
    gate = Gatehouse(claim_keys=Rate(0.001, 1))
    await gate.profile()
    await gate.refused(claim(secret="wrong"), from_host(1))
    assert (await gate.refused(claim(), from_host(1))).check == "limit.claim_key"
    gate.clock.advance(60.0)
    await gate.come(claim(), from_host(1))


async def test_guesses_at_a_groups_password_end_and_its_devices_come_in() -> None:
    gate = Gatehouse(sources=Rate(1.0, OF_A_SOURCE), groups=Rate(1.0, OF_A_KEY), refusals=Rate(0.01, 1))
    await gate.group()
    checks = [(await gate.refused(enrolment(password=a_guess(at)), from_host(at % 100))).check for at in range(GUESSES)]
    assert checks.count("signature.wrong") <= OF_A_KEY + 100 + 11
    assert (await gate.come(enrolment(), OWNER)).device.serial == SERIAL
