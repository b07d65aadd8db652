import json
from collections.abc import Callable
from typing import Any

import pytest

from adapters.commands import follow

Run = Callable[..., Any]
EVENT = {
    "id": "019aa3f2-7c1e-7000-8000-000000000001",
    "at": "2026-11-21T02:33:58.123Z",
    "kind": "provision.refused",
    "correlation": "c-1",
    "protocol": "coap",
    "dialect": "thingsboard",
    "source": "192.0.2.7",
    "actor": "",
    "profile": "p1",
    "device": None,
    "device_name": "m\x1b[2J",
    "check": "claim.secret",
    "detail": "the claim key and its secret are not known",
}


def test_list_reads_like_a_log(gateway: Any, run: Run) -> None:
    later = {**EVENT, "at": "2026-11-21T02:34:00.000Z", "kind": "token.created", "actor": "admin", "check": "", "detail": ""}
    gateway.json("GET", "/v1/events", {"items": [later, EVENT], "next": None})
    result = run("event", "list", "--kind", "provision.refused", "--limit", "2")
    first, second = result.out.splitlines()[1:]
    assert first.startswith("2026-11-21T02:33:58.123Z  provision.refused  m\\x1b[2J")
    assert "coap/thingsboard  192.0.2.7" in first
    assert "claim.secret: the claim key and its secret are not known" in first
    assert "admin" in second
    assert gateway.asked[0].query == {"newest": "true", "limit": "2", "kind": "provision.refused"}


def test_list_as_json(gateway: Any, run: Run) -> None:
    gateway.json("GET", "/v1/events", {"items": [{**EVENT, "id": "2"}, EVENT], "next": "x"})
    assert [each["id"] for each in run("event", "list", "--json").json()] == [EVENT["id"], "2"]


def test_a_device_may_be_named(gateway: Any, run: Run) -> None:
    device = {"id": "d1", "name": "m", "profile": "p", "state": "defined", "enabled": True, "created_at": "", "updated_at": ""}
    gateway.json("GET", "/v1/devices/m", device)
    gateway.json("GET", "/v1/events", {"items": [], "next": None})
    run("event", "list", "--device", "m")
    run("event", "list", "--device", "gone")
    assert [asked.query.get("device") for asked in gateway.asked if asked.path == "/v1/events"] == ["d1", "gone"]


def test_a_device_that_may_not_be_read_is_a_refusal(gateway: Any, run: Run) -> None:
    gateway.refuse("GET", "/v1/devices/m", 403, detail="not for you")
    assert run("event", "list", "--device", "m").err == "firstlight: not for you (403)\n"


def test_follow_prints_a_line_for_each_event(gateway: Any, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow, "POLL_SECONDS", 0.01)
    answer = {"items": [EVENT], "next": None}
    gateway.on(
        "GET",
        "/v1/events",
        *(lambda asked: (200, json.dumps(answer).encode(), {}) for _ in range(3)),
        lambda asked: (403, b'{"detail":"no longer"}', {}),
    )
    result = run("event", "follow")
    assert result.out == (
        "2026-11-21T02:33:58.123Z  provision.refused    m\\x1b[2J  coap/thingsboard  192.0.2.7"
        "  claim.secret: the claim key and its secret are not known  c-1\n"
    )
    assert (result.status, result.err) == (1, "firstlight: no longer (403)\n")
    assert run("event", "follow", "--json").status == 1


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_limit_is_bounded(run: Run, limit: str) -> None:
    assert run("event", "list", "--limit", limit).status == 2
