"""Firmware as devices ask for it, over each protocol of a whole gateway."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiocoap
import aiomqtt
import cbor2
import pytest

from adapters.app import Running
from tests.dialects.claiming_parties import (
    DEADLINE,
    Answer,
    coap_client,
    coap_message,
    device,
    known,
    next_message,
    over_coap,
    over_http,
    over_mqtt,
)
from tests.e2e.gateways import ADMIN_TOKEN, opened
from tests.e2e.operator_api import Operator

PATH = "/v1/devices/me/firmware"
ASKED, ANSWERED = "v1/devices/me/firmware/request", "v1/devices/me/firmware/response"
TOKEN = "token-of-meter-1"
BEARER = f"Bearer {TOKEN}"
NOTHING = {"update": None}


@pytest.fixture(params=["memory", "sqlite"])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    """A gateway over either store."""
    async with opened(tmp_path, DATABASE="memory:" if request.param == "memory" else None) as gateway:
        yield gateway


@pytest.fixture
async def operator(running: Running) -> AsyncIterator[Operator]:
    """The administrator of `running`, who defined a device."""
    async with Operator(running.listening.http[0], ADMIN_TOKEN) as client:
        await client.post("/v1/profiles", {"name": "meters"})
        await device(client)
        yield client


def image(version: str = "1.3.0") -> dict[str, Any]:
    return {"version": version, "url": f"https://images.example/{version}.bin", "size": 81_920, "sha256": "0f" * 32}


async def say(operator: Operator, holder: str, version: str | None) -> None:
    """Say which firmware is to run, or no more."""
    method, body = ("PUT", image(version)) if version else ("DELETE", None)
    answer = await operator.ask(method, f"/v1/{holder}/firmware", body)
    assert answer.status < 300, answer


async def ask(running: Running, carrier: str, query: str = "", credential: str = BEARER, **options: Any) -> Answer:
    """Ask over HTTP or CoAP."""
    if carrier == "http":
        return await over_http(running, "GET", PATH + (f"?{query}" if query else ""), Authorization=credential, **options)
    message = coap_message(running, aiocoap.GET, PATH, **options)
    message.opt.uri_query = (f"auth={credential}", *([query] if query else []))
    return await send(message)


async def report(running: Running, carrier: str, body: bytes, credential: str = BEARER, **options: Any) -> Answer:
    """Report over HTTP or CoAP."""
    if carrier == "http":
        return await over_http(running, "POST", PATH, body, Authorization=credential, **options)
    message = coap_message(running, aiocoap.POST, PATH, body, **options)
    message.opt.uri_query = (f"auth={credential}",)
    return await send(message)


async def send(message: aiocoap.Message) -> Answer:
    async with asyncio.timeout(DEADLINE), coap_client() as context:
        answer = await context.request(message).response
    headers = {"etag": answer.opt.etag.hex()} if answer.opt.etag else {}
    if answer.opt.content_format is not None:
        headers["content-format"] = str(int(answer.opt.content_format))
    return Answer(str(answer.code).partition(" ")[0], bytes(answer.payload), headers)


@pytest.mark.parametrize(("carrier", "ok"), [("http", "200"), ("coap", "2.05")])
async def test_a_device_asks_for_its_firmware(running: Running, operator: Operator, carrier: str, ok: str) -> None:
    answer = await ask(running, carrier)
    assert (answer.status, answer.document) == (ok, NOTHING)
    await say(operator, "profiles/meters", "1.3.0")
    answer = await ask(running, carrier)
    assert (answer.status, answer.document) == (ok, {"update": image()})
    assert (await ask(running, carrier, "running=1.2.0")).document == {"update": image()}
    assert (await ask(running, carrier, "running=1.3.0")).document == NOTHING
    assert (await known(running)).state.value == "connected"


async def test_over_http_an_entity_tag_saves_the_answer(running: Running, operator: Operator) -> None:
    await say(operator, "profiles/meters", "1.3.0")
    first = await ask(running, "http")
    assert first.headers["cache-control"] == "private, no-cache"
    same = await ask(running, "http", If_None_Match=first.headers["etag"])
    assert (same.status, same.body, same.headers["etag"]) == ("304", b"", first.headers["etag"])
    await say(operator, "devices/meter-1", "1.4.0")
    assert (await ask(running, "http", If_None_Match=first.headers["etag"])).document == {"update": image("1.4.0")}


async def test_over_coap_an_entity_tag_saves_the_answer(running: Running, operator: Operator) -> None:
    await say(operator, "profiles/meters", "1.3.0")
    first = await ask(running, "coap")
    same = await ask(running, "coap", etags=[bytes.fromhex(first.headers["etag"])])
    assert (same.status, same.body, same.headers["etag"]) == ("2.03", b"", first.headers["etag"])


@pytest.mark.parametrize(("carrier", "done"), [("http", "204"), ("coap", "2.04")])
async def test_a_device_reports_what_it_runs(running: Running, operator: Operator, carrier: str, done: str) -> None:
    answer = await report(running, carrier, b'{"version":"1.2.0"}')
    assert (answer.status, answer.body) == (done, b"")
    assert (await operator.get("/v1/devices/meter-1"))["runs"] == "1.2.0"
    overview = await operator.get("/v1/firmware?profile=meters")
    assert [(line["version"], line["devices"]) for line in overview["items"]] == [("1.2.0", 1)]


@pytest.mark.parametrize(("carrier", "bad"), [("http", "400"), ("coap", "4.00")])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"{}", b'{"version":null}', b'{"version":7}', b'{"version":""}', b'{"version":"1\\n2"}', b"[" * 5_000],
)
async def test_what_is_no_report_is_refused(running: Running, operator: Operator, carrier: str, bad: str, body: bytes) -> None:
    answer = await report(running, carrier, body)
    assert answer.status == bad
    assert isinstance(answer.document["detail"], str)
    assert (await known(running)).runs == ""


async def test_both_speak_cbor(running: Running, operator: Operator) -> None:
    await say(operator, "profiles/meters", "1.3.0")
    web = await ask(running, "http", Accept="application/cbor, application/json")
    assert (web.headers["content-type"], cbor2.loads(web.body)) == ("application/cbor", {"update": image()})
    coap = await ask(running, "coap", accept=60)
    assert (coap.headers["content-format"], cbor2.loads(coap.body)) == ("60", {"update": image()})
    plain = await ask(running, "http", Accept="*/*, application/cbor")
    assert plain.headers["content-type"] == "application/json"
    assert (await ask(running, "coap")).headers["content-format"] == "50"
    body = cbor2.dumps({"version": "7"})
    assert (await report(running, "coap", body, content_format=60)).status == "2.04"
    assert (await known(running)).runs == "7"
    assert (await report(running, "http", cbor2.dumps({"version": "8"}), Content_Type="application/cbor")).status == "204"
    assert (await known(running)).runs == "8"
    refused = await report(running, "http", b"{}", Accept="application/cbor")
    assert (refused.headers["content-type"], list(cbor2.loads(refused.body))) == ("application/cbor", ["detail"])


@pytest.mark.parametrize(
    "body",
    [b"\x9f" * 5_000, b"\x81" * 50_000, b"\xff", b"\xa1\x67version", cbor2.dumps({"version": "7"}) + b"\x00", b"\xd8\x1d\x00"],
)
async def test_what_is_no_cbor_is_refused(running: Running, operator: Operator, body: bytes) -> None:
    answer = await report(running, "http", body, Content_Type="application/cbor")
    assert (answer.status, answer.document) == ("400", {"detail": "the body is not CBOR"})


async def test_what_does_not_say_that_it_is_cbor_is_json(running: Running, operator: Operator) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "application/json; charset=utf-8"):
        assert (await report(running, "http", b'{"version":"1"}', Content_Type=kind)).status == "204"
    assert (await report(running, "coap", b'{"version":"1"}', content_format=0)).status == "2.04"


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


async def credentials(operator: Operator) -> list[str]:
    """Make devices with every kind of credential that has a text, and return what each of them sends."""
    made = await operator.post(
        "/v1/devices",
        {"name": "m", "profile": "meters", "credential": {"type": "mqtt_basic", "username": "u-1", "password": "p:1"}},
    )
    assert made["name"] == "m"
    client = await operator.post(
        "/v1/devices", {"name": "c", "profile": "meters", "credential": {"type": "client_secret", "secret": "s-1"}}
    )
    return [BEARER, f"bearer  {TOKEN} ", basic("u-1:p:1"), basic(f"{client['id']}:s-1")]


@pytest.mark.parametrize("carrier", ["http", "coap"])
async def test_every_credential_opens(running: Running, operator: Operator, carrier: str) -> None:
    for credential in await credentials(operator):
        assert (await ask(running, carrier, credential=credential)).document == NOTHING
    if carrier == "coap":
        assert (await ask(running, carrier, credential=TOKEN)).document == NOTHING


@pytest.mark.parametrize(("carrier", "unknown", "bad"), [("http", "401", "400"), ("coap", "4.01", "4.00")])
async def test_who_proves_nothing_is_refused(
    running: Running, operator: Operator, carrier: str, unknown: str, bad: str
) -> None:
    await credentials(operator)
    none = await over_http(running, "GET", PATH) if carrier == "http" else await over_coap(running, aiocoap.GET, PATH)
    assert none.status == unknown
    for credential in ("Bearer nobody", basic("u-1:wrong"), basic("u-1:"), "Digest x", "Bearer"):
        assert (await ask(running, carrier, credential=credential)).status == unknown
    for credential in ("Basic !", "Basic /w==", basic("no colon")):
        assert (await ask(running, carrier, credential=credential)).status == bad
    if carrier == "http":
        assert none.headers["www-authenticate"] == 'Bearer, Basic realm="devices", charset="UTF-8"'
        assert (none.headers["content-type"], list(none.document)) == ("application/problem+json", ["detail"])


@pytest.mark.parametrize(("carrier", "no"), [("http", "403"), ("coap", "4.03")])
async def test_an_external_key_opens_no_firmware(running: Running, operator: Operator, carrier: str, no: str) -> None:
    await operator.post("/v1/configs", {"external_id": "aa", "external_key": "key"})
    assert (await ask(running, carrier, credential=basic("aa:key"))).status == no
    async with over_mqtt(running, "aa", "key") as client:
        await client.subscribe(ANSWERED, qos=1)
        await client.publish(ASKED, b"", qos=1)
        topic, body = await next_message(client)
    assert (topic, list(json.loads(body))) == (ANSWERED, ["detail"])


@pytest.mark.parametrize("protocol", [aiomqtt.ProtocolVersion.V311, aiomqtt.ProtocolVersion.V5])
async def test_over_mqtt_a_device_asks_reports_and_is_told_of_changes(
    running: Running, operator: Operator, protocol: aiomqtt.ProtocolVersion
) -> None:
    async with over_mqtt(running, TOKEN, protocol=protocol) as client:
        await client.subscribe(ANSWERED, qos=1)
        await client.publish(ASKED, b'{"running":"1.2.0"}', qos=1)
        assert await next_message(client) == (ANSWERED, b'{"update":null}')
        await say(operator, "profiles/meters", "1.3.0")
        assert json.loads((await next_message(client))[1]) == {"update": image()}
        await say(operator, "devices/meter-1", "1.4.0")
        assert json.loads((await next_message(client))[1]) == {"update": image("1.4.0")}
        await client.publish(ASKED, b'{"version":"1.4.0"}', qos=1)
        await say(operator, "devices/meter-1", "1.2.0")
        assert json.loads((await next_message(client))[1]) == NOTHING
    assert (await known(running)).runs == "1.4.0"


async def test_a_device_that_subscribes_is_told_of_changes_without_asking(running: Running, operator: Operator) -> None:
    made = await operator.get("/v1/devices/meter-1")
    await operator.post("/v1/configs", {"external_id": "aa", "external_key": "key", "device": made["id"]})
    async with over_mqtt(running, TOKEN) as client:
        await client.subscribe(ANSWERED, qos=1)
        for holder in ("profiles/meters", "configs/meter-1", "devices/meter-1"):
            await say(operator, holder, holder.partition("/")[0])
            assert json.loads((await next_message(client))[1])["update"]["version"] == holder.partition("/")[0]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"running":7}',
        b'{"version":"1","running":"2"}',
        b'{"version":""}',
        b'{"running":"' + b"x" * 2_000 + b'"}',
    ],
)
async def test_over_mqtt_what_cannot_be_read_is_told(running: Running, operator: Operator, body: bytes) -> None:
    async with over_mqtt(running, TOKEN) as client:
        await client.subscribe(ANSWERED, qos=1)
        await client.publish(ASKED, body, qos=1)
        topic, told = await next_message(client)
        assert (topic, list(json.loads(told))) == (ANSWERED, ["detail"])
        await client.publish(ASKED, b"", qos=1)
        assert (await next_message(client))[1] == b'{"update":null}'


async def test_over_coap_a_device_observes_the_version(running: Running, operator: Operator) -> None:
    async with asyncio.timeout(DEADLINE), coap_client() as context:
        message = coap_message(running, aiocoap.GET, f"{PATH}/version?auth={TOKEN}", observe=0)
        request = context.request(message)
        told = json.loads((await request.response).payload)["etag"]
        notifications = aiter(request.observation)
        for holder in ("profiles/meters", "devices/meter-1"):
            await say(operator, holder, holder.partition("/")[0])
            notified = json.loads((await anext(notifications)).payload)["etag"]
            fetched = await ask(running, "coap", credential=TOKEN)
            assert fetched.headers["etag"] == notified != told
            assert fetched.document["update"]["version"] == holder.partition("/")[0]
            told = notified
        request.observation.cancel()


async def test_the_version_is_told_by_itself(running: Running, operator: Operator) -> None:
    await say(operator, "profiles/meters", "1.3.0")
    whole = await ask(running, "http")
    version = await over_http(running, "GET", f"{PATH}/version", Authorization=BEARER)
    tag = version.document["etag"]
    assert (version.headers["etag"], whole.headers["etag"]) == (f'"{tag}"', f'"{tag}"')
    same = await over_http(running, "GET", f"{PATH}/version", Authorization=BEARER, If_None_Match=f'"{tag}"')
    assert same.status == "304"
    async with over_mqtt(running, TOKEN) as client:
        await client.subscribe("v1/devices/me/firmware/version/response", qos=1)
        await client.publish("v1/devices/me/firmware/version/request", b'{"version":"9"}', qos=1)
        assert json.loads((await next_message(client))[1]) == {"etag": tag}
    assert (await known(running)).runs == ""


async def test_a_device_called_me_is_an_operators_by_its_name(running: Running, operator: Operator) -> None:
    made = await device(operator, "me")
    assert (await operator.get("/v1/devices/me"))["id"] == made["id"]
    await say(operator, "devices/name:me", "1.3.0")
    assert (await operator.get("/v1/devices/name:me"))["firmware"] == image()
    assert (await operator.ask("PUT", "/v1/devices/me/firmware", image())).status == 405
    assert (await ask(running, "http", credential="Bearer token-of-me")).document == {"update": image()}


async def test_a_device_that_is_shut_out_is_told_nothing(running: Running, operator: Operator) -> None:
    await operator.patch("/v1/devices/meter-1", {"enabled": False})
    assert (await ask(running, "http")).status == "401"
