from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
EXPORT = "/v1/devices:export"
HEADER = b"name,id,profile,state,enabled,created_at\r\n"


def page(rows: list[bytes], after: str | None) -> Any:
    headers = {"Content-Type": "text/csv"} | ({"X-Next": after} if after else {})
    return lambda asked: (200, HEADER + b"".join(row + b"\r\n" for row in rows), headers)


@pytest.fixture
def fleet(gateway: Any) -> Any:
    gateway.on("GET", EXPORT, page([b"m-1,d1", b"m-2,d2"], "d2"), page([b"m-3,d3"], None))
    return gateway


def test_pages_become_one_file(fleet: Any, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_text("an older one")
    result = run("device", "export", str(path), "--profile", "meters", "--state", "provisioned")
    assert path.read_bytes() == HEADER + b"m-1,d1\r\nm-2,d2\r\nm-3,d3\r\n"
    assert (result.status, result.out, result.err) == (0, "", f"3 devices in {path}\n")
    assert fleet.asked[1].query == {"limit": "1000", "after": "d2", "profile": "meters", "state": "provisioned"}
    assert list(tmp_path.iterdir()) == [path]


def test_standard_output_is_the_default(fleet: Any, run: Run) -> None:
    result = run("device", "export")
    assert (result.status, result.err) == (0, "")
    assert result.out.splitlines() == ["name,id,profile,state,enabled,created_at", "m-1,d1", "m-2,d2", "m-3,d3"]


def test_a_terminal_is_protected_and_shows_how_far_it_is(gateway: Any, run: Run, terminal: Any) -> None:
    gateway.on("GET", EXPORT, page(["m\x9b2J\x1b[m,d1".encode()], None))
    result = run("device", "export", on=terminal)
    assert "m\\x9b2J\\x1b[m,d1\n" in result.out
    assert "1 devices" in result.err


def test_json_is_a_document_a_line(gateway: Any, run: Run, tmp_path: Path) -> None:
    gateway.json(
        "GET", "/v1/devices", {"items": [{"id": "d1"}, {"id": "d2"}], "next": "d2"}, {"items": [{"id": "d3"}], "next": None}
    )
    assert run("device", "export", "--json", str(tmp_path / "f")).status == 0
    assert (tmp_path / "f").read_text() == '{"id":"d1"}\n{"id":"d2"}\n{"id":"d3"}\n'


def test_a_failure_leaves_the_older_file(gateway: Any, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "fleet.csv"
    path.write_text("an older one")
    gateway.on("GET", EXPORT, page([b"m-1,d1"], "d1"), lambda asked: (403, b'{"detail":"no longer"}', {}))
    result = run("device", "export", str(path))
    assert (result.status, result.err) == (1, "firstlight: no longer (403)\n")
    assert path.read_text() == "an older one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_named(fleet: Any, run: Run, tmp_path: Path) -> None:
    result = run("device", "export", str(tmp_path / "missing" / "f.csv"))
    assert result.status == 1
    assert "cannot write" in result.err
    assert "No such file or directory" in result.err


def test_a_device_file_is_written_and_not_replaced(fleet: Any, run: Run, tmp_path: Path) -> None:
    null = tmp_path / "null"
    null.symlink_to("/dev/null")
    assert run("device", "export", str(null)).status == 0
    assert null.is_symlink()
    assert list(tmp_path.iterdir()) == [null]
