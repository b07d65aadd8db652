import json
import socket
from collections.abc import Callable
from typing import Any

import pytest

from adapters.commands import device_import, patience

Run = Callable[..., Any]
IMPORT = "/v1/devices:import"


def accept(asked: Any) -> tuple[int, bytes, dict[str, str]]:
    """Create what begins with m-, know what begins with k-, refuse the rest."""
    devices = asked.json()["devices"]
    errors = [
        {"line": each["line"], "name": each["name"], "reason": "the name is taken"}
        for each in devices
        if each["name"][:2] not in ("m-", "k-")
    ]
    created = sum(each["name"].startswith("m-") for each in devices)
    unchanged = sum(each["name"].startswith("k-") for each in devices)
    return 200, json.dumps({"created": created, "unchanged": unchanged, "errors": errors}).encode(), {}


def test_good_lines_are_kept_and_bad_ones_are_told(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.on("POST", IMPORT, accept)
    path = file("name,token,batch\nm-1,t-1,7\nk-1,,\n,t,\nx\x1b[2J,,\n", "fleet.csv")
    result = run("device", "import", path, "--profile", "meters")
    assert result.status == 1
    assert result.out == "1 created, 1 unchanged, 1 refused\n".replace("1 refused", "2 refused")
    assert result.err == "line 4: name is empty\nline 5 (x\\x1b[2J): the name is taken\n"
    assert gateway.bodies("POST", IMPORT) == [
        {
            "devices": [
                {
                    "name": "m-1",
                    "line": 2,
                    "profile": "meters",
                    "credential": {"type": "access_token", "token": "t-1"},
                    "metadata": {"batch": "7"},
                },
                {"name": "k-1", "line": 3, "profile": "meters"},
                {"name": "x\x1b[2J", "line": 5, "profile": "meters"},
            ]
        }
    ]


def test_all_good_is_exit_status_0(gateway: Any, run: Run) -> None:
    gateway.on("POST", IMPORT, accept)
    content = "name\n" + "".join(f"m-{number}\n" for number in range(1998)) + "k-1\n"
    result = run("device", "import", "-", "--profile", "meters", stdin=content.encode())
    assert (result.status, result.out, result.err) == (0, "1,998 created, 1 unchanged, 0 refused\n", "")
    assert [len(body["devices"]) for body in gateway.bodies("POST", IMPORT)] == [500, 500, 500, 499]


def test_batches_are_bounded_in_bytes_too(gateway: Any, run: Run) -> None:
    gateway.on("POST", IMPORT, accept)
    content = "name,profile,note\n" + "".join(f"m-{number},own,{'x' * 50_000}\n" for number in range(13))
    assert run("device", "import", "-", stdin=content.encode()).status == 0
    assert [len(body["devices"]) for body in gateway.bodies("POST", IMPORT)] == [6, 6, 1]
    assert all(len(asked.body) < device_import.BATCH_BYTES + 60_000 for asked in gateway.asked)
    assert gateway.bodies("POST", IMPORT)[0]["devices"][0]["profile"] == "own"


def test_json_has_the_reasons(gateway: Any, run: Run) -> None:
    gateway.on("POST", IMPORT, accept)
    result = run("device", "import", "-", "--profile", "p", "--json", stdin=b"name\nm-1\nx\n")
    assert result.json() == {
        "created": 1,
        "unchanged": 0,
        "refused": 1,
        "errors": [{"line": 3, "name": "x", "reason": "the name is taken"}],
    }


def test_json_keeps_a_bounded_number_of_reasons(gateway: Any, run: Run) -> None:
    gateway.on("POST", IMPORT, accept)
    document = run("device", "import", "-", "--profile", "p", "--json", stdin=b"name,x\n" + b",y\n" * 1500).json()
    assert (document["refused"], len(document["errors"])) == (1500, 1000)
    assert not gateway.asked


def test_a_busy_gateway_is_asked_again(gateway: Any, run: Run) -> None:
    busy = (429, b'{"detail":"slow down"}', {"Retry-After": "0"})
    unclear = (503, b"", {"Retry-After": "soon"})
    gateway.on("POST", IMPORT, lambda asked: busy, lambda asked: unclear, accept)
    result = run("device", "import", "-", "--profile", "p", stdin=b"name\nm-1\n")
    assert (result.status, result.out) == (0, "1 created, 0 unchanged, 0 refused\n")
    assert len({asked.body for asked in gateway.asked}) == 1
    assert len(gateway.asked) == 3


def test_a_gateway_that_stays_busy_ends_it(gateway: Any, run: Run) -> None:
    gateway.refuse("POST", IMPORT, 503, detail="the registry is full", headers={"Retry-After": "0"})
    result = run("device", "import", "-", "--profile", "p", stdin=b"name\n,\nm-1\n")
    assert result.status == 1
    assert result.err == (
        "firstlight: the registry is full (503); stopped after 0 created, 0 unchanged, 0 refused:"
        " importing the same file again goes on from there\n"
    )
    assert len(gateway.asked) == patience.ATTEMPTS


def test_a_refusal_ends_it_at_once(gateway: Any, run: Run) -> None:
    gateway.on("POST", IMPORT, accept, lambda asked: (413, b'{"detail":"too large"}', {}))
    result = run("device", "import", "-", "--profile", "p", stdin=b"name\n" + b"m-1\n" * 501)
    assert result.status == 1
    assert "too large (413); stopped after 500 created, 0 unchanged, 0 refused" in result.err


def test_a_gateway_that_was_never_there_is_not_waited_for(run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        result = run("device", "import", "-", "--profile", "p", stdin=b"name\nm-1\n", FIRSTLIGHT_URL=url)
    assert result.status == 1
    assert "Connection refused" in result.err


def test_a_lost_connection_is_made_again(gateway: Any, run: Run) -> None:
    gateway.on("POST", IMPORT, accept, lambda asked: (0, b"", {}), accept)
    result = run("device", "import", "-", "--profile", "p", stdin=b"name\n" + b"m-1\n" * 501)
    assert (result.status, result.out) == (0, "501 created, 0 unchanged, 0 refused\n")


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "must be `name`"),
        (b"serial\nm\n", "must be `name`"),
        (b"name\n", "there are no devices in it"),
        (b"name\n\n\n", "there are no devices in it"),
    ],
)
def test_nothing_to_import_is_a_usage_error(run: Run, file: Callable[..., str], content: bytes, complaint: str) -> None:
    result = run("device", "import", file(content), "--profile", "p")
    assert result.status == 2
    assert complaint in result.err


def test_a_file_that_cannot_be_read_is_a_usage_error(run: Run, tmp_path: Any) -> None:
    assert (
        run("device", "import", str(tmp_path), "--profile", "p").err == f"firstlight: cannot read {tmp_path}: Is a directory\n"
    )
    assert run("device", "import", "/nonexistent.csv", "--profile", "p").status == 2


def test_a_terminal_shows_how_far_it_is(gateway: Any, run: Run, terminal: Any, file: Callable[..., str]) -> None:
    gateway.on("POST", IMPORT, accept)
    path = file("name,x\nm-1,\n[red]\x9b2J,\n,y\n")
    result = run("device", "import", path, "--profile", "p", on=terminal)
    assert result.status == 1
    assert "importing" in result.err
    assert "bytes" in result.err
    assert "line 3 ([red]\\x9b2J): the name is taken" in result.err
    assert "line 4: name is empty" in result.err
    assert "\x9b" not in result.err
