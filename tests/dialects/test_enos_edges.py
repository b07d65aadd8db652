"""The edge cases of the vendor's contract, one by one, as devices, applications and operators meet them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from tests.dialects.enos_gateway import (
    GRANTED,
    GROUP,
    PASSWORD,
    SERIAL,
    TIME,
    Enos,
    bootstrap,
    login,
    own,
    serving,
    session_request,
    signature,
)
from tests.protocols.scenario_clients import PATIENCE_SECONDS
from tests.protocols.scenario_mqtt_clients import Talk

NOT_ALLOCATED = (409, 10000, f"[{SERIAL}] not allocated")
DISCARDED = (403, 10000, f"[{SERIAL}] discarded")
NOT_VERIFIED = (401, 35601, "Verify not pass")
NOT_PERMITTED = (403, 35603, "Unauthorized to access the resource")


@pytest.fixture
async def enos(tmp_path: Path) -> AsyncIterator[Enos]:
    async with serving(tmp_path) as gateway:
        yield gateway


async def logs_in(enos: Enos, triple: dict[str, Any]) -> str:
    """Return how an MQTT login with a triple is refused, empty where it is not."""

    def connect() -> str:
        with Talk(enos.running.listening, MQTTProtocolVersion.MQTTv311, login(triple)) as talk:
            return talk.refused

    return await asyncio.to_thread(connect)


async def test_the_serials_older_name(enos: Enos) -> None:
    await enos.group()
    document = bootstrap(deviceSn=None, deviceId=SERIAL)
    assert (await enos.post("/dev/bootstrap", document)).status == 200


async def test_a_signature_in_capitals(enos: Enos) -> None:
    await enos.group()
    await enos.given(dpsSign=signature(SERIAL).upper())


async def test_a_timestamp_as_text_is_signed_by_its_digits(enos: Enos) -> None:
    await enos.group()
    await enos.given(dpsSignTimestamp=str(TIME))
    await enos.given("SN-0002", time="0001700000000000")


@pytest.mark.parametrize("written", ["1.7e12", "1700000000000.5"])
async def test_a_timestamp_that_is_no_whole_number(written: str, enos: Enos) -> None:
    await enos.group()
    reply = await enos.send("POST", "/dev/bootstrap", json.dumps(bootstrap()).replace(str(TIME), written))
    assert reply.refused == (400, 99400, "Invalid Argument dpsSignTimestamp:a whole number is needed")


async def test_the_same_request_twice_gets_the_same_triple(enos: Enos) -> None:
    await enos.group()
    assert await enos.given() == await enos.given()


async def test_first_requests_at_once_make_one_device(tmp_path: Path) -> None:
    async with serving(tmp_path, DATABASE=f"sqlite:{tmp_path / 'registry.db'}") as enos:
        await enos.group()
        given = await asyncio.gather(*(enos.given() for _ in range(8)))
        assert {json.dumps(one) for one in given} == {json.dumps(given[0])}
        assert [device["name"] for device in await enos.operator.all("/v1/devices")] == [SERIAL]


@pytest.mark.parametrize("serial", ["传感器-7", "A B&C=1", "a/b:c", "Ω" * 128])
async def test_a_serial_of_any_characters_is_shown_as_it_is(serial: str, enos: Enos) -> None:
    await enos.group()
    await enos.given(serial)
    shown = await enos.application("get", sn=serial)
    assert shown["sn"] == serial
    assert shown["deviceData"]["deviceSn"] == serial


async def test_the_same_serial_in_two_groups_is_two_devices(enos: Enos) -> None:
    await enos.group()
    await enos.group("OTHER2", PASSWORD)
    first, second = await enos.given(), await enos.given(groupId="OTHER2")
    assert first["dk"] != second["dk"]
    assert {device["name"] for device in await enos.operator.all("/v1/devices")} == {SERIAL, f"OTHER2_{SERIAL}"}


async def test_the_right_password_of_another_group(enos: Enos) -> None:
    await enos.group()
    await enos.group("OTHER2", "an0therPassword")
    assert (await enos.bootstrap(groupId="OTHER2")).refused == NOT_VERIFIED


async def test_an_unknown_group_and_a_wrong_signature_are_answered_alike(enos: Enos) -> None:
    await enos.group()
    await enos.operator.post("/v1/profiles", {"name": "p", "strategy": "create_new", "provision_key": "plain-profile"})
    asked: tuple[dict[str, Any], ...] = (
        {"groupId": "NOBODY"},
        {"password": "wrong"},
        {"groupId": "plain-profile"},
        {"groupId": "NOBODY", "password": "wrong"},
    )
    replies = [await enos.bootstrap(**fields) for fields in asked]
    for reply in replies:
        assert reply.refused == NOT_VERIFIED
        assert reply.document.pop("requestId") == reply.headers.pop("x-request-id")
        assert "date" in reply.headers
        del reply.headers["date"]
    assert all(reply == replies[0] for reply in replies)
    assert set(await enos.checks()) == {"group.unknown", "signature.wrong"}


async def test_another_sign_method(enos: Enos) -> None:
    await enos.group()
    reply = await enos.bootstrap(dpsSignMethod="md5")
    assert reply.refused == (400, 99400, "Invalid Argument dpsSignMethod:only sha256 is supported")


@pytest.mark.parametrize(
    ("body", "refused"),
    [
        (b"", (400, 99400, "Invalid Argument body:body is missing")),
        (b"[]", (400, 99400, "Invalid Argument body:an object is needed")),
        (b"{", (400, 99400, "Invalid Argument body:not JSON")),
        (b"\xff\xfe", (400, 99400, "Invalid Argument body:not JSON")),
        (b" " * 2**20, (413, 99400, "Invalid Argument body:larger than 16384 bytes")),
    ],
    ids=["empty", "array", "cut", "binary", "large"],
)
async def test_a_body_that_is_no_request(body: bytes, refused: tuple[int, int, str], enos: Enos) -> None:
    assert (await enos.send("POST", "/dev/bootstrap", body)).refused == refused


async def test_a_device_that_is_allocated_later_comes_again(enos: Enos) -> None:
    await enos.group(auto_activation=False)
    assert (await enos.bootstrap()).refused == NOT_ALLOCATED
    assert (await enos.bootstrap()).refused == NOT_ALLOCATED
    await enos.application("allocate", {"sn": SERIAL})
    given = await enos.given()
    assert given == await enos.given()
    assert (await enos.application("get", sn=SERIAL))["status"]["currentStatus"] == "allocated"
    assert await logs_in(enos, given) == ""


async def test_after_a_reset_there_is_another_secret_and_the_old_password_is_refused(enos: Enos) -> None:
    await enos.group()
    first = await enos.given()
    assert await logs_in(enos, first) == ""
    await enos.application("resetAllocationStatus", {"groupId": GROUP, "sns": [SERIAL]})
    assert (await enos.post("/dev/get/conn", {"self": own()})).refused == NOT_ALLOCATED
    assert await logs_in(enos, first)
    second = await enos.given()
    assert second["ds"] != first["ds"]
    assert await logs_in(enos, first)
    assert await logs_in(enos, second) == ""


async def test_a_password_that_was_rotated_is_good_until_the_end_of_its_overlap(enos: Enos) -> None:
    group = await enos.group()
    rotated = await enos.operator.post(f"/v1/profiles/{group['id']}/rotate", {"overlap_seconds": 86_400})
    new = rotated["provision_secret"]
    first = await enos.given()
    assert await enos.given(password=new) == first
    await enos.operator.post(f"/v1/profiles/{group['id']}/rotate", {"overlap_seconds": 1})
    assert (await enos.bootstrap()).refused == NOT_VERIFIED
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await enos.bootstrap(password=new)).status == 200:  # noqa: ASYNC110 - what is waited for happens elsewhere
            await asyncio.sleep(0.1)
    assert (await enos.bootstrap(password=new)).refused == NOT_VERIFIED


async def test_a_group_that_takes_only_devices_it_expects(enos: Enos) -> None:
    await enos.group(self_registration=False)
    assert (await enos.bootstrap()).refused == NOT_PERMITTED
    assert await enos.operator.all("/v1/devices") == []
    await enos.application("create", {"groupId": GROUP, "count": 1, "deviceData": {"deviceSn": SERIAL}})
    await enos.given()


async def test_a_group_that_is_switched_off(enos: Enos) -> None:
    group = await enos.group()
    await enos.operator.patch(f"/v1/profiles/{group['id']}", {"strategy": "disabled"})
    assert (await enos.bootstrap()).refused == NOT_PERMITTED
    assert (await enos.bootstrap(password="wrong")).refused == NOT_VERIFIED


async def test_a_device_that_was_discarded(enos: Enos) -> None:
    await enos.group()
    await enos.given()
    device = await enos.operator.device(SERIAL)
    assert device is not None
    await enos.operator.patch(f"/v1/devices/{device['id']}", {"state": "discarded"})
    assert (await enos.bootstrap()).refused == DISCARDED
    assert (await enos.post("/dev/get/conn", {"self": own()})).refused == DISCARDED


async def test_a_clock_that_is_wrong_is_told_nothing_but_the_time(enos: Enos) -> None:
    await enos.group(timestamp_tolerance_s=900)
    reply = await enos.bootstrap()
    assert reply.refused == NOT_VERIFIED
    assert reply.headers["date"].endswith("GMT")
    assert await enos.checks() == ["signature.time"]


async def test_too_many_wrong_signatures(tmp_path: Path) -> None:
    async with serving(tmp_path, LIMIT_SOURCE="0.1:2") as enos:
        await enos.group()
        refused = [(await enos.bootstrap(password="wrong")).refused for _ in range(3)]
        assert refused == [NOT_VERIFIED, NOT_VERIFIED, (429, 35429, "Too many requests")]
        reply = await enos.bootstrap(groupId="NOBODY")
        assert 0 < int(reply.headers["retry-after"]) <= 10


async def test_what_was_sent_at_the_first_registration_is_kept(enos: Enos) -> None:
    await enos.group()
    name = {"defaultValue": " Pump 1 ", "i18nValue": {"zh-Hans-CN": "泵"}}
    await enos.given(deviceName=name, timezone="Europe/Berlin")
    await enos.given(deviceName="another", timezone="+01:00")
    device = await enos.operator.device(SERIAL)
    assert device is not None
    kept = {"deviceName": {"defaultValue": "Pump 1", "i18nValue": {"zh_Hans_CN": "泵"}}, "timezone": "Europe/Berlin"}
    assert device["metadata"] == kept
    shown = await enos.application("get", sn=SERIAL)
    assert shown["deviceData"]["deviceName"] == kept["deviceName"]


async def test_a_name_that_is_left_out_is_the_serial(enos: Enos) -> None:
    await enos.group()
    await enos.given(deviceName=None, timezone=None)
    device = await enos.operator.device(SERIAL)
    assert device is not None
    assert device["metadata"] == {"deviceName": {"defaultValue": SERIAL, "i18nValue": {}}, "timezone": "+00:00"}


async def test_a_device_goes_where_its_group_says_or_to_this_gateway(enos: Enos) -> None:
    await enos.group(product_key="a1B2c3D4", mqtt_url="ssl://mqtt.example.net:18883", http_url="https://http.example.net")
    given = await enos.given()
    assert (given["pk"], given["murl"], given["hurl"]) == (
        "a1B2c3D4",
        "ssl://mqtt.example.net:18883",
        "https://http.example.net",
    )
    await enos.group("OTHER2")
    given = await enos.given(groupId="OTHER2")
    assert given["murl"] == f"tcp://{enos.running.listening.mqtt[0]}"
    assert given["hurl"] == enos.url
    assert all(part.isascii() and part.isalnum() for part in (given["pk"], given["dk"], given["ds"]))
    assert 32 <= len(given["ds"]) <= 64


async def test_firmware_that_reads_no_body_of_an_error_gets_every_one_as_200(tmp_path: Path) -> None:
    async with serving(tmp_path, ENOS_ERROR_HTTP_STATUS="always_200") as enos:
        await enos.group(auto_activation=False)
        assert (await enos.bootstrap()).refused == (200, *NOT_ALLOCATED[1:])
        assert (await enos.bootstrap(password="wrong")).refused == (200, *NOT_VERIFIED[1:])
        assert (await enos.send("POST", "/dev/bootstrap", b" " * 20_000)).status == 200
        assert (await enos.send("GET", "/dev/bootstrap", b"")).status == 405
        assert (await enos.send("POST", "/foo/bootstrap", b"{}")).status == 404


async def test_only_a_path_that_is_there_says_which_methods_it_takes(enos: Enos) -> None:
    known, unknown = await enos.send("GET", "/v2.4/bootstrap", b""), await enos.send("GET", "/foo/bootstrap", b"")
    assert (known.status, known.headers.get("allow")) == (405, "POST")
    assert (unknown.status, unknown.headers.get("allow")) == (404, None)


async def test_a_triple_is_good_for_a_session(enos: Enos) -> None:
    await enos.group()
    triple = await enos.given()
    path = f"/auth/{triple['pk']}/{triple['dk']}"
    reply = await enos.post(path, session_request(triple))
    assert (reply.status, reply.document["code"]) == (200, 200)
    wrong = await enos.post(path, session_request(triple | {"ds": "another"}))
    assert wrong.refused == NOT_VERIFIED
    assert wrong.document["message"] == "Verify not pass"
    device = await enos.operator.device(SERIAL)
    assert device is not None
    await enos.operator.patch(f"/v1/devices/{device['id']}", {"state": "discarded"})
    assert (await enos.post(path, session_request(triple))).refused == NOT_VERIFIED


async def gateway_of(enos: Enos) -> dict[str, Any]:
    """Let a device in that an operator then says is a gateway."""
    await enos.group()
    given = await enos.given()
    device = await enos.operator.device(SERIAL)
    assert device is not None
    await enos.operator.patch(f"/v1/devices/{device['id']}", {"metadata": device["metadata"] | {"gateway": True}})
    return given


async def test_a_gateway_gets_triples_for_its_branches(enos: Enos) -> None:
    given = await gateway_of(enos)
    first = await enos.post("/2.4.0/get/conn", {"self": own(), "sub": {"branch": 3}})
    again = await enos.post("/2.4.0/get/conn", {"self": own(), "sub": {"branch": 3, "createSubSnFromGw": True}})
    assert (first.status, set(first.document)) == (200, GRANTED)
    assert first.document == again.document
    assert first.document["dk"] != given["dk"]
    assert (await enos.application("get", sn=f"{SERIAL}_3"))["status"]["currentStatus"] == "allocated"


async def test_a_gateway_gets_the_triple_of_a_device_that_signs_for_itself(enos: Enos) -> None:
    await gateway_of(enos)
    await enos.group("OTHER2", "an0therPassword")
    other = await enos.given("MTR-9", groupId="OTHER2", password="an0therPassword")
    for sub in ({}, {"branch": 9, "createSubSnFromGw": False}):
        reply = await enos.post("/dev/get/conn", {"self": own(), "sub": own("MTR-9", "an0therPassword") | sub})
        assert (reply.status, reply.document) == (200, other)
    wrong = await enos.post("/dev/get/conn", {"self": own(), "sub": own("MTR-9")})
    assert wrong.refused == NOT_VERIFIED


async def test_a_device_that_is_no_gateway(enos: Enos) -> None:
    await enos.group()
    await enos.given()
    reply = await enos.post("/dev/get/conn", {"self": own(), "sub": {"branch": 3}})
    assert reply.refused == (400, 99400, "Invalid Argument sub:self is not a gateway")


async def test_nothing_that_a_device_is_refused_for_is_in_the_log_or_the_events(
    enos: Enos, capsys: pytest.CaptureFixture[str]
) -> None:
    await enos.group()
    triple = await enos.given()
    digest = signature(SERIAL, TIME, "wrong")
    await enos.bootstrap(dpsSign=digest)
    await enos.bootstrap(dpsSign=f"{digest}0")
    told = json.dumps(await enos.operator.all("/v1/events")) + "".join(capsys.readouterr())
    for hidden in (triple["ds"], PASSWORD, digest, signature(SERIAL)):
        assert hidden not in told


@pytest.mark.parametrize("path", ["/dev/bootstrap", "/dev/get/conn"])
async def test_a_path_with_an_escaped_slash_is_another(path: str, enos: Enos) -> None:
    reply = await enos.send("POST", quote(path, safe="").replace("%2Fdev", "/dev"), b"{}")
    assert reply.status == 404
