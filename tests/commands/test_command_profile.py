from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
AT = "2026-11-21T02:33:58.123Z"
PROFILE = {
    "id": "p1",
    "name": "meters",
    "strategy": "create_new",
    "reprovision": "deny",
    "provision_key": "k1",
    "options": [],
    "created_at": AT,
    "updated_at": AT,
    "version": 1,
}


def test_create_leaves_to_the_gateway_what_was_not_said(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/profiles", {**PROFILE, "provision_secret": "s3cr3t"}, status=201)
    result = run("profile", "create", "meters")
    assert gateway.bodies("POST", "/v1/profiles") == [{"name": "meters"}]
    assert "provision secret  s3cr3t\n" in result.out
    assert "provision key     k1\n" in result.out
    assert result.err == "the secret is not shown again\n"


def test_create_sends_what_was_said(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.json("POST", "/v1/profiles", PROFILE, status=201)
    argv = ["--strategy", "pre_provisioned", "--reprovision", "same", "--key", "k", "--option", "a", "--option", "b"]
    run("profile", "create", "m", *argv, "--secret-file", file("s3cr3t-file\n"))
    run("profile", "create", "m", "--secret-stdin", stdin=b"s3cr3t-stdin\r\n")
    assert gateway.bodies("POST", "/v1/profiles") == [
        {
            "name": "m",
            "strategy": "pre_provisioned",
            "reprovision": "same",
            "provision_key": "k",
            "provision_secret": "s3cr3t-file",
            "options": ["a", "b"],
        },
        {"name": "m", "provision_secret": "s3cr3t-stdin"},
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [(b"", "nothing in it"), (b"\xff\xfe\x00", "not UTF-8"), (b"x" * 70_000, "longer than 65,536 bytes")],
)
def test_a_secret_that_is_none_is_a_usage_error(run: Run, file: Callable[..., str], content: bytes, complaint: str) -> None:
    result = run("profile", "create", "m", "--secret-file", file(content))
    assert result.status == 2
    assert f"--secret-file: {complaint}" in result.err
    assert run("profile", "create", "m", "--secret-file", "/nonexistent").err.startswith(
        "firstlight: --secret-file: cannot read"
    )


def test_list_aligns_where_nobody_draws(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/profiles", {"items": [PROFILE, {**PROFILE, "name": "a-longer-name"}], "next": None})
    lines = run("profile", "list").out.splitlines()
    assert lines[0].split() == ["NAME", "STRATEGY", "REPROVISION", "KEY", "CREATED", "ID"]
    assert lines[1].index("create_new") == lines[2].index("create_new") == lines[0].index("STRATEGY")


def test_show_prints_json_as_it_came(gateway: Any, run: Run) -> None:
    document = {**PROFILE, "a field of tomorrow": [1]}
    gateway.json("GET", "/v1/profiles/meters", document)
    result = run("profile", "show", "meters", "--json")
    assert result.json() == document
    assert result.out.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "body"),
    [
        (["disable", "meters"], {"strategy": "disabled"}),
        (["change", "meters", "--reprovision", "rotate", "--option", "o"], {"reprovision": "rotate", "options": ["o"]}),
        (["change", "meters", "--name", "pumps", "--strategy", "create_new"], {"name": "pumps", "strategy": "create_new"}),
    ],
)
def test_changes_send_what_changes(gateway: Any, run: Run, argv: list[str], body: dict[str, Any]) -> None:
    gateway.json("PATCH", "/v1/profiles/meters", PROFILE)
    assert run("profile", *argv).status == 0
    assert gateway.bodies("PATCH", "/v1/profiles/meters") == [body]


def test_rotate_shows_the_new_secret(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/profiles/meters/rotate", {**PROFILE, "provision_secret": "new"})
    assert "provision secret  new" in run("profile", "rotate", "meters").out
    run("profile", "rotate", "meters", "--secret-stdin", stdin=b"chosen-one")
    assert gateway.bodies("POST", "/v1/profiles/meters/rotate") == [{}, {"provision_secret": "chosen-one"}]


def test_delete_says_so(gateway: Any, run: Run) -> None:
    gateway.on("DELETE", "/v1/profiles/meters", lambda asked: (204, b"", {}))
    assert run("profile", "delete", "meters").out == "profile meters deleted\n"
    assert run("profile", "delete", "meters", "--json").json() == {"profile": "meters", "deleted": True}


def test_a_table_on_a_terminal_takes_nothing_for_markup(gateway: Any, run: Run, terminal: Any) -> None:
    evil = {**PROFILE, "name": "[red]x[/red]\x1b[2J\x9b31m\u202e"}
    gateway.json("GET", "/v1/profiles", {"items": [evil], "next": None})
    run("profile", "list", on=terminal)
    out = run("profile", "list", "--json", on=terminal).out
    assert "[red]x[/red]\\x1b[2J\\x9b31m\\u202e" in out
    assert '"name": "[red]x[/red]\\u001b[2J\\u009b31m\\u202e"' in out
    assert "\x1b[2J" not in out
    assert "\x9b" not in out
