from typing import Any

import pytest
from msgspec import UNSET

from core.addresses import is_hook_address
from core.admission import hook_row
from core.errors import Reason
from core.model import EventKind, Hook, Profile, Reprovision, Secret
from core.operate.hook_rules import HookRules
from core.operate.messages import ChangeProfile, CreateProfile, ShowProfile
from core.operate.results import HookedProfile, SecretProfile
from tests.operating import Desk

URL = "https://hooks.example.net/ask"


def opened(desk: Desk, profile: Profile) -> Secret:
    assert profile.hook is not None
    return desk.vault.open(profile.hook.secret, hook_row(profile.id))


async def made(desk: Desk, **rules: Any) -> SecretProfile:
    result: SecretProfile = await desk(CreateProfile(name="meters", hook=HookRules(url=URL, **rules)))
    return result


async def test_a_new_hook_has_a_secret_that_is_drawn_and_shown_once() -> None:
    desk = Desk()
    result = await made(desk)
    assert result.hook_secret is not None
    assert len(result.hook_secret.reveal()) == 43
    assert opened(desk, result.profile) == result.hook_secret
    assert result.profile.hook is not None
    assert (result.profile.hook.url, result.profile.hook.seconds) == (URL, 5)
    assert await desk(ShowProfile("meters")) == result.profile
    assert result.hook_secret.reveal() not in repr(result)


async def test_a_secret_may_be_given() -> None:
    desk = Desk()
    result = await made(desk, secret=Secret("sixteen letters!"), seconds=10)
    assert result.hook_secret == opened(desk, result.profile) == Secret("sixteen letters!")
    assert result.profile.hook is not None
    assert result.profile.hook.seconds == 10


async def test_a_profile_without_a_hook_has_none() -> None:
    desk = Desk()
    plain: SecretProfile = await desk(CreateProfile(name="meters"))
    assert (plain.profile.hook, plain.hook_secret) == (None, None)
    later = await desk(ChangeProfile(ref="meters", hook=HookRules(url=URL)))
    assert isinstance(later, HookedProfile)
    assert opened(desk, later.profile) == later.hook_secret


async def test_what_is_left_out_of_a_change_stays() -> None:
    desk = Desk()
    first = await made(desk)
    assert await desk(ChangeProfile(ref="meters", hook=HookRules(url=URL))) == first.profile
    slower: Profile = await desk(ChangeProfile(ref="meters", hook=HookRules(seconds=9)))
    assert slower.hook is not None
    assert slower.hook == Hook(url=URL, secret=slower.hook.secret, seconds=9)
    assert opened(desk, slower) == first.hook_secret
    other: Profile = await desk(ChangeProfile(ref="meters", reprovision=Reprovision.SAME))
    assert other.hook == slower.hook
    secret = await desk(ChangeProfile(ref="meters", hook=HookRules(secret=Secret("another secret of it"))))
    assert (opened(desk, secret.profile), secret.hook_secret) == (Secret("another secret of it"),) * 2
    gone: Profile = await desk(ChangeProfile(ref="meters", hook=None))
    assert gone.hook is None
    changes = [event.detail for event in await desk.events(EventKind.PROFILE_CHANGED)]
    assert changes == ["hook", "reprovision", "hook", "hook"]


@pytest.mark.parametrize(
    ("rules", "check"),
    [
        ({"url": UNSET}, "profile.hook"),
        ({"url": ""}, "profile.hook"),
        ({"url": "http://hooks.example.net/"}, "profile.hook"),
        ({"url": f"https://hooks.example.net/{'x' * 2_048}"}, "profile.hook"),
        ({"seconds": 0}, "hook.seconds.bounds"),
        ({"seconds": 11}, "hook.seconds.bounds"),
        ({"secret": Secret("too short")}, "hook.secret.length"),
        ({"secret": Secret("control\ncharacters")}, "hook.secret.characters"),
    ],
)
async def test_a_hook_that_cannot_be_is_refused(rules: dict[str, Any], check: str) -> None:
    desk = Desk()
    refusal = await desk.refused(CreateProfile(name="meters", hook=HookRules(**{"url": URL} | rules)))
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)
    await made(desk)
    if rules != {"url": UNSET}:
        assert (await desk.refused(ChangeProfile(ref="meters", hook=HookRules(**rules)))).check == check


@pytest.mark.parametrize(
    "address",
    [
        "https://hooks.example.net",
        "https://hooks.example.net:8443/a/b?c=d&e=%20",
        "https://hooks.example.net?c=d",
        "https://192.0.2.7/",
        "https://[2001:db8::1]:8443/",
        "http://localhost/",
        "http://localhost:8080",
        "http://127.0.0.1:8080/a",
        "http://127.8.9.255/",
        "http://[::1]:8080/",
    ],
)
def test_addresses_of_hooks(address: str) -> None:
    assert is_hook_address(address)


@pytest.mark.parametrize(
    "address",
    [
        "hooks.example.net",
        "ftp://hooks.example.net/",
        "https://",
        "https:///a",
        "https://user@hooks.example.net/",
        "https://user:secret@hooks.example.net/",
        "https://hooks.example.net/#part",
        "https://hooks.example.net/a b",
        "https://hooks.example.net/\u00fc",
        "https://hooks.example.net\\@elsewhere.example.net/",
        "https://hooks.example.net:0/",
        "https://hooks.example.net:65536/",
        "https://hooks.example.net/\n",
        "http://127.0.0.1.example.net/",
        "http://127.0.0.256/",
        "http://128.0.0.1/",
        "http://localhost.example.net/",
        "http://[::2]/",
        "http://0.0.0.0/",
    ],
)
def test_what_is_no_address_of_a_hook(address: str) -> None:
    assert not is_hook_address(address)
