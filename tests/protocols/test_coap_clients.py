"""CoAP against two real clients: libcoap's and aiocoap's."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiocoap
import pytest

from tests.protocols.coap_peers import BIG, coap_client, needs_coap_client, serving, until, written


@pytest.fixture
async def aiocoap_client() -> AsyncIterator[aiocoap.Context]:
    context = await aiocoap.Context.create_client_context(transports=["udp6"])
    yield context
    await context.shutdown()


@needs_coap_client
async def test_libcoap_posts_json() -> None:
    async with serving() as served:
        out = await coap_client("-m", "post", "-t", "50", "-A", "50", "-e", '{"a":1}', f"{served.url}/a/b?x=1&y=2&z")
    assert out == '{"a":1}'
    (inbound,) = served.exchange.seen
    assert (inbound.method, inbound.path, inbound.body) == ("POST", "/a/b", b'{"a":1}')
    assert dict(inbound.query) == {"x": "1", "y": "2", "z": ""}
    assert inbound.headers["accept"] == inbound.content_type == "application/json"
    assert inbound.peer.address == "127.0.0.1"


@needs_coap_client
async def test_libcoap_sends_without_confirmation() -> None:
    async with serving() as served:
        assert await coap_client("-N", "-m", "put", "-e", "hello", f"{served.url}/echo") == "hello"
    assert served.exchange.seen[0].method == "PUT"


@needs_coap_client
@pytest.mark.parametrize("block_size", ["64", "1024"])
async def test_libcoap_sends_60_kilobytes_in_blocks(tmp_path: Path, block_size: str) -> None:
    body = hashlib.shake_128(b"body").digest(60_000)
    out = tmp_path / "out"
    async with serving() as served:
        await coap_client(
            "-m", "put", "-b", block_size, "-f", written(tmp_path, "body", body), "-o", str(out), f"{served.url}/echo"
        )
    assert served.exchange.seen[0].body == body
    assert len(served.exchange.seen) == 1
    assert out.read_bytes() == body


@needs_coap_client
@pytest.mark.parametrize("block_size", [(), ("-b", "64")])
async def test_libcoap_fetches_100_kilobytes_in_blocks(tmp_path: Path, block_size: tuple[str, ...]) -> None:
    out = tmp_path / "out"
    async with serving() as served:
        await coap_client("-m", "get", *block_size, "-o", str(out), f"{served.url}/big")
    assert out.read_bytes() == BIG
    assert len(served.exchange.seen) == 1


@needs_coap_client
async def test_libcoap_is_refused_above_the_limit(tmp_path: Path) -> None:
    async with serving() as served:
        out = await coap_client("-m", "put", "-b", "64", "-f", written(tmp_path, "body", bytes(100_000)), f"{served.url}/echo")
    assert out == "4.13 request body too large"
    assert served.exchange.seen == []
    ((inbound, refusal),) = served.exchange.refused
    assert (inbound.path, inbound.body, refusal.check) == ("/echo", b"", "coap.body")


@needs_coap_client
@pytest.mark.parametrize(
    ("method", "path", "answer"),
    [("get", "missing", "4.04 no such thing"), ("get", "posted", "4.05"), ("get", "busy", "5.03")],
)
async def test_libcoap_is_told_what_the_exchange_says(method: str, path: str, answer: str) -> None:
    async with serving() as served:
        assert await coap_client("-m", method, f"{served.url}/{path}") == answer


@needs_coap_client
async def test_libcoap_gets_a_separate_response() -> None:
    async with serving(empty_ack_seconds=0.05) as served:
        running = asyncio.create_task(coap_client("-v", "7", "-m", "post", "-e", "hello", f"{served.url}/slow"))
        await until(lambda: served.exchange.seen)
        await asyncio.sleep(0.2)
        served.exchange.gate.set()
        output = await running
    assert "t:ACK c:0.00" in output
    assert "t:CON c:2.04" in output
    assert ":: 'hello'" in output


@needs_coap_client
async def test_libcoap_proves_its_address_before_a_large_answer(tmp_path: Path) -> None:
    out = tmp_path / "out"
    async with serving(require_echo=True) as served:
        await coap_client("-m", "get", "-o", str(out), f"{served.url}/big")
        assert await coap_client("-m", "get", f"{served.url}/missing") == "4.04 no such thing"
    assert out.read_bytes() == BIG
    assert served.meter.bounds["coap.echo"] >= 1


async def test_aiocoap_posts_and_is_answered(aiocoap_client: aiocoap.Context) -> None:
    async with serving() as served:
        request = aiocoap.Message(code=aiocoap.POST, uri=f"{served.url}/a?b=c", payload=b"{}", content_format=60)
        response = await aiocoap_client.request(request).response
    assert (response.code, response.payload, response.opt.content_format) == (aiocoap.CHANGED, b"{}", 60)


async def test_aiocoap_sends_and_fetches_in_blocks(aiocoap_client: aiocoap.Context) -> None:
    body = hashlib.shake_128(b"body").digest(60_000)
    async with serving() as served:
        put = aiocoap.Message(code=aiocoap.PUT, uri=f"{served.url}/echo", payload=body)
        assert (await aiocoap_client.request(put).response).payload == body
        get = aiocoap.Message(code=aiocoap.GET, uri=f"{served.url}/big")
        response = await aiocoap_client.request(get).response
    assert response.payload == BIG
    assert response.opt.content_format == 42
    assert [inbound.method for inbound in served.exchange.seen] == ["PUT", "GET"]


async def test_aiocoap_is_refused_above_the_limit(aiocoap_client: aiocoap.Context) -> None:
    async with serving(max_body_bytes=2048) as served:
        put = aiocoap.Message(code=aiocoap.PUT, uri=f"{served.url}/echo", payload=bytes(5000))
        response = await aiocoap_client.request(put).response
    assert (response.code, response.opt.size1) == (aiocoap.REQUEST_ENTITY_TOO_LARGE, 2048)


async def test_aiocoap_observing_gets_one_plain_answer(aiocoap_client: aiocoap.Context) -> None:
    async with serving() as served:
        request = aiocoap.Message(code=aiocoap.GET, uri=f"{served.url}/missing", observe=0)
        response = await aiocoap_client.request(request).response
    assert (response.code, response.opt.observe) == (aiocoap.NOT_FOUND, None)
