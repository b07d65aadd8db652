"""Devices that get their triple over the protocols that the vendor never spoke, with real clients against a whole gateway."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiocoap
import cbor2
import pytest
from aiocoap.numbers.codes import Code
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.dialects.enos_gateway import GRANTED, SERIAL, Enos, bootstrap, login, own, serving, session_request
from tests.protocols.scenario_clients import PATIENCE_SECONDS, Login
from tests.protocols.scenario_mqtt_clients import Talk

JSON, CBOR = 50, 60
GUEST = Login(username="bootstrap")
VERSIONS = pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])


@pytest.fixture
async def enos(tmp_path: Path) -> AsyncIterator[Enos]:
    async with serving(tmp_path) as gateway:
        await gateway.group()
        yield gateway


async def coap(enos: Enos, path: str, payload: bytes, *, code: Code = Code.POST, **options: Any) -> aiocoap.Message:
    """Ask over CoAP."""
    address = enos.running.listening.coap[0]
    message = aiocoap.Message(code=code, uri=f"coap://{address.host}:{address.port}", payload=payload, **options)
    message.opt.uri_path = tuple(path.split("/"))
    context = await aiocoap.Context.create_client_context()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await context.request(message).response
    finally:
        await context.shutdown()


async def test_a_device_gets_its_triple_over_coap_in_json_and_cbor(enos: Enos) -> None:
    document = bootstrap()
    plain = await coap(enos, "dev/bootstrap", json.dumps(document).encode())
    assert (plain.code, plain.opt.content_format) == (Code.CONTENT, JSON)
    given = json.loads(plain.payload)
    assert set(given) == GRANTED
    for options in ({"content_format": JSON}, {"content_format": JSON, "accept": JSON}):
        assert json.loads((await coap(enos, "2.4.0/bootstrap", json.dumps(document).encode(), **options)).payload) == given
    packed = cbor2.dumps(document)
    for payload, options in (
        (packed, {"content_format": CBOR}),
        (packed, {"content_format": CBOR, "accept": CBOR}),
        (json.dumps(document).encode(), {"accept": CBOR}),
    ):
        answer = await coap(enos, "dev/bootstrap", payload, **options)
        assert (answer.code, answer.opt.content_format) == (Code.CONTENT, CBOR)
        assert cbor2.loads(answer.payload) == given
    mixed = await coap(enos, "dev/bootstrap", packed, content_format=CBOR, accept=JSON)
    assert json.loads(mixed.payload) == given


async def test_a_triple_is_given_again_and_opens_a_session_over_coap(enos: Enos) -> None:
    given = await enos.given()
    answer = await coap(enos, "dev/get/conn", cbor2.dumps({"self": own()}), content_format=CBOR)
    assert cbor2.loads(answer.payload) == given
    path = f"auth/{given['pk']}/{given['dk']}"
    session = json.loads((await coap(enos, path, json.dumps(session_request(given)).encode())).payload)
    assert session["code"] == 200
    assert session["data"]["sessionId"]


@pytest.mark.parametrize(
    ("path", "payload", "options", "code", "number"),
    [
        ("dev/bootstrap", b"", {}, Code.BAD_REQUEST, 99400),
        ("dev/bootstrap", b"{", {}, Code.BAD_REQUEST, 99400),
        ("dev/bootstrap", b"text", {"content_format": 0}, Code.UNSUPPORTED_CONTENT_FORMAT, 99400),
        ("dev/bootstrap", b" " * 20_000, {}, Code.REQUEST_ENTITY_TOO_LARGE, 99400),
        ("foo/bootstrap", b"{}", {}, Code.NOT_FOUND, 35404),
        ("dev/bootstrap", b"", {"code": Code.GET}, Code.METHOD_NOT_ALLOWED, 99400),
        ("foo/bootstrap", b"", {"code": Code.GET}, Code.NOT_FOUND, 35404),
        ("dev/bootstrap", json.dumps(bootstrap(password="wrong")).encode(), {}, Code.UNAUTHORIZED, 35601),
        ("auth/pk/dk", b"{}", {}, Code.BAD_REQUEST, 99400),
    ],
)
async def test_refusals_over_coap_have_a_code_and_the_vendors_words(
    enos: Enos, path: str, payload: bytes, options: dict[str, Any], code: Code, number: int
) -> None:
    answer = await coap(enos, path, payload, **options)
    assert (answer.code, answer.opt.content_format) == (code, JSON)
    assert json.loads(answer.payload)["code"] == number


async def test_a_refusal_in_cbor(enos: Enos) -> None:
    wrong = cbor2.dumps(bootstrap(password="wrong"))
    answer = await coap(enos, "dev/bootstrap", wrong, content_format=CBOR)
    assert (answer.code, answer.opt.content_format) == (Code.UNAUTHORIZED, CBOR)
    assert cbor2.loads(answer.payload)["msg"] == "Verify not pass"


@pytest.mark.parametrize(
    "payload",
    [b"\xff", b"\x80", b"\xa0\x00", b"\x9f" * 5_000, b"\xc1\xfb\x7f\xf0" + bytes(6), cbor2.dumps({1: {"a": [1]}}), b"\xf7"],
)
async def test_cbor_that_is_no_request(enos: Enos, payload: bytes) -> None:
    answer = await coap(enos, "dev/bootstrap", payload, content_format=CBOR)
    assert answer.code == Code.BAD_REQUEST
    assert cbor2.loads(answer.payload)["code"] == 99400


async def test_self_described_cbor_is_cbor(enos: Enos) -> None:
    answer = await coap(enos, "dev/bootstrap", b"\xd9\xd9\xf7" + cbor2.dumps(bootstrap()), content_format=CBOR)
    assert set(cbor2.loads(answer.payload)) == GRANTED


def publish(
    enos: Enos, version: MQTTProtocolVersion, who: Login, path: str, body: bytes, content_type: str = ""
) -> tuple[str, bytes]:
    """Publish a request over MQTT; returns the topic of the answer and its payload."""
    with Talk(enos.running.listening, version, who) as talk:
        assert not talk.refused
        talk.client.subscribe(f"{path}/response", 1)
        assert talk.wait("subscribed")[1] == [1]
        properties = None
        if content_type:
            properties = Properties(PacketTypes.PUBLISH)
            properties.ContentType = content_type
        talk.client.publish(f"{path}/request", body, 1, properties=properties)
        talk.wait("answered")
        return talk.messages[-1].topic, bytes(talk.messages[-1].payload)


@VERSIONS
@pytest.mark.parametrize("service", ["dev", "preview", "latest", "stable"])
async def test_a_device_gets_its_triple_over_mqtt(enos: Enos, service: str, version: MQTTProtocolVersion) -> None:
    for path, document in ((f"{service}/bootstrap", bootstrap()), (f"{service}/get/conn", {"self": own()})):
        body = json.dumps(document).encode()
        topic, payload = await asyncio.to_thread(publish, enos, version, GUEST, path, body)
        assert topic == f"{path}/response"
        assert json.loads(payload) == await enos.given()


@VERSIONS
async def test_a_session_is_opened_over_mqtt(enos: Enos, version: MQTTProtocolVersion) -> None:
    given = await enos.given()
    path = f"auth/{given['pk']}/{given['dk']}"
    _, payload = await asyncio.to_thread(publish, enos, version, GUEST, path, json.dumps(session_request(given)).encode())
    assert json.loads(payload)["code"] == 200


async def test_cbor_over_mqtt_is_said_by_its_content_type(enos: Enos) -> None:
    packed = cbor2.dumps(bootstrap())
    ask = (enos, MQTTProtocolVersion.MQTTv5, GUEST, "dev/bootstrap", packed)
    _, payload = await asyncio.to_thread(publish, *ask, "application/cbor")
    assert cbor2.loads(payload) == await enos.given()
    _, payload = await asyncio.to_thread(publish, *ask, "text/plain")
    assert json.loads(payload)["code"] == 99400


@VERSIONS
async def test_a_refusal_over_mqtt_leaves_the_connection_open(enos: Enos, version: MQTTProtocolVersion) -> None:
    def talk_on() -> list[Any]:
        with Talk(enos.running.listening, version, GUEST) as talk:
            talk.client.subscribe("dev/bootstrap/response", 1)
            talk.wait("subscribed")
            for document in (bootstrap(password="wrong"), bootstrap()):
                talk.client.publish("dev/bootstrap/request", json.dumps(document), 1)
            while len(talk.messages) < 2:
                talk.wait("answered")
            return [json.loads(message.payload) for message in talk.messages]

    refused, granted = await asyncio.to_thread(talk_on)
    assert (refused["code"], refused["msg"]) == (35601, "Verify not pass")
    assert set(granted) == GRANTED


def subscribed(enos: Enos, version: MQTTProtocolVersion, who: Login) -> list[int]:
    with Talk(enos.running.listening, version, who) as talk:
        assert not talk.refused
        talk.client.subscribe("dev/get/conn/response", 1)
        codes: list[int] = talk.wait("subscribed")[1]
        return codes


@VERSIONS
async def test_a_device_that_logged_in_with_its_triple_has_nothing_to_ask_for(enos: Enos, version: MQTTProtocolVersion) -> None:
    given = await enos.given()
    (code,) = await asyncio.to_thread(subscribed, enos, version, login(given))
    assert code >= 128
    assert await enos.checks() == []
    assert (await enos.application("get", sn=SERIAL))["status"]["currentStatus"] == "connected"
