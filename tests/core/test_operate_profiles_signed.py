"""Profiles whose devices sign, the kinds of credential that a profile fixes, and secrets that overlap."""

import re
from typing import Any

import msgspec
import pytest

from core.attestation import valid_secrets
from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import ProvisionRequest, SharedSecret
from core.model import CredentialKind, Profile, Reallocation, Secret, SignedPolicy, Strategy
from core.operate.messages import ChangeProfile, CreateProfile, RotateProfile, ShowProfile, SignedRules
from core.provision import Provision
from tests.operating import DEVICE_CONTEXT, Desk

DAY = 86_400


async def signed(desk: Desk, name: str = "pumps", **rules: Any) -> Profile:
    made = await desk(CreateProfile(name=name, strategy=Strategy.SIGNED, signed=SignedRules(**rules)))
    profile: Profile = made.profile
    return profile


async def test_group_product_key_and_secret_are_drawn() -> None:
    desk = Desk()
    made = await desk(CreateProfile(name="pumps", strategy=Strategy.SIGNED))
    profile = made.profile
    assert re.fullmatch("[A-Z0-9]{6}", profile.provision_key)
    assert len(made.secret.reveal()) >= 16
    assert re.fullmatch("[A-Za-z0-9]{8}", profile.signed.product_key)
    assert profile.signed == SignedPolicy(product_key=profile.signed.product_key)
    assert await desk(ShowProfile("pumps")) == profile


async def test_rules_that_are_given_are_kept() -> None:
    rules: dict[str, Any] = {
        "auto_activation": False,
        "self_registration": False,
        "timestamp_tolerance_s": None,
        "reallocation": Reallocation.INITIALIZE,
        "product_key": "a1B2c3D4",
        "mqtt_url": "ssl://mqtt.example.net:8883",
        "http_url": "https://http.example.net",
    }
    profile = await signed(Desk(), **rules)
    assert profile.signed == SignedPolicy(**rules)


@pytest.mark.parametrize(
    ("rules", "check"),
    [
        *(({"product_key": text}, "profile.product_key") for text in ("", "a&b", "ä", "a" * 65)),
        *(({"timestamp_tolerance_s": number}, "signed.timestamp_tolerance_s.bounds") for number in (-1, 366 * DAY + 1)),
        *(
            ({"mqtt_url": url}, "profile.mqtt_url")
            for url in (
                "mqtt://h:1",
                "tcp://h",
                "tcp://h:1/",
                "tcp://[::1]:1883",
                "tcp://h:0",
                "tcp://h:65536",
                "tcp://u:p@h:1",
                "tcp://h:1\n",
                "tcp://:1",
                f"tcp://{'h' * 254}:1",
            )
        ),
        *(
            ({"http_url": url}, "profile.http_url")
            for url in ("http://h/", "ftp://h", "http://", "http://[::1]", "http://h:99999", "http://h?x", "http://h.", "h")
        ),
    ],
)
async def test_rules_have_their_form(rules: dict[str, Any], check: str) -> None:
    desk = Desk()
    refusal = await desk.refused(CreateProfile(name="pumps", strategy=Strategy.SIGNED, signed=SignedRules(**rules)))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)
    await signed(desk)
    refusal = await desk.refused(ChangeProfile(ref="pumps", signed=SignedRules(**rules)))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)


@pytest.mark.parametrize("url", ["tcp://h:1", "ssl://mqtt-1.example.net:65535", "tcp://192.0.2.1:1883", ""])
async def test_addresses_of_brokers(url: str) -> None:
    profile = await signed(Desk(), mqtt_url=url)
    assert profile.signed is not None
    assert profile.signed.mqtt_url == url


@pytest.mark.parametrize("url", ["http://h", "https://h:8443", "http://192.0.2.1:80", f"http://{'h' * 253}"])
async def test_addresses_of_http_servers(url: str) -> None:
    profile = await signed(Desk(), http_url=url)
    assert profile.signed is not None
    assert profile.signed.http_url == url


@pytest.mark.parametrize("key", ["a b", "a/b", "ä", "a" * 65, "a&b"])
async def test_a_group_has_an_id_that_devices_can_send(key: str) -> None:
    desk = Desk()
    refusal = await desk.refused(CreateProfile(name="pumps", strategy=Strategy.SIGNED, provision_key=key))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "provision_key.group")
    await desk(CreateProfile(name="meters", provision_key=key))


async def test_a_group_whose_drawn_id_is_taken_is_drawn_again_and_a_given_one_is_refused() -> None:
    desk = Desk()
    desk.repository.failures = [Conflict(Guard.PROVISION_KEY)] * 2
    first = await signed(desk)
    before, after = (
        entity.provision_key
        for commit in desk.repository.commits[-2:]
        for entity in commit.insert
        if isinstance(entity, Profile)
    )
    assert before != after == first.provision_key
    given = CreateProfile(name="gauges", strategy=Strategy.SIGNED, provision_key=first.provision_key)
    refusal = await desk.refused(given)
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "provision_key")


async def test_rules_go_with_their_strategy_alone() -> None:
    desk = Desk()
    refusal = await desk.refused(CreateProfile(name="meters", signed=SignedRules()))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "profile.signed")
    await desk.profile()
    refusal = await desk.refused(ChangeProfile(ref="meters", signed=SignedRules(auto_activation=False)))
    assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "profile.not_signed")


async def test_a_change_leaves_the_other_rules_as_they_are() -> None:
    desk = Desk()
    before = await signed(desk, product_key="pk1", timestamp_tolerance_s=60)
    assert before.signed is not None
    change = ChangeProfile(ref="pumps", signed=SignedRules(auto_activation=False, timestamp_tolerance_s=None))
    after = await desk(change)
    assert after.signed == msgspec.structs.replace(before.signed, auto_activation=False, timestamp_tolerance_s=None)
    assert await desk(change) == after


async def test_what_signs_is_disabled_and_comes_back_and_nothing_else() -> None:
    desk = Desk()
    before = await signed(desk)
    disabled = await desk(ChangeProfile(ref="pumps", strategy=Strategy.DISABLED))
    assert (disabled.strategy, disabled.signed) == (Strategy.DISABLED, before.signed)
    assert (await desk(ChangeProfile(ref="pumps", strategy=Strategy.SIGNED))).strategy is Strategy.SIGNED
    for strategy in (Strategy.CREATE_NEW, Strategy.PRE_PROVISIONED):
        refusal = await desk.refused(ChangeProfile(ref="pumps", strategy=strategy))
        assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "profile.strategy")
    for strategy in (Strategy.CREATE_NEW, Strategy.PRE_PROVISIONED, Strategy.DISABLED):
        await desk.profile(strategy.value, strategy=strategy)
        refusal = await desk.refused(ChangeProfile(ref=strategy.value, strategy=Strategy.SIGNED))
        assert (refusal.reason, refusal.check) == (Reason.UNPROCESSABLE, "profile.strategy")


@pytest.mark.parametrize("kind", CredentialKind)
@pytest.mark.parametrize("strategy", [Strategy.CREATE_NEW, Strategy.SIGNED])
async def test_triples_are_for_devices_that_sign(kind: CredentialKind, strategy: Strategy) -> None:
    desk = Desk()
    command = CreateProfile(name="meters", strategy=strategy, credential_kind=kind)
    if (kind is CredentialKind.DEVICE_SECRET) is (strategy is Strategy.SIGNED):
        assert (await desk(command)).profile.credential_kind is kind
    else:
        refusal = await desk.refused(command)
        assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "profile.credential_kind")


async def test_metadata_is_kept_and_replaced() -> None:
    desk = Desk()
    profile = await desk.profile(metadata={"site": "Ulm"})
    assert profile.metadata == {"site": "Ulm"}
    assert (await desk(ChangeProfile(ref="meters", metadata={}))).metadata == {}
    large = {"x": "y" * 20_000}
    for command in (CreateProfile(name="new", metadata=large), ChangeProfile(ref="meters", metadata=large)):
        assert (await desk.refused(command)).check == "metadata.size"


async def test_an_old_secret_is_good_inside_its_window_and_a_second_rotation_drops_it() -> None:
    desk = Desk()
    first = await desk(CreateProfile(name="meters"))
    second = await desk(RotateProfile("meters", overlap_seconds=60))
    profile = second.profile
    assert profile.previous_until == desk.clock.now() + 60_000
    assert valid_secrets(profile, desk.vault, desk.clock.now()) == (second.secret, first.secret)
    third = await desk(RotateProfile("meters", overlap_seconds=60))
    assert valid_secrets(third.profile, desk.vault, desk.clock.now()) == (third.secret, second.secret)
    last = await desk(RotateProfile("meters"))
    assert (last.profile.previous_secret, last.profile.previous_until) == (None, None)
    assert third.secret not in valid_secrets(last.profile, desk.vault, desk.clock.now())


@pytest.mark.parametrize("seconds", [-1, 366 * DAY + 1])
async def test_an_overlap_has_bounds(seconds: int) -> None:
    desk = Desk()
    await desk.profile()
    refusal = await desk.refused(RotateProfile("meters", overlap_seconds=seconds))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "overlap_seconds.bounds")


async def test_devices_are_let_in_by_both_secrets_until_the_window_ends() -> None:
    desk = Desk()
    first = await desk(CreateProfile(name="meters", provision_secret=Secret("the-first-secret")))
    await desk(RotateProfile("meters", Secret("the-second-secret"), 60))
    use_case = Provision(desk.repository, desk.issuer, desk.audit, desk.failures.sources, desk.failures.sources)

    async def comes(name: str, secret: str) -> bool:
        evidence = SharedSecret(first.profile.provision_key, Secret(secret))
        try:
            await use_case(ProvisionRequest(evidence=evidence, device_name=name), DEVICE_CONTEXT)
        except Refusal:
            return False
        return True

    assert [await comes("a", "the-first-secret"), await comes("b", "the-second-secret")] == [True, True]
    desk.clock.advance(60)
    assert [await comes("c", "the-first-secret"), await comes("d", "the-second-secret")] == [False, True]
