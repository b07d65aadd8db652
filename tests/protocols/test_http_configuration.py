"""What HTTP adds for configurations: entity tags, an exchange for each address, large bodies within one bound."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from yarl import URL

from adapters.exchange import Inbound, Outbound, Success
from adapters.http.config import HttpConfig
from adapters.http.server import HttpServer
from core.errors import Refusal
from tests.exchange.stand_in import RememberingMeter

HOST = "127.0.0.1"
TAG = "0011223344556677"
DEADLINE = 20


class Document:
    """An exchange that answers every request alike, once it may."""

    def __init__(self, text: bytes = b"document") -> None:
        self.text = text
        self.seen: list[Inbound] = []
        self.arrived = asyncio.Semaphore(0)
        self.gate = asyncio.Event()
        self.gate.set()

    async def handle(self, inbound: Inbound) -> Outbound:
        """Answer with the document, unless it is held already."""
        self.seen.append(inbound)
        self.arrived.release()
        await self.gate.wait()
        if {TAG, "*"} & set(inbound.held):
            return Outbound(outcome=Success.UNCHANGED, etag=TAG)
        return Outbound(outcome=Success.OK, body=self.text, content_type="text/plain", etag=TAG)

    async def refuse(self, _inbound: Inbound, refusal: Refusal) -> Outbound:
        """Answer with the check that refused."""
        return Outbound(outcome=refusal.reason, body=refusal.check.encode(), retry_after=refusal.retry_after)


@asynccontextmanager
async def serving(config: HttpConfig | None = None) -> AsyncIterator[tuple[Document, RememberingMeter, HttpServer, str]]:
    exchange: Any = Document()
    meter = RememberingMeter()
    server = HttpServer(exchange, meter, config or HttpConfig(), {})
    _, port = await server.start(HOST, 0)
    try:
        yield exchange, meter, server, f"http://{HOST}:{port}"
    finally:
        await server.close(1.0)


@pytest.mark.parametrize(
    ("header", "held", "status"),
    [
        (None, (), 200),
        (f'"{TAG}"', (TAG,), 304),
        (f'W/"{TAG}"', (TAG,), 304),
        (f'"aa", "bb" , W/"{TAG}"', ("aa", "bb", TAG), 304),
        ("*", ("*",), 304),
        (" * ", ("*",), 304),
        (TAG, (), 200),
        ('"not hex"', (), 200),
        ('"00"' * 100, ("00",) * 16, 200),
    ],
)
async def test_if_none_match_is_what_the_sender_holds(header: str | None, held: tuple[str, ...], status: int) -> None:
    async with serving() as (exchange, _, _, base), aiohttp.ClientSession() as client:
        headers = {} if header is None else {"If-None-Match": header}
        async with client.get(f"{base}/x", headers=headers) as response:
            assert response.status == status
            assert response.headers["ETag"] == f'"{TAG}"'
            assert await response.read() == (b"document" if status == 200 else b"")
        assert exchange.seen[0].held == held


async def test_the_query_arrives_as_it_was_sent_too() -> None:
    async with serving() as (exchange, _, _, base), aiohttp.ClientSession() as client:
        await client.get(URL(f"{base}/x?limit=1&limit=%32&name=a+b&b=%zz", encoded=True))
        assert exchange.seen[0].raw_query == "limit=1&limit=%32&name=a+b&b=%zz"


async def test_each_address_may_have_an_exchange_of_its_own() -> None:
    async with serving() as (exchange, _, server, base), aiohttp.ClientSession() as client:
        other: Any = Document(b"other")
        _, port = await server.start(HOST, 0, exchange=other)
        for url, text in ((base, b"document"), (f"http://{HOST}:{port}", b"other"), (base, b"document")):
            async with client.get(f"{url}/x") as response:
                assert await response.read() == text
        assert (len(exchange.seen), len(other.seen)) == (2, 1)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("http://h/x/y?a=1", "/x/y", "a=1"),
        ("https://user@h:8080/x", "/x", ""),
        ("http://h", "/", ""),
        ("http://h?a=1", "/", ""),
        ("/x?next=http://h/y", "/x", "next=http://h/y"),
    ],
)
async def test_an_origin_in_front_of_the_path_is_no_part_of_it(target: str, path: str, query: str) -> None:
    async with serving() as (exchange, _, _, base):
        answer = await sent(base, f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
        assert answer.startswith(b"HTTP/1.1 200")
        assert (exchange.seen[0].path, exchange.seen[0].raw_query) == (path, query)


async def test_who_waits_with_a_body_is_invited_to_send_it_unless_it_is_refused() -> None:
    async with serving(HttpConfig(max_body_bytes=10)) as (exchange, _, _, base):
        reader, writer = await asyncio.open_connection(HOST, URL(base).port)
        writer.write(b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        async with asyncio.timeout(DEADLINE):
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"abc")
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(8) == b"document"
        writer.close()
        await writer.wait_closed()
        assert exchange.seen[0].body == b"abc"
        large = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 30\r\nExpect: 100-continue\r\n\r\n"
        assert (await sent(base, large)).startswith(b"HTTP/1.1 413")


async def sent(base: str, content: bytes) -> bytes:
    """Send this and return everything that comes back."""
    reader, writer = await asyncio.open_connection(HOST, URL(base).port)
    writer.write(content)
    async with asyncio.timeout(DEADLINE):
        answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


async def refused(base: str, chunked: bool) -> bytes:
    """Send the beginning of a large body, and return what is answered to it."""
    reader, writer = await asyncio.open_connection(HOST, URL(base).port)
    size = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % 70_000 if chunked else b"Content-Length: 90000\r\n\r\n"
    writer.write(b"POST /x HTTP/1.1\r\nHost: h\r\n" + size + (bytes(70_000) if chunked else b""))
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


@pytest.mark.parametrize("chunked", [False, True])
async def test_large_bodies_share_one_bound_and_small_ones_are_free_of_it(chunked: bool) -> None:
    config = HttpConfig(max_body_bytes=100_000, large_body_bytes=1_000, large_bodies_bytes=150_000)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield bytes(10_000)

    async with serving(config) as (exchange, meter, _, base), aiohttp.ClientSession() as client:
        exchange.gate.clear()

        async def post(size: int) -> int:
            body = chunks() if chunked and size > 1_000 else bytes(size)
            async with client.post(f"{base}/x", data=body) as response:
                await response.read()
                return response.status

        async with asyncio.timeout(DEADLINE):
            first = asyncio.create_task(post(90_000))
            await exchange.arrived.acquire()
            assert (await refused(base, chunked)).startswith(b"HTTP/1.1 503")
            small = asyncio.create_task(post(1_000))
            await exchange.arrived.acquire()
            exchange.gate.set()
            assert [await first, await small, await post(90_000)] == [200, 200, 200]
        assert meter.bounds == ["http.large_bodies"]
