import re
from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
AT = "2026-11-21T02:33:58.123Z"
ITEM = {
    "id": "d-1",
    "device": "24:0a",
    "external_id": "24:0a",
    "name": "Pump 17",
    "channels": [{"id": "c-1", "name": "up", "metadata": {}}, {"id": "c-2", "name": "", "metadata": {}}],
    "active": False,
    "created_at": AT,
    "updated_at": AT,
    "version": 1,
}
CONFIG = {
    **ITEM,
    "external_key": "factory-key",
    "secret": "s-1",
    "content": '{"log":"debug"}',
    "client_cert": "",
    "client_key": "k" * 1200,
    "ca_cert": "",
}


def test_create_sends_what_was_said(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.json("POST", "/v1/configs", CONFIG, status=201)
    argv = ["--device", "d-1", "--channel", "c-1", "--channel", "c-2", "--name", "Pump 17", "--content", "text"]
    certs = ["--client-cert", file("CERT\n", "cert"), "--client-key", file("KEY", "key"), "--ca-cert", file("CA\n", "ca")]
    result = run("config", "create", "24:0a", "--key-file", file("factory-key\n"), *argv, *certs)
    assert (result.status, result.err) == (0, "")
    assert gateway.bodies("POST", "/v1/configs") == [
        {
            "external_id": "24:0a",
            "external_key": "factory-key",
            "device": "d-1",
            "name": "Pump 17",
            "content": "text",
            "channels": ["c-1", "c-2"],
            "client_cert": "CERT\n",
            "client_key": "KEY",
            "ca_cert": "CA\n",
        }
    ]


def test_create_draws_a_key_and_says_so(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/configs", CONFIG, status=201)
    for _ in range(2):
        assert run("config", "create", "24:0a").err == "the external key was drawn; the device needs it\n"
    first, second = (body["external_key"] for body in gateway.bodies("POST", "/v1/configs"))
    assert first != second
    assert re.fullmatch("[a-z0-9]{20}", first)


def test_a_key_may_be_typed(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/configs", CONFIG, status=201)
    assert run("config", "create", "24:0a", "--key-prompt", typed=["typed-key"]).status == 0
    assert gateway.bodies("POST", "/v1/configs")[0]["external_key"] == "typed-key"
    assert run("config", "create", "24:0a", "--key-prompt", typed=[""]).err == "firstlight: --key-prompt: nothing was typed\n"


def test_a_key_cannot_be_typed_without_a_terminal(run: Run) -> None:
    result = run("config", "create", "24:0a", "--key-prompt")
    assert (result.status, result.err) == (2, "firstlight: --key-prompt: standard input is no terminal\n")


@pytest.mark.parametrize("argument", ["-", "@"])
def test_content_is_taken_as_it_is(gateway: Any, run: Run, file: Callable[..., str], argument: str) -> None:
    gateway.json("PATCH", "/v1/configs/d-1", ITEM)
    content = '{"a":"\u20ac"}\n' * 100_000
    given = argument if argument == "-" else "@" + file(content)
    assert run("config", "update", "d-1", "--content", given, stdin=content.encode()).status == 0
    assert gateway.bodies("PATCH", "/v1/configs/d-1") == [{"content": content}]


@pytest.mark.parametrize(
    ("content", "complaint"), [(b"\xff\xfe", "not UTF-8 text"), (b"x" * 16_777_217, "longer than 16,777,216 bytes")]
)
def test_content_that_is_none(run: Run, file: Callable[..., str], content: bytes, complaint: str) -> None:
    result = run("config", "update", "d-1", "--content", "@" + file(content))
    assert (result.status, result.err) == (2, f"firstlight: --content: {complaint}\n")
    missing = run("config", "update", "d-1", "--content", "@/nonexistent")
    assert missing.err == "firstlight: --content: cannot read /nonexistent: No such file or directory\n"


def test_show_shows_all_of_it(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/configs/d-1", CONFIG)
    lines = dict(re.split(" {2,}", line, maxsplit=1) for line in run("config", "show", "d-1").out.splitlines()[::-1])
    assert lines == {
        "name": "Pump 17",
        "external id": "24:0a",
        "device": "24:0a",
        "active": "no",
        "channel": "c-1 up",
        "external key": "factory-key",
        "device's secret": "s-1",
        "content": '{"log":"debug"}',
        "client key": "1,200 characters",
        "version": "1",
        "created": AT,
        "updated": AT,
        "id": "d-1",
    }
    assert run("config", "show", "d-1", "--json").json() == CONFIG


def test_a_long_content_is_shown_when_it_is_asked_for(gateway: Any, run: Run, terminal: Any) -> None:
    content = "\x1b[2J" * 500 + "\n"
    gateway.json("GET", "/v1/configs/d-1", {**CONFIG, "content": content})
    assert "2,001 characters, which `config show --content` prints" in run("config", "show", "d-1").out
    assert run("config", "show", "d-1", "--content").out == content
    assert run("config", "show", "d-1", "--content", on=terminal).out == "\\x1b[2J" * 500 + "\n\n"


def test_one_without_channels_and_secrets(gateway: Any, run: Run) -> None:
    gateway.json("PATCH", "/v1/configs/d-1", {**ITEM, "channels": [], "active": True})
    out = run("config", "state", "d-1", "active").out
    assert "channel      -\n" in out
    assert "active       yes\n" in out
    assert "secret" not in out


@pytest.mark.parametrize(
    ("argv", "body"),
    [
        (["update", "d-1", "--name", ""], {"name": ""}),
        (["state", "d-1", "active"], {"active": True}),
        (["state", "d-1", "inactive"], {"active": False}),
        (["channels", "d-1", "c-2", "c-1"], {"channels": ["c-2", "c-1"]}),
        (["channels", "d-1", "--none"], {"channels": []}),
        (["certs", "d-1", "--none"], {"client_cert": "", "client_key": "", "ca_cert": ""}),
    ],
)
def test_changes_send_what_changes(gateway: Any, run: Run, argv: list[str], body: dict[str, Any]) -> None:
    gateway.json("PATCH", "/v1/configs/d-1", ITEM)
    assert run("config", *argv).status == 0
    assert gateway.bodies("PATCH", "/v1/configs/d-1") == [body]


def test_certificates_are_replaced_together(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.json("PATCH", "/v1/configs/d-1", ITEM)
    run("config", "certs", "d-1", "--client-key", file("KEY"))
    assert gateway.bodies("PATCH", "/v1/configs/d-1") == [{"client_cert": "", "client_key": "KEY", "ca_cert": ""}]


@pytest.mark.parametrize(
    "argv",
    [
        ["update", "d-1"],
        ["certs", "d-1"],
        ["certs", "d-1", "--none", "--ca-cert", __file__],
        ["channels", "d-1"],
        ["channels", "d-1", "c-1", "--none"],
        ["state", "d-1", "on"],
        ["unknown", "--limit", "some"],
        ["create", "24:0a", "--key-stdin", "--content", "-"],
        *([verb, name] for verb in ("show", "remove") for name in ("", "external:")),
    ],
)
def test_what_would_do_nothing_is_wrong_usage(gateway: Any, run: Run, argv: list[str]) -> None:
    assert run("config", *argv).status == 2
    assert gateway.asked == []


def test_a_configuration_is_found_by_its_external_id(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/configs", {"items": [ITEM], "next": None})
    gateway.on("DELETE", "/v1/configs/d-1", lambda asked: (204, b"", {}))
    assert run("config", "remove", "external:24:0a").out == "config external:24:0a removed\n"
    assert gateway.asked[0].query == {"external_id": "24:0a", "limit": "1"}
    gateway.json("GET", "/v1/configs", {"items": [], "next": None})
    result = run("config", "show", "external:24:0b")
    assert (result.status, result.err) == (1, "firstlight: there is no configuration of the external id 24:0b\n")


def test_list_asks_for_what_was_said(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/configs", {"items": [ITEM], "next": "d-1"})
    result = run("config", "list", "--external-id", "24:0a", "--name", "pump", "--state", "inactive")
    assert gateway.asked[0].query == {"external_id": "24:0a", "name": "pump", "active": "false"}
    head, row = result.out.splitlines()
    assert head.split() == ["NAME", "EXTERNAL", "ID", "DEVICE", "ACTIVE", "CHANNELS", "UPDATED", "ID"]
    assert re.split(" {2,}", row) == ["Pump 17", "24:0a", "24:0a", "no", "2", AT, "d-1"]
    assert result.err == "the first 1; --all shows all of them\n"


def test_list_all_goes_to_the_end(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/configs", {"items": [ITEM], "next": "d-1"}, {"items": [{**ITEM, "id": "d-2"}], "next": None})
    assert [each["id"] for each in run("config", "list", "--all", "--json").json()] == ["d-1", "d-2"]
    assert [asked.query for asked in gateway.asked] == [{"limit": "100"}, {"limit": "100", "after": "d-1"}]


def test_unknown_external_ids_come_one_a_line(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/configs:unknown", {"items": ["24:0b", "x\x1b"]})
    assert run("config", "unknown", "--offset", "5").out == "24:0b\nx\\x1b\n"
    assert gateway.asked[0].query == {"offset": "5", "limit": "100"}
    assert run("config", "unknown", "--json").json() == ["24:0b", "x\x1b"]


@pytest.mark.parametrize(("method", "argv"), [("GET", ["show"]), ("DELETE", ["remove"]), ("PATCH", ["channels", "--none"])])
def test_an_external_id_in_place_of_an_id_is_told_how_it_is_written(
    gateway: Any, run: Run, method: str, argv: list[str]
) -> None:
    gateway.refuse(method, "/v1/configs/pump-17", 404, detail="there is none", check="config.unknown")
    result = run("config", *argv, "pump-17")
    expected = "there is none (404, check config.unknown); if it is an external id, write external:pump-17"
    assert (result.status, result.err) == (1, f"firstlight: {expected}\n")
    gateway.refuse(method, "/v1/configs/pump-17", 403, detail="no", check="role")
    assert run("config", *argv, "pump-17").err == "firstlight: no (403, check role)\n"


def test_a_device_of_another_name_is_told(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/configs", {**CONFIG, "device": "d-1"}, status=201)
    remarks = run("config", "create", "24:0a").err.splitlines()
    assert remarks[0] == "another device is called 24:0a already; the new one is called d-1"
    assert "another device" not in run("config", "create", "24:0a", "--device", "d-1").err
