"""Bad input over every protocol: the answer of the contract, an event that names the check, a figure, and nothing kept."""

import asyncio
import contextlib
import json
from typing import NamedTuple

import aiocoap
import pytest

from adapters.app import Running
from tests.e2e.operator_api import Operator
from tests.protocols.mqtt_peer import RawClient, connect_packet, publish_packet
from tests.protocols.scenario_clients import PATIENCE_SECONDS, PROVISION, Aiocoap, Aiohttp
from tests.protocols.scenario_mqtt_clients import REQUEST, TELEMETRY, Paho
from tests.protocols.world import DEVICES, METERS, PUMPS

KNOWN = "/api/v1/stored-token-of-pump-1"
UNKNOWN = "/api/v1/NotTheTokenOfAnybody"
DEEP = b"[" * 60_000
ERROR = "application/json"


class Bad(NamedTuple):
    """A request that must not be granted: what is answered, and what the operator's event names."""

    method: str
    path: str
    body: bytes
    said: str
    check: str


def odd(**fields: object) -> bytes:
    return json.dumps(METERS.claim(**fields)).encode()


OVER_HTTP = (
    Bad("GET", "/nothing/here", b"", f"404 {ERROR}", "request.path"),
    Bad("POST", "/", b"{}", f"404 {ERROR}", "request.path"),
    Bad("GET", PROVISION, b"", f"405 {ERROR}", "request.method"),
    Bad("PUT", PROVISION, odd(), f"405 {ERROR}", "request.method"),
    Bad("DELETE", f"{KNOWN}/telemetry", b"", f"405 {ERROR}", "request.method"),
    Bad("PATCH", PROVISION, odd(), f"405 {ERROR}", "request.method"),
    Bad("POST", f"{PROVISION}/{'x' * 3_000}", b"{}", f"413 {ERROR}", "http.path_bytes"),
    Bad("POST", PROVISION, b" " * 4_194_305, f"413 {ERROR}", "http.body_bytes"),
    Bad("POST", f"{KNOWN}/telemetry", b"21.5 degrees", f"400 {ERROR}", "body.unparsed"),
    Bad("POST", f"{KNOWN}/attributes", b"", f"400 {ERROR}", "body.unparsed"),
    Bad("POST", f"{UNKNOWN}/telemetry", b"{}", "401", "login.token"),
    Bad("GET", f"{UNKNOWN}/attributes", b"", "401", "login.token"),
)
OVER_COAP = (
    Bad("GET", "/nothing/here", b"", "4.04", "request.path"),
    Bad("POST", "/api/v1/a/b/provision", b"{}", "4.04", "request.path"),
    Bad("GET", PROVISION, b"", "4.00", "request.method"),
    Bad("PUT", PROVISION, odd(), "4.05", "request.method"),
    Bad("DELETE", PROVISION, b"", "4.05", "request.method"),
    Bad("FETCH", f"{KNOWN}/telemetry", b"{}", "4.05", "request.method"),
    Bad("POST", f"{KNOWN}/telemetry", b"21.5 degrees", "4.00", "body.unparsed"),
    Bad("POST", f"{UNKNOWN}/telemetry", b"{}", "4.01", "login.token"),
    Bad("GET", f"{UNKNOWN}/attributes", b"", "4.01", "login.token"),
)
BODIES = {
    "nested too deep": DEEP,
    "not UTF-8": b'{"provisionDeviceKey":"\xff\xfe"}',
    "half a surrogate pair": b'{"deviceName":"\\ud800","provisionDeviceKey":"k","provisionDeviceSecret":"s"}',
    "a key of 60 KB": json.dumps({"provisionDeviceKey": "k" * 60_000, "provisionDeviceSecret": "s"}).encode(),
    "a number of 10,000 digits": b'{"deviceName":' + b"9" * 10_000 + b"," + odd()[1:],
    "not a number": b'{"deviceName":NaN,' + odd()[1:],
    "a name in two lines": odd(deviceName="a\r\nSet-Cookie: b"),
    "SQL": odd(deviceName="x", token="stored-token-of-pump-1' OR '1'='1\n"),
    "a name twice": odd(deviceName="pump-1")[:-1] + b',"deviceName":"<b>"}',
    "a byte order mark": b"\xef\xbb\xbf" + odd(),
    "a secret of another profile": json.dumps({**METERS.claim(), "provisionDeviceSecret": PUMPS.secret}).encode(),
    "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>",
}
CLIENTS = [Aiohttp(), Aiocoap(), Paho("mqttv311", username="provision"), Paho("mqttv5", client_id="provision")]


async def outcomes(operator: Operator, protocol: str) -> float:
    """Return how many requests over a protocol were counted with a bad outcome, and how often a bound was hit."""
    good = ('outcome="ok"', 'outcome="created"')
    figures = await operator.figures()
    return sum(
        value
        for sample, value in figures.items()
        if (sample.startswith("firstlight_requests_total") and f'protocol="{protocol}"' in sample)
        and not any(word in sample for word in good)
    ) + sum(value for sample, value in figures.items() if sample.startswith(f'firstlight_bounds_total{{bound="{protocol}.'))


@pytest.mark.parametrize("bad", OVER_HTTP, ids=lambda bad: f"{bad.method}-{bad.path[:40]}-{bad.check}")
async def test_a_bad_request_over_http(gateway: Running, operator: Operator, bad: Bad) -> None:
    await refused(gateway, operator, Aiohttp(), bad)


@pytest.mark.parametrize("bad", OVER_COAP, ids=lambda bad: f"{bad.method}-{bad.path[:40]}-{bad.check}")
async def test_a_bad_request_over_coap(gateway: Running, operator: Operator, bad: Bad) -> None:
    await refused(gateway, operator, Aiocoap(), bad)


async def refused(gateway: Running, operator: Operator, client: Aiohttp | Aiocoap, bad: Bad) -> None:
    before = await outcomes(operator, client.speaks)
    reply = await client.ask(gateway.listening, bad.method, bad.path, bad.body)
    assert reply.said == bad.said
    assert METERS.secret.encode() not in reply.body
    event = await operator.newest_event()
    assert (event["check"], event["protocol"]) == (bad.check, client.speaks)
    assert await outcomes(operator, client.speaks) > before
    assert {device["name"] for device in await operator.all("/v1/devices")} == set(DEVICES)


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("client", CLIENTS, ids=["http", "coap", "mqtt-3.1.1", "mqtt-5"])
async def test_a_bad_body_is_refused_and_leaves_nothing(
    gateway: Running, operator: Operator, client: Aiohttp | Aiocoap | Paho, body: bytes
) -> None:
    reply = await client.provision(gateway.listening, body)
    assert b'"SUCCESS"' not in reply.body
    assert not reply.said.startswith(("500", "503", "5.", "silence"))
    event = await operator.newest_event()
    assert event["kind"] in ("provision.refused", "request.refused")
    assert event["check"] not in ("", "internal")
    assert {device["name"] for device in await operator.all("/v1/devices")} == set(DEVICES)
    good = await client.provision(gateway.listening, odd(deviceName="new-1"))
    assert json.loads(good.body)["status"] == "SUCCESS"


async def coap_ask(gateway: Running, path: str, **fields: object) -> str:
    context = await aiocoap.Context.create_client_context(transports=["simple6"])
    try:
        uri = f"coap://{gateway.listening.coap[0]}{path}"
        answer = await context.request(aiocoap.Message(code=aiocoap.POST, uri=uri, **fields)).response
        code: str = answer.code.dotted
        return code
    finally:
        await context.shutdown()


async def test_what_coap_itself_refuses(gateway: Running, operator: Operator) -> None:
    assert await coap_ask(gateway, PROVISION, payload=b" " * 70_000) == "4.13"
    assert (await operator.newest_event())["check"] == "coap.body"
    assert await coap_ask(gateway, PROVISION, payload=odd(), if_none_match=True) == "4.02"
    assert await coap_ask(gateway, PROVISION, payload=odd(), accept=41) == "4.06"
    assert await coap_ask(gateway, "/" + "/".join(["x" * 200] * 6), payload=odd()) == "4.00"
    figures = await operator.figures()
    for bound in ("coap.critical_option", "coap.path"):
        assert figures[f'firstlight_bounds_total{{bound="{bound}"}}'] == 1
    assert {device["name"] for device in await operator.all("/v1/devices")} == set(DEVICES)


async def test_coap_takes_what_the_contract_takes(gateway: Running) -> None:
    assert await coap_ask(gateway, "/api/v1/anything/provision", payload=odd(deviceName="new-1")) == "2.01"
    # The contract ignores the format that a request names.
    assert await coap_ask(gateway, PROVISION, payload=odd(deviceName="new-2"), content_format=0) == "2.01"
    assert await coap_ask(gateway, PROVISION, payload=odd(deviceName="new-3"), content_format=41) == "2.01"
    unreliable = {"transport_tuning": aiocoap.Unreliable}
    assert await coap_ask(gateway, PROVISION, payload=odd(deviceName="new-4"), **unreliable) == "2.01"


def talk(gateway: Running, version: int, *packets: bytes, username: str = "provision") -> bytes:
    """Connect, send packets, and return everything that comes until the gateway closes."""
    with RawClient(gateway.listening.mqtt[0].port) as client:
        client.connect(version, username=username)
        for packet in packets:
            client.send_as_far_as_possible(packet)
        return client.rest()


@pytest.mark.parametrize(
    ("version", "packet", "end", "bound"),
    [
        (4, publish_packet(REQUEST, b"x" * 140_000), b"", "mqtt.max_packet_bytes"),
        (5, publish_packet(REQUEST, b"x" * 140_000, version=5), b"\xe0\x01\x95", "mqtt.max_packet_bytes"),
        (4, publish_packet("#", b"x"), b"", "mqtt.malformed"),
        (5, publish_packet(REQUEST, b"x", version=5, qos=2), b"\xe0\x01\x9b", "mqtt.malformed"),
        (4, b"\xff\xff\xff\xff\xff", b"", "mqtt.malformed"),
        (4, connect_packet(4), b"", "mqtt.malformed"),
    ],
)
async def test_what_mqtt_itself_refuses(
    gateway: Running, operator: Operator, version: int, packet: bytes, end: bytes, bound: str
) -> None:
    assert await asyncio.to_thread(talk, gateway, version, packet) == end
    assert (await operator.figures())[f'firstlight_bounds_total{{bound="{bound}"}}'] == 1
    assert {device["name"] for device in await operator.all("/v1/devices")} == set(DEVICES)


@pytest.mark.parametrize(("version", "acknowledged"), [(4, b"\x40\x02\x00\x01"), (5, b"\x40\x03\x00\x01\x90")])
async def test_a_device_that_publishes_where_nothing_is(
    gateway: Running, operator: Operator, version: int, acknowledged: bytes
) -> None:
    def publish() -> bytes:
        with RawClient(gateway.listening.mqtt[0].port) as client:
            client.connect(version, username="stored-token-of-pump-1")
            client.send(publish_packet("v1/devices/me/firmware", b"{}", version=version, qos=1))
            first, body = client.read()
            client.ping()
            return bytes((first, len(body))) + body

    assert await asyncio.to_thread(publish) == acknowledged
    event = await operator.newest_event()
    assert (event["check"], event["protocol"]) == ("request.path", "mqtt")


async def test_a_device_that_publishes_no_json(gateway: Running, operator: Operator) -> None:
    bad = publish_packet(TELEMETRY, b"21.5 degrees", qos=1)
    assert await asyncio.to_thread(talk, gateway, 4, bad, username="stored-token-of-pump-1") == b"\x40\x02\x00\x01"
    assert (await operator.newest_event())["check"] == "body.unparsed"


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"name":1}', b'{"name":"x","strategy":"y"}', b" " * 70_000])
async def test_the_operator_api_tells_a_stranger_nothing_but_401(gateway: Running, operator: Operator, body: bytes) -> None:
    reply = await Aiohttp().ask(gateway.listening, "POST", "/v1/profiles", body)
    assert reply.said == "401 application/problem+json"
    assert b"check" not in reply.body


NO_HTTP = (
    b"\x16\x03\x01\x02\x00\x01\x00",
    b"GET",
    b"GET / HTTP/9.9",
    b"BREW /api/v1/provision HTTP/1.1",
    b"GET /" + b"x" * 20_000 + b" HTTP/1.1",
    b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 200,
    b"POST /api/v1/provision HTTP/1.1\r\nContent-Length: -1",
    b"POST /api/v1/provision HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
)


@pytest.mark.parametrize("head", NO_HTTP, ids=lambda head: repr(head[:24]))
async def test_a_head_that_is_no_http(gateway: Running, operator: Operator, head: bytes) -> None:
    reader, writer = await asyncio.open_connection(gateway.listening.http[0].host, gateway.listening.http[0].port)
    writer.write(head + b"\r\n\r\n")
    answer = await asyncio.wait_for(reader.read(), PATIENCE_SECONDS)
    assert answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400")), answer
    assert b"Traceback" not in answer
    writer.close()
    await writer.wait_closed()
    assert (await operator.ask("GET", "/readyz")).status == 200


async def test_a_body_without_an_end_is_not_read_to_its_end(gateway: Running, operator: Operator) -> None:
    reader, writer = await asyncio.open_connection(gateway.listening.http[0].host, gateway.listening.http[0].port)
    writer.write(b"POST /api/v1/provision HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    # The gateway answers 413 and hangs up; whoever goes on sending may see nothing but the end of the connection.
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"10000\r\n" + b" " * 65_536 + b"\r\n")
            await asyncio.wait_for(writer.drain(), PATIENCE_SECONDS)
            await asyncio.sleep(0)
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    assert (await operator.newest_event())["check"] == "http.body_bytes"
    assert reader.at_eof() or reader.exception() is not None
