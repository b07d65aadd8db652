import pytest

from core.attestation import secret_row, verify
from core.errors import Refusal
from core.messages import SharedSecret
from core.model import Profile, ProfileId, Secret, Strategy
from tests.core.registry import KEY, SECRET, Registry


def evidence(key: str = KEY, secret: str = SECRET) -> SharedSecret:
    return SharedSecret(key, Secret(secret))


@pytest.mark.parametrize("strategy", [Strategy.CREATE_NEW, Strategy.PRE_PROVISIONED])
async def test_the_right_secret_is_the_profiles(strategy: Strategy) -> None:
    registry = Registry()
    profile = await registry.profile(strategy)
    assert verify(profile, evidence(), registry.vault) is profile


async def refused(check: str, profile: Profile | None, registry: Registry, claimed: SharedSecret) -> tuple[object, str, int]:
    before = registry.vault.opened
    with pytest.raises(Refusal) as refusal:
        verify(profile, claimed, registry.vault)
    assert refusal.value.check == check
    return refusal.value.reason, refusal.value.detail, registry.vault.opened - before


async def test_every_way_of_being_wrong_looks_the_same_and_opens_one_secret() -> None:
    registry = Registry()
    profile = await registry.profile()
    disabled = await registry.profile(Strategy.DISABLED, key="disabled")
    looks = {
        await refused("claim.key", None, registry, evidence()),
        await refused("claim.secret", profile, registry, evidence(secret=SECRET.upper())),
        await refused("claim.secret", profile, registry, evidence(secret=SECRET[:-1])),
        await refused("claim.secret", profile, registry, evidence(secret="\ud800")),
        await refused("claim.empty", profile, registry, evidence(secret="")),
        await refused("claim.empty", None, registry, evidence(key="")),
        await refused("claim.empty", None, registry, evidence("", "")),
        await refused("claim.secret", disabled, registry, evidence(secret="wrong")),
        await refused("profile.disabled", disabled, registry, evidence()),
    }
    assert len(looks) == 1
    ((_, detail, opened),) = looks
    assert opened == 1
    assert SECRET not in detail


async def test_a_profile_without_a_secret_lets_nobody_in() -> None:
    registry = Registry()
    profile = await registry.profile(secret="")
    await refused("claim.empty", profile, registry, evidence(secret=""))
    await refused("claim.secret", profile, registry, evidence())


async def test_the_decoys_text_lets_nobody_in() -> None:
    registry = Registry()
    text = registry.vault.open_decoy().reveal()
    await refused("claim.key", None, registry, evidence(secret=text))


def test_secrets_of_different_profiles_have_different_rows() -> None:
    assert secret_row(ProfileId("a")) != secret_row(ProfileId("b"))
