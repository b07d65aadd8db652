"""Firmware on the command line."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
IMAGE = {"version": "1.3.0", "url": "https://images.example/1", "size": 81_920, "sha256": "0f" * 32}
SAID = ["--version", "1.3.0", "--url", "https://images.example/1"]
MEASURED = ["--size", "81920", "--sha256", "0f" * 32]


@pytest.mark.parametrize(("holder", "noun"), [("device", "devices"), ("config", "configs"), ("profile", "profiles")])
def test_firmware_is_said_shown_and_cleared(gateway: Any, run: Run, holder: str, noun: str) -> None:
    path = f"/v1/{noun}/meters/firmware"
    gateway.json("PUT", path, IMAGE)
    said = run("firmware", "set", holder, "meters", *SAID, *MEASURED)
    assert said.out.splitlines()[2] == "size     81,920 bytes"
    assert run("firmware", "set", holder, "meters", *SAID, *MEASURED, "--json").json() == IMAGE
    assert gateway.bodies("PUT", path) == [IMAGE, IMAGE]
    gateway.json("GET", f"/v1/{noun}/meters", {"firmware": IMAGE}, {"firmware": IMAGE}, {"firmware": None})
    assert run("firmware", "show", holder, "meters").out == said.out
    assert run("firmware", "show", holder, "meters", "--json").json() == IMAGE
    assert run("firmware", "show", holder, "meters").out == f"{holder} meters says nothing of firmware\n"
    gateway.on("DELETE", path, lambda asked: (204, b"", {}))
    assert run("firmware", "clear", holder, "meters").out == f"{holder} meters cleared\n"


def test_size_and_digest_are_taken_from_the_image(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    content = bytes(range(256)) * 1_000
    gateway.json("PUT", "/v1/profiles/meters/firmware", IMAGE)
    assert run("firmware", "set", "profile", "meters", *SAID, "--file", file(content)).status == 0
    (sent,) = gateway.bodies("PUT", "/v1/profiles/meters/firmware")
    assert (sent["size"], sent["sha256"]) == (256_000, hashlib.sha256(content).hexdigest())


@pytest.mark.parametrize(
    ("argv", "fault"),
    [
        ([], "give --file, or both --size and --sha256"),
        (["--size", "3"], "give --file, or both --size and --sha256"),
        (["--file", "f", "--size", "3"], "--file says what --size and --sha256 say: give one or the other"),
        (["--file", "/nowhere/at/all"], "--file: cannot read /nowhere/at/all: No such file or directory"),
    ],
)
def test_an_image_is_measured_in_one_way(gateway: Any, run: Run, argv: list[str], fault: str) -> None:
    result = run("firmware", "set", "profile", "meters", *SAID, *argv)
    assert (result.status, result.err) == (2, f"firstlight: {fault}\n")
    assert gateway.asked == []


def test_who_runs_what_is_a_table(gateway: Any, run: Run) -> None:
    lines = [
        {"profile": "p-1", "profile_name": "meters", "version": "", "devices": 3},
        {"profile": "p-1", "profile_name": "meters", "version": "1.2.0", "devices": 12_000},
        {"profile": "p-2", "profile_name": "", "version": "7", "devices": 1},
    ]
    gateway.json("GET", "/v1/firmware", {"items": lines, "complete": True})
    result = run("firmware", "list", "--profile", "meters")
    assert [line.split(maxsplit=1) for line in result.out.splitlines()[1:]] == [
        ["meters", "not known  3"],
        ["meters", "1.2.0      12,000"],
        ["p-2", "7          1"],
    ]
    assert (result.err, gateway.asked[0].query) == ("", {"profile": "meters"})
    assert run("firmware", "list", "--json").json() == lines
    gateway.json("GET", "/v1/firmware", {"items": lines, "complete": False})
    assert run("firmware", "list").err == "there are more; --profile shows those of one profile\n"


def test_firmware_of_a_gateway_that_runs(operate: Run, file: Callable[..., str]) -> None:
    assert operate("profile", "create", "imaged").status == 0
    assert operate("device", "define", "imaged-1", "--profile", "imaged").status == 0
    for holder, name in (("profile", "imaged"), ("device", "imaged-1")):
        assert operate("firmware", "set", holder, name, *SAID, "--file", file(b"image")).status == 0
    assert "1.3.0 from https://images.example/1" in operate("device", "show", "imaged-1").out
    assert operate("firmware", "show", "profile", "imaged", "--json").json()["size"] == 5
    assert (
        "check firmware.url" in operate("firmware", "set", "profile", "imaged", "--version", "1", "--url", "x", *MEASURED).err
    )
    assert operate("firmware", "clear", "device", "imaged-1").status == 0
    listed = operate("firmware", "list", "--profile", "imaged", "--json").json()
    assert [(line["version"], line["devices"]) for line in listed] == [("", 1)]
