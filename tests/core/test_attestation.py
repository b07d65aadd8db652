import msgspec
import pytest

from core.attestation import secret_row, valid_secrets, verify
from core.errors import Refusal
from core.messages import SharedSecret
from core.model import Profile, ProfileId, Secret, Strategy
from tests.core.registry import KEY, SECRET, Registry

BEFORE = "the-secret-before-it"


def evidence(key: str = KEY, secret: str = SECRET) -> SharedSecret:
    return SharedSecret(key, Secret(secret))


def rotated(registry: Registry, profile: Profile, until: int) -> Profile:
    """Return a profile whose secret was another one before, good until then."""
    previous = registry.vault.seal(Secret(BEFORE), secret_row(profile.id))
    return msgspec.structs.replace(profile, previous_secret=previous, previous_until=until)


@pytest.mark.parametrize("strategy", [Strategy.CREATE_NEW, Strategy.PRE_PROVISIONED])
async def test_the_right_secret_is_the_profiles(strategy: Strategy) -> None:
    registry = Registry()
    profile = await registry.profile(strategy)
    assert verify(profile, evidence(), registry.vault, registry.clock.now()) is profile


async def refused(check: str, profile: Profile | None, registry: Registry, claimed: SharedSecret) -> tuple[object, str, int]:
    before = registry.vault.opened
    with pytest.raises(Refusal) as refusal:
        verify(profile, claimed, registry.vault, registry.clock.now())
    assert refusal.value.check == check
    return refusal.value.reason, refusal.value.detail, registry.vault.opened - before


async def test_every_way_of_being_wrong_looks_the_same_and_opens_two_secrets() -> None:
    registry = Registry()
    profile = await registry.profile()
    disabled = await registry.profile(Strategy.DISABLED, key="disabled")
    signed = await registry.profile(Strategy.SIGNED, key="signed")
    two = rotated(registry, profile, registry.clock.now() + 1)
    late = rotated(registry, profile, registry.clock.now())
    looks = {
        await refused("claim.key", None, registry, evidence()),
        await refused("claim.secret", profile, registry, evidence(secret=SECRET.upper())),
        await refused("claim.secret", profile, registry, evidence(secret=SECRET[:-1])),
        await refused("claim.secret", profile, registry, evidence(secret="\ud800")),
        await refused("claim.secret", profile, registry, evidence(secret=BEFORE)),
        await refused("claim.secret", two, registry, evidence(secret="wrong")),
        await refused("claim.secret", late, registry, evidence(secret=BEFORE)),
        await refused("claim.empty", profile, registry, evidence(secret="")),
        await refused("claim.empty", None, registry, evidence(key="")),
        await refused("claim.empty", None, registry, evidence("", "")),
        await refused("claim.secret", disabled, registry, evidence(secret="wrong")),
        await refused("profile.disabled", disabled, registry, evidence()),
        await refused("profile.signed", signed, registry, evidence()),
    }
    assert len(looks) == 1
    ((_, detail, opened),) = looks
    assert opened == 2
    assert SECRET not in detail


async def test_two_secrets_are_good_inside_the_window_and_one_after_it() -> None:
    registry = Registry()
    now = registry.clock.now()
    profile = rotated(registry, await registry.profile(), now + 1)
    for secret in (SECRET, BEFORE):
        assert verify(profile, evidence(secret=secret), registry.vault, now) is profile
    assert valid_secrets(profile, registry.vault, now) == (Secret(SECRET), Secret(BEFORE))
    verify(profile, evidence(), registry.vault, now + 1)
    assert Secret(BEFORE) not in valid_secrets(profile, registry.vault, now + 1)
    with pytest.raises(Refusal):
        verify(profile, evidence(secret=BEFORE), registry.vault, now + 1)


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
