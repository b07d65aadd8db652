"""Options by which an operator says whom to trust: chains, certificates from the gateway, unprotected wires, OSCORE."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from tests.core.authorities import authority

Run = Callable[..., Any]
SECRET = "0102030405060708090a0b0c0d0e0f10"
PROFILE = {
    "id": "p1",
    "name": "pumps",
    "strategy": "certificate_chain",
    "reprovision": "deny",
    "provision_key": "a1",
    "chain": {"certificate": "PEM", "anchor": "a1", "pattern": "^(.*)$", "create": True, "lax": False},
    "issuing": {"lifetime_days": 90, "key_pairs": True},
    "plain": "challenge",
    "created_at": "2026-11-21T02:33:58.123Z",
    "updated_at": "2026-11-21T02:33:58.123Z",
}
CREDENTIAL = {"type": "oscore", "id": "c1", "device_id": "01", "server_id": "", "secret": SECRET, "salt": "9e7c"}


def test_trust_is_said_when_a_profile_is_made(gateway: Any, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "factory.pem"
    file.write_text("the certificate\n")
    gateway.json("POST", "/v1/profiles", PROFILE, status=201)
    options = ("--certificate", str(file), "--pattern", "^(.*)$", "--no-create", "--lax")
    run("profile", "create", "pumps", "--strategy", "certificate_chain", *options)
    run("profile", "create", "pumps", "--issue-days", "90", "--issue-keys", "--plain", "nothing")
    run("profile", "create", "pumps")
    assert gateway.bodies("POST", "/v1/profiles") == [
        {
            "name": "pumps",
            "strategy": "certificate_chain",
            "chain": {"certificate": "the certificate", "pattern": "^(.*)$", "create": False, "lax": True},
        },
        {"name": "pumps", "issuing": {"lifetime_days": 90, "key_pairs": True}, "plain": "nothing"},
        {"name": "pumps"},
    ]


def test_trust_is_changed_and_taken_back(gateway: Any, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "factory.pem"
    file.write_text("another\n")
    gateway.json("PATCH", "/v1/profiles/pumps", PROFILE)
    run("profile", "change", "pumps", "--chain-certificate", str(file), "--create", "--no-lax")
    run("profile", "change", "pumps", "--no-issue", "--plain", "default")
    run("profile", "change", "pumps", "--no-issue-keys", "--plain", "everything")
    run("profile", "change", "pumps", "--name", "valves")
    run("profile", "disable", "pumps")
    assert gateway.bodies("PATCH", "/v1/profiles/pumps") == [
        {"chain": {"certificate": "another", "create": True, "lax": False}},
        {"issuing": None, "plain": None},
        {"issuing": {"key_pairs": False}, "plain": "everything"},
        {"name": "valves"},
        {"strategy": "disabled"},
    ]


@pytest.mark.parametrize(
    "options",
    [
        ("--no-issue", "--issue-days", "7"),
        ("--issue-days", "soon"),
        ("--plain", "some"),
        ("--certificate", "/nowhere/factory.pem"),
    ],
)
def test_what_cannot_be_meant_is_a_usage_error(gateway: Any, run: Run, options: tuple[str, ...]) -> None:
    assert run("profile", "change", "pumps", *options).status == 2
    assert not gateway.asked


def test_a_profile_shows_whom_it_trusts(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/profiles/pumps", PROFILE)
    shown = run("profile", "show", "pumps").out
    for name, value in (
        ("chain's certificate", "a1"),
        ("name pattern", "^(.*)$"),
        ("creates devices", "yes"),
        ("signatures alone", "no"),
        ("certificates for", "90 days"),
        ("with keys", "yes"),
        ("unprotected wires", "challenge"),
    ):
        assert f"{name:<21}{value}\n" in shown


def test_an_oscore_context_is_given_drawn_and_shown(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/devices/meter-1/credentials", {"items": [CREDENTIAL]}, status=201)
    ids = ("--oscore-device-id", "01", "--oscore-server-id", "", "--oscore-salt", "9e7c", "--oscore-id-context", "37cb")
    shown = run("device", "rotate", "meter-1", *ids, "--oscore-secret-stdin", stdin=f"{SECRET}\n".encode()).out
    run("device", "rotate", "meter-1", "--oscore")
    assert gateway.bodies("POST", "/v1/devices/meter-1/credentials") == [
        {"type": "oscore", "device_id": "01", "server_id": "", "secret": SECRET, "salt": "9e7c", "id_context": "37cb"},
        {"type": "oscore"},
    ]
    for line in ("device's id  01", f"secret       {SECRET}", "salt         9e7c"):
        assert f"{line}\n" in shown
    mixed = run("device", "rotate", "meter-1", "--oscore", "--endpoint", "urn:dev:1")
    assert mixed.status == 2
    assert "lwm2m and oscore" in mixed.err


def test_oscore_contexts_come_from_a_file(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/devices:import", {"created": 1, "unchanged": 0, "errors": []})
    file = f"name,profile,oscore_device_id,oscore_secret,site\nmeter-1,meters,01,{SECRET},Ulm\n".encode()
    assert run("device", "import", "-", stdin=file).status == 0
    (row,) = gateway.bodies("POST", "/v1/devices:import")[0]["devices"]
    assert row["credential"] == {"type": "oscore", "device_id": "01", "secret": SECRET}
    assert row["metadata"] == {"site": "Ulm"}


def test_a_real_gateway_takes_a_chain_and_an_oscore_context(operate: Run, tmp_path: Path) -> None:
    file = tmp_path / "factory.pem"
    factory = authority("factory", begins=-3_650, ends=36_500)
    file.write_bytes(factory.certificate.public_bytes(Encoding.PEM))
    options = ("--certificate", str(file), "--pattern", r"^(.*)\.example\.com$", "--issue-days", "30")
    made = operate("profile", "create", "valves", "--strategy", "certificate_chain", *options, "--json").json()
    assert (made["chain"]["anchor"], made["issuing"]["lifetime_days"]) == (factory.id, 30)
    refused = operate("profile", "change", "valves", "--pattern", "(a+)+")
    assert (refused.status, "profile.chain_pattern" in refused.err) == (1, True)
    operate("profile", "create", "sensors")
    operate("device", "define", "sensor-1", "--profile", "sensors", "--oscore")
    (shown,) = operate("device", "credential", "list", "sensor-1", "--json").json()
    assert (shown["type"], len(shown["device_id"]), len(shown["secret"])) == ("oscore", 8, 32)
