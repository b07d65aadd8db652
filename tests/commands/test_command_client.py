import socket
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
PROFILE = {
    "id": "p1",
    "name": "meters",
    "strategy": "create_new",
    "reprovision": "deny",
    "provision_key": "k1",
    "created_at": "2026-11-21T02:33:58.123Z",
    "updated_at": "2026-11-21T02:33:58.123Z",
    "version": 1,
}


def test_a_token_goes_into_the_header(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/profiles/meters", PROFILE)
    assert run("profile", "show", "meters").status == 0
    assert gateway.asked[0].headers["Authorization"] == "Bearer operator-token-0001"


def test_another_tenant_is_named_in_every_request(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/profiles", {"items": [PROFILE], "next": "p1"}, {"items": [], "next": None})
    assert run("profile", "list", FIRSTLIGHT_TENANT="north & south").status == 0
    gateway.on("DELETE", "/v1/profiles/meters", lambda asked: (204, b"", {}))
    assert run("profile", "delete", "meters", FIRSTLIGHT_TENANT="acme").status == 0
    assert [asked.query.get("tenant") for asked in gateway.asked] == ["north & south", "north & south", "acme"]


def test_a_refusal_is_one_line_with_what_an_operator_needs(gateway: Any, run: Run) -> None:
    gateway.refuse(
        "POST",
        "/v1/profiles",
        409,
        title="Conflict",
        detail="a profile of this name exists already",
        check="profile_name",
        request_id="r1",
    )
    result = run("profile", "create", "meters")
    assert result.status == 1
    assert result.out == ""
    assert result.err == "firstlight: a profile of this name exists already (409, check profile_name, request r1)\n"


def test_a_refusal_speaks_without_a_problem_document(gateway: Any, run: Run) -> None:
    replies = gateway_reply(502, b"<html>bad gateway</html>", {"X-Request-ID": "r2"})
    gateway.on("GET", "/v1/tokens", replies)
    assert run("token", "list").err == "firstlight: Bad Gateway (502, request r2)\n"


def test_an_unknown_token_names_the_variables(gateway: Any, run: Run) -> None:
    gateway.refuse("GET", "/v1/tokens", 401, title="Unauthorized", request_id="r3")
    result = run("token", "list")
    assert result.status == 1
    assert "does not know this token: set FIRSTLIGHT_TOKEN or FIRSTLIGHT_TOKEN_FILE" in result.err
    assert "operator-token" not in result.err


@pytest.mark.parametrize("status", [403, 404, 429, 503])
def test_a_single_command_does_not_wait(gateway: Any, run: Run, status: int) -> None:
    gateway.refuse("DELETE", "/v1/tokens/ci", status, detail="come back later", headers={"Retry-After": "3600"})
    result = run("token", "revoke", "ci")
    assert (result.status, result.err) == (1, f"firstlight: come back later ({status})\n")


def test_a_token_does_not_follow_a_redirection(gateway: Any, run: Run) -> None:
    gateway.on("GET", "/v1/profiles", gateway_reply(308, b"", {"Location": "https://elsewhere.example/"}))
    result = run("profile", "list")
    assert result.status == 1
    assert "redirected to https://elsewhere.example/: set FIRSTLIGHT_URL" in result.err
    assert len(gateway.asked) == 1


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"items":7}', b'{"items":[{"id":5}]}', b'{"items":[{"id":"\xff"}]}'])
def test_an_answer_of_something_else_is_named(gateway: Any, run: Run, body: bytes) -> None:
    gateway.on("GET", "/v1/profiles", gateway_reply(200, body))
    result = run("profile", "list")
    assert result.status == 1
    assert "does FIRSTLIGHT_URL name a Firstlight gateway?" in result.err


def test_nobody_there_is_one_line(run: Run) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        result = run("device", "list", FIRSTLIGHT_URL=url)
    assert result.status == 1
    assert result.err == (
        f"firstlight: no answer from {url} (Connection refused): is the gateway running? FIRSTLIGHT_URL says where it is\n"
    )


def test_a_connection_that_breaks_is_one_line(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        import threading

        def hang_up() -> None:
            for _ in range(2):  # aiohttp tries a GET once more
                connection, _ = server.accept()
                connection.recv(10)
                connection.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        result = run("device", "list", FIRSTLIGHT_URL=f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join(10)
    assert result.status == 1
    assert "no answer from" in result.err
    assert result.err.count("\n") == 1


def test_pages_are_read_to_the_end(gateway: Any, run: Run) -> None:
    second = {**PROFILE, "id": "p2", "name": "pumps"}
    gateway.json("GET", "/v1/profiles", {"items": [PROFILE], "next": "p1"}, {"items": [second], "next": None})
    assert [each["name"] for each in run("profile", "list", "--json").json()] == ["meters", "pumps"]
    assert [asked.query for asked in gateway.asked] == [{"limit": "1000"}, {"limit": "1000", "after": "p1"}]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("..", "/v1/profiles/%2E%2E"),
        ("50%?#", "/v1/profiles/50%25%3F%23"),
        ("Zähler", "/v1/profiles/Z%C3%A4hler"),
    ],
)
def test_a_name_stays_one_segment(gateway: Any, run: Run, name: str, path: str) -> None:
    gateway.json("GET", path, {**PROFILE, "name": name})
    assert run("profile", "show", name).status == 0


def test_a_name_with_a_slash_is_addressed_by_its_id(gateway: Any, run: Run) -> None:
    named = {**PROFILE, "id": "p9", "name": "a/b"}
    gateway.json("GET", "/v1/profiles", {"items": [PROFILE], "next": "p1"}, {"items": [named], "next": None})
    gateway.json("GET", "/v1/profiles/p9", named)
    assert run("profile", "show", "a/b", "--json").json()["id"] == "p9"
    assert run("profile", "show", "a/c").err == "firstlight: there is no profile named a/c\n"


def test_a_device_with_a_slash_is_looked_for_by_its_prefix(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/devices", {"items": [{"id": "d1", "name": "a/bc"}, {"id": "d2", "name": "a/b"}], "next": None})
    gateway.on("DELETE", "/v1/devices/d2/credentials", gateway_reply(204, b""))
    assert run("device", "revoke", "a/b").out == "device a/b revoked\n"
    assert gateway.asked[0].query == {"limit": "1000", "name": "a/b"}


def gateway_reply(status: int, body: bytes, headers: dict[str, str] | None = None) -> Any:
    return lambda asked: (status, body, headers or {})


def test_an_address_without_the_operator_api(gateway: Any, run: Run) -> None:
    gateway.on("GET", "/v1/profiles", gateway_reply(404, b"404 page not found\n", {}))
    assert "the operator API is not at this address: set FIRSTLIGHT_URL to where it is (404)" in run("profile", "list").err


def test_plain_http_is_spoken_there(gateway: Any, run: Run) -> None:
    result = run("profile", "list", FIRSTLIGHT_URL=gateway.url.replace("http:", "https:"))
    assert (result.status, "(the TLS handshake failed; it may be plain http there)" in result.err) == (1, True)
