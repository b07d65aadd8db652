"""Batches and windows over the operator API: what may be sent, what comes back bit by bit, and who is told what."""

import csv
import io
import json
from typing import Any

import msgspec
import pytest

from adapters.dialects import operator
from adapters.dialects.operator.issuing_tables import read_table
from adapters.exchange import Carrier, Inbound, Outbound, Peer, Success
from core.errors import Reason, Refusal
from core.model import CredentialKind, Role
from core.operate.batches import ROWS
from core.operate.issuing import IssueBatch
from core.operate.messages import Operation, Unreadable
from tests.dialects.operator_desk import ROUTES, Api
from tests.operating import ADMIN

COLUMNS = [
    *("serial", "device_id", "status", "credential_type"),
    *("token", "client_id", "username", "password", "certificate", "endpoint", "secret", "product_key", "device_key"),
    *("device_name", "reason"),
    *("oscore_device_id", "oscore_server_id", "oscore_salt", "oscore_id_context"),
]


def inbound(body: bytes | object, *, content_type: str = "application/json", accept: str = "", **query: str) -> Inbound:
    return Inbound(
        carrier=Carrier.HTTP,
        method="POST",
        path="/v1/devices:issue",
        peer=Peer("192.0.2.1"),
        query=query,
        headers={"authorization": "Bearer the admin token of these tests", "accept": accept},
        content_type=content_type,
        body=body if isinstance(body, bytes) else json.dumps(body).encode(),
    )


def read(body: bytes | object, **asked: str) -> IssueBatch | Refusal:
    decoded = operator.decode(ROUTES["issue_devices"], inbound(body, **asked))
    assert isinstance(decoded.message, Operation)
    command = decoded.message.command
    assert isinstance(command, IssueBatch | Unreadable)
    return command.refusal if isinstance(command, Unreadable) else command


async def issue(api: Api, body: bytes | object, **asked: str) -> Outbound:
    asking = inbound(body, **asked)
    decoded = operator.decode(ROUTES["issue_devices"], asking)
    return operator.encode(await api.desk.operate(decoded.message, api.context), decoded.form, asking)


async def sent(outbound: Outbound) -> bytes:
    assert outbound.stream is not None
    return outbound.body + b"".join([part async for part in outbound.stream])


async def records(api: Api, body: bytes | object, **asked: str) -> list[dict[str, Any]]:
    outbound = await issue(api, body, **asked)
    assert (outbound.outcome, outbound.content_type, outbound.body) == (Success.OK, "application/x-ndjson", b"")
    assert dict(outbound.headers)["Cache-Control"] == "no-store"
    return [json.loads(line) for line in (await sent(outbound)).splitlines()]


async def table(api: Api, body: bytes | object, **asked: str) -> list[dict[str, str]]:
    outbound = await issue(api, body, **asked)
    assert outbound.content_type == "text/csv; charset=utf-8; header=present"
    text = (await sent(outbound)).decode()
    assert text.endswith("\r\n")
    rows = csv.DictReader(io.StringIO(text, newline=""))
    assert rows.fieldnames == COLUMNS
    return list(rows)


async def test_ndjson_has_a_line_for_each_serial_and_an_end() -> None:
    api = Api()
    await api.desk.profile()
    first, bad, end = await records(api, {"profile": "meters", "serials": ["SN1", ""]})
    device = await api.get("show_device", "SN1")
    assert first == {
        "line": 1,
        "serial": "SN1",
        "status": "issued",
        "device_id": device["id"],
        "device_name": "SN1",
        "credential": {"type": "access_token", "token": first["credential"]["token"]},
    }
    assert bad == {"line": 2, "serial": "", "status": "refused", "reason": "the device name is empty"}
    assert end == {"done": True, "issued": 1, "existing": 0, "refused": 1}
    again, _, end = await records(api, {"profile": "meters", "serials": ["SN1", ""]})
    assert again == {**first, "status": "exists"}
    assert end == {"done": True, "issued": 0, "existing": 1, "refused": 1}


def test_what_is_more_than_a_batch_may_have_is_not_even_read() -> None:
    table = read_table(b"serial" + b"\na" * 300_000)
    assert len(table.lines) == ROWS + 1
    for many in ({"serials": [""] * 100_001}, {"devices": [{"serial": ""}] * 100_001}):
        refusal = read(many, profile="p")
        assert isinstance(refusal, Refusal)
        assert (refusal.check, refusal.detail) == ("batch.rows", "1 to 100000 serials are possible at once, not 100001")


async def test_csv_has_one_header_for_all_kinds_and_quotes_what_it_must() -> None:
    api = Api()
    await api.desk.profile()
    serials = ['a "b", c', "=1+1", "SN1", "SN1"]
    rows = await table(api, {"profile": "meters", "serials": serials}, format="csv")
    assert [row["serial"] for row in rows] == serials
    assert [row["status"] for row in rows] == ["issued", "issued", "issued", "refused"]
    assert rows[0]["credential_type"] == "access_token"
    assert len(rows[0]["token"]) == 20
    assert rows[0]["device_name"] == serials[0]
    assert rows[3]["reason"] == "the serial is that of line 3"
    assert not any(rows[3][column] for column in COLUMNS[1:] if column not in ("status", "reason"))


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        ("access_token", {"token"}),
        ("mqtt_basic", {"username", "password"}),
        ("client_secret", {"secret"}),
        ("device_secret", {"product_key", "device_key", "secret"}),
        ("oscore", {"oscore_device_id", "secret"}),
    ],
)
async def test_every_kind_has_its_columns(kind: str, columns: set[str]) -> None:
    api = Api()
    strategy = "signed" if kind == "device_secret" else "create_new"
    await api.ask("create_profile", body={"name": "meters", "strategy": strategy})
    (row,) = await table(api, {"profile": "meters", "kind": kind, "serials": ["SN1"]}, accept="text/csv")
    assert {column for column in (*COLUMNS[4:13], *COLUMNS[15:]) if row[column]} == columns
    record, _ = await records(api, {"profile": "meters", "serials": ["SN1"]})
    assert record["credential"]["type"] == row["credential_type"] == kind
    assert {name for name, part in record["credential"].items() if part} == {
        "type",
        *(column.removeprefix("oscore_") for column in columns),
    }


async def test_other_kinds_that_a_device_has_are_told_too() -> None:
    api = Api()
    await api.desk.profile()
    for name, credential in (
        ("SN1", {"type": "x509_certificate", "certificate": "TUlJQg=="}),
        ("SN2", {"type": "lwm2m", "endpoint": "urn:dev:1"}),
    ):
        await api.ask("define_device", body={"name": name, "profile": "meters", "credential": credential})
    rows = await table(api, {"profile": "meters", "serials": ["SN1", "SN2"]}, format="csv")
    assert [(row["certificate"], row["endpoint"]) for row in rows] == [("TUlJQg==", ""), ("", "urn:dev:1")]


@pytest.mark.parametrize(
    ("accept", "form", "content_type"),
    [
        ("", "", "application/x-ndjson"),
        ("*/*", "", "application/x-ndjson"),
        ("text/html, Text/CSV; q=0.5", "", "text/csv"),
        ("text/csv, application/x-ndjson", "", "application/x-ndjson"),
        ("text/csv", "ndjson", "application/x-ndjson"),
        ("application/x-ndjson", "csv", "text/csv"),
    ],
)
async def test_the_form_is_what_was_asked_for(accept: str, form: str, content_type: str) -> None:
    api = Api()
    await api.desk.profile()
    outbound = await issue(api, {"profile": "meters", "serials": ["SN1"]}, accept=accept, format=form)
    assert (outbound.content_type or "").partition(";")[0] == content_type
    assert outbound.stream is not None
    await outbound.stream.aclose()


async def test_a_receiver_that_goes_away_stops_the_batch() -> None:
    api = Api()
    await api.desk.profile()
    for form in ("csv", "ndjson"):
        serials = [f"{form}-{number}" for number in range(1_000)]
        outbound = await issue(api, {"profile": "meters", "serials": serials}, format=form)
        assert outbound.stream is not None
        await anext(outbound.stream)
        await outbound.stream.aclose()
        made = await api.get("list_devices", query={"name": f"{form}-", "limit": "1000"})
        assert len(made["items"]) == 250


def test_a_csv_body_is_read_by_its_columns() -> None:
    body = "\ufeffSite; SERIAL ;Label;\r\nUlm;SN1;Pump;\r\n\r\n;SN2;;\r\nx;SN3;;;;\r\n;\r\n".encode()
    batch = read(body, content_type="Text/CSV; charset=utf-8", profile="p", kind="mqtt_basic")
    assert isinstance(batch, IssueBatch)
    assert (batch.profile, batch.kind) == ("p", CredentialKind.MQTT_BASIC)
    told = [(row.line, row.serial, getattr(row, "label", None), getattr(row, "metadata", None)) for row in batch.rows]
    assert told == [
        (2, "SN1", "Pump", {"Site": "Ulm"}),
        (4, "SN2", "", {}),
        (5, "SN3", None, None),
        (6, "", "", {}),
    ]


def test_a_line_that_cannot_be_taken_apart_is_one_bad_line() -> None:
    table = read_table(b"serial\nSN1\n" + b"x" * 140_000 + b"\nSN2\n")
    assert [number for number, _ in table.lines] == [2, 3, 4]
    assert [getattr(line, "reason", "") for _, line in table.lines] == ["", "the line cannot be read", ""]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"\xff\xfe", "the body is not UTF-8"),
        (b"", "the first line names the columns, and one of them must be serial"),
        (b"name\nSN1\n", "the first line names the columns, and one of them must be serial"),
        (b"serial,Serial\n", "two columns have the same name"),
        (b"x" * 140_000, "the first line names the columns, and one of them must be serial"),
        (b"serial" + b",x" * 2_000_000, "there are more than 256 columns"),
        (b"serial" + b"\r\n" * 200_001, "the body has more than 400000 line ends"),
    ],
)
def test_a_csv_body_that_is_none_is_refused(body: bytes, detail: str) -> None:
    refusal = read(body, content_type="text/csv", profile="p")
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.detail) == (Reason.MALFORMED, detail)


@pytest.mark.parametrize(
    ("body", "query", "check"),
    [
        ({"serials": ["a"]}, {}, "issue.profile"),
        ({"profile": "p"}, {}, "issue.rows"),
        ({"profile": "p", "serials": ["a"], "devices": []}, {}, "issue.rows"),
        ({"profile": "p", "serials": ["a"]}, {"format": "xml"}, "format.value"),
        ({"profile": "p", "serials": [1]}, {}, "body.field"),
        ({"profile": "p", "devices": [{"label": "a"}]}, {}, "body.field"),
        ({"profile": "p", "serials": ["a"], "kind": "token"}, {}, "kind.value"),
        (b"", {}, "body.empty"),
        ({"profile": "p", "serials": ["a"]}, {"profil": "p"}, "query"),
    ],
)
def test_a_batch_that_cannot_be_read_is_refused(body: object, query: dict[str, str], check: str) -> None:
    refusal = read(body, **query)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, check)


async def test_a_batch_is_refused_whole_before_it_is_sent() -> None:
    api = Api()
    await api.desk.profile()
    auditor = await api.desk.token(Role.AUDITOR)
    for body, bearer, outcome in (
        ({"profile": "gone", "serials": ["SN1"]}, ADMIN, Reason.NOT_FOUND),
        ({"profile": "meters", "serials": []}, ADMIN, Reason.MALFORMED),
        ({"profile": "meters", "serials": ["SN1"], "kind": "device_secret"}, ADMIN, Reason.UNPROCESSABLE),
        ({"profile": "meters", "serials": ["SN1"]}, auditor, Reason.FORBIDDEN),
    ):
        outbound = await api.ask("issue_devices", body=body, bearer=bearer)
        assert (outbound.outcome, outbound.stream) == (outcome, None)
        assert outbound.content_type == "application/problem+json"


async def test_credentials_show_their_ends() -> None:
    api = Api()
    await api.desk.profile()
    await api.ask("define_device", body={"name": "m", "profile": "meters"})
    await api.ask("rotate_credentials", "m", query={"overlap_seconds": "60"})
    added = await api.get("add_credential", "m", query={"expires_in_seconds": "1"})
    assert added["items"][0]["expires_at"] == "2026-11-21T02:33:59.127Z"
    api.desk.clock.advance(2)
    old, new, ended = (await api.get("read_credentials", "m"))["items"]
    assert [each["expired"] for each in (old, new, ended)] == [False, False, True]
    assert (old["expires_at"], new["expires_at"]) == ("2026-11-21T02:34:58.126Z", None)
    assert all(each["token"] for each in (old, new, ended))


async def test_one_credential_is_revoked_by_its_own_path() -> None:
    api = Api()
    await api.desk.profile()
    made = await api.get("define_device", body={"name": "m", "profile": "meters"})
    (credential,) = made["credentials"]
    route = ROUTES["revoke_credential"]
    asking = msgspec.structs.replace(inbound(b""), params={"id": "m", "credential": credential["id"]})
    decoded = operator.decode(route, asking)
    result = await api.desk.operate(decoded.message, api.context)
    assert operator.encode(result, decoded.form, asking).outcome is Success.DELETED
    assert (await api.get("read_credentials", "m"))["items"] == []


async def test_a_triple_shows_its_three_parts() -> None:
    api = Api()
    rules = {"product_key": "pk1", "timestamp_tolerance_s": None}
    profile = await api.get("create_profile", body={"name": "pumps", "strategy": "signed", "signed": rules})
    assert profile["signed"] == {
        "auto_activation": True,
        "self_registration": True,
        "timestamp_tolerance_s": None,
        "reallocation": "migrate",
        "product_key": "pk1",
        "mqtt_url": "",
        "http_url": "",
    }
    made = await api.get("define_device", body={"name": "m", "profile": "pumps"})
    (shown,) = made["credentials"]
    assert shown["type"] == "device_secret"
    assert shown["product_key"] == "pk1"
    assert len(shown["device_key"]) == 10
    assert len(shown["secret"]) == 32
    changed = await api.get("change_profile", "pumps", {"signed": {"mqtt_url": "tcp://h:1"}, "metadata": {"a": 1}})
    assert (changed["signed"]["mqtt_url"], changed["signed"]["product_key"], changed["metadata"]) == (
        "tcp://h:1",
        "pk1",
        {"a": 1},
    )
    rotated = await api.get("rotate_profile", "pumps", {"overlap_seconds": 60})
    assert rotated["previous_secret_until"] == "2026-11-21T02:34:58.127Z"


async def test_the_description_tells_of_streams_and_tables() -> None:
    document = await Api().get("describe_api")
    operation = document["paths"]["/v1/devices:issue"]["post"]
    assert set(operation["requestBody"]["content"]) == {"application/json", "text/csv"}
    content = operation["responses"]["200"]["content"]
    assert content["application/x-ndjson"]["schema"] == {"$ref": "#/components/schemas/IssuedLine"}
    assert content["text/csv"]["schema"] == {"type": "string"}
    revoke = document["paths"]["/v1/devices/{id}/credentials/{credential}"]["delete"]
    assert [each["name"] for each in revoke["parameters"] if each["in"] == "path"] == ["id", "credential"]
