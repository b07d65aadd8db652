from collections.abc import Callable
from typing import Any

import pytest

Run = Callable[..., Any]
AT = "2026-11-21T02:33:58.123Z"
CHANNEL = {"id": "c-1", "name": "up", "metadata": {"type": "data"}, "created_at": AT, "updated_at": AT, "version": 1}
TENANT = {"id": "acme", "name": "Acme", "devices": 1200, "device_limit": None, "created_at": AT, "version": 1}


def test_a_channel_is_made_of_what_was_said(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/channels", CHANNEL, status=201)
    result = run("channel", "create", "up", "--id", "c-1", "--metadata", "type=data", "--metadata", "note=a=b")
    assert 'metadata  {"type":"data"}\n' in result.out
    run("channel", "create")
    sent = {"name": "up", "id": "c-1", "metadata": {"type": "data", "note": "a=b"}}
    assert gateway.bodies("POST", "/v1/channels") == [sent, {}]


def test_metadata_needs_a_key_and_a_value(run: Run) -> None:
    for text in ("type", "=data"):
        result = run("channel", "create", "up", "--metadata", text)
        assert (result.status, result.err) == (2, "firstlight: --metadata: write it like batch=7\n")


@pytest.mark.parametrize(
    ("argv", "body"),
    [
        (["--name", "uplink"], {"name": "uplink"}),
        (["--name", ""], {"name": ""}),
        (["--metadata", "a=1"], {"metadata": {"a": "1"}}),
    ],
)
def test_a_channel_is_changed(gateway: Any, run: Run, argv: list[str], body: dict[str, Any]) -> None:
    gateway.json("PATCH", "/v1/channels/c-1", CHANNEL)
    assert run("channel", "update", "c-1", *argv).status == 0
    assert gateway.bodies("PATCH", "/v1/channels/c-1") == [body]


def test_a_change_of_nothing_is_wrong_usage(gateway: Any, run: Run) -> None:
    result = run("channel", "update", "c-1")
    assert (result.status, result.err) == (2, "firstlight: nothing to change: give --name or --metadata\n")
    assert gateway.asked == []


def test_channels_are_listed_shown_and_removed(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/channels", {"items": [CHANNEL, {**CHANNEL, "metadata": {}}], "next": "c-1"})
    listed = run("channel", "list", "--name", "u")
    assert listed.out.splitlines()[1].split() == ["up", '{"type":"data"}', AT, "c-1"]
    assert listed.err == "the first 2; --all shows all of them\n"
    assert gateway.asked[0].query == {"name": "u"}
    assert len(run("channel", "list", "--json").json()) == 2
    gateway.json("GET", "/v1/channels/c-1", CHANNEL)
    assert run("channel", "show", "c-1", "--json").json() == CHANNEL
    gateway.on("DELETE", "/v1/channels/c-1", lambda asked: (204, b"", {}))
    assert run("channel", "remove", "c-1").out == "channel c-1 removed\n"


def test_the_channels_of_a_device(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/devices/meter-1/channels", {"items": [CHANNEL]})
    assert run("device", "channels", "meter-1").out.splitlines()[1].startswith("up")
    assert run("device", "channels", "meter-1", "--json").json() == [CHANNEL]
    gateway.json("GET", "/v1/devices/meter-1/channels", {"items": []})
    assert "while that is active" in run("device", "channels", "meter-1").err


def test_a_channel_is_called_by_its_id_alone(gateway: Any, run: Run) -> None:
    gateway.on("DELETE", "/v1/channels/a%2Fb", lambda asked: (204, b"", {}))
    assert run("channel", "remove", "a/b").out == "channel a/b removed\n"
    nothing = run("channel", "remove", "")
    assert (nothing.status, nothing.err) == (2, "firstlight: an id or a name is needed, and there is nothing in its place\n")
    assert len(gateway.asked) == 1


def test_a_tenant_is_made_and_listed(gateway: Any, run: Run) -> None:
    gateway.json("POST", "/v1/tenants", TENANT, status=201)
    assert run("tenant", "create", "Acme", "--id", "acme").out.splitlines()[0] == "name     Acme"
    assert run("tenant", "create", "Acme", "--json").json() == TENANT
    assert gateway.bodies("POST", "/v1/tenants") == [{"name": "Acme", "id": "acme"}, {"name": "Acme"}]
    gateway.json("POST", "/v1/tenants", TENANT | {"secure_bootstrap": True}, status=201)
    assert run("tenant", "create", "Acme", "--secure-bootstrap").out.splitlines()[-1] == "secure bootstrap  on"
    assert gateway.bodies("POST", "/v1/tenants")[-1] == {"name": "Acme", "secure_bootstrap": True}
    gateway.json("GET", "/v1/tenants", {"items": [TENANT, {**TENANT, "device_limit": 5000}], "next": None})
    lines = [line.split() for line in run("tenant", "list").out.splitlines()]
    assert lines[0] == ["NAME", "DEVICES", "LIMIT", "CREATED", "ID"]
    assert [line[1:3] for line in lines[1:]] == [["1,200", "-"], ["1,200", "5,000"]]
    assert len(run("tenant", "list", "--json").json()) == 2


def test_a_client_secret_is_a_credential(gateway: Any, run: Run, file: Callable[..., str]) -> None:
    gateway.json("POST", "/v1/devices/m/credentials", {"items": [{"type": "client_secret", "secret": "s-1"}]})
    assert "secret      s-1\n" in run("device", "rotate", "m", "--client-secret-file", file("s-1\n")).out
    assert gateway.bodies("POST", "/v1/devices/m/credentials") == [{"type": "client_secret", "secret": "s-1"}]
    mixed = run("device", "rotate", "m", "--client-secret-file", file("s-1"), "--endpoint", "e")
    assert (mixed.status, "lwm2m and client_secret" in mixed.err) == (2, True)


def test_the_label_of_a_device_is_shown_where_it_has_one(gateway: Any, run: Run) -> None:
    device = {"id": "d", "name": "m", "profile": "p", "state": "defined", "enabled": True, "created_at": AT, "updated_at": AT}
    gateway.json("GET", "/v1/devices/m", {**device, "label": "Pump 17"}, {**device, "label": ""})
    assert "label     Pump 17\n" in run("device", "show", "m").out
    assert "label" not in run("device", "show", "m").out
