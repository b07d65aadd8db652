"""The commands against a gateway that runs: a process of its own, its own directory, sockets of its own."""

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adapters.commands.csv_exported import EXPORTED
from tests.commands.served import PROGRAM, Gateway, environment

Run = Callable[..., Any]
SECRET = "s3cr3t0demo0demo0000"


def test_the_directory_of_the_gateway_is_access_enough(served: Gateway) -> None:
    done = subprocess.run(
        [*PROGRAM, "token", "list"],
        cwd=served.directory,
        env=environment(FIRSTLIGHT_URL=f"http://{served.http}"),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.startswith("NAME")


@pytest.mark.parametrize("carrier", ["http", "coap", "mqtt"])
def test_a_device_gets_in_is_refused_and_explained(carrier: str, served: Gateway, operate: Run, run: Run) -> None:
    name, key = f"meter-{carrier}", f"key-{carrier}"
    assert operate("profile", "create", f"meters-{carrier}", "--key", key, "--secret-stdin", stdin=SECRET.encode()).status == 0
    argv = ["enroll", "thingsboard", "--over", carrier, "--port", served.port(carrier), "--name", name, "--key", key]
    result = run(*argv, "--secret-stdin", "--check", stdin=SECRET.encode())
    assert result.status == 0, result.err
    assert json.loads(result.out)["status"] == "SUCCESS"
    assert result.err == f"logged in over {carrier} with the new credentials\n"
    assert operate("device", "show", name, "--json").json()["state"] == "connected"

    again = run(*argv, "--secret", SECRET)
    assert (again.status, json.loads(again.out)["status"]) == (1, "FAILURE")
    guess = run(*argv, "--secret", "guess")
    assert (guess.status, json.loads(guess.out)["status"]) == (1, "NOT_FOUND")

    refused = operate("event", "list", "--kind", "provision.refused", "--device", name, "--json").json()
    assert [(event["check"], event["protocol"]) for event in refused] == [("device.exists", carrier), ("claim.secret", carrier)]
    explained = operate("explain", refused[0]["correlation"])
    assert "A device of this name was created before" in explained.out


def test_mqtt_credentials_of_its_own_log_a_device_in(served: Gateway, operate: Run, run: Run) -> None:
    operate("profile", "create", "fields", "--key", "key-fields", "--secret-stdin", stdin=SECRET.encode())
    argv = ["enroll", "thingsboard", "--over", "mqtt", "--port", served.port("mqtt"), "--key", "key-fields", "--secret", SECRET]
    own = ["--credentials-type", "MQTT_BASIC", "--client-id", "c-1", "--username", "field", "--password", "pw-1"]
    result = run(*argv, *own, "--check")
    assert result.status == 0, result.err
    assert json.loads(result.out)["credentialsValue"] == {"clientId": "c-1", "userName": "field", "password": "pw-1"}


def test_the_life_of_a_defined_device(served: Gateway, operate: Run, run: Run) -> None:
    operate(
        "profile",
        "create",
        "defined",
        "--strategy",
        "pre_provisioned",
        "--key",
        "key-def",
        "--secret-stdin",
        stdin=SECRET.encode(),
    )
    assert operate("device", "define", "pump/1 ä", "--profile", "defined", "--token-stdin", stdin=b"own-token-1").status == 0
    argv = ["enroll", "thingsboard", "--over", "http", "--port", served.port("http"), "--key", "key-def", "--secret", SECRET]
    argv += ["--name", "pump/1 ä"]
    assert json.loads(run(*argv).out)["credentialsValue"] == "own-token-1"
    assert run(*argv).status == 1
    assert operate("device", "reset", "pump/1 ä").status == 0
    assert operate("device", "disable", "pump/1 ä", "--json").json()["enabled"] is False
    assert run(*argv).status == 1
    assert operate("device", "enable", "pump/1 ä", "--json").json()["enabled"] is True
    assert run(*argv).status == 0
    token = operate("device", "rotate", "pump/1 ä", "--json").json()["items"][0]["token"]
    shown = operate("device", "show", "pump/1 ä", "--credentials", "--json").json()
    assert [credential["token"] for credential in shown["credentials"]] == [token]
    assert operate("device", "revoke", "pump/1 ä").status == 0
    assert operate("device", "show", "pump/1 ä", "--credentials", "--json").json()["credentials"] == []
    assert operate("profile", "delete", "defined").status == 1
    assert operate("device", "delete", "pump/1 ä").status == 0
    assert operate("profile", "delete", "defined").status == 0


def test_a_file_of_devices_in_and_out(served: Gateway, operate: Run, tmp_path: Path) -> None:
    operate("profile", "create", "fleet")
    path = tmp_path / "fleet.csv"
    rows = [f"unit-{number:05};batch {number % 7};" for number in range(1500)]
    path.write_text("name;batch;token\n" + "\n".join([*rows, ";no name;", "unit-x;;own-token-x", ""]), encoding="utf-8-sig")
    result = operate("device", "import", str(path), "--profile", "fleet")
    assert (result.status, result.out) == (1, "1,501 created, 0 unchanged, 1 refused\n")
    assert result.err == "line 1502: name is empty\n"
    assert operate("device", "import", str(path), "--profile", "fleet").out == "0 created, 1,501 unchanged, 1 refused\n"
    assert operate("device", "show", "unit-x", "--credentials", "--json").json()["credentials"][0]["token"] == "own-token-x"
    exported = tmp_path / "out.csv"
    result = operate("device", "export", str(exported), "--profile", "fleet")
    assert result.err == f"1,501 devices in {exported}\n"
    lines = exported.read_text().splitlines()
    assert sorted(line.partition(",")[0] for line in lines[1:]) == sorted([*(row.partition(";")[0] for row in rows), "unit-x"])
    assert len(operate("device", "list", "--all", "--profile", "fleet", "--json").json()) == 1501
    listed = operate("device", "list", "--name", "unit-0001")
    assert len(listed.out.splitlines()) == 11
    assert "fleet" in listed.out


def test_an_exported_file_comes_in_again_without_the_registry_s_own_columns(operate: Run, tmp_path: Path) -> None:
    operate("profile", "create", "travelling")
    exported = tmp_path / "out.csv"
    assert operate("device", "define", "unit-t", "--profile", "travelling").status == 0
    assert operate("device", "export", str(exported), "--profile", "travelling").status == 0
    header = exported.read_text().partition("\n")[0].split(",")
    assert set(header) == EXPORTED | {"name"}
    assert operate("device", "delete", "unit-t").status == 0
    result = operate("device", "import", str(exported))
    assert (result.status, result.out) == (0, "1 created, 0 unchanged, 0 refused\n")
    assert result.err.startswith("an exported file: these columns are not taken: id, state, ")
    assert operate("device", "show", "unit-t", "--json").json()["metadata"] == {}


def test_roles_hold(served: Gateway, operate: Run, run: Run) -> None:
    token = operate("token", "create", "line-3", "--role", "factory", "--json").json()["token"]

    def produce(*argv: str) -> Any:
        return run(*argv, FIRSTLIGHT_URL=f"http://{served.http}", FIRSTLIGHT_TOKEN=token)

    operate("profile", "create", "line")
    assert produce("device", "define", "line-1", "--profile", "line").status == 0
    for forbidden in (("event", "list"), ("device", "list", "--name", "line-1"), ("device", "show", "line-1")):
        refused = produce(*forbidden)
        assert refused.status == 1
        assert "403" in refused.err
    assert operate("token", "revoke", "line-3").status == 0
    assert "does not know this token" in produce("device", "list").err


def test_following_shows_what_happens(served: Gateway, operate: Run) -> None:
    command = subprocess.Popen(
        [*PROGRAM, "event", "follow", "--limit", "1", "--json"],
        cwd=served.directory,
        env=environment(FIRSTLIGHT_URL=f"http://{served.http}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert command.stdout is not None
    first = json.loads(command.stdout.readline())
    operate("profile", "create", "watched")
    second = json.loads(command.stdout.readline())
    assert first["id"] < second["id"]
    assert (second["kind"], second["actor"]) == ("profile.created", "admin")
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=60)
    assert (command.returncode, out, err) == (130, "", "")


def test_the_other_changes_to_profiles(operate: Run) -> None:
    first = operate("profile", "create", "changing", "--json").json()
    second = operate("profile", "rotate", "changing", "--json").json()
    assert first["provision_secret"] != second["provision_secret"]
    assert operate("profile", "change", "changing", "--name", "changed", "--reprovision", "rotate").status == 0
    assert operate("profile", "disable", "changed", "--json").json()["strategy"] == "disabled"
    assert operate("profile", "show", first["id"], "--json").json()["name"] == "changed"
    assert "changed" in operate("profile", "list").out
    again = operate("profile", "create", "changed")
    assert again.status == 1
    assert "409" in again.err


def test_a_second_gateway_on_the_same_address_says_so(served: Gateway, tmp_path: Path) -> None:
    done = subprocess.run(
        [*PROGRAM, "serve"],
        cwd=tmp_path,
        env=environment(FIRSTLIGHT_HTTP=served.http, FIRSTLIGHT_COAP="", FIRSTLIGHT_MQTT=""),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "FIRSTLIGHT_HTTP" in done.stderr
    assert "Traceback" not in done.stderr
