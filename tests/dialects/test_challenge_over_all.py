"""Bootstrap by challenge and response over HTTP, CoAP and MQTT of a whole gateway."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiocoap
import aiomqtt
import cbor2
import msgspec
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from adapters.app import Running
from adapters.dialects import device_api
from adapters.dialects.device_api import challenge
from adapters.exchange import Carrier, Inbound, Peer
from core.crypto.challenges import ExchangeKeys, Parties
from core.errors import Reason, Refusal
from core.model import Secret
from tests.dialects.claiming_parties import DEADLINE, next_message, over_coap, over_http, over_mqtt
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator

ID, KEY = "pump-17", "v7aT0HGxJxt2gULzr3RHwf4WIf6DusPp"
NONCE = bytes(range(32))
CONTENT = "x" * 3_000  # more than one block of CoAP
OFFER, PROVE = "v1/bootstrap/challenge", "v1/bootstrap"
CBOR = "application/cbor"

Fields = dict[str, Any]
Ask = Callable[[Running, str, Fields], Awaitable[tuple[str, Fields]]]


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway that has one configuration, and lets nothing in the clear cross a plain wire."""
    async with opened(tmp_path, DATABASE="memory:", PLAIN="challenge,operator=everything") as gateway:
        async with Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator:
            channel = (await operator.post("/v1/channels", {"name": "data", "metadata": {"a": [1]}}))["id"]
            body = {"external_id": ID, "external_key": KEY, "content": CONTENT, "channels": [channel]}
            await operator.post("/v1/configs", body)
        yield gateway


def in_json(fields: Fields) -> bytes:
    return msgspec.json.encode(fields)


def from_json(body: bytes) -> Fields:
    document: Fields = json.loads(body)
    return {name: base64.b64decode(value) if name in BYTES else value for name, value in document.items()}


BYTES = ("challenge", "nonce", "sealed")


async def http_json(running: Running, path: str, fields: Fields) -> tuple[str, Fields]:
    answer = await over_http(running, "POST", f"/{path}", in_json(fields))
    return answer.status, from_json(answer.body)


async def http_cbor(running: Running, path: str, fields: Fields) -> tuple[str, Fields]:
    answer = await over_http(running, "POST", f"/{path}", cbor2.dumps(fields), Content_Type=CBOR, Accept=CBOR)
    return answer.status, cbor2.loads(answer.body)


async def coap_json(running: Running, path: str, fields: Fields) -> tuple[str, Fields]:
    answer = await over_coap(running, aiocoap.POST, f"/{path}", in_json(fields))
    return answer.status, from_json(answer.body)


async def coap_cbor(running: Running, path: str, fields: Fields) -> tuple[str, Fields]:
    answer = await over_coap(running, aiocoap.POST, f"/{path}", cbor2.dumps(fields), content_format=60, accept=60)
    return answer.status, cbor2.loads(answer.body)


async def _over_mqtt(running: Running, path: str, body: bytes, **options: Any) -> bytes:
    properties = options.pop("properties", None)
    async with over_mqtt(running, "bootstrap", **options) as client:
        await client.subscribe(f"{path}/response", qos=1)
        await client.publish(f"{path}/request", body, qos=1, properties=properties)
        topic, answer = await next_message(client)
        assert topic == f"{path}/response"
        return answer


async def mqtt_json(running: Running, path: str, fields: Fields) -> tuple[str, Fields]:
    return "", from_json(await _over_mqtt(running, path, in_json(fields)))


async def mqtt_cbor(running: Running, path: str, fields: Fields) -> tuple[str, Fields]:
    properties = Properties(PacketTypes.PUBLISH)
    properties.ContentType = CBOR
    properties.UserProperty = [("accept", CBOR)]
    body = await _over_mqtt(running, path, cbor2.dumps(fields), properties=properties, protocol=aiomqtt.ProtocolVersion.V5)
    return "", cbor2.loads(body)


WAYS = pytest.mark.parametrize(
    ("ask", "ok", "no"),
    [
        pytest.param(http_json, "200", "403", id="http json"),
        pytest.param(http_cbor, "200", "403", id="http cbor"),
        pytest.param(coap_json, "2.04", "4.03", id="coap json"),
        pytest.param(coap_cbor, "2.04", "4.03", id="coap cbor"),
        pytest.param(mqtt_json, "", "", id="mqtt json"),
        pytest.param(mqtt_cbor, "", "", id="mqtt cbor"),
    ],
)


def keys(offered: Fields, external_id: str = ID, key: str = KEY) -> ExchangeKeys:
    return ExchangeKeys(Secret(key), Parties(external_id, NONCE, offered["nonce"]))


def proof(offered: Fields, external_id: str = ID, key: str = KEY) -> Fields:
    proved = keys(offered, external_id, key).prove(offered["challenge"])
    return {"external_id": external_id, "nonce": NONCE, "challenge": offered["challenge"], "proof": proved}


@WAYS
async def test_a_device_bootstraps(running: Running, ask: Ask, ok: str, no: str) -> None:
    status, offered = await ask(running, OFFER, {"external_id": ID, "nonce": NONCE})
    assert (status, offered["expires_in"]) == (ok, 60)
    status, answer = await ask(running, PROVE, proof(offered))
    assert status == ok
    plaintext = keys(offered).open(answer["sealed"], answer["version"], answer["content_type"])
    is_cbor = answer["content_type"] == CBOR
    assert is_cbor == ("cbor" in ask.__name__)
    document = cbor2.loads(plaintext) if is_cbor else json.loads(plaintext)
    assert set(document) == {"id", "secret", "version", "channels", "content", "certificates"}
    assert (document["version"], document["content"]) == (answer["version"], CONTENT)
    assert [(channel["name"], channel["metadata"]) for channel in document["channels"]] == [("data", {"a": [1]})]
    assert document["certificates"] == {"client_cert": "", "client_key": "", "ca_cert": ""}
    assert document["secret"]
    assert document["secret"].encode() not in answer["sealed"]


@WAYS
async def test_what_is_wrong_is_refused_alike(running: Running, ask: Ask, ok: str, no: str) -> None:
    told = []
    for external_id, key in ((ID, "wrong"), ("nobody", KEY)):
        status, offered = await ask(running, OFFER, {"external_id": external_id, "nonce": NONCE})
        assert (status, len(offered["challenge"]), len(offered["nonce"])) == (ok, 88, 32)
        told.append(await ask(running, PROVE, proof(offered, external_id, key)))
    _, offered = await ask(running, OFFER, {"external_id": ID, "nonce": NONCE})
    right = proof(offered)
    assert (await ask(running, PROVE, right))[0] == ok
    told.append(await ask(running, PROVE, right))  # a second time
    told.append(await ask(running, PROVE, right | {"nonce": bytes(32)}))
    assert told == [(no, {"detail": "the external key is not right"})] * 4


async def test_a_challenge_from_one_protocol_is_good_over_another(running: Running) -> None:
    _, offered = await http_json(running, OFFER, {"external_id": ID, "nonce": NONCE})
    assert (await coap_cbor(running, PROVE, proof(offered)))[0] == "2.04"


async def test_an_answer_is_not_kept_on_the_way(running: Running) -> None:
    _, offered = await http_json(running, OFFER, {"external_id": ID, "nonce": NONCE})
    for path, fields in ((OFFER, {"external_id": ID, "nonce": NONCE}), (PROVE, proof(offered))):
        answer = await over_http(running, "POST", f"/{path}", in_json(fields))
        assert (answer.status, answer.headers["cache-control"]) == ("200", "no-store")


async def test_over_mqtt_both_steps_go_over_one_connection(running: Running) -> None:
    async with over_mqtt(running, "bootstrap") as client:
        for path in (OFFER, PROVE):
            await client.subscribe(f"{path}/response", qos=1)
        await client.publish(f"{PROVE}/request", b"{}", qos=1)
        assert list(json.loads((await next_message(client))[1])) == ["detail"]
        await client.publish(f"{OFFER}/request", in_json({"external_id": ID, "nonce": NONCE}), qos=1)
        offered = from_json((await next_message(client))[1])
        await client.publish(f"{PROVE}/request", in_json(proof(offered)), qos=1)
        answer = from_json((await next_message(client))[1])
    assert keys(offered).open(answer["sealed"], answer["version"], answer["content_type"])


async def test_many_devices_at_once_each_get_their_own(running: Running) -> None:
    async def one() -> bytes:
        _, offered = await http_json(running, OFFER, {"external_id": ID, "nonce": NONCE})
        _, answer = await http_json(running, PROVE, proof(offered))
        return keys(offered).open(answer["sealed"], answer["version"], answer["content_type"])

    async with asyncio.timeout(DEADLINE):
        assert len(set(await asyncio.gather(*(one() for _ in range(20))))) == 1


async def test_one_proof_sent_many_times_at_once_is_granted_once(running: Running) -> None:
    _, offered = await http_json(running, OFFER, {"external_id": ID, "nonce": NONCE})
    async with asyncio.timeout(DEADLINE):
        answers = await asyncio.gather(*(http_json(running, PROVE, proof(offered)) for _ in range(20)))
    assert sorted(status for status, _ in answers) == ["200", *["403"] * 19]


async def test_where_no_more_used_challenges_are_remembered_devices_wait(tmp_path: Path) -> None:
    async with opened(tmp_path, DATABASE="memory:", CHALLENGES="1") as gateway:
        async with Operator(gateway.listening.http[0], ADMIN_TOKEN) as operator:
            await operator.post("/v1/configs", {"external_id": ID, "external_key": KEY})
        statuses = []
        for _ in range(2):
            _, offered = await http_json(gateway, OFFER, {"external_id": ID, "nonce": NONCE})
            answer = await over_http(gateway, "POST", f"/{PROVE}", in_json(proof(offered)))
            statuses.append((answer.status, "retry-after" in answer.headers))
        assert statuses == [("200", False), ("503", True)]
        metrics = (await over_http(gateway, "GET", "/metrics")).body.decode()
        assert 'bound="bootstrap.challenges"} 1.0' in metrics


RIGHT: Fields = {"external_id": ID, "nonce": NONCE, "challenge": b"c", "proof": bytes(32)}
B64 = {name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in RIGHT.items()}


@pytest.mark.parametrize(
    "fields",
    [
        {name: value for name, value in B64.items() if name != "external_id"},
        *({name: value for name, value in B64.items() if name != gone} for gone in ("nonce", "challenge", "proof")),
        *(B64 | {name: None} for name in B64),
        *(B64 | {name: 7} for name in B64),
        *(B64 | {name: ""} for name in B64),
        *(B64 | {name: "!"} for name in ("nonce", "challenge", "proof")),
        *(B64 | {name: "é"} for name in ("nonce", "challenge", "proof")),
        *(B64 | {name: "AAAA"} for name in ("nonce", "proof")),
        B64 | {"external_id": "x" * 256},
        B64 | {"challenge": base64.b64encode(bytes(257)).decode()},
        B64 | {"challenge": "A" * 100_000},
    ],
)
def test_what_cannot_be_read_is_refused(fields: Fields) -> None:
    with pytest.raises(Refusal) as refused:
        decoded(challenge.PROVE, in_json(fields))
    assert (refused.value.reason, refused.value.check) == (Reason.MALFORMED, "body.field")


def test_an_id_that_is_no_text_is_refused() -> None:
    surrogate = b"\xa2\x6bexternal_id\x63\xed\xa0\x80\x65nonce\x58\x20" + NONCE
    with pytest.raises(Refusal) as refused:
        decoded(challenge.OFFER, surrogate, CBOR)
    assert refused.value.reason is Reason.MALFORMED
    with pytest.raises(Refusal, match="not UTF-8"):
        challenge.id_of({"external_id": "\ud800"})


def decoded(operation: str, body: bytes, content_type: str = "application/json") -> object:
    (route,) = (each for each in device_api.ROUTES if each.carrier is Carrier.HTTP and each.operation == operation)
    inbound = Inbound(
        carrier=Carrier.HTTP,
        method="POST",
        path=route.path,
        peer=Peer("192.0.2.7"),
        body=body,
        content_type=content_type,
        operation=operation,
    )
    return device_api.decode(route, inbound).message


def test_both_are_sealed_wherever_they_are_asked() -> None:
    routes = [route for route in device_api.ROUTES if route.operation in challenge.OPERATIONS]
    assert {route.carrier for route in routes} == set(Carrier)
    assert all(route.sealed for route in routes)
    assert all(route.guest == "bootstrap" for route in routes if route.carrier is Carrier.MQTT)
