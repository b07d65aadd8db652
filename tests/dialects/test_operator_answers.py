"""What operators get: objects, pages, CSV, problem documents and the description of it all."""

import csv
import json
from typing import Any

import pytest

from adapters.dialects import operator
from adapters.dialects.operator.endpoints import ENDPOINTS
from adapters.dialects.operator.problem import PROBLEMS
from adapters.exchange import Carrier, Inbound, Peer, Success
from adapters.http.translate import STATUS
from core.errors import Reason, Refusal
from core.messages import AccessToken, ClientSecret, CredentialValue
from core.model import Secret
from core.ports import Changes
from tests.dialects.operator_desk import Api


async def test_a_profile_has_the_agreed_fields() -> None:
    api = Api()
    answer = await api.ask("create_profile", body={"name": "meters", "provision_secret": "secret-1"})
    assert (answer.outcome, answer.content_type) == (Success.CREATED, "application/json")
    assert ("Cache-Control", "no-store") in answer.headers
    made = json.loads(answer.body)
    assert made.pop("provision_secret") == "secret-1"
    assert made == {
        "id": made["id"],
        "name": "meters",
        "strategy": "create_new",
        "reprovision": "deny",
        "provision_key": made["provision_key"],
        "previous_secret_until": None,
        "options": [],
        "signed": None,
        "chain": None,
        "issuing": None,
        "plain": None,
        "claims": None,
        "hook": None,
        "credential_kind": None,
        "metadata": {},
        "firmware": None,
        "created_at": "2026-11-21T02:33:58.124Z",
        "updated_at": "2026-11-21T02:33:58.124Z",
        "version": 1,
    }
    assert await api.get("show_profile", "meters") == made
    assert await api.get("list_profiles") == {"items": [made], "next": None}
    changed = await api.get("change_profile", "meters", {"strategy": "disabled"})
    assert changed == {**made, "strategy": "disabled", "version": 2, "updated_at": changed["updated_at"]}
    rotated = await api.ask("rotate_profile", "meters")
    assert rotated.outcome is Success.OK
    assert len(json.loads(rotated.body)["provision_secret"]) == 20
    deleted = await api.ask("delete_profile", "meters")
    assert (deleted.outcome, deleted.body, deleted.content_type) == (Success.DELETED, b"", None)


CREDENTIALS: list[dict[str, str]] = [
    {"type": "access_token", "token": "T0"},
    {"type": "mqtt_basic", "client_id": "c", "username": "u", "password": "p"},
    {"type": "x509_certificate", "certificate": "TUlJQg=="},
    {"type": "lwm2m", "endpoint": "urn:dev:1"},
    {"type": "client_secret", "secret": "S0"},
]


@pytest.mark.parametrize("credential", CREDENTIALS, ids=lambda each: each["type"])
async def test_a_device_has_the_agreed_fields(credential: dict[str, str]) -> None:
    api = Api()
    profile = await api.get("create_profile", body={"name": "meters"})
    body = {"name": "meter-1", "profile": "meters", "credential": credential, "metadata": {"site": "Ulm"}}
    answer = await api.ask("define_device", body=body)
    assert answer.outcome is Success.CREATED
    made = json.loads(answer.body)
    (shown,) = made.pop("credentials")
    rest = {"created_at": made["created_at"], "expires_at": None, "expired": False, "trial": False}
    assert shown == {"id": shown["id"], **rest, **credential}
    assert made == {
        "id": made["id"],
        "name": "meter-1",
        "label": "",
        "profile": profile["id"],
        "state": "defined",
        "enabled": True,
        "metadata": {"site": "Ulm"},
        "serial": "",
        "owner": "",
        "firmware": None,
        "runs": "",
        "provisioned_at": None,
        "connected_at": None,
        "associated_at": None,
        "discarded_at": None,
        "created_at": "2026-11-21T02:33:58.125Z",
        "updated_at": "2026-11-21T02:33:58.125Z",
        "version": 1,
    }
    assert await api.get("show_device", "name:meter-1") == made
    assert await api.get("read_credentials", "meter-1") == {"items": [shown]}


@pytest.mark.parametrize(
    ("kind", "value"), [("access_token", AccessToken(Secret("T1"))), ("client_secret", ClientSecret(Secret("S1")))]
)
async def test_a_value_that_was_not_kept_is_left_out(kind: str, value: CredentialValue) -> None:
    api = Api()
    await api.get("create_profile", body={"name": "meters"})
    device = await api.get("define_device", body={"name": "meter-1", "profile": "meters"})
    await api.ask("revoke_credentials", "meter-1")
    credential = await api.desk.issuer.issue(value, device["id"], keep=False)
    await api.desk.repository.commit(Changes(insert=(credential,)))
    (shown,) = (await api.get("read_credentials", "meter-1"))["items"]
    rest = {"created_at": shown["created_at"], "expires_at": None, "expired": False, "trial": False}
    assert shown == {"type": kind, "id": credential.id, **rest}


async def test_credentials_are_rotated_and_revoked() -> None:
    api = Api()
    await api.get("create_profile", body={"name": "meters"})
    await api.get("define_device", body={"name": "meter-1", "profile": "meters"})
    rotated = await api.ask("rotate_credentials", "meter-1", {"type": "mqtt_basic", "username": "u"})
    assert rotated.outcome is Success.CREATED
    (shown,) = json.loads(rotated.body)["items"]
    assert (shown["client_id"], shown["username"], len(shown["password"])) == ("", "u", 20)
    assert (await api.ask("revoke_credentials", "meter-1")).outcome is Success.DELETED
    assert await api.get("read_credentials", "meter-1") == {"items": []}
    assert (await api.get("change_device", "meter-1", {"enabled": False}))["enabled"] is False
    assert (await api.ask("delete_device", "meter-1")).outcome is Success.DELETED


async def test_an_import_is_accounted_for() -> None:
    api = Api()
    await api.get("create_profile", body={"name": "meters"})
    rows = [{"line": 2, "name": "meter-1"}, {"line": 3, "name": 5}, {"line": 4, "name": "meter-1"}]
    assert await api.get("import_devices", body={"profile": "meters", "devices": rows}) == {
        "created": 1,
        "unchanged": 0,
        "errors": [
            {"line": 3, "name": "", "reason": "name: expected str, got int"},
            {"line": 4, "name": "meter-1", "reason": "the name is that of line 2"},
        ],
    }


async def test_an_export_is_csv_in_pages() -> None:
    api = Api()
    profile = await api.get("create_profile", body={"name": "meters"})
    for name in ('meter "1", left', "=meter", "meter-ü"):
        await api.get("define_device", body={"name": name, "profile": "meters"})
    first = await api.ask("export_devices", query={"limit": "2"})
    headers = dict(first.headers)
    assert (first.outcome, first.content_type) == (Success.OK, "text/csv; charset=utf-8")
    lines = list(csv.reader(first.body.decode().splitlines()))
    reached = ["provisioned_at", "connected_at", "associated_at", "discarded_at"]
    properties = ["serial", "label", "owner", "firmware", "runs"]
    assert lines[0] == ["name", "id", "profile", "state", "enabled", "created_at", *properties, *reached]
    assert [line[0] for line in lines[1:]] == ['meter "1", left', "=meter"]
    assert lines[1][2:5] == [profile["id"], "defined", "true"]
    last = await api.ask("export_devices", query={"limit": "2", "after": headers["X-Next"]})
    assert "X-Next" not in dict(last.headers)
    assert [line[0] for line in csv.reader(last.body.decode().splitlines())] == ["name", "meter-ü"]


async def test_pages_tell_the_next_one() -> None:
    api = Api()
    await api.get("create_profile", body={"name": "meters"})
    devices = [await api.get("define_device", body={"name": f"m-{n}", "profile": "meters"}) for n in range(3)]
    page = await api.get("list_devices", query={"limit": "2"})
    assert page["next"] == devices[1]["id"]
    page = await api.get("list_devices", query={"limit": "2", "after": page["next"]})
    assert ([each["name"] for each in page["items"]], page["next"]) == (["m-2"], None)


async def test_events_have_the_agreed_fields() -> None:
    api = Api()
    profile = await api.get("create_profile", body={"name": "meters"})
    (event,) = (await api.get("list_events", query={"kind": "profile.created"}))["items"]
    assert event == {
        "id": event["id"],
        "at": "2026-11-21T02:33:58.124Z",
        "kind": "profile.created",
        "correlation": "correlation-1",
        "protocol": "http",
        "dialect": "operator",
        "source": "192.0.2.1",
        "actor": "admin",
        "profile": profile["id"],
        "device": None,
        "device_name": "",
        "check": "",
        "detail": "meters",
    }


async def test_a_token_is_shown_once() -> None:
    api = Api()
    answer = await api.ask("create_token", body={"name": "line-3", "role": "factory"})
    assert answer.outcome is Success.CREATED
    made = json.loads(answer.body)
    assert len(made.pop("token")) == 40
    assert made == {"id": made["id"], "name": "line-3", "role": "factory", "created_at": "2026-11-21T02:33:58.124Z"}
    assert await api.get("list_tokens") == {"items": [made], "next": None}
    assert (await api.ask("delete_token", "line-3")).outcome is Success.DELETED


async def test_a_conflict_is_a_problem_document() -> None:
    api = Api()
    await api.ask("create_profile", body={"name": "meters"})
    answer = await api.ask("create_profile", body={"name": "meters"})
    assert (answer.outcome, answer.content_type) == (Reason.CONFLICT, "application/problem+json")
    assert json.loads(answer.body) == {
        "type": "about:blank",
        "title": "Conflict",
        "status": 409,
        "detail": "a profile of this name exists already",
        "check": "profile_name",
    }


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_problem_document(reason: Reason) -> None:
    refusal = Refusal(reason, "a sentence", check="some.check", retry_after=2.5)
    inbound = Inbound(carrier=Carrier.HTTP, method="GET", path="/v1/profiles", peer=Peer("192.0.2.1"))
    for form in ("", "list_profiles"):
        answer = operator.refuse(refusal, form, inbound)
        assert (answer.outcome, answer.retry_after) == (reason, 2.5)
        problem = json.loads(answer.body)
        assert (problem["status"], problem["detail"]) == (STATUS[reason], "a sentence")
        unknown = reason is Reason.UNAUTHENTICATED
        assert ("check" in problem) is not unknown
        assert (("WWW-Authenticate", "Bearer") in answer.headers) is unknown


def test_a_refusal_without_a_check_has_none() -> None:
    inbound = Inbound(carrier=Carrier.HTTP, method="GET", path="/v1/profiles", peer=Peer("192.0.2.1"))
    answer = operator.refuse(Refusal(Reason.INTERNAL, "the request failed", check=""), "", inbound)
    assert "check" not in json.loads(answer.body)


def test_the_table_of_problems_is_total() -> None:
    assert set(PROBLEMS) == set(Reason)


def references(node: Any) -> list[str]:
    """Return every reference in a part of the description."""
    if isinstance(node, dict):
        own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
        mapping = node.get("discriminator", {}).get("mapping", {}) if isinstance(node.get("discriminator"), dict) else {}
        return own + list(mapping.values()) + [each for value in node.values() for each in references(value)]
    return [each for value in node for each in references(value)] if isinstance(node, list) else []


async def test_the_description_covers_every_route() -> None:
    answer = await Api().ask("describe_api")
    assert (answer.outcome, answer.content_type) == (Success.OK, "application/json")
    document = json.loads(answer.body)
    assert document["openapi"].startswith("3.1")
    described = {
        (method.upper(), path, operation["operationId"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    routes = {(route.method, route.path, route.operation) for route in operator.ROUTES}
    assert described == routes - {("GET", "/openapi.json", "describe_api")}


async def test_every_reference_of_the_description_resolves() -> None:
    document = await Api().get("describe_api")
    schemas = document["components"]["schemas"]
    found = references(document)
    assert len(found) > len(ENDPOINTS)
    assert {reference.removeprefix("#/components/schemas/") for reference in found} == set(schemas)


async def test_the_description_promises_a_request_id_in_the_header_alone() -> None:
    document = await Api().get("describe_api")
    assert set(document["components"]["schemas"]["Problem"]["properties"]) == {"type", "title", "status", "detail", "check"}
    assert "request_id" not in json.dumps(document)
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    granted = [each for operation in operations for status, each in operation["responses"].items() if status < "300"]
    assert len(granted) == len(operations)
    assert all("X-Request-ID" in each["headers"] for each in granted)


async def test_the_description_of_an_operation_is_complete() -> None:
    document = await Api().get("describe_api")
    for path, methods in document["paths"].items():
        for operation in methods.values():
            names = [(each["name"], each["in"]) for each in operation["parameters"]]
            assert len(set(names)) == len(names)
            assert (("id", "path") in names) is ("{id}" in path)
            assert all(each["description"] and each["schema"]["type"] for each in operation["parameters"])
            assert {"400", "401", "403", "429", "503"} < set(operation["responses"])
    export = document["paths"]["/v1/devices:export"]["get"]["responses"]["200"]
    assert list(export["content"]) == ["text/csv"]
    assert "X-Next" in export["headers"]
    rows = document["components"]["schemas"]["Import"]["properties"]["devices"]
    assert rows["items"] == {"$ref": "#/components/schemas/ImportedDevice"}
    state = next(each for each in document["paths"]["/v1/devices"]["get"]["parameters"] if each["name"] == "state")
    assert state["schema"]["enum"] == ["defined", "provisioned", "connected", "associated", "discarded"]
    assert "default" not in state["schema"]
    rotate = document["paths"]["/v1/devices/{id}/credentials"]["post"]["requestBody"]
    assert rotate["required"] is False


def test_the_dialect_has_no_devices_of_its_own() -> None:
    assert (operator.NAME, operator.GUESTS, operator.SUBSCRIPTIONS) == ("operator", (), ())
    assert {route.carrier for route in operator.ROUTES} == {Carrier.HTTP}
