from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]
TOKEN = {"id": "t1", "name": "line-3", "role": "factory", "created_at": "2026-11-21T02:33:58.123Z"}


def test_create_shows_the_token_once(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/tokens", {**TOKEN, "token": "secret-token"}, status=201)
    result = run("token", "create", "line-3", "--role", "factory")
    assert "token  secret-token\n" in result.out
    assert result.err == "the token is not shown again\n"
    assert run("token", "create", "line-3", "--role", "factory", "--json").json()["token"] == "secret-token"
    assert gateway.bodies("POST", "/v1/tokens")[0] == {"name": "line-3", "role": "factory"}


def test_list(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/tokens", {"items": [TOKEN], "next": None})
    assert run("token", "list").out.splitlines()[1].split()[:2] == ["line-3", "factory"]
    assert run("token", "list", "--json").json() == [TOKEN]


def test_an_empty_list_is_a_header(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/tokens", {"items": [], "next": None})
    assert run("token", "list").out.split() == ["NAME", "ROLE", "CREATED", "ID"]
    assert run("token", "list", "--json").json() == []


def test_revoke(gateway: Any, run: Run) -> None:
    gateway.on("DELETE", "/v1/tokens/line-3", lambda asked: (204, b"", {}))
    assert run("token", "revoke", "line-3").out == "token line-3 revoked\n"


def test_a_role_that_is_none_is_a_usage_error(run: Run) -> None:
    assert run("token", "create", "x", "--role", "king").status == 2
