"""Observe, entity tags and CBOR over CoAP with two real clients: libcoap's and aiocoap's."""

import asyncio
import re
from collections.abc import AsyncIterator

import aiocoap
import pytest

from core.errors import Reason
from tests.protocols.coap_observing import WatchedServing, watched
from tests.protocols.coap_peers import DEADLINE_SECONDS, coap_client, needs_coap_client, until


@pytest.fixture
async def aiocoap_client() -> AsyncIterator[aiocoap.Context]:
    context = await aiocoap.Context.create_client_context(transports=["udp6"])
    yield context
    await context.shutdown()


async def told(served: WatchedServing) -> None:
    """Wait until every observer knows the last state, and has said so."""
    clients = served.server._notifier._observers._clients
    await until(lambda: not any(client.busy or client.queued for client in clients.values()))


@needs_coap_client
@pytest.mark.parametrize("require_echo", [False, True], ids=["at once", "after proving its address"])
async def test_libcoap_observes(require_echo: bool) -> None:
    async with watched(require_echo=require_echo) as served:
        running = asyncio.create_task(coap_client("-v", "6", "-s", "2", "-m", "get", f"{served.url}/version"))
        await until(lambda: served.observers)
        await told(served)
        for version in (2, 3):
            served.exchange.turn(version)
            await told(served)
        output = await running  # it ends with a request that has Observe 1
        assert served.observers == 0
        assert served.meter.bounds == ({"coap.echo": 1} if require_echo else {})
    lines = re.findall(r"c:2\.05 .*ETag:0x(\d+), Observe:\d+.*:: '(v\d)'", output)
    assert lines == [("01", "v1"), ("02", "v2"), ("03", "v3")]


@needs_coap_client
async def test_libcoap_hears_the_end_of_what_it_observes() -> None:
    async with watched() as served:
        running = asyncio.create_task(coap_client("-v", "6", "-s", "2", "-m", "get", f"{served.url}/version"))
        await until(lambda: served.observers)
        served.exchange.change(outcome=Reason.NOT_FOUND, body=b"gone")
        output = await running
    assert re.search(r"t:CON c:4\.04 i:\w+ {\w+} \[ Content-Format:text/plain \] :: 'gone'", output)


@needs_coap_client
async def test_libcoap_holds_what_it_asks_for() -> None:
    async with watched() as served:
        held = await coap_client("-v", "6", "-O", "4,0x01", "-m", "get", f"{served.url}/version")
        other = await coap_client("-O", "4,0x02", "-O", "4,0xabcdef", "-m", "get", f"{served.url}/version")
    assert re.search(r"c:2\.03 i:\w+ {\w+} \[ ETag:0x01 \]$", held)
    assert other == "v1"
    assert [inbound.held for inbound in served.exchange.seen] == [("01",), ("02", "abcdef")]


@needs_coap_client
async def test_libcoap_accepts_cbor() -> None:
    async with watched() as served:
        served.exchange.change(content_type="application/cbor", body=b"\xa0")
        output = await coap_client("-v", "6", "-A", "60", "-m", "get", f"{served.url}/version")
    assert "Content-Format:application/cbor" in output
    assert served.exchange.seen[0].headers["accept"] == "application/cbor"


async def test_aiocoap_sends_and_accepts_cbor(aiocoap_client: aiocoap.Context) -> None:
    async with watched() as served:
        served.exchange.change(content_type="application/cbor", body=b"\xa0")
        request = aiocoap.Message(
            code=aiocoap.iPATCH, uri=f"{served.url}/version", payload=b"\xa0", content_format=60, accept=60
        )
        response = await aiocoap_client.request(request).response
    (inbound,) = served.exchange.seen
    assert (inbound.method, inbound.content_type, inbound.headers["accept"]) == ("IPATCH", *["application/cbor"] * 2)
    assert (response.opt.content_format, response.payload) == (60, b"\xa0")


async def test_aiocoap_holds_what_it_asks_for(aiocoap_client: aiocoap.Context) -> None:
    async with watched() as served:
        request = aiocoap.Message(code=aiocoap.GET, uri=f"{served.url}/version", etags=[b"\x09", b"\x01"])
        response = await aiocoap_client.request(request).response
    assert (response.code, response.opt.etag, response.payload) == (aiocoap.VALID, b"\x01", b"")


async def test_aiocoap_observes_until_the_end(aiocoap_client: aiocoap.Context) -> None:
    async with watched() as served:
        request = aiocoap_client.request(aiocoap.Message(code=aiocoap.GET, uri=f"{served.url}/version", observe=0))
        first = await request.response
        assert first.opt.observe is not None
        seen = []
        async with asyncio.timeout(DEADLINE_SECONDS):
            served.exchange.turn(2)
            async for notification in request.observation:
                seen.append((str(notification.code), notification.payload))
                if len(seen) == 1:
                    served.exchange.turn(3)
                else:
                    served.exchange.change(outcome=Reason.NOT_FOUND, body=b"gone")
        assert served.observers == 0
    assert seen == [("2.05 Content", b"v2"), ("2.05 Content", b"v3"), ("4.04 Not Found", b"gone")]


async def test_aiocoap_stops_observing_with_a_reset(aiocoap_client: aiocoap.Context) -> None:
    async with watched() as served:
        wish = aiocoap.Message(code=aiocoap.GET, uri=f"{served.url}/version", observe=0)
        request = aiocoap_client.request(wish, handle_blockwise=False)
        await request.response
        request.observation.cancel()
        for version in (2, 3):  # it acknowledges the first that it did not want, and resets the second
            served.exchange.turn(version)
            await told(served)
        assert served.observers == 0
