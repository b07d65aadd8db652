import csv
import io
import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.commands import device_issue, patience

Run = Callable[..., Any]
ISSUE = "/v1/devices:issue"
HEADER = (
    "serial,device_id,status,credential_type,token,client_id,username,password,certificate,endpoint,secret,product_key,"
    "device_key,device_name,reason,oscore_device_id,oscore_server_id,oscore_salt,oscore_id_context"
)


def line_of(number: int, serial: str) -> dict[str, Any]:
    """Issue what begins with n-, know what begins with k-, refuse the rest."""
    status = {"n-": "issued", "k-": "exists"}.get(serial[:2], "refused")
    if status == "refused":
        return {"line": number, "serial": serial, "status": status, "reason": "the name is taken"}
    credential = {"type": "access_token", "token": f"T-{serial}"}
    known = {"device_id": f"id-{serial}", "device_name": serial, "credential": credential}
    return {"line": number, "serial": serial, "status": status, **known}


def answer(asked: Any, most: int | None = None) -> tuple[int, bytes, dict[str, str]]:
    serials = [each["serial"] for each in asked.json()["devices"]]
    lines = [line_of(number, serial) for number, serial in enumerate(serials, 1)][:most]
    end: list[dict[str, Any]] = [{"done": True, "issued": 0, "existing": 0, "refused": 0}]
    body = b"".join(json.dumps(line).encode() + b"\n" for line in lines + (end if most is None else []))
    return 200, body, {"Content-Type": "application/x-ndjson"}


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.0)


def test_every_line_is_written_with_its_credential_or_its_reason(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.on("POST", ISSUE, answer)
    path = file("Serial;label;site\nn-1;Pump;Ulm\nk-1\n;x\nbad\nn-1\na;b;c;d\n;;\n", "serials.csv")
    result = run("device", "issue", path, "--profile", "meters", "--kind", "access_token")
    assert result.status == 1
    assert result.out.partition("\r\n")[0] == HEADER
    written = rows(result.out)
    assert [(row["serial"], row["status"], row["token"], row["reason"]) for row in written] == [
        ("n-1", "issued", "T-n-1", ""),
        ("k-1", "exists", "T-k-1", ""),
        ("", "refused", "", "serial is empty"),
        ("bad", "refused", "", "the name is taken"),
        ("n-1", "refused", "", "the serial is that of line 2"),
        ("", "refused", "", "4 cells under 3 columns"),
    ]
    assert (written[0]["device_id"], written[0]["device_name"], written[0]["credential_type"]) == (
        "id-n-1",
        "n-1",
        "access_token",
    )
    assert result.err.splitlines() == [
        "line 4: serial is empty",
        "line 5 (bad): the name is taken",
        "line 6 (n-1): the serial is that of line 2",
        "line 7: 4 cells under 3 columns",
        "1 issued, 1 existing, 4 refused",
    ]
    assert gateway.bodies("POST", ISSUE) == [
        {
            "profile": "meters",
            "kind": "access_token",
            "devices": [
                {"serial": "n-1", "label": "Pump", "metadata": {"site": "Ulm"}},
                {"serial": "k-1"},
                {"serial": "bad"},
            ],
        }
    ]


def test_ndjson_has_the_lines_of_the_file(gateway: Any, run: Run) -> None:
    gateway.on("POST", ISSUE, answer)
    for option in (["--format", "ndjson"], ["--json"]):
        result = run("device", "issue", "-", "--profile", "p", *option, stdin=b"serial\n\nn-1\n\nbad\n")
        assert result.status == 1
        first, second = map(json.loads, result.out.splitlines())
        assert first == {**line_of(1, "n-1"), "line": 3}
        assert second == {"line": 5, "serial": "bad", "status": "refused", "reason": "the name is taken"}


def test_a_file_that_is_written_is_its_owners_alone(gateway: Any, run: Run, tmp_path: Path) -> None:
    gateway.on("POST", ISSUE, answer)
    target = tmp_path / "credentials.csv"
    result = run("device", "issue", "-", "--profile", "p", "--output", str(target), stdin=b"serial\nn-1\nk-1\n")
    assert (result.status, result.out, result.err) == (0, "1 issued, 1 existing, 0 refused\n", "")
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    written = target.read_text("utf-8")
    assert [row["serial"] for row in rows(written)] == ["n-1", "k-1"]
    assert run("device", "issue", "-", "--profile", "p", "--output", str(target), stdin=b"serial\nn-1\nk-1\n").status == 0
    assert target.read_text("utf-8") == written


def test_many_serials_are_sent_in_some_calls(gateway: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    gateway.on("POST", ISSUE, answer)
    content = b"serial\n" + b"".join(b"n-%d\n" % number for number in range(25_000))
    result = run("device", "issue", "-", "--profile", "p", stdin=content)
    assert (result.status, result.err) == (0, "25,000 issued, 0 existing, 0 refused\n")
    assert [row["serial"] for row in rows(result.out)] == [f"n-{number}" for number in range(25_000)]
    assert [len(body["devices"]) for body in gateway.bodies("POST", ISSUE)] == [10_000, 10_000, 5_000]
    gateway.asked.clear()
    run("device", "issue", "-", "--profile", "p", "--kind", "mqtt_basic", stdin=content[:14_000])
    assert max(len(body["devices"]) for body in gateway.bodies("POST", ISSUE)) == device_issue.PASSWORDS
    gateway.asked.clear()
    monkeypatch.setattr(device_issue, "BATCH_BYTES", 1_000)
    run("device", "issue", "-", "--profile", "p", stdin=content[:14_000])
    assert max(len(asked.body) for asked in gateway.asked) < 2_000


def test_an_answer_that_breaks_off_is_asked_for_again_where_it_broke_off(gateway: Any, run: Run) -> None:
    gateway.on(
        "POST", ISSUE, lambda asked: answer(asked, 2), lambda asked: (0, b"", {}), lambda asked: answer(asked, 1), answer
    )
    content = b"serial\nn-1\nn-2\n\nn-3\nbad\nn-4\n"
    result = run("device", "issue", "-", "--profile", "p", stdin=content)
    assert result.status == 1
    assert [row["serial"] for row in rows(result.out)] == ["n-1", "n-2", "n-3", "bad", "n-4"]
    assert [[each["serial"] for each in body["devices"]] for body in gateway.bodies("POST", ISSUE)] == [
        ["n-1", "n-2", "n-3", "bad", "n-4"],
        ["n-3", "bad", "n-4"],
        ["n-3", "bad", "n-4"],
        ["bad", "n-4"],
    ]


def test_a_gateway_that_answers_nothing_is_a_failure(gateway: Any, run: Run) -> None:
    gateway.on("POST", ISSUE, lambda asked: (200, b'{"done":true}\n', {}))
    result = run("device", "issue", "-", "--profile", "p", stdin=b"serial\nn-1\n")
    assert result.status == 1
    assert result.err.startswith(
        "firstlight: the gateway answered none of 1 lines; stopped after 0 issued, 0 existing, 0 refused:"
    )


def test_more_lines_than_were_asked_for_are_left_alone(gateway: Any, run: Run) -> None:
    surplus = json.dumps(line_of(2, "n-2")).encode() + b"\n"
    gateway.on("POST", ISSUE, lambda asked: (200, answer(asked, 1)[1] + surplus, {}))
    result = run("device", "issue", "-", "--profile", "p", stdin=b"serial\nn-1\n")
    assert [row["serial"] for row in rows(result.out)] == ["n-1"]


def test_a_refusal_stops_it_and_says_how_far_it_came(gateway: Any, run: Run) -> None:
    gateway.refuse("POST", ISSUE, 404, detail="there is no profile of this id or name", check="profile.unknown")
    result = run("device", "issue", "-", "--profile", "p", stdin=b"serial\nn-1\n")
    assert result.status == 1
    assert "there is no profile" in result.err
    assert "stopped after 0 issued, 0 existing, 0 refused: the same command again gives the same and goes on" in result.err


def test_a_gateway_that_is_busy_is_waited_for(gateway: Any, run: Run) -> None:
    gateway.on("POST", ISSUE, lambda asked: (503, b"{}", {"Retry-After": "0"}), answer)
    assert run("device", "issue", "-", "--profile", "p", stdin=b"serial\nn-1\n").status == 0


def test_a_gateway_that_is_not_there_is_not_waited_for(run: Run) -> None:
    result = run("device", "issue", "-", "--profile", "p", stdin=b"serial\nn-1\n", FIRSTLIGHT_URL="http://127.0.0.1:9")
    assert result.status == 1
    assert "is the gateway running?" in result.err


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "one of them must be `serial`"),
        (b"name\nn-1\n", "one of them must be `serial`"),
        (b"serial\n", "there are no serials in it"),
        (b"serial,serial\n", "two columns are named `serial`"),
    ],
)
def test_nothing_to_issue_is_a_usage_error(run: Run, content: bytes, complaint: str) -> None:
    result = run("device", "issue", "-", "--profile", "p", stdin=content)
    assert result.status == 2
    assert complaint in result.err


def test_a_cell_without_a_column_is_a_bad_line(gateway: Any, run: Run) -> None:
    gateway.on("POST", ISSUE, answer)
    result = run("device", "issue", "-", "--profile", "p", stdin=b"serial,\nn-1,x\n")
    assert rows(result.out)[0]["reason"] == "a cell under a column without a name"
    assert gateway.asked == []


def test_a_file_that_cannot_be_written_is_a_usage_error(run: Run, tmp_path: Path) -> None:
    result = run("device", "issue", "-", "--profile", "p", "--output", str(tmp_path), stdin=b"serial\nn-1\n")
    assert (result.status, result.err) == (2, f"firstlight: cannot write {tmp_path}: Is a directory\n")


def test_a_terminal_shows_how_far_it_is_and_nothing_acts_on_it(
    gateway: Any, run: Run, file: Callable[..., str], terminal: Any
) -> None:
    gateway.on("POST", ISSUE, answer)
    path = file("serial\nn-1\nx\x1b[2J\n", "serials.csv")
    result = run("device", "issue", path, "--profile", "p", on=terminal)
    assert "issuing" in result.err
    assert "\x1b[2J" not in result.out
    assert "x\\x1b[2J" in result.out


def test_a_real_gateway_gives_the_same_twice(operate: Run, tmp_path: Path) -> None:
    operate("profile", "create", "batches", "--strategy", "signed", "--product-key", "pk1")
    content = b"serial,label\n" + b"".join(b"SN%d,Pump %d\n" % (number, number) for number in range(300))
    issue = ("device", "issue", "-", "--profile", "batches")
    first = operate(*issue, stdin=content)
    assert (first.status, first.err) == (0, "300 issued, 0 existing, 0 refused\n")
    second = operate(*issue, stdin=content)
    assert second.err == "0 issued, 300 existing, 0 refused\n"
    assert second.out.replace(",exists,", ",issued,") == first.out
    row = rows(first.out)[7]
    assert (row["serial"], row["credential_type"], row["product_key"]) == ("SN7", "device_secret", "pk1")
    shown = operate("device", "show", "SN7", "--credentials").out
    assert row["device_key"] in shown
    assert "Pump 7" in shown
