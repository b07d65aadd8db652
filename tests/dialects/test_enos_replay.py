"""Recorded requests against a whole gateway, and the vendor's signatures against whoever checks them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from paho.mqtt.enums import MQTTProtocolVersion

from core.attestation import secret_row
from core.crypto import signatures
from core.messages import Triple
from core.model import DEFAULT_TENANT, Secret
from core.ports import Changes
from core.queries import ProfileQuery
from tests.dialects.enos_gateway import GRANTED, VECTORS, Enos, own, serving
from tests.protocols.scenario_clients import Login
from tests.protocols.scenario_mqtt_clients import Talk

SIGNATURES = json.loads((VECTORS / "signatures.json").read_text("utf-8"))
REQUESTS = json.loads((VECTORS / "requests.json").read_text("utf-8"))


@pytest.fixture
async def enos(tmp_path: Path) -> AsyncIterator[Enos]:
    async with serving(tmp_path) as gateway:
        await gateway.group()
        yield gateway


@pytest.mark.parametrize("recorded", REQUESTS, ids=[recorded["name"] for recorded in REQUESTS])
async def test_a_recorded_request_is_answered_as_it_should_be(recorded: dict[str, Any], enos: Enos) -> None:
    path = quote(recorded["path"])
    reply = await enos.send(recorded["method"], path, recorded["body"].encode(), recorded["content_type"])
    assert reply.status == recorded["status"], reply
    assert reply.headers["content-type"] == "application/json"
    if reply.status == 200:
        assert set(reply.document) == GRANTED
        return
    assert reply.refused == (recorded["status"], recorded["code"], recorded["msg"])
    expected = {"code", "msg", "requestId", "data"} | ({"message"} if path.startswith("/auth") else set())
    assert set(reply.document) == expected
    assert reply.document["data"] is None
    assert reply.document["requestId"] == reply.headers["x-request-id"]
    assert (reply.headers.get("allow") == "POST") is (reply.status == 405)


async def group_of_any_password(enos: Enos, password: str) -> None:
    """Make a group whose password no operator would be allowed to choose today."""
    made = await enos.group("VECTOR", "a-password-that-is-long-enough")
    vault = enos.running.issuer.vault
    profile = await enos.running.repository.read(ProfileQuery(DEFAULT_TENANT, made["id"]))
    assert profile is not None
    sealed = vault.seal(Secret(password), secret_row(profile.id))
    changed = msgspec.structs.replace(profile, provision_secret=sealed, version=profile.version + 1)
    await enos.running.repository.commit(Changes(replace=(changed,)))


@pytest.mark.parametrize("vector", SIGNATURES["bootstrap"], ids=[vector["sn"] for vector in SIGNATURES["bootstrap"]])
@pytest.mark.parametrize("written", [str.lower, str.upper])
async def test_a_device_with_a_published_signature_gets_in(vector: dict[str, str], written: Any, enos: Enos) -> None:
    await group_of_any_password(enos, vector["password"])
    signed = {"dpsSign": written(vector["digest"]), "dpsSignTimestamp": int(vector["timestamp"]), "groupId": "VECTOR"}
    first = await enos.post("/dev/bootstrap", signed | {"deviceId": vector["sn"]})
    assert (first.status, set(first.document)) == (200, GRANTED)
    me = {"sn": vector["sn"], "timestamp": vector["timestamp"], "sign": written(vector["digest"])}
    again = await enos.post("/dev/get/conn", {"self": me})
    assert (again.status, again.document) == (200, first.document)


async def test_a_signature_over_another_order_is_wrong(enos: Enos) -> None:
    (vector,) = SIGNATURES["rejected"]
    me = {"sn": vector["sn"], "timestamp": vector["timestamp"], "sign": vector["digest"]}
    await enos.given(vector["sn"])
    assert (await enos.post("/dev/get/conn", {"self": own(vector["sn"])})).status == 200
    assert (await enos.post("/dev/get/conn", {"self": me})).refused == (401, 35601, "Verify not pass")


async def known_triple(enos: Enos) -> Triple:
    """Give a device the triple that the vectors were made with."""
    given = SIGNATURES["triple"]
    vector = Triple(given["pk"], given["dk"], Secret(given["ds"]))
    made = await enos.operator.post("/v1/devices", {"name": "vector", "profile": "QK7M2A"})
    credential = await enos.running.issuer.issue(vector, made["id"], keep=True)
    await enos.running.repository.commit(Changes(insert=(credential,)))
    return vector


def refusal(enos: Enos, device: Login) -> str:
    with Talk(enos.running.listening, MQTTProtocolVersion.MQTTv311, device) as talk:
        return talk.refused


@pytest.mark.parametrize("vector", SIGNATURES["mqtt"], ids=[vector["timestamp"] for vector in SIGNATURES["mqtt"]])
@pytest.mark.parametrize("separator", [",", ", "])
async def test_a_published_password_logs_in_over_mqtt(vector: dict[str, str], separator: str, enos: Enos) -> None:
    triple = await known_triple(enos)
    members = ["securemode=2", "signmethod=sha256", f"timestamp={vector['timestamp']}"]
    client_id = f"{vector['client_id']}|{separator.join(members)}|"
    for password in (vector["digest"], vector["digest"].upper()):
        device = Login(client_id=client_id, username=f"{triple.device_key}&{triple.product_key}", password=password)
        assert await asyncio.to_thread(refusal, enos, device) == ""


async def test_a_published_signature_opens_a_session_over_http(enos: Enos) -> None:
    triple = await known_triple(enos)
    (vector,) = SIGNATURES["session"]
    path = f"/auth/{triple.product_key}/{triple.device_key}"
    reply = await enos.post(path, {"signMethod": "sha256", "sign": vector["digest"], "lifetime": vector["lifetime"]})
    assert (reply.status, set(reply.document), reply.document["code"]) == (200, {"code", "data", "message"}, 200)
    assert reply.document["data"]["sessionId"].count(".") == 2
    text = {"sign": vector["digest"].upper(), "lifetime": str(vector["lifetime"])}
    assert (await enos.post(path, text)).status == 200
    assert (await enos.post(path, text | {"lifetime": vector["lifetime"] + 1})).refused == (401, 35601, "Verify not pass")


@pytest.mark.parametrize("vector", SIGNATURES["mqtt"], ids=[vector["timestamp"] for vector in SIGNATURES["mqtt"]])
def test_a_password_is_the_published_one(vector: dict[str, str]) -> None:
    pk, dk, ds = SIGNATURES["triple"].values()
    made = signatures.mqtt_password(vector["client_id"], dk, pk, vector["timestamp"], Secret(ds), "sha256")
    assert made == vector["digest"]
