import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.commands.event_words import EVENT_WORDS
from adapters.commands.explanations import COMMANDS, EXPLANATIONS, explanation
from core.errors import Guard
from core.model import EventKind

Run = Callable[..., Any]
EVENT = {
    "id": "e1",
    "at": "2026-11-21T02:33:58.123Z",
    "kind": "provision.refused",
    "correlation": "c-1",
    "protocol": "mqtt",
    "dialect": "thingsboard",
    "source": "192.0.2.7",
    "device_name": "m[red]\x1b",
    "check": "claim.secret",
    "detail": "the claim key and its secret are not known",
}
ROOT = Path(__file__).parents[2]
CORE = ROOT / "core"
AT_START = {"storage.schema", "storage.lock", "storage.open", "storage.backup", "storage.restore", "storage.copying"}
"""What keeps a gateway from starting or a command from working on a registry itself, so that no request meets it."""


def test_a_refusal_is_explained(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/events", {"items": [EVENT], "next": None})
    result = run("explain", "c-1")
    assert result.status == 0
    assert "what      provision.refused\n" in result.out
    assert "in words  a device asked to be let in and was refused\n" in result.out
    assert "check     claim.secret\n" in result.out
    assert "device    m[red]\\x1b\n" in result.out
    assert "meaning   A profile has this claim key, but the secret is another." in result.out
    assert "to do     Give the firmware the right secret" in result.out
    assert gateway.asked[0].query == {"correlation": "c-1", "limit": "1000"}


def test_json_has_the_explanation_in_it(gateway: Any, run: Run) -> None:
    granted = {"id": "e2", "at": "", "kind": "provision.succeeded"}
    gateway.json("GET", "/v1/events", {"items": [EVENT, granted], "next": None})
    first, second = run("explain", "c-1", "--json").json()
    assert first == {**EVENT, "meaning": EXPLANATIONS["claim.secret"].meaning, "remedy": EXPLANATIONS["claim.secret"].remedy}
    assert second == granted


def test_what_was_granted_is_told_too(gateway: Any, run: Run) -> None:
    granted = {**EVENT, "kind": "provision.succeeded", "check": "", "detail": "create"}
    gateway.json("GET", "/v1/events", {"items": [granted], "next": None})
    out = run("explain", "c-1").out
    assert "what      provision.succeeded\n" in out
    assert "in words  a device was let in and given its credential\n" in out
    assert "meaning" not in out


def test_an_unknown_id_is_a_failure(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/events", {"items": [], "next": None})
    result = run("explain", "nonsense")
    assert (result.status, result.out) == (1, "")
    assert result.err.startswith("firstlight: nothing is known of nonsense: ")


@pytest.mark.parametrize(
    ("check", "detail", "meaning"),
    [
        ("of.tomorrow", "the moon is full", "the moon is full"),
        ("of.tomorrow", "", "The check of.tomorrow refused the request."),
        ("coap.block_gap", "a block is missing", "The datagram broke a rule or a bound of CoAP here: a block is missing"),
        ("http.body_bytes", "", "The request broke a rule or a bound of HTTP here:"),
    ],
)
def test_an_unknown_check_speaks_by_its_detail(check: str, detail: str, meaning: str) -> None:
    assert explanation(check, detail).meaning == meaning


@pytest.mark.parametrize(
    ("check", "detail", "meaning"),
    [
        ("limit.value", "limit: expected int", "limit: expected int"),
        ("http.body_bytes", "too large", "The request broke a rule or a bound of HTTP here: too large"),
        ("device.unknown", "", "There is no device of this id or name."),
        ("role", "", EXPLANATIONS["role"].meaning),
    ],
)
def test_an_operator_is_told_of_commands_and_not_of_firmware(check: str, detail: str, meaning: str) -> None:
    known = explanation(check, detail, "operator")
    assert known.meaning == meaning
    assert known.remedy
    assert "firmware" not in known.meaning + known.remedy


def test_the_dialect_of_the_event_decides(gateway: Any, run: Run) -> None:
    refused = {**EVENT, "kind": "request.refused", "dialect": "operator", "check": "device.unknown", "detail": "none"}
    gateway.json("GET", "/v1/events", {"items": [refused, {**refused, "dialect": "thingsboard"}], "next": None})
    operators, devices = run("explain", "c-1", "--json").json()
    assert operators["meaning"] == COMMANDS["device.unknown"].meaning
    assert devices["meaning"] == EXPLANATIONS["device.unknown"].meaning
    shown = run("explain", "c-1").out
    assert shown.index(f"meaning   {operators['meaning']}") < shown.index(f"meaning   {devices['meaning']}")


def test_every_kind_of_event_has_words() -> None:
    assert list(EVENT_WORDS) == [kind.value for kind in EventKind]
    assert len(set(EVENT_WORDS.values())) == len(EVENT_WORDS)


def test_a_kind_of_tomorrow_goes_without_words(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/events", {"items": [{**EVENT, "kind": "moon.full"}], "next": None})
    out = run("explain", "c-1").out
    assert "what     moon.full\n" in out
    assert "in words" not in out


@pytest.mark.parametrize("dialect", ["mainflux", "magistrala", "operator"])
def test_a_guard_is_explained_to_the_operators_of_every_dialect(dialect: str) -> None:
    assert explanation("external_id", "taken", dialect) == COMMANDS["external_id"]


CHECKED = {"_unknown": 0, "_forbidden": 0, "require": 1, "malformed": 1}
"""Where calls that refuse take the check, other than by its own name."""


def checks_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.keyword) and node.arg == "check" and isinstance(node.value, ast.Constant):
            yield str(node.value.value)
        if isinstance(node, ast.Call) and (place := CHECKED.get(called(node.func))) is not None and place < len(node.args):
            check = node.args[place]
            if isinstance(check, ast.Constant):
                yield str(check.value)


def called(function: ast.expr) -> str:
    return getattr(function, "id", "") or getattr(function, "attr", "")


def test_every_check_of_the_core_that_a_device_can_fail_is_explained() -> None:
    checks = {check for path in CORE.glob("*.py") for check in checks_of(path)}
    assert {"limit.login", "claim.secret", "registry.conflict"} < checks
    assert checks - {""} <= set(EXPLANATIONS)


@pytest.mark.parametrize("package", ["core/operate", "adapters", "storage"])
def test_every_check_has_an_explanation_or_speaks_of_its_protocol(package: str) -> None:
    checks = {check for path in (ROOT / package).rglob("*.py") for check in checks_of(path)} - AT_START
    assert checks
    unexplained = checks - set(EXPLANATIONS) - set(COMMANDS)
    assert {check.partition(".")[0] for check in unexplained} <= {"http", "coap", "mqtt"}


@pytest.mark.parametrize("guard", Guard)
def test_every_guard_that_refuses_a_command_is_explained(guard: Guard) -> None:
    assert guard.value in COMMANDS


ELSEWHERE = [
    *("body.json", "body.unparsed", "body.field", "query", "request.encoding", "keys.pending"),
    *("bootstrap.key", "bootstrap.hex", "bootstrap.short", "limit.bootstrap"),
    *(f"{what}.{fault}" for what in ("config", "channel", "client") for fault in ("length", "characters")),
]


@pytest.mark.parametrize("check", ELSEWHERE)
def test_a_check_that_is_named_elsewhere_is_explained(check: str) -> None:
    assert check in EXPLANATIONS


def test_explanations_are_sentences() -> None:
    for known in (*EXPLANATIONS.values(), *COMMANDS.values()):
        assert known.meaning[0].isupper()
        assert known.meaning.endswith(".")
        assert known.remedy.endswith((".", ")"))
