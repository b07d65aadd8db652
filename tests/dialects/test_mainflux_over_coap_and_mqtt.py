"""Bootstrap over the protocols that Mainflux and Magistrala never spoke, with real clients against a whole gateway."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiocoap
import aiohttp
import cbor2
import pytest
from aiocoap.numbers.codes import Code
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from adapters.app import Running
from adapters.exchange import Carrier
from core.crypto.cfb import decrypt
from tests.dialects.test_mainflux_replay import DIALECTS, SHARED_KEY, bare, stock
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.protocols.scenario_clients import PATIENCE_SECONDS, Login
from tests.protocols.scenario_mqtt_clients import Talk

KEY = "dev-key-0001"
ENCRYPTED = "000102030405060708090a0b0c0d0e0fb2b12bdfadbcbfe471a7b5ca"
GUEST = Login(username="bootstrap")
ID_MEMBER = {"mf-thing": "mainflux_id", "mg-client": "client_id"}
FLAVOURS = pytest.mark.parametrize("flavour", ID_MEMBER)
VERSIONS = pytest.mark.parametrize("version", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])


@pytest.fixture
async def gateway(flavour: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway that speaks one flavour over every protocol and has a configuration for `a/b` and one for `e-1`."""
    spoken = f"127.0.0.1:0={DIALECTS[flavour]}:{flavour}"
    protocols = {carrier.name: spoken for carrier in Carrier}
    settings = {"DATABASE": "memory:", "BOOTSTRAP_ENCRYPT_KEY": SHARED_KEY, "BOOTSTRAP_KEY_FORMAT": "raw"}
    async with opened(tmp_path, **protocols, **settings) as running, aiohttp.ClientSession() as session:
        url = f"http://{bare(running.listening.http[0])}"
        await stock(url, flavour, session)
        domain = "/default" if DIALECTS[flavour] == "magistrala" else ""
        for external_id, device in (("e-1", "th-1"), ("a/b", "dev-0")):
            body = {
                "external_id": external_id,
                "external_key": KEY,
                "channels": ["ch-1"],
                "thing_id": device,
                "client_id": device,
                "content": "x" * 3_000,
            }
            headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
            async with session.post(f"{url}{domain}/{entity(flavour)}/configs", json=body, headers=headers) as response:
                assert response.status == 201, await response.text()
        yield running


def entity(flavour: str) -> str:
    return "clients" if flavour == "mg-client" else "things"


async def fetch(gateway: Running, path: str, auth: str | None, **options: Any) -> aiocoap.Message:
    """Ask over CoAP."""
    address = gateway.listening.coap[0]
    query = () if auth is None else (f"auth={auth}",)
    message = aiocoap.Message(code=Code.GET, uri=f"coap://{address.host}:{address.port}", **options)
    message.opt.uri_path = tuple(path.split("/"))
    message.opt.uri_query = query
    context = await aiocoap.Context.create_client_context()
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await context.request(message).response
    finally:
        await context.shutdown()


@FLAVOURS
async def test_a_device_bootstraps_over_coap(gateway: Running, flavour: str) -> None:
    path = f"{entity(flavour)}/bootstrap/e-1"
    for auth in (KEY, f"{'Client' if flavour == 'mg-client' else 'Thing'} {KEY}"):
        answer = await fetch(gateway, path, auth)
        assert (answer.code, answer.opt.content_format) == (Code.CONTENT, 50)
        document = json.loads(answer.payload)
        assert document[ID_MEMBER[flavour]] == "th-1"
        assert document["content"] == "x" * 3_000
    assert cbor2.loads((await fetch(gateway, path, KEY, accept=60)).payload) == document


@FLAVOURS
async def test_a_version_over_coap_has_an_entity_tag(gateway: Running, flavour: str) -> None:
    path = f"{entity(flavour)}/bootstrap/e-1/version"
    answer = await fetch(gateway, path, KEY)
    version = json.loads(answer.payload)
    assert (answer.code, answer.opt.etag.hex(), version["version"]) == (Code.CONTENT, version["etag"], 1)
    again = await fetch(gateway, path, KEY, etags=[answer.opt.etag])
    assert (again.code, again.payload) == (Code.VALID, b"")


@FLAVOURS
async def test_refusals_over_coap_have_a_code_and_the_vendors_words(gateway: Running, flavour: str) -> None:
    prefix = f"{entity(flavour)}/bootstrap"
    missing = Code.BAD_REQUEST if flavour == "mg-client" else Code.UNAUTHORIZED
    for path, auth, code in (
        (f"{prefix}/e-1", "wrong", Code.FORBIDDEN),
        (f"{prefix}/e-1", None, missing),
        (f"{prefix}/nobody", KEY, Code.NOT_FOUND),
        (f"{prefix}/", KEY, Code.BAD_REQUEST),
        (f"{prefix}/secure/e-1", KEY, Code.FORBIDDEN),
    ):
        answer = await fetch(gateway, path, auth)
        assert (answer.code, answer.opt.content_format) == (code, 50), path
        assert any(json.loads(answer.payload).values())


@FLAVOURS
async def test_secure_bootstrap_over_coap(gateway: Running, flavour: str) -> None:
    answer = await fetch(gateway, f"{entity(flavour)}/bootstrap/secure/e-1", ENCRYPTED)
    assert answer.code == Code.CONTENT
    assert json.loads(decrypt(SHARED_KEY.encode(), answer.payload))[ID_MEMBER[flavour]] == "th-1"


def ask(
    gateway: Running, version: MQTTProtocolVersion, login: Login, path: str, body: bytes, **properties: str
) -> tuple[str, bytes]:
    """Publish a request over MQTT; returns the topic of the answer and its payload."""
    with Talk(gateway.listening, version, login) as talk:
        assert not talk.refused
        talk.client.subscribe(f"{path}/response", 1)
        talk.wait("subscribed")
        given = Properties(PacketTypes.PUBLISH) if properties else None
        if given is not None:
            given.UserProperty = list(properties.items())
        talk.client.publish(f"{path}/request", body, 1, properties=given)
        while not talk.messages:
            talk.wait("answered")
        (message,) = talk.messages
        return message.topic, bytes(message.payload)


@FLAVOURS
@VERSIONS
async def test_a_device_bootstraps_over_mqtt(gateway: Running, flavour: str, version: MQTTProtocolVersion) -> None:
    path = f"{entity(flavour)}/bootstrap/e-1"
    body = json.dumps({"authorization": KEY}).encode()
    topic, payload = await asyncio.to_thread(ask, gateway, version, GUEST, path, body)
    assert (topic, json.loads(payload)[ID_MEMBER[flavour]]) == (f"{path}/response", "th-1")


@FLAVOURS
async def test_an_id_with_a_slash_over_mqtt(gateway: Running, flavour: str) -> None:
    path, body = f"{entity(flavour)}/bootstrap/a%2Fb", json.dumps({"authorization": KEY}).encode()
    topic, payload = await asyncio.to_thread(ask, gateway, MQTTProtocolVersion.MQTTv5, GUEST, path, body)
    assert (topic, json.loads(payload)[ID_MEMBER[flavour]]) == (f"{path}/response", "dev-0")


@FLAVOURS
async def test_a_key_in_a_user_property(gateway: Running, flavour: str) -> None:
    path = f"{entity(flavour)}/bootstrap/e-1"
    _, payload = await asyncio.to_thread(ask, gateway, MQTTProtocolVersion.MQTTv5, GUEST, path, b"", authorization=KEY)
    assert json.loads(payload)[ID_MEMBER[flavour]] == "th-1"


@FLAVOURS
@VERSIONS
async def test_a_connection_proves_its_device(gateway: Running, flavour: str, version: MQTTProtocolVersion) -> None:
    login, prefix = Login(username="e-1", password=KEY), f"{entity(flavour)}/bootstrap"
    _, payload = await asyncio.to_thread(ask, gateway, version, login, f"{prefix}/e-1", b"")
    assert json.loads(payload)[ID_MEMBER[flavour]] == "th-1"
    _, payload = await asyncio.to_thread(ask, gateway, version, login, f"{prefix}/a%2Fb", b"")
    assert b"failed to get bootstrap configuration for given external key" in payload


@FLAVOURS
@VERSIONS
async def test_a_refused_request_leaves_the_connection_open(
    gateway: Running, flavour: str, version: MQTTProtocolVersion
) -> None:
    prefix = f"{entity(flavour)}/bootstrap"

    def talk_on() -> list[bytes]:
        with Talk(gateway.listening, version, GUEST) as talk:
            talk.client.subscribe(f"{prefix}/e-1/response", 1)
            talk.wait("subscribed")
            for key in ("wrong", KEY):
                talk.client.publish(f"{prefix}/e-1/request", json.dumps({"authorization": key}), 1)
            while len(talk.messages) < 2:
                talk.wait("answered")
            return [bytes(message.payload) for message in talk.messages]

    refused, granted = await asyncio.to_thread(talk_on)
    assert b"for given external key" in refused
    assert json.loads(granted)[ID_MEMBER[flavour]] == "th-1"
