from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
PATH = "/v1/devices/meter-1/credentials"
TOKEN = {"type": "access_token", "id": "c1", "token": "T1", "expires_at": "2026-11-21T02:33:58.123Z", "expired": True}
TRIPLE = {"type": "device_secret", "id": "c2", "product_key": "pk", "device_key": "dk", "secret": "ds", "expires_at": None}


def test_all_credentials_are_listed_with_their_ends(gateway: Any, run: Run) -> None:
    gateway.json("GET", PATH, {"items": [TOKEN, TRIPLE]})
    assert run("device", "credential", "list", "meter-1").out.splitlines() == [
        "credential  access_token",
        "token       T1",
        "ends        2026-11-21T02:33:58.123Z (is over)",
        "id          c1",
        "credential   device_secret",
        "product key  pk",
        "device key   dk",
        "secret       ds",
        "id           c2",
    ]
    assert run("device", "credential", "list", "meter-1", "--json").json() == [TOKEN, TRIPLE]


def test_one_more_is_added_for_a_while(gateway: Any, run: Run) -> None:
    gateway.json("POST", f"{PATH}:add", {"items": [TOKEN]}, status=201)
    argv = ("device", "credential", "add", "meter-1", "--token-stdin", "--expires-in", "2h")
    assert "token       T1" in run(*argv, stdin=b"own").out
    assert gateway.bodies("POST", f"{PATH}:add") == [{"type": "access_token", "token": "own"}]
    assert gateway.asked[0].query == {"expires_in_seconds": "7200"}
    run("device", "credential", "add", "meter-1")
    assert (gateway.asked[1].query, gateway.asked[1].body) == ({}, b"")


def test_one_is_revoked(gateway: Any, run: Run) -> None:
    gateway.on("DELETE", f"{PATH}/c1", lambda asked: (204, b"", {}))
    assert run("device", "credential", "revoke", "meter-1", "c1").out == "credential c1 revoked\n"


def test_a_rotation_may_overlap(gateway: Any, run: Run) -> None:
    gateway.json("POST", PATH, {"items": [TOKEN]}, status=201)
    assert run("device", "rotate", "meter-1", "--overlap", "1h", "--json").json() == {"items": [TOKEN]}
    assert gateway.asked[0].query == {"overlap_seconds": "3600"}


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", "90"), ("90s", "90"), ("45m", "2700"), ("1h", "3600"), ("7d", "604800"), ("2w", "1209600")]
)
def test_lengths_of_time(gateway: Any, run: Run, text: str, seconds: str) -> None:
    gateway.json("POST", PATH, {"items": []}, status=201)
    run("device", "rotate", "meter-1", "--overlap", text)
    assert gateway.asked[0].query == {"overlap_seconds": seconds}


@pytest.mark.parametrize("text", ["", "h", "1y", "-1", "1.5h", "1 h"])
def test_what_is_no_length_of_time_is_a_usage_error(run: Run, text: str) -> None:
    result = run("device", "rotate", "meter-1", f"--overlap={text}")
    assert result.status == 2
    assert "is no length of time" in result.err


def test_a_real_device_keeps_its_old_credential_for_a_while(operate: Run) -> None:
    operate("profile", "create", "windows")
    operate("device", "define", "window-1", "--profile", "windows")
    new = operate("device", "rotate", "window-1", "--overlap", "1h", "--json").json()["items"][0]
    old, second = operate("device", "credential", "list", "window-1", "--json").json()
    assert second == new
    assert old["expires_at"]
    assert not old["expired"]
    assert operate("device", "credential", "revoke", "window-1", old["id"]).status == 0
    assert operate("device", "credential", "list", "window-1", "--json").json() == [new]
    again = operate("device", "credential", "revoke", "window-1", old["id"])
    assert again.status == 1
    assert "credential.unknown" in again.err
