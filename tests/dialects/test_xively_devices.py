"""Devices, their templates, fields, channels and credentials, over HTTP and the real core, as the clients use them."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from core.errors import Refusal
from core.model import DeviceState, Role
from tests.dialects.certificates import certificate_of
from tests.dialects.xively_server import ACCOUNT, API, Line, other_account, serving

EXAMPLE = [
    "id",
    "accountId",
    "deviceTemplateId",
    "organizationId",
    "serialNumber",
    "provisioningState",
    "connected",
    "version",
    "created",
    "lastModified",
    "createdById",
    "lastModifiedById",
    "name",
    "location",
    "deviceVersion",
    "purchaseDate",
    "channels",
]
MORE = ["lastConnected", "externalIp", "firmwareVersion", "latitude", "longitude"]
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
SECRET = re.compile(r"[A-Za-z0-9+/]{43}=")
NOBODY = "3b0a6c0e-0c1e-4a39-9a7e-5b7c7e1f2a10"


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    async with serving() as line:
        yield line


async def test_a_device_looks_as_in_the_example(line: Line) -> None:
    template = await line.template()
    organization = await line.create("/organizations", name="Factory-1")
    device = await line.device(template, organizationId=organization["id"])
    assert [member for member in device if member not in MORE] == EXAMPLE
    assert set(device) == {*EXAMPLE, *MORE}
    assert UUID.fullmatch(device["id"])
    assert device["accountId"] == ACCOUNT
    assert device["deviceTemplateId"] == template["id"]
    assert device["organizationId"] == organization["id"]
    assert device["serialNumber"] == "LINE3-000481"
    assert device["provisioningState"] == "defined"
    assert device["connected"] is False
    assert MOMENT.fullmatch(device["created"])
    assert device["created"] == device["lastModified"]
    assert device["createdById"] == device["lastModifiedById"] == f"xi/jwt/{ACCOUNT}"
    assert [device[name] for name in ("name", "location", "deviceVersion", "purchaseDate", *MORE)] == [None] * 9
    names = [channel["channelTemplateName"] for channel in device["channels"]]
    assert names == ["_log", "_set/fields", "_rejected", "_updates/fields"]
    assert device["channels"][1] == {
        "channelTemplateId": device["channels"][1]["channelTemplateId"],
        "channelTemplateName": "_set/fields",
        "persistenceType": "simple",
        "channel": f"xi/blue/v1/{ACCOUNT}/d/{device['id']}/_set/fields",
    }
    other = await line.device(template, "LINE3-000482")
    ids = [[channel["channelTemplateId"] for channel in each["channels"]] for each in (device, other)]
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 4


async def test_a_device_without_organisation_is_the_accounts_own(line: Line) -> None:
    device = await line.device(await line.template())
    own = (await line.list("/organizations"))["results"][0]
    assert UUID.fullmatch(device["organizationId"])
    assert device["organizationId"] == own["id"]
    assert own["parentId"] is None
    found = await line.list("/devices", f"&organizationId={own['id']}")
    assert [each["id"] for each in found["results"]] == [device["id"]]


async def test_two_devices_may_have_one_serial(line: Line) -> None:
    template = await line.template()
    first, second = [await line.device(template, "same") for _ in range(2)]
    assert first["id"] != second["id"]
    found = await line.list("/devices", "&serialNumber=same")
    assert [each["id"] for each in found["results"]] == [first["id"], second["id"]]


async def test_what_a_device_needs(line: Line) -> None:
    template = await line.template()
    whole: dict[str, Any] = {"accountId": ACCOUNT, "deviceTemplateId": template["id"], "serialNumber": "s"}
    for member in whole:
        for bad in (None, "", 7, "x" * 256):
            answer = await line.ask("POST", "/devices", whole | {member: bad})
            if member == "serialNumber" or not (isinstance(bad, str) and bad):
                assert answer.error() == (400, "10", member)
    unknown = await line.ask("POST", "/devices", whole | {"deviceTemplateId": NOBODY})
    assert unknown.error() == (404, "22", "No target")
    nowhere = await line.ask("POST", "/devices", whole | {"organizationId": NOBODY})
    assert nowhere.error() == (404, "22", "No target")
    assert (await line.list("/devices"))["meta"]["count"] == 0
    await line.create("/devices", **whole | {"serialNumber": "x" * 255})


async def test_custom_fields_are_at_the_top_level(line: Line) -> None:
    template = await line.template()
    everywhere = await line.create("/devices/custom-fields", name="colour", fieldType="string", required="false")
    there = await line.create(
        "/devices/templates/custom-fields",
        deviceTemplateId=template["id"],
        name="production run",
        fieldType="text",
        required=True,
    )
    assert (everywhere["deviceTemplateId"], everywhere["required"], everywhere["fieldType"]) == (None, False, "string")
    assert (there["deviceTemplateId"], there["required"]) == (template["id"], True)
    whole = {"accountId": ACCOUNT, "deviceTemplateId": template["id"], "serialNumber": "s"}
    missing = await line.ask("POST", "/devices", whole)
    assert missing.error() == (400, "10", "production run")
    device = await line.device(
        template,
        "s",
        **{"production run": "DEC2016", "name": "Hall", "latitude": 47.1, "firmwareVersion": "2.0.1", "deviceVersion": "1.1"},
    )
    assert device["colour"] is None
    assert device["production run"] == "DEC2016"
    assert (device["name"], device["latitude"], device["firmwareVersion"]) == ("Hall", 47.1, "2.0.1")
    assert device["deviceVersion"] == "1.1"
    assert list(device)[-1] == "channels"
    shown = (await line.done("GET", f"/devices/templates/{template['id']}"))["deviceTemplate"]
    assert {field["name"] for field in shown["customFields"]} == {"colour", "production run"}


@pytest.mark.parametrize(
    ("members", "target"),
    [
        ({"name": "id", "fieldType": "string"}, "name"),
        ({"name": "channels", "fieldType": "string"}, "name"),
        ({"name": "colour"}, "fieldType"),
        ({"name": "colour", "fieldType": "a b"}, "fieldType"),
        ({"name": "colour", "fieldType": "x" * 33}, "fieldType"),
        ({"name": "colour", "fieldType": "string", "required": "maybe"}, "required"),
        ({"fieldType": "string"}, "name"),
    ],
)
async def test_a_field_that_could_not_be_seen_is_refused(line: Line, members: dict[str, str], target: str) -> None:
    answer = await line.ask("POST", "/devices/custom-fields", {"accountId": ACCOUNT} | members)
    assert answer.error() == (400, "10", target)


async def test_channels_of_a_template_are_its_devices(line: Line) -> None:
    template = await line.template()
    made = await line.create(
        "/channels/templates", name="temp", persistenceType="timeSeries", entityId=template["id"], entityType="deviceTemplate"
    )
    assert (made["entityId"], made["entityType"], made["persistenceType"]) == (template["id"], "deviceTemplate", "timeSeries")
    device = await line.device(template)
    assert device["channels"][-1] == {
        "channelTemplateId": made["id"],
        "channelTemplateName": "temp",
        "persistenceType": "timeSeries",
        "channel": f"xi/blue/v1/{ACCOUNT}/d/{device['id']}/temp",
    }
    other = await line.device(await line.template("other"))
    assert len(other["channels"]) == 4


@pytest.mark.parametrize(
    ("changed", "status", "target"),
    [
        ({"persistenceType": "forever"}, 400, "persistenceType"),
        ({"entityType": "device"}, 400, "entityType"),
        ({"entityId": None}, 400, "entityId"),
        ({"name": "_log"}, 400, "name"),
        ({"name": "a/#"}, 400, "name"),
        ({"entityId": NOBODY}, 404, "No target"),
    ],
)
async def test_a_channel_that_could_not_be_used_is_refused(line: Line, changed: Any, status: int, target: str) -> None:
    template = await line.template()
    whole = {
        "accountId": ACCOUNT,
        "name": "temp",
        "persistenceType": "simple",
        "entityId": template["id"],
        "entityType": "deviceTemplate",
    }
    answer = await line.ask("POST", "/channels/templates", whole | changed)
    assert answer.error()[::2] == (status, target)


async def test_templates_are_made_listed_shown_and_changed(line: Line) -> None:
    first = await line.template("Home Air Purifier", default="true")
    second = await line.template("Jacket", authenticationMethod="certificate")
    assert (first["authenticationMethod"], first["default"]) == ("password", True)
    assert (second["authenticationMethod"], second["default"]) == ("certificate", False)
    found = await line.list("/devices/templates")
    assert [each["id"] for each in found["results"]] == [first["id"], second["id"]]
    assert (await line.list("/devices/templates", "&name=Jacket"))["meta"]["count"] == 1
    path = f"/devices/templates/{second['id']}"
    change = {**second, "name": "Coat", "authenticationMethod": "password", "default": True}
    changed = (await line.done("PUT", path, change, etag=second["version"]))["deviceTemplate"]
    assert (changed["name"], changed["authenticationMethod"], changed["default"]) == ("Coat", "certificate", True)
    assert changed["version"] != second["version"]
    assert (await line.done("GET", path))["deviceTemplate"] == changed
    assert (await line.ask("PUT", path, {"name": "x"}, etag=second["version"])).error() == (412, "12", "No target")
    assert (await line.ask("PUT", path, {"name": "x"})).error() == (400, "11", "etag")
    taken = await line.ask("POST", "/devices/templates", {"accountId": ACCOUNT, "name": "Coat"})
    assert taken.error()[:2] == (409, "33")
    bad = await line.ask("POST", "/devices/templates", {"accountId": ACCOUNT, "name": "n", "authenticationMethod": "psk"})
    assert bad.error() == (400, "10", "authenticationMethod")


async def test_an_update_names_the_version_it_has_seen(line: Line) -> None:
    device = await line.device(await line.template())
    path, first = f"/devices/{device['id']}", device["version"]
    answer = await line.ask("PUT", path, {"location": "1"}, etag=first)
    assert answer.status == 200
    second = answer.body["device"]["version"]
    assert second != first
    assert answer.headers["etag"] == f'"{second}"'
    third = await line.ask("PUT", path, {"location": "2"}, etag=f'"{second}"')
    assert third.status == 200
    stale = await line.ask("PUT", path, {"location": "3"}, etag=first)
    assert stale.error() == (412, "12", "No target")
    assert stale.body["error"]["message"] == "Version mismatch"
    absent = await line.ask("PUT", path, {"location": "3"})
    assert absent.error() == (400, "11", "etag")
    assert absent.body["error"]["message"] == "etag header is required"
    now = await line.read(device)
    assert (now["location"], now["version"]) == ("2", third.body["device"]["version"])
    weak = await line.ask("PUT", path, {"location": "4"}, **{"If-Match": f'W/"{now["version"]}"'})
    assert weak.status == 200
    assert (await line.ask("PUT", path, {"location": "5"}, etag="??")).status == 412
    assert (await line.ask("PUT", path, {"location": "6"}, **{"If-Match": "*"})).status == 200
    shown = await line.ask("GET", path)
    assert shown.headers["etag"] == f'"{shown.body["device"]["version"]}"'


async def test_what_was_read_may_be_sent_back(line: Line) -> None:
    template = await line.template()
    device = await line.device(template, name="Hall", location="7")
    change = {**device, "name": "Attic", "provisioningState": "associated", "connected": True, "version": "zz", "id": "x"}
    changed = (await line.done("PUT", f"/devices/{device['id']}", change, etag=device["version"]))["device"]
    moved = ("name", "version", "lastModified")
    assert {name: changed[name] for name in device if name not in moved} == {
        name: device[name] for name in device if name not in moved
    }
    assert changed["name"] == "Attic"
    cleared = await line.done("PUT", f"/devices/{device['id']}", {"name": None, "location": None}, etag=changed["version"])
    assert (cleared["device"]["name"], cleared["device"]["location"]) == (None, None)


async def test_a_state_cannot_be_written(line: Line) -> None:
    device = await line.device(await line.template())
    body = {"provisioningState": "associated"}
    changed = await line.done("PUT", f"/devices/{device['id']}", body, etag=device["version"])
    assert changed["device"]["provisioningState"] == "defined"


async def test_a_device_moves_and_gets_another_serial(line: Line) -> None:
    device = await line.device(await line.template())
    organization = await line.create("/organizations", name="Warehouse-1")
    path = f"/devices/{device['id']}"
    body = {"organizationId": organization["id"], "serialNumber": "new"}
    changed = (await line.done("PUT", path, body, etag=device["version"]))["device"]
    assert (changed["organizationId"], changed["serialNumber"]) == (organization["id"], "new")
    for member, bad in (("serialNumber", ""), ("serialNumber", 7), ("organizationId", []), ("name", {})):
        answer = await line.ask("PUT", path, {member: bad}, etag=changed["version"])
        assert answer.error() == (400, "10", member)
    back = await line.done("PUT", path, {"organizationId": device["organizationId"]}, etag=changed["version"])
    assert back["device"]["organizationId"] == device["organizationId"]


async def test_a_device_is_deleted_as_it_was_seen(line: Line) -> None:
    device = await line.device(await line.template())
    path = f"/devices/{device['id']}"
    assert (await line.ask("DELETE", path)).error() == (400, "11", "etag")
    assert (await line.ask("DELETE", path, etag="xz")).error() == (412, "12", "No target")
    assert (await line.done("DELETE", path, etag=device["version"]))["device"]["id"] == device["id"]
    for method in ("GET", "DELETE"):
        assert (await line.ask(method, path, etag=device["version"])).error() == (404, "22", "No target")


async def test_credentials_are_given_once(line: Line) -> None:
    device = await line.device(await line.template())
    first = await line.arm(device)
    assert list(first) == [
        "id",
        "created",
        "createdById",
        "lastModified",
        "lastModifiedById",
        "ownedById",
        "version",
        "accountId",
        "entityId",
        "entityType",
        "secret",
    ]
    assert SECRET.fullmatch(first["secret"])
    assert (first["accountId"], first["entityId"], first["entityType"]) == (ACCOUNT, device["id"], "device")
    assert (await line.read(device))["provisioningState"] == "activated"
    assert await line.log_in_device(device["id"], first["secret"]) == device["id"]
    second = await line.arm(device)
    assert second["secret"] != first["secret"]
    assert second["id"] != first["id"]
    with pytest.raises(Refusal):
        await line.log_in_device(device["id"], first["secret"])
    assert await line.log_in_device("", second["secret"], client_id=device["id"]) == device["id"]
    assert await line.log_in_device(device["id"], second["secret"], client_id="random-1") == device["id"]
    now = await line.read(device)
    assert now["provisioningState"] == "activated"
    assert MOMENT.fullmatch(now["lastConnected"])


async def test_a_secret_with_every_sign_of_base64_logs_in(line: Line) -> None:
    device = await line.device(await line.template())
    for _ in range(200):
        secret = (await line.arm(device))["secret"]
        if "+" in secret and "/" in secret:
            break
    assert {"+", "/", "="} <= set(secret)
    assert await line.log_in_device(device["id"], secret) == device["id"]


async def test_a_whole_device_may_be_posted_for_credentials(line: Line) -> None:
    device = await line.device(await line.template(), name="Hall")
    body = {**device, "entityId": device["id"], "entityType": "device"}
    assert SECRET.fullmatch((await line.done("POST", "/access/mqtt-credentials", body))["mqttCredential"]["secret"])


async def test_a_form_may_be_posted_for_credentials(line: Line) -> None:
    device = await line.device(await line.template())
    form = f"accountId={ACCOUNT}&entityId={device['id']}&entityType=device&channels%5B0%5D%5Bchannel%5D=x".encode()
    media_type = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    answer = await line.send("POST", "/access/mqtt-credentials", form, **media_type)
    assert answer.status == 200
    assert await line.log_in_device(device["id"], answer.body["mqttCredential"]["secret"]) == device["id"]
    missing = await line.send("POST", "/access/mqtt-credentials", b"accountId=default&entityType=device", **media_type)
    assert missing.error() == (400, "10", "entityId")
    elsewhere = await line.send("POST", "/devices", form, **media_type)
    assert elsewhere.error() == (400, "10", "No target")


async def test_credentials_of_nobody(line: Line) -> None:
    body: dict[str, Any] = {"accountId": ACCOUNT, "entityId": NOBODY, "entityType": "device"}
    for kind in ("device", "endUser", "accountUser"):
        answer = await line.ask("POST", "/access/mqtt-credentials", body | {"entityType": kind})
        assert answer.error() == (404, "22", "No target")
    for member, bad in (("entityType", "gateway"), ("entityType", None), ("entityId", 7), ("accountId", None)):
        answer = await line.ask("POST", "/access/mqtt-credentials", body | {member: bad})
        assert answer.error() == (400, "10", member)


async def test_a_certificate_is_registered_in_place_of_a_secret(line: Line) -> None:
    template = await line.template("tls", authenticationMethod="certificate")
    device, other = await line.device(template, "a"), await line.device(template, "b")
    pem, fingerprint = certificate_of("device-a", line.desk.clock.now())
    made = await line.arm(device, certificate=pem)
    assert "secret" not in made
    assert (made["certificate"], made["fingerprint"]) == (pem, fingerprint)
    assert (await line.read(device))["provisioningState"] == "activated"
    body = {"accountId": ACCOUNT, "entityId": other["id"], "entityType": "device"}
    taken = await line.ask("POST", "/access/mqtt-credentials", body | {"certificate": pem})
    assert taken.error() == (409, "32", "No target")
    assert (await line.ask("POST", "/access/mqtt-credentials", body)).error() == (422, "31", "No target")
    expired, _ = certificate_of("device-b", line.desk.clock.now(), days=-2)
    assert (await line.ask("POST", "/access/mqtt-credentials", body | {"certificate": expired})).error()[:2] == (422, "31")
    for bad in ("no certificate", 7, "x" * 20_000):
        answer = await line.ask("POST", "/access/mqtt-credentials", body | {"certificate": bad})
        assert answer.error() == (400, "10", "certificate")
    assert (await line.read(other))["provisioningState"] == "defined"
    assert (await line.arm(device, certificate=pem))["fingerprint"] == fingerprint


async def test_a_password_template_takes_no_certificate(line: Line) -> None:
    device = await line.device(await line.template())
    pem, _ = certificate_of("device-a", line.desk.clock.now())
    body = {"accountId": ACCOUNT, "entityId": device["id"], "entityType": "device", "certificate": pem}
    assert (await line.ask("POST", "/access/mqtt-credentials", body)).error() == (422, "31", "No target")
    assert (await line.read(device))["provisioningState"] == "defined"
    user = await line.create("/end-users", name="Ada")
    answer = await line.ask("POST", "/access/mqtt-credentials", body | {"entityId": user["id"], "entityType": "endUser"})
    assert answer.error() == (422, "31", "certificate")


async def test_a_discarded_device_is_reserved(line: Line) -> None:
    device = await line.device(await line.template())
    await line.alter(device, state=DeviceState.DISCARDED)
    assert (await line.read(device))["provisioningState"] == "reserved"
    assert (await line.list("/devices", "&provisioningState=reserved"))["meta"]["count"] == 1
    body = {"accountId": ACCOUNT, "entityId": device["id"], "entityType": "device"}
    assert (await line.ask("POST", "/access/mqtt-credentials", body)).error() == (422, "34", "No target")


async def test_what_the_device_reported_is_its_firmware(line: Line) -> None:
    device = await line.device(await line.template(), firmwareVersion="written")
    assert device["firmwareVersion"] == "written"
    await line.alter(device, runs="2.1")
    assert (await line.read(device))["firmwareVersion"] == "2.1"


async def fleet(line: Line) -> list[str]:
    """Make seven devices, five of them with credentials, and return their ids."""
    template = await line.template()
    devices = [await line.device(template, f"s-{7 - place}", name=f"n-{place % 2}") for place in range(7)]
    for device in devices[:5]:
        await line.arm(device)
    return [device["id"] for device in devices]


async def test_a_list_is_a_slice_and_the_count_of_all(line: Line) -> None:
    ids = await fleet(line)
    found = await line.list("/devices", "&provisioningState=activated&pageSize=2&page=3")
    assert [each["id"] for each in found["results"]] == ids[4:5]
    assert found["meta"] == {"count": 5, "page": 3, "pageSize": 2, "sortOrder": "asc"}
    after = await line.list("/devices", "&pageSize=2&page=99")
    assert (after["results"], after["meta"]["count"]) == ([], 7)
    assert list(await line.list("/devices", "&meta=false")) == ["results"]
    none = await line.list("/devices", "&results=false&pageSize=5000")
    assert none == {"meta": {"count": 7, "page": 1, "pageSize": 1000, "sortOrder": "asc"}}
    assert [each["id"] for each in (await line.list("/devices"))["results"]] == ids


async def test_a_list_is_filtered_and_sorted(line: Line) -> None:
    ids = await fleet(line)

    async def found(query: str) -> list[str]:
        return [each["id"] for each in (await line.list("/devices", query))["results"]]

    assert await found("&provisioningState=defined") == ids[5:]
    assert await found("&provisioningState=reserved") == []
    assert await found("&provisioningState=nonsense") == []
    assert await found("&serialNumber=s-3") == [ids[4]]
    assert await found("&name=n-1") == ids[1::2]
    assert await found("&deviceTemplateId=nothing") == []
    assert await found("&organizationId=nothing") == []
    assert await found("&colour=red&connected=maybe") == ids
    assert await found("&sortBy=serialNumber") == ids[::-1]
    assert await found("&sortOrder=desc") == ids[::-1]
    meta = (await line.list("/devices", "&sortBy=created&sortOrder=desc"))["meta"]
    assert meta == {"count": 7, "page": 1, "pageSize": 10, "sortBy": "created", "sortOrder": "desc"}


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("", "accountId"),
        ("?accountId=", "accountId"),
        ("?accountId=default&page=0", "page"),
        ("?accountId=default&page=x", "page"),
        ("?accountId=default&pageSize=-1", "pageSize"),
        ("?accountId=default&meta=perhaps", "meta"),
        ("?accountId=default&results=perhaps", "results"),
        ("?accountId=default&sortBy=secret", "sortBy"),
        ("?accountId=default&sortOrder=up", "sortOrder"),
        ("?accountId=default&name=%00", "No target"),
    ],
)
async def test_a_bad_query_is_refused_by_name(line: Line, query: str, target: str) -> None:
    for path in ("/devices", "/devices/templates", "/organizations", "/end-users", "/account-users", "/end-users/templates"):
        assert (await line.ask("GET", path + query)).error() == (400, "10", target)


async def test_what_a_query_says_twice_counts_as_said_last(line: Line) -> None:
    await fleet(line)
    assert (await line.list("/devices", "&pageSize=1&pageSize=3"))["meta"]["pageSize"] == 3


async def test_another_account_is_not_for_this_token(line: Line) -> None:
    device = await line.device(await line.template())
    other = await other_account(line.desk)
    assert (await line.ask("GET", f"/devices?accountId={other}")).status == 200  # an admin may
    assert (await line.ask("GET", f"/devices/{device['id']}?accountId={other}")).error() == (404, "22", "No target")
    await line.token(Role.OPERATOR)
    for account in (other, "nowhere"):
        listed = await line.ask("GET", f"/devices?accountId={account}")
        assert listed.error() == (403, "21", "No target")
        assert listed.body["error"]["message"] == "You are not allowed to perform this action"
        made = await line.ask("POST", "/devices/templates", {"accountId": account, "name": "x"})
        assert made.error() == (403, "21", "No target")
        changed = await line.ask("PUT", f"/devices/{device['id']}", {"accountId": account}, etag=device["version"])
        assert changed.error() == (403, "21", "No target")


async def test_an_account_that_is_not_there_is_forbidden_to_an_admin_too(line: Line) -> None:
    assert (await line.ask("GET", "/devices?accountId=nowhere")).error() == (403, "21", "No target")


async def test_a_factory_makes_devices_and_arms_them_and_no_more(line: Line) -> None:
    template = await line.template()
    await line.token(Role.FACTORY)
    device = await line.device(template)
    assert SECRET.fullmatch((await line.arm(device))["secret"])
    for method, path in (("GET", f"/devices?accountId={ACCOUNT}"), ("GET", f"/devices/{device['id']}")):
        assert (await line.ask(method, path)).error() == (403, "21", "No target")
    assert (await line.ask("DELETE", f"/devices/{device['id']}", etag="*")).status == 403
    await line.token(Role.AUDITOR)
    assert (await line.read(device))["id"] == device["id"]
    body = {"accountId": ACCOUNT, "entityId": device["id"], "entityType": "device"}
    assert (await line.ask("POST", "/access/mqtt-credentials", body)).error() == (403, "21", "No target")


async def test_an_id_may_hold_anything(line: Line) -> None:
    for text in ("%2e%2e", "x" * 1_000, "%F0%9F%98%80", "a%20b", "null", "%25"):
        assert (await line.ask("GET", f"/devices/{text}")).error() == (404, "22", "No target")
    for text in ("%00", "%ed%a0%80%00"):
        assert (await line.ask("GET", f"/devices/{text}")).error() == (400, "10", "No target")


async def test_the_path_begins_with_the_version(line: Line) -> None:
    async with line.session.get(f"{line.url}{API.removesuffix('/v1')}/v2/devices") as response:
        assert response.status == 404
