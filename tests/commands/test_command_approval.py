from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]
WAITING = {
    "id": "a1",
    "name": "meter, 1",
    "profile": "p1",
    "device": "d1",
    "verdict": "waiting",
    "source": "192.0.2.7",
    "protocol": "http",
    "dialect": "thingsboard",
    "asked_at": "2026-11-21T02:33:58.123Z",
    "expires_at": "2026-11-28T02:33:58.123Z",
}
NEW = {**WAITING, "id": "a2", "name": "meter-2", "device": None, "verdict": "granted"}
DECIDE = "/v1/approvals:decide"


def test_list(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/approvals", {"items": [WAITING, NEW], "next": None})
    first, second, third = run("approval", "list", "--profile", "meters", "--verdict", "waiting").out.splitlines()
    assert first.split() == ["NAME", "VERDICT", "DEVICE", "SOURCE", "OVER", "ASKED", "ID"]
    assert "known" in second
    assert "new" in third
    assert gateway.asked[-1].query["profile"] == "meters"
    assert gateway.asked[-1].query["verdict"] == "waiting"
    assert run("approval", "list", "--json").json() == [WAITING, NEW]


def test_what_is_listed_as_csv_is_answered_as_csv(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.json("GET", "/v1/approvals", {"items": [WAITING, NEW], "next": None})
    listed = run("approval", "list", "--all", "--csv").out
    assert listed.splitlines()[0].startswith("verdict,name,profile,")
    gateway.json("POST", DECIDE, {"items": [{**WAITING, "verdict": "refused"}], "errors": []})
    answered = listed.replace("waiting,", "Refused,", 1)
    result = run("approval", "decide", file(answered, "waiting.csv"))
    assert (result.status, result.out) == (0, "0 granted, 1 refused, 0 not answered\n")
    (body,) = gateway.bodies("POST", DECIDE)
    assert body == {
        "decisions": [
            {"ref": "a1", "verdict": "refused", "profile": "p1"},
            {"ref": "a2", "verdict": "granted", "profile": "p1"},
        ]
    }


def test_bad_lines_are_told_and_the_others_answered(gateway: Any, run: Run) -> None:
    answer = {"items": [NEW], "errors": [{"line": 2, "ref": "gone", "reason": "no device of this id or name waits"}]}
    gateway.json("POST", DECIDE, answer)
    content = b"verdict;name\ngranted;meter-2\n;passed over\nrefused;gone\ngranted;\nx;y;z\n"
    result = run("approval", "decide", "-", stdin=content)
    assert result.status == 1
    assert result.out == "1 granted, 0 refused, 3 not answered\n"
    assert "gone: no device of this id or name waits\n" in result.err
    assert "line 5: neither id nor name is there\n" in result.err
    assert "line 6: 3 cells under 2 columns\n" in result.err
    assert [each["ref"] for each in gateway.bodies("POST", DECIDE)[0]["decisions"]] == ["meter-2", "gone"]
    shown = run("approval", "decide", "-", "--json", stdin=content).json()
    assert sorted(error["line"] for error in shown["errors"]) == [4, 5, 6]


def test_a_file_without_the_column_is_refused(run: Run) -> None:
    result = run("approval", "decide", "-", stdin=b"name\nmeter-1\n")
    assert result.status == 2
    assert "one of them must be `verdict`" in result.err


def test_many_answers_go_in_parts(gateway: Any, run: Run) -> None:
    gateway.json("POST", DECIDE, {"items": [], "errors": []})
    lines = "".join(f"granted,meter-{number}\n" for number in range(501))
    assert run("approval", "decide", "-", stdin=f"verdict,name\n{lines}".encode()).status == 0
    assert [len(body["decisions"]) for body in gateway.bodies("POST", DECIDE)] == [500, 1]


def test_grant_and_refuse(gateway: Any, run: Run) -> None:
    gateway.json(
        "POST", DECIDE, {"items": [NEW], "errors": []}, {"items": [], "errors": [{"line": 1, "ref": "x", "reason": "no"}]}
    )
    assert run("approval", "grant", "meter-2", "--profile", "meters").out == "1 granted, 0 refused, 0 not answered\n"
    result = run("approval", "refuse", "x")
    assert (result.status, result.err) == (1, "x: no\n")
    assert gateway.bodies("POST", DECIDE) == [
        {"decisions": [{"ref": "meter-2", "verdict": "granted", "profile": "meters"}]},
        {"decisions": [{"ref": "x", "verdict": "refused"}]},
    ]


def test_a_credential_on_trial_is_told(gateway: Any, run: Run) -> None:
    shown = {"type": "access_token", "id": "c1", "token": "T1", "expires_at": None, "expired": False}
    items = [{**shown, "trial": False}, {**shown, "id": "c2", "token": "T2", "trial": True}]
    gateway.json("GET", "/v1/devices/meter-1/credentials", {"items": items})
    old, new = run("device", "credential", "list", "meter-1").out.split("credential  ")[1:]
    assert "on trial" not in old
    assert "on trial    not used yet; at its first login the older ones end, until then they are good\n" in new
