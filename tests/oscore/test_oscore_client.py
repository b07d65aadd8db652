"""OSCORE with aiocoap's own client, and with a wire that is listened in on."""

import asyncio

import aiocoap

from tests.oscore.devices import OSCORE, aiocoap_client, protected, stocked, tapped
from tests.protocols.coap_peers import BIG, DEADLINE_SECONDS, until


async def test_a_client_asks_and_nobody_can_read_it() -> None:
    async with protected() as served, tapped(served.port) as (tap, url), aiocoap_client(url) as client:
        got = await client.request(aiocoap.Message(code=aiocoap.GET, uri=f"{url}/who")).response
        posted = await client.request(
            aiocoap.Message(code=aiocoap.POST, uri=f"{url}/api/claim?key=k", payload=b"the claim", content_format=50)
        ).response
    assert (got.code, got.payload, got.opt.content_format) == (aiocoap.CONTENT, b"meter-1 True", 0)
    assert (posted.code, posted.payload, posted.opt.content_format) == (aiocoap.CHANGED, b"the claim", 50)
    seen = served.exchange.seen[-1]
    assert (seen.method, seen.path, dict(seen.query), seen.peer.secure) == ("POST", "/api/claim", {"key": "k"}, True)
    assert [datagram.dotted for datagram in tap.seen] == ["0.02", "2.04", "0.02", "2.04"]
    assert all(OSCORE in datagram.options for datagram in tap.seen)
    assert not any(secret in datagram.raw for datagram in tap.seen for secret in (b"meter", b"claim", b"who"))


async def test_bodies_in_blocks() -> None:
    async with protected() as served, tapped(served.port) as (tap, url), aiocoap_client(url) as client:
        got = await client.request(aiocoap.Message(code=aiocoap.GET, uri=f"{url}/big")).response
        put = await client.request(aiocoap.Message(code=aiocoap.PUT, uri=f"{url}/put", payload=BIG[:50_000])).response
    assert got.payload == BIG
    assert (put.code, put.payload) == (aiocoap.CHANGED, BIG[:50_000])
    assert all(OSCORE in datagram.options for datagram in tap.seen)
    assert served.exchange.seen[0].identity is not None
    assert len(served.exchange.logins) == 1


async def test_a_client_observes() -> None:
    registry = await stocked()
    async with protected(registry) as served, tapped(served.port) as (tap, url), aiocoap_client(url) as client:
        request = client.request(aiocoap.Message(code=aiocoap.GET, uri=f"{url}/version", observe=0))
        assert (await request.response).payload == b"v1"
        told: asyncio.Queue[bytes] = asyncio.Queue()

        async def listen() -> None:
            async for notification in request.observation:
                told.put_nowait(notification.payload)

        listening = asyncio.create_task(listen())
        await until(lambda: served.exchange.asked["01"] == 2)
        for version in range(2, 6):
            served.exchange.turn(version)
            assert await asyncio.wait_for(told.get(), DEADLINE_SECONDS) == b"v%d" % version
        listening.cancel()
        clear = [datagram.raw for datagram in tap.seen if b"v2" in datagram.raw or b"version" in datagram.raw]
        assert clear == []
        assert {inbound.identity for inbound in served.exchange.seen} == set(served.exchange.logins)
