from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
AT = "2026-11-21T02:33:58.123Z"
DEVICE = {
    "id": "d1",
    "name": "meter-1",
    "profile": "p1",
    "state": "defined",
    "enabled": True,
    "metadata": {"batch": "7"},
    "created_at": AT,
    "updated_at": AT,
    "version": 1,
}
CREDENTIAL = {"id": "c1", "type": "access_token", "token": "dev-token", "created_at": AT}
PROFILE = {
    "id": "p1",
    "name": "meters",
    "strategy": "create_new",
    "reprovision": "deny",
    "provision_key": "k",
    "created_at": AT,
    "updated_at": AT,
}


def test_define_shows_the_credential(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/devices", {**DEVICE, "credentials": [CREDENTIAL]}, status=201)
    result = run("device", "define", "meter-1", "--profile", "meters", "--metadata", "batch=7", "--metadata", "site=a=b")
    assert gateway.bodies("POST", "/v1/devices") == [
        {"name": "meter-1", "profile": "meters", "metadata": {"batch": "7", "site": "a=b"}}
    ]
    assert "token       dev-token\n" in result.out
    assert 'metadata  {"batch":"7"}\n' in result.out
    assert run("device", "define", "meter-1", "--profile", "meters", "--json").json()["credentials"] == [CREDENTIAL]


@pytest.mark.parametrize(
    ("argv", "credential"),
    [
        (["--token-stdin"], {"type": "access_token", "token": "from-stdin"}),
        (["--client-id", "c", "--username", "u"], {"type": "mqtt_basic", "client_id": "c", "username": "u"}),
        (["--username", "u", "--password-stdin"], {"type": "mqtt_basic", "username": "u", "password": "from-stdin"}),
        (["--endpoint", "urn:imei:1"], {"type": "lwm2m", "endpoint": "urn:imei:1"}),
    ],
)
def test_define_takes_a_credential(gateway: Any, run: Run, argv: list[str], credential: dict[str, str]) -> None:
    gateway.json("POST", "/v1/devices", DEVICE, status=201)
    assert run("device", "define", "m", "--profile", "p", *argv, stdin=b"from-stdin\n").status == 0
    assert gateway.bodies("POST", "/v1/devices")[0]["credential"] == credential


def test_define_takes_a_certificate(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.json("POST", "/v1/devices", DEVICE, status=201)
    pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----"
    run("device", "define", "m", "--profile", "p", "--certificate-file", file(pem + "\n"))
    assert gateway.bodies("POST", "/v1/devices")[0]["credential"] == {"type": "x509_certificate", "certificate": pem}


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--username", "u", "--endpoint", "e"], "mqtt_basic and lwm2m: a device has one kind of credential"),
        (["--metadata", "batch"], "--metadata: write it like batch=7"),
        (["--metadata", "=7"], "--metadata: write it like batch=7"),
    ],
)
def test_define_refuses_what_contradicts_itself(gateway: Any, run: Run, argv: list[str], complaint: str) -> None:
    result = run("device", "define", "m", "--profile", "p", *argv)
    assert result.status == 2
    assert complaint in result.err
    assert not gateway.asked


def test_list_names_profiles(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/profiles", {"items": [PROFILE], "next": None})
    gateway.json("GET", "/v1/devices", {"items": [DEVICE, {**DEVICE, "profile": "p-gone", "enabled": False}], "next": "d1"})
    result = run("device", "list", "--name", "meter", "--profile", "meters", "--state", "defined")
    lines = result.out.splitlines()
    assert lines[1].split() == ["meter-1", "defined", "yes", "meters", AT, "d1"]
    assert lines[2].split() == ["meter-1", "defined", "no", "p-gone", AT, "d1"]
    assert result.err == "the first 2; --all shows all of them\n"
    assert gateway.asked[0].query == {"name": "meter", "profile": "meters", "state": "defined"}


def test_a_factory_that_may_not_read_profiles_sees_their_ids(gateway: Any, run: Run) -> None:
    gateway.refuse("GET", "/v1/profiles", 403, detail="not for a factory")
    gateway.json("GET", "/v1/devices", {"items": [DEVICE], "next": None})
    result = run("device", "list")
    assert result.status == 0
    assert "p1" in result.out


def test_list_all_goes_on(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/devices", {"items": [DEVICE], "next": "d1"}, {"items": [{**DEVICE, "id": "d2"}], "next": None})
    result = run("device", "list", "--all", "--json")
    assert [each["id"] for each in result.json()] == ["d1", "d2"]
    assert result.err == ""


def test_show(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/devices/meter-1", DEVICE)
    result = run("device", "show", "meter-1")
    assert "state     defined\n" in result.out
    assert len(gateway.asked) == 1
    assert run("device", "show", "meter-1", "--json").json() == DEVICE


def test_show_credentials(gateway: Any, run: Run) -> None:
    basic = {"type": "mqtt_basic", "client_id": "c", "username": "\x1b[1mu", "password": ""}
    items = [CREDENTIAL, basic, {"type": "x509_certificate"}]
    gateway.json("GET", "/v1/devices/meter-1", DEVICE)
    gateway.json("GET", "/v1/devices/meter-1/credentials", {"items": items}, {"items": items}, {"items": []})
    out = run("device", "show", "meter-1", "--credentials").out
    assert "token       dev-token\n" in out
    assert "user name   \\x1b[1mu\npassword    -\n" in out
    assert "credential  x509_certificate\n" in out
    assert run("device", "show", "meter-1", "--credentials", "--json").json() == {**DEVICE, "credentials": items}
    assert run("device", "show", "meter-1", "--credentials").out.endswith("no credentials\n")


@pytest.mark.parametrize(
    ("verb", "body"),
    [("disable", {"enabled": False}), ("enable", {"enabled": True}), ("reset", {"state": "defined"})],
)
def test_switches(gateway: Any, run: Run, verb: str, body: dict[str, Any]) -> None:
    gateway.json("PATCH", "/v1/devices/meter-1", DEVICE)
    assert run("device", verb, "meter-1").status == 0
    assert gateway.bodies("PATCH", "/v1/devices/meter-1") == [body]


def test_rotate_shows_the_new_credential(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/devices/meter-1/credentials", {"items": [CREDENTIAL]}, status=201)
    assert run("device", "rotate", "meter-1").out == "credential  access_token\ntoken       dev-token\nid          c1\n"
    assert run("device", "rotate", "meter-1", "--json", "--token-stdin", stdin=b"own").json() == {"items": [CREDENTIAL]}
    assert gateway.bodies("POST", "/v1/devices/meter-1/credentials") == [None, {"type": "access_token", "token": "own"}]


def test_revoke_and_delete(gateway: Any, run: Run) -> None:
    gateway.on("DELETE", "/v1/devices/meter-1/credentials", lambda asked: (204, b"", {}))
    gateway.on("DELETE", "/v1/devices/meter-1", lambda asked: (204, b"", {}))
    assert run("device", "revoke", "meter-1").out == "device meter-1 revoked\n"
    assert run("device", "delete", "meter-1", "--json").json() == {"device": "meter-1", "deleted": True}
