"""How an operator limits what a claim key is good for, and what cannot be meant."""

from typing import Any

import pytest

from core.errors import Reason
from core.model import ClaimPolicy, ClaimRate, EventKind
from core.operate.claim_keys import MOST_DEVICES, MOST_MS, MOST_PER_MINUTE, NAMES, RANGES
from core.operate.claim_rules import BurnProfile, ClaimRules
from core.operate.messages import ChangeProfile, CreateProfile
from tests.operating import Desk

RULES = ClaimRules(budget=5, names=("two", "m-01..m-99", "one", "two"), pattern="gw-.*", rate=ClaimRate(60, 5))
POLICY = ClaimPolicy(budget=5, names="two\none", ranges=("m-01..m-99",), pattern="gw-.*", rate=ClaimRate(60, 5))


async def test_a_profile_is_made_with_its_limits() -> None:
    desk = Desk()
    profile = await desk.profile(claims=RULES)
    assert (profile.claims, profile.made) == (POLICY, 0)
    assert (await desk.profile("open")).claims is None


async def test_limits_are_changed_one_by_one() -> None:
    desk = Desk()
    await desk.profile()
    await desk.device()
    changed = await desk(ChangeProfile(ref="meters", claims=RULES))
    assert (changed.claims, changed.made) == (POLICY, 1)
    changed = await desk(ChangeProfile(ref="meters", claims=ClaimRules(budget=None, names=(), opens_at=5, tombstones=False)))
    assert changed.claims == ClaimPolicy(pattern="gw-.*", rate=ClaimRate(60, 5), opens_at=5, tombstones=False)
    before = len(await desk.events(EventKind.PROFILE_CHANGED))
    await desk(ChangeProfile(ref="meters", claims=ClaimRules(opens_at=5)))
    assert len(await desk.events(EventKind.PROFILE_CHANGED)) == before
    assert (await desk(ChangeProfile(ref="meters", claims=None))).claims is None
    (*_, event) = await desk.events(EventKind.PROFILE_CHANGED)
    assert event.detail == "claims"


async def test_no_change_brings_a_burned_key_back() -> None:
    desk = Desk()
    await desk.profile(claims=RULES)
    burned = await desk(BurnProfile("meters"))
    at = burned.claims.burned_at
    for rules in (RULES, None):
        changed = await desk(ChangeProfile(ref="meters", claims=rules))
        assert changed.claims.burned_at == at
        assert changed.claims.allowance == 0
    (event,) = await desk.events(EventKind.PROFILE_BURNED)
    assert event.detail == "meters"


@pytest.mark.parametrize(
    ("rules", "check"),
    [
        ({"budget": -1}, "profile.claim_budget"),
        ({"budget": MOST_DEVICES + 1}, "profile.claim_budget"),
        ({"opens_at": 5, "closes_at": 5}, "profile.claim_window"),
        ({"opens_at": -1}, "profile.claim_window"),
        ({"closes_at": MOST_MS + 1}, "profile.claim_window"),
        ({"closes_at": 0}, "profile.claim_window"),
        ({"rate": ClaimRate(0, 1)}, "profile.claim_rate"),
        ({"rate": ClaimRate(1, 0)}, "profile.claim_rate"),
        ({"source_rate": ClaimRate(1, MOST_PER_MINUTE + 1)}, "profile.claim_rate"),
        ({"names": ("",)}, "device.name_missing"),
        ({"names": (" ",)}, "device.name_blank"),
        ({"names": ("a\nb",)}, "device.name_characters"),
        ({"names": tuple(f"m{number}" for number in range(NAMES + 1))}, "profile.claim_names"),
        ({"names": tuple(f"m{number:0200}" for number in range(NAMES))}, "profile.claim_names"),
        ({"names": tuple(f"m{number}..m{number + 1}" for number in range(RANGES + 1))}, "profile.claim_names"),
        ({"pattern": "("}, "profile.claim_pattern"),
        ({"pattern": "(a+)+"}, "profile.claim_pattern"),
        ({"pattern": "a.*b.*c.*d.*e"}, "profile.claim_pattern"),
        ({"pattern": "a" * 256}, "profile.claim_pattern"),
        ({"pattern": r"(a)\1"}, "profile.claim_pattern"),
    ],
)
async def test_what_cannot_be_meant(rules: dict[str, Any], check: str) -> None:
    refusal = await Desk().refused(CreateProfile(name="meters", claims=ClaimRules(**rules)))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)


async def test_some_thousands_of_names_are_possible() -> None:
    desk = Desk()
    profile = await desk.profile(claims=ClaimRules(names=tuple(f"meter-{number:x}" for number in range(NAMES))))
    assert profile.claims is not None
    assert len(profile.claims.names.splitlines()) == NAMES
