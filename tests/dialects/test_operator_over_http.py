"""The operator API as a gateway serves it."""

import json

from adapters.app import Running
from tests.e2e.operator_api import Operator


async def test_a_request_is_found_again_by_its_id(operator: Operator) -> None:
    answer = await operator.ask("POST", "/v1/profiles", {"name": "meters"})
    assert (answer.status, answer.headers["content-type"]) == (409, "application/problem+json")
    page = await operator.get(f"/v1/events?correlation={answer.headers['x-request-id']}")
    (event,) = page["items"]
    assert (event["kind"], event["check"], event["actor"]) == ("request.refused", "profile_name", "admin")


async def test_who_is_not_known_is_challenged(gateway: Running) -> None:
    for token in ("", "wrong"):
        async with Operator(gateway.listening.http[0], token) as stranger:
            answer = await stranger.ask("GET", "/v1/devices")
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert "check" not in json.loads(answer.body)
            assert (await stranger.ask("GET", "/openapi.json")).status == 200


async def test_a_body_that_cannot_be_read_is_recorded(operator: Operator) -> None:
    answer = await operator.ask("POST", "/v1/devices", {"nme": "m"})
    assert answer.status == 400
    event = await operator.newest_event()
    assert (event["correlation"], event["check"]) == (answer.headers["x-request-id"], "body.field")


async def test_a_stranger_learns_nothing_but_that_he_is_one(gateway: Running, operator: Operator) -> None:
    address, text = gateway.listening.http[0], "spoken-by-a-stranger"
    bad = [("POST", "/v1/profiles", {text: 1}), ("POST", "/v1/tokens", [text]), ("GET", f"/v1/devices?{text}=1", None)]
    for token, check in (("", "bearer.missing"), ("wrong", "bearer.unknown")):
        async with Operator(address, token) as stranger:
            good = await stranger.ask("GET", "/v1/devices")
            for method, path, body in bad:
                answer = await stranger.ask(method, path, body)
                assert (answer.status, answer.body) == (401, good.body)
                event = await operator.newest_event()
                assert (event["kind"], event["check"], event["actor"]) == ("request.refused", check, "")
                assert event["correlation"] == answer.headers["x-request-id"]
                assert text not in json.dumps(event)


async def test_a_secret_in_a_wrong_field_is_in_no_answer_and_no_event(operator: Operator) -> None:
    secret = "pasted-where-it-does-not-belong"
    bodies = [
        ("POST", "/v1/profiles", {"name": "p", "strategy": secret}),
        ("POST", "/v1/profiles", {"name": "p", "reprovision": secret}),
        ("POST", "/v1/profiles", {"name": "p", "options": [secret]}),
        ("POST", "/v1/profiles", {"name": "p", "options": secret}),
        ("PATCH", "/v1/devices/m", {"state": secret}),
        ("POST", "/v1/devices", {"name": "d", "profile": "meters", "credential": {"type": secret}}),
        ("POST", "/v1/tokens", {"name": "t", "role": secret}),
        ("GET", f"/v1/devices?state={secret}", None),
        ("GET", f"/v1/events?kind={secret}", None),
    ]
    for method, path, body in bodies:
        answer = await operator.ask(method, path, body)
        assert (answer.status, secret.encode() in answer.body) == (400, False)
        event = await operator.newest_event()
        assert (event["correlation"], event["actor"]) == (answer.headers["x-request-id"], "admin")
        assert secret not in json.dumps(event)


async def test_the_id_of_a_refused_request_is_in_its_header_alone(operator: Operator) -> None:
    answer = await operator.ask("GET", "/v1/devices/gone")
    assert set(json.loads(answer.body)) == {"type", "title", "status", "detail", "check"}
    assert answer.headers["x-request-id"]


async def test_a_thousand_devices_come_and_are_listed(operator: Operator) -> None:
    before = len(await operator.all("/v1/devices"))
    rows = [{"line": line, "name": f"imported {line}"} for line in range(1_000)]
    body = {"profile": "meters", "devices": rows}
    assert await operator.post("/v1/devices:import", body) == {"created": 1_000, "unchanged": 0, "errors": []}
    assert await operator.post("/v1/devices:import", body) == {"created": 0, "unchanged": 1_000, "errors": []}
    assert len(await operator.all("/v1/devices")) == before + 1_000
    export = await operator.ask("GET", "/v1/devices:export?name=imported%20&limit=10")
    assert len(export.body.splitlines()) == 11
    assert export.headers["x-next"]


async def test_what_is_gone_answers_with_nothing(operator: Operator) -> None:
    await operator.post("/v1/devices", {"name": "short-lived", "profile": "meters"})
    answer = await operator.ask("DELETE", "/v1/devices/short-lived")
    assert (answer.status, answer.body) == (204, b"")
    assert (await operator.ask("GET", "/v1/devices/short-lived")).status == 404
