"""What operators do with profiles."""

import re

import pytest

from core import attestation
from core.attestation import secret_row
from core.errors import Conflict, Guard, Reason, Refusal
from core.messages import SharedSecret
from core.model import EventKind, Profile, Reprovision, Secret, Strategy
from core.operate.messages import (
    ChangeProfile,
    CreateProfile,
    DeleteDevice,
    DeleteProfile,
    ListProfiles,
    RotateProfile,
    ShowProfile,
)
from core.operate.registry import SENTENCES
from tests.operating import OPTION, Desk


async def test_key_and_secret_are_drawn_where_none_are_given() -> None:
    desk = Desk()
    made = await desk(CreateProfile(name="  meters "))
    assert made.profile.name == "meters"
    assert (made.profile.strategy, made.profile.reprovision) == (Strategy.CREATE_NEW, Reprovision.DENY)
    for text in (made.profile.provision_key, made.secret.reveal()):
        assert re.fullmatch("[a-z0-9]{20}", text)
    assert desk.vault.open(made.profile.provision_secret, secret_row(made.profile.id)) == made.secret
    event = await desk.last_event(EventKind.PROFILE_CREATED)
    assert (event.profile, event.detail, event.actor) == (made.profile.id, "meters", "admin")


async def test_given_key_secret_and_options_are_kept() -> None:
    desk = Desk()
    made = await desk(
        CreateProfile(
            name="meters",
            strategy=Strategy.PRE_PROVISIONED,
            reprovision=Reprovision.SAME,
            provision_key=" key with spaces ",
            provision_secret=Secret("12345678"),
            options=(OPTION, OPTION),
        )
    )
    assert made.profile.provision_key == " key with spaces "
    assert made.profile.options == (OPTION,)
    evidence = SharedSecret(" key with spaces ", Secret("12345678"))
    assert attestation.verify(made.profile, evidence, desk.vault, desk.clock.now()) == made.profile


@pytest.mark.parametrize(
    ("fields", "check"),
    [
        ({"name": " "}, "name.length"),
        ({"name": "x" * 256}, "name.length"),
        ({"name": "a\x00b"}, "name.characters"),
        ({"provision_key": ""}, "provision_key.length"),
        ({"provision_key": "k" * 256}, "provision_key.length"),
        ({"provision_key": "a\nb"}, "provision_key.characters"),
        ({"provision_secret": Secret("1234567")}, "provision_secret.length"),
        ({"provision_secret": Secret("s" * 256)}, "provision_secret.length"),
        ({"provision_secret": Secret("12345678\x7f")}, "provision_secret.characters"),
        ({"options": (OPTION, "nonsense")}, "profile.options"),
    ],
)
async def test_what_is_not_right_is_refused(fields: dict[str, object], check: str) -> None:
    refusal = await Desk().refused(CreateProfile(**{"name": "meters", **fields}))  # type: ignore[arg-type]  # a table
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)


async def test_an_unknown_option_is_answered_with_the_known_ones() -> None:
    refusal = await Desk().refused(CreateProfile(name="meters", options=("nonsense",)))
    assert refusal.detail == f"options: one is not known, known are: {OPTION}"


async def test_name_and_key_are_unique() -> None:
    desk = Desk()
    await desk.profile(provision_key="key")
    commits = len(desk.repository.commits)
    refusal = await desk.refused(CreateProfile(name="meters"))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "profile_name")
    assert refusal.detail == "a profile of this name exists already"
    refusal = await desk.refused(CreateProfile(name="others", provision_key="key"))
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "provision_key")
    assert len(desk.repository.commits) == commits + 4  # one attempt and one event each: reading again heals nothing


async def test_pages_follow_each_other() -> None:
    desk = Desk()
    names = [(await desk.profile(f"profile-{number}")).name for number in range(5)]
    first = await desk(ListProfiles(limit=2))
    second = await desk(ListProfiles(limit=2, after=first.next))
    third = await desk(ListProfiles(limit=2, after=second.next))
    assert [profile.name for page in (first, second, third) for profile in page.items] == names
    assert third.next is None
    assert (await desk(ListProfiles(limit=5))).next is None


async def test_a_profile_is_shown_by_id_and_name() -> None:
    desk = Desk()
    profile = await desk.profile()
    assert await desk(ShowProfile("meters")) == await desk(ShowProfile(profile.id)) == profile
    refusal = await desk.refused(ShowProfile("gone"))
    assert (refusal.reason, refusal.check) == (Reason.NOT_FOUND, "profile.unknown")


async def test_a_change_changes_what_is_given() -> None:
    desk = Desk()
    before = await desk.profile()
    after: Profile = await desk(ChangeProfile(ref="meters", name=" gauges ", strategy=Strategy.DISABLED, options=(OPTION,)))
    assert (after.name, after.strategy, after.options, after.reprovision) == (
        "gauges",
        Strategy.DISABLED,
        (OPTION,),
        Reprovision.DENY,
    )
    assert (after.version, after.created_at) == (2, before.created_at)
    assert after.updated_at > before.updated_at
    assert await desk(ShowProfile("gauges")) == after
    assert (await desk.last_event(EventKind.PROFILE_CHANGED)).detail == "name, strategy, options"


async def test_a_change_to_what_is_so_already_writes_nothing() -> None:
    desk = Desk()
    profile = await desk.profile()
    assert await desk(ChangeProfile(ref="meters", name="meters", reprovision=Reprovision.DENY, options=())) == profile
    assert not await desk.events(EventKind.PROFILE_CHANGED)


@pytest.mark.parametrize("fields", [{"name": ""}, {"options": ("nonsense",)}])
async def test_a_wrong_change_is_refused(fields: dict[str, object]) -> None:
    desk = Desk()
    await desk.profile()
    refusal = await desk.refused(ChangeProfile(ref="meters", **fields))  # type: ignore[arg-type]  # a table
    assert refusal.reason is Reason.MALFORMED


async def test_rotation_kills_the_old_secret_at_once() -> None:
    desk = Desk()
    made = await desk(CreateProfile(name="meters"))
    rotated = await desk(RotateProfile("meters"))
    assert re.fullmatch("[a-z0-9]{20}", rotated.secret.reveal())
    assert rotated.profile.provision_key == made.profile.provision_key
    known = await desk(ShowProfile("meters"))
    attestation.verify(known, SharedSecret(known.provision_key, rotated.secret), desk.vault, desk.clock.now())
    with pytest.raises(Refusal):
        attestation.verify(known, SharedSecret(known.provision_key, made.secret), desk.vault, desk.clock.now())
    assert (await desk(RotateProfile("meters", Secret("my own secret")))).secret == Secret("my own secret")
    assert (await desk.refused(RotateProfile("meters", Secret("short")))).reason is Reason.MALFORMED


async def test_a_profile_goes_when_its_devices_have_gone() -> None:
    desk = Desk()
    profile = await desk.profile()
    await desk.device()
    refusal = await desk.refused(DeleteProfile("meters"))
    assert (refusal.reason, refusal.check, refusal.detail) == (
        Reason.CONFLICT,
        "reference",
        "the profile still has devices",
    )
    await desk(DeleteDevice("meter-1"))
    await desk(DeleteProfile(profile.id))
    assert (await desk.refused(ShowProfile("meters"))).reason is Reason.NOT_FOUND
    event = await desk.last_event(EventKind.PROFILE_DELETED)
    assert (event.profile, event.detail) == (profile.id, "meters")


@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_change_by_others_is_read_and_decided_again_three_times(times: int) -> None:
    desk = Desk()
    await desk.profile()
    desk.repository.failures = [Conflict(Guard.VERSION) for _ in range(times)]
    change = ChangeProfile(ref="meters", strategy=Strategy.DISABLED)
    if times < 3:
        assert (await desk(change)).strategy is Strategy.DISABLED
        return
    refusal = await desk.refused(change)
    assert (refusal.reason, refusal.check) == (Reason.CONFLICT, "version")
    assert refusal.detail == SENTENCES[Guard.VERSION]


def test_every_guard_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Guard)
