from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
AT = "2026-11-21T02:33:58.123Z"
URL = "https://hooks.example.net/ask"
PROFILE = {
    "id": "p1",
    "name": "meters",
    "strategy": "create_new",
    "reprovision": "deny",
    "provision_key": "k1",
    "options": [],
    "created_at": AT,
    "updated_at": AT,
    "version": 1,
}


def test_a_new_profile_has_a_hook_whose_secret_is_shown_once(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    shown = {**PROFILE, "hook": {"url": URL, "seconds": 5, "secret": "s3cr3t-of-it"}}
    gateway.json("POST", "/v1/profiles", shown, status=201)
    result = run("profile", "create", "meters", "--hook", URL)
    assert "hook                 https://hooks.example.net/ask\n" in result.out
    assert "hook answers within  5 s\n" in result.out
    assert "hook secret          s3cr3t-of-it\n" in result.out
    assert result.err == "the secret is not shown again\n"
    run("profile", "create", "m", "--hook", URL, "--hook-seconds", "9", "--hook-secret-file", file("given\n"))
    assert gateway.bodies("POST", "/v1/profiles") == [
        {"name": "meters", "hook": {"url": URL}},
        {"name": "m", "hook": {"url": URL, "secret": "given", "seconds": 9}},
    ]


@pytest.mark.parametrize(
    ("argv", "body"),
    [
        (["--hook-seconds", "9"], {"hook": {"seconds": 9}}),
        (["--hook", URL], {"hook": {"url": URL}}),
        (["--no-hook"], {"hook": None}),
        ([], {}),
    ],
)
def test_a_hook_is_changed(gateway: Any, run: Run, argv: list[str], body: dict[str, Any]) -> None:
    gateway.json("PATCH", "/v1/profiles/meters", {**PROFILE, "hook": {"url": URL, "seconds": 9}})
    result = run("profile", "change", "meters", *argv)
    assert gateway.bodies("PATCH", "/v1/profiles/meters") == [body]
    assert "hook secret" not in result.out
    assert result.err == ""


def test_a_hook_that_goes_and_stays_is_a_usage_error(run: Run) -> None:
    result = run("profile", "change", "meters", "--no-hook", "--hook", URL)
    assert (result.status, result.err) == (2, "firstlight: --no-hook: it goes with no other option of the hook\n")
