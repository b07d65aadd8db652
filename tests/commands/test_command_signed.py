from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
SIGNED = {
    "auto_activation": True,
    "self_registration": False,
    "timestamp_tolerance_s": None,
    "reallocation": "migrate",
    "product_key": "pk1",
    "mqtt_url": "",
    "http_url": "",
}
PROFILE = {
    "id": "p1",
    "name": "pumps",
    "strategy": "signed",
    "reprovision": "deny",
    "provision_key": "G1",
    "provision_secret": "the-new-secret",
    "previous_secret_until": "2026-11-21T02:33:58.123Z",
    "signed": SIGNED,
    "credential_kind": "device_secret",
    "metadata": {"site": "Ulm"},
    "created_at": "2026-11-21T02:33:58.123Z",
    "updated_at": "2026-11-21T02:33:58.123Z",
}
OPTIONS = (
    *("--no-auto-activation", "--self-registration", "--timestamp-tolerance", "60", "--reallocation", "none"),
    *("--product-key", "pk1", "--mqtt-url", "tcp://h:1", "--http-url", "http://h"),
)
RULES = {
    "auto_activation": False,
    "self_registration": True,
    "timestamp_tolerance_s": 60,
    "reallocation": "none",
    "product_key": "pk1",
    "mqtt_url": "tcp://h:1",
    "http_url": "http://h",
}


def test_rules_for_devices_that_sign_are_sent(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/profiles", PROFILE, status=201)
    run("profile", "create", "pumps", "--strategy", "signed", *OPTIONS)
    run("profile", "create", "pumps", "--strategy", "signed", "--timestamp-tolerance", "none")
    run("profile", "create", "pumps", "--strategy", "signed")
    made = {"name": "pumps", "strategy": "signed"}
    assert gateway.bodies("POST", "/v1/profiles") == [
        {**made, "signed": RULES},
        {**made, "signed": {"timestamp_tolerance_s": None}},
        made,
    ]


def test_rules_are_changed_one_by_one(gateway: Any, run: Run) -> None:
    gateway.json("PATCH", "/v1/profiles/pumps", PROFILE)
    run("profile", "change", "pumps", "--no-self-registration")
    assert gateway.bodies("PATCH", "/v1/profiles/pumps") == [{"signed": {"self_registration": False}}]


def test_a_profile_shows_its_rules_and_the_window_of_its_old_secret(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/profiles/pumps/rotate", PROFILE)
    shown = run("profile", "rotate", "pumps", "--overlap", "7d").out
    assert gateway.bodies("POST", "/v1/profiles/pumps/rotate") == [{"overlap_seconds": 604_800}]
    for name, value in (
        ("old secret until", "2026-11-21T02:33:58.123Z"),
        ("credential kind", "device_secret"),
        ("auto activation", "yes"),
        ("self registration", "no"),
        ("timestamp tolerance", "none"),
        ("reallocation", "migrate"),
        ("product key", "pk1"),
        ("metadata", '{"site":"Ulm"}'),
    ):
        assert f"{name:<21}{value}\n" in shown
    gateway.json("GET", "/v1/profiles/pumps", {**PROFILE, "signed": {**SIGNED, "timestamp_tolerance_s": 60}})
    assert "timestamp tolerance  60 s\n" in run("profile", "show", "pumps").out


def test_the_kind_of_credential_and_notes_are_sent(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/profiles", PROFILE, status=201)
    run("profile", "create", "pumps", "--credential-kind", "mqtt_basic", "--metadata", "site=Ulm")
    assert gateway.bodies("POST", "/v1/profiles") == [
        {"name": "pumps", "credential_kind": "mqtt_basic", "metadata": {"site": "Ulm"}}
    ]


@pytest.mark.parametrize("text", ["", "-1", "1.5", "ten", "\u0663"])
def test_a_tolerance_is_a_number_or_none(run: Run, text: str) -> None:
    result = run("profile", "create", "pumps", f"--timestamp-tolerance={text}")
    assert result.status == 2
    assert "neither a number of seconds nor none" in result.err


def test_a_real_group_is_made_and_rotated(operate: Run) -> None:
    made = operate("profile", "create", "group-1", "--strategy", "signed", *OPTIONS, "--json").json()
    assert made["signed"] == RULES
    rotated = operate("profile", "rotate", "group-1", "--overlap", "1d", "--json").json()
    assert rotated["previous_secret_until"]
    refused = operate("profile", "change", "group-1", "--strategy", "create_new")
    assert refused.status == 1
    assert "profile.strategy" in refused.err
