import itertools

import msgspec
import pytest

from core.errors import Reason, Refusal
from core.model import (
    DEFAULT_TENANT,
    Credential,
    CredentialId,
    CredentialKind,
    Device,
    DeviceId,
    DeviceState,
    Lookup,
    Profile,
    ProfileId,
    Reprovision,
    Sealed,
    Strategy,
    Tenant,
)
from core.queries import ClaimSnapshot
from core.strategy import (
    NAME_CHARACTERS,
    Activate,
    Await,
    Create,
    Decision,
    Repeat,
    Rotate,
    decide,
    keeps_credentials,
    require_name,
    require_writable,
)

MINE, OTHER = ProfileId("mine"), ProfileId("other")
NAME = "meter-0042"
HELD = (
    Credential(
        id=CredentialId("c"), device=DeviceId("d"), kind=CredentialKind.ACCESS_TOKEN, lookup=Lookup(b"l" * 32), created_at=1
    ),
)


def profile(strategy: Strategy, reprovision: Reprovision = Reprovision.DENY) -> Profile:
    return Profile(
        id=MINE,
        tenant=DEFAULT_TENANT,
        name="meters",
        strategy=strategy,
        reprovision=reprovision,
        provision_key="key",
        provision_secret=Sealed(b""),
        created_at=1,
        updated_at=1,
    )


def tenant(limit: int | None = None, devices: int = 0) -> Tenant:
    return Tenant(id=DEFAULT_TENANT, name="default", device_limit=limit, devices=devices, created_at=1)


def device(state: DeviceState = DeviceState.DEFINED, *, owner: ProfileId = MINE, enabled: bool = True) -> Device:
    return Device(
        id=DeviceId("d"),
        tenant=DEFAULT_TENANT,
        profile=owner,
        name=NAME,
        state=state,
        enabled=enabled,
        created_at=1,
        updated_at=1,
    )


def outcome(name: str, taken: bool, asked: Profile, known: ClaimSnapshot) -> Decision | str:
    """Return the decision, or the check that refused."""
    try:
        return decide(name, taken, asked, known)
    except Refusal as refusal:
        return refusal.check


def expected(strategy: Strategy, reprovision: Reprovision, known: Device, revoked: bool) -> Decision | str:
    """Say in words of its own what a known device comes to."""
    if known.profile != MINE:
        return "device.other_profile"
    if not known.enabled:
        return "device.disabled"
    if known.state is DeviceState.DISCARDED:
        return "device.discarded"
    if strategy is Strategy.PRE_PROVISIONED and known.state is DeviceState.DEFINED:
        return "credential.revoked" if revoked else Activate(known)
    if revoked and reprovision is not Reprovision.DENY:
        return "credential.revoked"
    again: dict[Reprovision, Decision | str] = {
        Reprovision.DENY: "device.exists" if strategy is Strategy.CREATE_NEW else "device.already_provisioned",
        Reprovision.SAME: Repeat(known),
        Reprovision.ROTATE: Rotate(known),
        Reprovision.APPROVE: Await(Rotate(known)),
        Reprovision.PROVE: "reprovision.unproved",
    }
    return again[reprovision]


TABLE = list(
    itertools.product(
        [Strategy.CREATE_NEW, Strategy.PRE_PROVISIONED],
        Reprovision,
        DeviceState,
        [MINE, OTHER],
        [True, False],
        [True, False],
        [True, False],
    )
)


@pytest.mark.parametrize(("strategy", "reprovision", "state", "owner", "enabled", "full", "revoked"), TABLE)
def test_a_known_device(
    strategy: Strategy, reprovision: Reprovision, state: DeviceState, owner: ProfileId, enabled: bool, full: bool, revoked: bool
) -> None:
    known = device(state, owner=owner, enabled=enabled)
    limits = tenant(1, 1) if full else tenant()
    snapshot = ClaimSnapshot(tenant=limits, device=known, credentials=() if revoked else HELD)
    assert outcome(NAME, False, profile(strategy, reprovision), snapshot) == expected(strategy, reprovision, known, revoked)


@pytest.mark.parametrize("reprovision", Reprovision)
@pytest.mark.parametrize("name", ["", NAME])
def test_a_new_device_is_created_whatever_is_answered_to_repeats(reprovision: Reprovision, name: str) -> None:
    assert outcome(name, False, profile(Strategy.CREATE_NEW, reprovision), ClaimSnapshot(tenant=tenant())) == Create()


@pytest.mark.parametrize("reprovision", Reprovision)
def test_a_device_that_is_not_expected_is_refused(reprovision: Reprovision) -> None:
    asked = profile(Strategy.PRE_PROVISIONED, reprovision)
    assert outcome(NAME, False, asked, ClaimSnapshot(tenant=tenant())) == "device.unknown"
    assert outcome("", False, asked, ClaimSnapshot(tenant=tenant())) == "device.name_missing"


@pytest.mark.parametrize(
    ("limit", "devices", "decision"),
    [
        (None, 10**6, Create()),
        (1, 0, Create()),
        (1, 1, "tenant.device_limit"),
        (1, 2, "tenant.device_limit"),
        (0, 0, "tenant.device_limit"),
    ],
)
def test_a_tenant_has_no_more_devices_than_it_may(limit: int | None, devices: int, decision: Decision | str) -> None:
    assert outcome(NAME, False, profile(Strategy.CREATE_NEW), ClaimSnapshot(tenant=tenant(limit, devices))) == decision


def test_a_tenant_that_is_not_known_has_no_limit() -> None:
    assert outcome(NAME, False, profile(Strategy.CREATE_NEW), ClaimSnapshot()) == Create()


@pytest.mark.parametrize(
    ("reprovision", "known", "decision"),
    [
        (Reprovision.DENY, None, "credential.taken"),
        (Reprovision.DENY, device(DeviceState.PROVISIONED), "device.exists"),
        (Reprovision.ROTATE, device(DeviceState.PROVISIONED), "credential.taken"),
        (Reprovision.SAME, device(DeviceState.PROVISIONED), Repeat(device(DeviceState.PROVISIONED))),
    ],
)
def test_a_credential_of_another_device_can_be_proposed_by_nobody(
    reprovision: Reprovision, known: Device | None, decision: Decision | str
) -> None:
    snapshot = ClaimSnapshot(tenant=tenant(), device=known, credentials=HELD)
    assert outcome(NAME, True, profile(Strategy.CREATE_NEW, reprovision), snapshot) == decision


def test_a_taken_credential_is_of_no_interest_to_pre_provisioned_devices() -> None:
    snapshot = ClaimSnapshot(tenant=tenant(), device=device(), credentials=HELD)
    assert outcome(NAME, True, profile(Strategy.PRE_PROVISIONED), snapshot) == Activate(device())


@pytest.mark.parametrize(
    ("given", "name"), [(None, ""), ("", ""), ("m1", "m1"), ("  m1 ", "m1"), ("\tm 1\n", "m 1"), ("\u3000m1", "m1")]
)
def test_names_are_taken_without_the_white_space_around_them(given: str | None, name: str) -> None:
    assert require_name(given) == name


@pytest.mark.parametrize("blank", [" ", "   ", "\t\n", "\u3000"])
def test_a_name_of_white_space_is_refused(blank: str) -> None:
    with pytest.raises(Refusal) as refused:
        require_name(blank)
    assert (refused.value.reason, refused.value.check) == (Reason.FORBIDDEN, "device.name_blank")


@pytest.mark.parametrize("name", ["m1", "x" * NAME_CHARACTERS, "a < b", "a<3", "<", "meter & co", "Zähler 7", "計器"])
def test_names_that_can_be_kept(name: str) -> None:
    require_writable(name)
    assert outcome(name, False, profile(Strategy.CREATE_NEW), ClaimSnapshot(tenant=tenant())) == Create()


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("x" * (NAME_CHARACTERS + 1), "device.name_length"),
        ("a\x00b", "device.name_characters"),
        ("a\nb", "device.name_characters"),
        ("a\x9fb", "device.name_characters"),
        ("<b>m1</b>", "device.name_characters"),
        ("</b>", "device.name_characters"),
        ("<!--", "device.name_characters"),
        ("<?xml", "device.name_characters"),
    ],
)
def test_names_that_cannot(name: str, check: str) -> None:
    with pytest.raises(Refusal) as refused:
        require_writable(name)
    assert (refused.value.reason, refused.value.check) == (Reason.FORBIDDEN, check)
    assert outcome(name, False, profile(Strategy.CREATE_NEW), ClaimSnapshot(tenant=tenant())) == check


@pytest.mark.parametrize(
    ("strategy", "reprovision", "kept"),
    [
        (Strategy.CREATE_NEW, Reprovision.DENY, False),
        (Strategy.CREATE_NEW, Reprovision.SAME, True),
        (Strategy.CREATE_NEW, Reprovision.ROTATE, False),
        (Strategy.PRE_PROVISIONED, Reprovision.DENY, True),
        (Strategy.PRE_PROVISIONED, Reprovision.SAME, True),
        (Strategy.PRE_PROVISIONED, Reprovision.ROTATE, True),
    ],
)
def test_a_value_is_kept_only_where_it_may_have_to_be_given_again(
    strategy: Strategy, reprovision: Reprovision, kept: bool
) -> None:
    assert keeps_credentials(profile(strategy, reprovision)) is kept


def test_refusals_by_policy_are_forbidden_or_conflicts_and_name_no_secret() -> None:
    asked = profile(Strategy.PRE_PROVISIONED)
    reasons = set()
    for state, owner, enabled in itertools.product(DeviceState, [MINE, OTHER], [True, False]):
        known = msgspec.structs.replace(device(state), profile=owner, enabled=enabled)
        try:
            decide(NAME, False, asked, ClaimSnapshot(device=known))
        except Refusal as refusal:
            reasons.add(refusal.reason)
    assert reasons == {Reason.FORBIDDEN, Reason.CONFLICT}
