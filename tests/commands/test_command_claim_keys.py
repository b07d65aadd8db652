"""Options and commands about how far a claim key reaches, and about devices that do not come back by one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
PROFILE = {
    "id": "p1",
    "name": "meters",
    "strategy": "create_new",
    "reprovision": "deny",
    "provision_key": "a1",
    "claims": {
        "budget": 100,
        "made": 7,
        "opens_at": "2027-01-01T00:00:00.000Z",
        "closes_at": "2027-02-01T00:00:00.000Z",
        "names": ["m1..m9", "a", "b", "c", "d", "e", "f"],
        "pattern": "gw-.*",
        "rate": {"per_minute": 60, "burst": 100},
        "source_rate": None,
        "tombstones": False,
        "burned_at": "2027-01-15T00:00:00.000Z",
    },
    "created_at": "2026-11-21T02:33:58.123Z",
    "updated_at": "2026-11-21T02:33:58.123Z",
}
PLAIN = {key: value for key, value in PROFILE.items() if key != "claims"}
STONE = {
    "id": "t1",
    "name": "meter-1",
    "serial": "SN-1",
    "profile": "p1",
    "device": "d1",
    "departure": "deleted",
    "left_at": "2026-11-21T02:33:58.123Z",
    "leave_until": "2026-11-22T02:33:58.123Z",
}


def test_limits_are_said_when_a_profile_is_made(gateway: Any, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("meter-1\n\n meter-2 \n")
    gateway.json("POST", "/v1/profiles", PLAIN, status=201)
    window = ("--opens", "2027-01-01T00:00:00Z", "--closes", "2027-02-01T00:00:00Z")
    names = ("--names", "m1..m9", "--names-file", str(file), "--names-pattern", "gw-.*")
    run("profile", "create", "meters", "--budget", "100", *window, *names)
    run("profile", "create", "meters", "--rate", "60:100", "--source-rate", "5", "--no-tombstones")
    run("profile", "create", "meters")
    assert gateway.bodies("POST", "/v1/profiles") == [
        {
            "name": "meters",
            "claims": {
                "budget": 100,
                "opens_at": "2027-01-01T00:00:00Z",
                "closes_at": "2027-02-01T00:00:00Z",
                "names": ["m1..m9", "meter-1", "meter-2"],
                "pattern": "gw-.*",
            },
        },
        {
            "name": "meters",
            "claims": {
                "rate": {"per_minute": 60, "burst": 100},
                "source_rate": {"per_minute": 5, "burst": 5},
                "tombstones": False,
            },
        },
        {"name": "meters"},
    ]


def test_limits_are_changed_and_taken_back(gateway: Any, run: Run) -> None:
    gateway.json("PATCH", "/v1/profiles/meters", PLAIN)
    run("profile", "change", "meters", "--budget", "none", "--opens", "none", "--rate", "none", "--tombstones")
    run("profile", "change", "meters", "--any-name")
    run("profile", "change", "meters", "--no-limits")
    run("profile", "change", "meters", "--name", "valves")
    assert gateway.bodies("PATCH", "/v1/profiles/meters") == [
        {"claims": {"budget": None, "opens_at": None, "rate": None, "tombstones": True}},
        {"claims": {"names": [], "pattern": ""}},
        {"claims": None},
        {"name": "valves"},
    ]


@pytest.mark.parametrize(
    "options",
    [
        ("--budget", "many"),
        ("--rate", "often"),
        ("--rate", "60:"),
        ("--source-rate", "1:x"),
        ("--any-name", "--names", "a"),
        ("--any-name", "--names-pattern", "a"),
        ("--no-limits", "--budget", "1"),
        ("--names-file", "/nowhere/names.txt"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(gateway: Any, run: Run, options: tuple[str, ...]) -> None:
    if options == ("--rate", "60:"):
        gateway.json("PATCH", "/v1/profiles/meters", PLAIN)
        assert run("profile", "change", "meters", *options).status == 0  # as if nothing stood behind the colon
        return
    assert run("profile", "change", "meters", *options).status == 2
    assert not gateway.asked


def test_a_profile_shows_its_limits(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/profiles/meters", PROFILE)
    out = run("profile", "show", "meters").out
    for part in (
        "claim key burned        2027-01-15T00:00:00.000Z",
        "devices made            7 of 100",
        "key good from           2027-01-01T00:00:00.000Z",
        "key good until          2027-02-01T00:00:00.000Z",
        "key is for              m1..m9, a, b, c, d and 2 more",
        "key is for names like   gw-.*",
        "devices a minute        60, 100 at once",
        "deleted devices return  yes",
    ):
        assert part in out
    assert "from one address" not in out


def test_a_profile_without_a_budget_shows_what_was_made(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/profiles/meters", PLAIN | {"claims": {"made": 3, "tombstones": True}})
    out = run("profile", "show", "meters").out
    assert "devices made   3\n" in out
    assert "return" not in out


def test_a_claim_key_is_burned(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/profiles/meters/burn", PROFILE)
    assert "claim key burned" in run("profile", "burn", "meters").out


def test_a_device_is_given_leave(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/tombstones/meter-1/leave", STONE)
    out = run("device", "leave", "meter-1", "--hours", "72").out
    assert "may come back until  2026-11-22T02:33:58.123Z" in out
    assert '"leave_until"' in run("device", "leave", "meter-1", "--json").out
    assert gateway.bodies("POST", "/v1/tombstones/meter-1/leave") == [{"seconds": 259_200}, {}]


def test_devices_that_are_gone_are_listed(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/tombstones", {"items": [STONE, STONE | {"name": "meter-2", "leave_until": None}], "next": None})
    out = run("device", "gone").out
    assert out.splitlines()[0].split() == ["NAME", "SERIAL", "LEFT", "SINCE", "MAY", "COME", "BACK", "UNTIL"]
    assert "meter-2  SN-1    deleted  2026-11-21T02:33:58.123Z" in out
    assert '"meter-1"' in run("device", "gone", "--json").out
