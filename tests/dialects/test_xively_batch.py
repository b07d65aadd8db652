"""Batches, errors and the company of other dialects, over HTTP and the real core."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.dialects import operator, thingsboard, xively
from adapters.dialects.mainflux import DialectOptions, open_dialect
from adapters.exchange import Carrier
from core.errors import Reason, Refusal
from core.model import Role
from tests.dialects.test_xively_reading import HOSTILE
from tests.dialects.xively_server import ACCOUNT, Answer, Line, serving

NOBODY = "3b0a6c0e-0c1e-4a39-9a7e-5b7c7e1f2a10"


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with serving() as line:
        yield line


async def batch(line: Line, *requests: Any) -> Any:
    answer = await line.ask("POST", "/batch", {"requests": list(requests)})
    assert answer.status == 200
    assert len(answer.body) == len(requests)
    return answer.body


def code_of(element: Any) -> str:
    return Answer(200, {}, element).error()[1]


async def test_a_batch_is_answered_in_place(line: Line) -> None:
    template = await line.template()
    devices = [await line.device(template, str(place)) for place in range(5)]
    url = f"https://blueprint.xively.com:443/api/v1/devices?accountId={ACCOUNT}&pageSize=2"
    first, bad, second, one, nested = await batch(
        line,
        {"method": "get", "path": url, "payload": {}},
        {"method": "GET", "path": f"/api/v1/devices/{NOBODY}"},
        {"method": "Get", "path": f"{url}&page=2", "payload": None},
        {"method": "GET", "path": f"/api/v1/devices/{devices[0]['id']}"},
        {"method": "POST", "path": "/api/v1/batch", "payload": {"requests": []}},
    )
    assert first == (await line.ask("GET", f"/devices?accountId={ACCOUNT}&pageSize=2")).body
    assert [each["id"] for each in second["devices"]["results"]] == [device["id"] for device in devices[2:4]]
    assert one == {"device": devices[0]}
    assert code_of(bad) == "22"
    assert bad == (await line.ask("GET", f"/devices/{NOBODY}")).body
    assert code_of(nested) == "10"


async def test_devices_are_made_and_armed_in_a_batch(line: Line) -> None:
    template = await line.template()
    create = {"accountId": ACCOUNT, "deviceTemplateId": template["id"]}
    made = await batch(
        line,
        *(
            {"method": "POST", "path": "/api/v1/devices", "payload": create | ({"serialNumber": serial} if serial else {})}
            for serial in ("a", "", "b")
        ),
    )
    assert Answer(200, {}, made[1]).error()[1:] == ("10", "serialNumber")
    ids = [made[place]["device"]["id"] for place in (0, 2)]
    arm = {"accountId": ACCOUNT, "entityType": "device"}
    path = "/api/v1/access/mqtt-credentials"
    secrets = await batch(line, *({"method": "POST", "path": path, "payload": arm | {"entityId": each}} for each in ids))
    for identity, each in zip(ids, secrets, strict=True):
        assert await line.log_in_device(identity, each["mqttCredential"]["secret"]) == identity


async def test_a_batch_has_one_token_and_no_versions(line: Line) -> None:
    device = await line.device(await line.template())
    path = f"/api/v1/devices/{device['id']}"
    answer = await line.ask("POST", "/batch", {"requests": [{"method": "DELETE", "path": path}]}, etag=device["version"])
    assert Answer(200, {}, answer.body[0]).error()[1:] == ("11", "etag")
    await line.token(Role.FACTORY)
    shown, made = await batch(
        line,
        {"method": "GET", "path": path},
        {"method": "POST", "path": "/api/v1/access/mqtt-credentials", "payload": {"accountId": ACCOUNT} | entity(device)},
    )
    assert code_of(shown) == "21"
    assert "error" not in made


def entity(device: Any) -> dict[str, str]:
    return {"entityId": device["id"], "entityType": "device"}


async def test_a_batch_that_is_none_is_refused(line: Line) -> None:
    one = {"method": "GET", "path": f"/api/v1/devices/{NOBODY}"}
    assert len(await batch(line, *[one] * 100)) == 100
    bad: tuple[Any, ...] = (None, {}, [], [one] * 101, "x")
    for requests in bad:
        assert (await line.ask("POST", "/batch", {"requests": requests})).error() == (400, "10", "requests")
    assert (await line.ask("POST", "/batch", [one])).error() == (400, "10", "No target")
    for request in (None, 7, "GET /", {}, {"method": "GET"}, {"method": 7, "path": "/"}, {"path": "/api/v1/devices"}):
        (element,) = await batch(line, request)
        assert code_of(element) == "10"
    for method, path, code in (
        ("GET", "/api/v1/nothing", "22"),
        ("GET", "", "10"),
        ("GET", "/api/v1/devices", "10"),
        ("PATCH", f"/api/v1/devices/{NOBODY}", "13"),
        ("POST", "/api/v1/auth/login-user", "10"),
        ("GET", "https://[/api/v1/devices", "10"),
        ("GET", "/api/v1/devices/%00", "10"),
        ("GET", "/v1/devices", "22"),
    ):
        (element,) = await batch(line, {"method": method, "path": path})
        assert code_of(element) == code


async def test_associations_in_a_batch_have_their_own_codes(line: Line) -> None:
    device = await line.device(await line.template())
    payload = {"associationCode": await line.code(device), "organizationId": device["organizationId"]}
    path = "/api/v1/association/start-association-with-code"
    (element,) = await batch(line, {"method": "POST", "path": path, "payload": payload})
    assert code_of(element) == "30"


# Errors


@pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_body_is_refused_in_the_error_form(line: Line, body: bytes) -> None:
    device = await line.device(await line.template())
    for method, path in (
        ("POST", "/devices"),
        ("PUT", f"/devices/{device['id']}"),
        ("POST", "/access/mqtt-credentials"),
        ("POST", "/association/start-association-with-code"),
        ("POST", "/batch"),
        ("POST", "/auth/login-user"),
    ):
        answer = await line.send(method, path, body, etag=device["version"])
        assert answer.error() == (400, "10", "No target")
    assert await line.read(device) == device


async def test_a_large_body_is_refused_in_the_error_form(line: Line) -> None:
    body = json.dumps({"accountId": ACCOUNT, "name": "x" * 1_000_000}).encode()
    for path in ("/devices/templates", "/batch", "/auth/login-user", "/access/mqtt-credentials"):
        assert (await line.send("POST", path, body)).error() == (413, "14", "No target")
    form = b"accountId=default&entityType=device&x=" + b"y" * 1_000_000
    media_type = {"Content-Type": "application/x-www-form-urlencoded"}
    assert (await line.send("POST", "/access/mqtt-credentials", form, **media_type)).error() == (413, "14", "No target")


async def test_many_fields_are_more_than_a_device_holds(line: Line) -> None:
    template = await line.template()
    body = {"accountId": ACCOUNT, "deviceTemplateId": template["id"], "serialNumber": "s", "note": "x" * 100_000}
    assert (await line.ask("POST", "/devices", body)).error()[:2] == (400, "10")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("DELETE", "/devices", "GET, POST"),
        ("PATCH", f"/devices/{NOBODY}", "DELETE, GET, PUT"),
        ("PUT", "/devices/templates", "GET, POST"),
        ("GET", "/devices/custom-fields", "POST"),
        ("GET", "/access/mqtt-credentials", "POST"),
        ("GET", "/batch", "POST"),
        ("OPTIONS", "/association/create-association-code", "POST"),
    ],
)
async def test_a_known_path_names_its_methods(line: Line, method: str, path: str, allow: str) -> None:
    answer = await line.ask(method, path)
    assert answer.error() == (405, "13", "No target")
    assert answer.headers["allow"] == allow


async def test_a_broken_registry_is_told_with_its_code(line: Line) -> None:
    line.desk.repository.failures.append(RuntimeError("hidden"))
    answer = await line.ask("POST", "/devices/templates", {"accountId": ACCOUNT, "name": "x"})
    assert answer.error() == (500, "50", "No target")
    assert "hidden" not in json.dumps(answer.body)
    line.desk.repository.failures.append(full())
    answer = await line.ask("POST", "/devices/templates", {"accountId": ACCOUNT, "name": "x"})
    assert answer.error() == (503, "51", "No target")
    assert answer.headers["retry-after"] == "2"


def full() -> Refusal:
    return Refusal(Reason.UNAVAILABLE, "the registry is full", check="storage.full", retry_after=1.5)


# Company


async def test_it_shares_an_address_with_all_others() -> None:
    others = (thingsboard, operator, open_dialect("mf-thing", DialectOptions()))
    async with serving(xively, *others) as line:
        device = await line.device(await line.template())
        assert (await line.read(device))["id"] == device["id"]
        assert (await line.list("/devices"))["meta"]["count"] == 1
        profile = {"name": "p", "strategy": "create_new", "provision_key": "k3y0demo0demo0demo00"}
        url, bearer = line.url, {"Authorization": f"Bearer {line.bearer}"}
        async with line.session.post(f"{url}/v1/profiles", json=profile, headers=bearer) as made:
            secret = (await made.json())["provision_secret"]
        ask = {"provisionDeviceKey": profile["provision_key"], "provisionDeviceSecret": secret}
        for token in ("ownToken0000000000ab", "devices"):
            body = ask | {"deviceName": token, "credentialsType": "ACCESS_TOKEN", "token": token}
            provisioned = await line.ask("POST", "/provision", body)
            assert provisioned.body["status"] == "SUCCESS"
        assert (await line.ask("GET", "/ownToken0000000000ab/attributes")).body == {}
        assert (await line.ask("POST", "/devices/telemetry", {"t": 1})).error() == (405, "13", "No target")
        unknown = await line.ask("GET", "/nothing")
        assert (unknown.status, unknown.body) == (404, {"detail": "there is nothing at this path"})


async def test_alone_it_refuses_unknown_paths_in_its_own_form(line: Line) -> None:
    assert (await line.ask("GET", "/nothing")).error() == (404, "22", "No target")


def test_it_is_spoken_over_http_and_mqtt() -> None:
    assert {route.carrier for route in xively.ROUTES} <= {Carrier.HTTP, Carrier.MQTT}


async def test_two_at_once_leave_one_secret(line: Line) -> None:
    device = await line.device(await line.template())
    made = await asyncio.gather(*(line.arm(device) for _ in range(20)))
    valid = []
    for each in made:
        try:
            await line.log_in_device(device["id"], each["secret"])
        except Refusal:
            continue
        valid.append(each["secret"])
    assert len(valid) == 1
