import asyncio
import logging
import socket
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp.http_exceptions import TransferEncodingError

from adapters.exchange import Outbound, Success
from adapters.http.config import HttpConfig
from adapters.http.server import HttpServer
from core.errors import Reason, Refusal

HOST = "127.0.0.1"
PATIENCE = 20
GET = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n"


class Counts:
    def __init__(self):
        self.bounds = []
        self.levels = {}

    def bound(self, name):
        self.bounds.append(name)

    def level(self, name, value):
        self.levels[name] = value


class Source:
    """What is streamed: parts, and what is done between them."""

    def __init__(self, *parts, repeat=False):
        self.parts = parts
        self.repeat = repeat
        self.made = 0
        self.started = asyncio.Event()
        self.closed = asyncio.Event()

    async def stream(self):
        self.started.set()
        try:
            while True:
                for part in self.parts:
                    if isinstance(part, Exception):
                        raise part
                    if isinstance(part, asyncio.Event):
                        await part.wait()
                        continue
                    yield part
                    self.made += 1
                if not self.repeat:
                    return
        finally:
            self.closed.set()


class Streaming:
    """An exchange that answers with streams."""

    def __init__(self):
        self.source = Source()
        self.refused = []
        self.body = b"first,"

    async def handle(self, inbound):
        stream = self.source.stream()
        return Outbound(outcome=Success.OK, body=self.body, content_type="text/csv", correlation="c-1", stream=stream)

    async def refuse(self, inbound, refusal):
        self.refused.append((inbound, refusal))
        return Outbound(outcome=refusal.reason, body=refusal.detail.encode(), retry_after=refusal.retry_after)


@asynccontextmanager
async def serving(config=None):
    exchange, meter = Streaming(), Counts()
    server = HttpServer(exchange, meter, config or HttpConfig(), {})
    _, port = await server.start(HOST, 0)
    try:
        yield exchange, meter, port, server
    finally:
        await server.close(1.0)


async def raw(port, sent):
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(sent)
    try:
        return await asyncio.wait_for(reader.read(), PATIENCE)
    finally:
        writer.transport.abort()


async def until(condition):
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
            await asyncio.sleep(0.01)


async def test_an_answer_that_grows_is_sent_in_chunks_and_the_connection_stays():
    async with serving() as (exchange, meter, port, _), aiohttp.ClientSession() as client:
        for _ in range(2):
            exchange.source = Source(b"a,", b"", b"b")
            async with client.get(f"http://{HOST}:{port}/x") as response:
                assert response.status == 200
                assert response.headers["Transfer-Encoding"] == "chunked"
                assert response.headers["X-Request-ID"] == "c-1"
                assert response.headers["Server"] == "firstlight"
                assert response.content_type == "text/csv"
                assert await response.read() == b"first,a,b"
            assert exchange.source.closed.is_set()
        assert len(client.connector._conns) == 1
        await until(lambda: meter.levels["http.streams"] == 0)


async def test_a_part_arrives_before_the_next_one_is_made():
    async with serving() as (exchange, _, port, _), aiohttp.ClientSession() as client:
        gate = asyncio.Event()
        exchange.source = Source(gate, b"second")
        async with client.get(f"http://{HOST}:{port}/x") as response:
            assert await asyncio.wait_for(response.content.readany(), PATIENCE) == b"first,"
            gate.set()
            assert await asyncio.wait_for(response.content.read(), PATIENCE) == b"second"


async def test_an_answer_may_begin_with_nothing():
    async with serving() as (exchange, _, port, _), aiohttp.ClientSession() as client:
        exchange.body = b""
        exchange.source = Source(b"all")
        async with client.get(f"http://{HOST}:{port}/x") as response:
            assert await response.read() == b"all"


async def test_http_1_0_gets_no_chunks_and_its_connection_ends():
    async with serving() as (exchange, _, port, _):
        exchange.source = Source(b"a", b"b")
        answer = await raw(port, b"GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.0 200")
        assert b"chunked" not in head
        assert b"keep-alive" not in head
        assert body == b"first,ab"


async def test_head_is_answered_without_making_anything():
    async with serving() as (exchange, meter, port, _):
        exchange.source = Source(b"a")
        answer = await raw(port, b"HEAD /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
        assert answer.endswith(b"\r\n\r\n")
        assert not exchange.source.started.is_set()
        assert "http.streams" not in meter.levels


async def test_no_more_is_made_than_the_receiver_takes():
    async with serving() as (exchange, _, port, _):
        exchange.source = Source(b"x" * 65_536, repeat=True)
        with unread(port) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, GET)
            await asyncio.wait_for(exchange.source.started.wait(), PATIENCE)
            await standstill(exchange.source)
            assert exchange.source.made * 65_536 < 64 * 1_048_576  # what the two ends of a connection buffer
            before = exchange.source.made
            await read(sock, 16 * 1_048_576)
            await until(lambda: exchange.source.made > before)


async def test_a_receiver_that_stops_reading_is_cut_off_and_counted():
    async with serving(HttpConfig(stream_stall_seconds=0.3)) as (exchange, meter, port, _):
        exchange.source = Source(b"x" * 65_536, repeat=True)
        with unread(port) as sock:
            await asyncio.get_running_loop().sock_sendall(sock, GET)
            await asyncio.wait_for(exchange.source.closed.wait(), PATIENCE)
            await until(lambda: meter.levels["http.connections"] == 0)
        assert meter.bounds == ["http.stream_stall_seconds"]
        assert meter.levels["http.streams"] == 0


async def test_one_stream_too_many_is_refused_before_it_begins():
    async with serving(HttpConfig(streams=1)) as (exchange, meter, port, _), aiohttp.ClientSession() as client:
        gate = asyncio.Event()
        exchange.source = first = Source(gate, b"a")
        async with client.get(f"http://{HOST}:{port}/x") as response:
            exchange.source = second = Source(b"b")
            async with client.get(f"http://{HOST}:{port}/x") as refused:
                assert refused.status == 503
                assert refused.headers["Retry-After"] == "5"
            assert not second.started.is_set()
            assert not first.closed.is_set()
            gate.set()
            assert await response.read() == b"first,a"
        assert exchange.refused[0][1].reason is Reason.UNAVAILABLE
        assert meter.bounds == ["http.streams"]
        await until(lambda: meter.levels["http.streams"] == 0)
        async with client.get(f"http://{HOST}:{port}/x") as response:
            assert await response.read() == b"first,b"


@pytest.mark.parametrize(
    ("fault", "told", "traced"),
    [
        (RuntimeError("broken"), "stream failed, correlation=c-1", True),
        (
            Refusal(Reason.UNAVAILABLE, "the disk is full", check="storage.failed"),
            "stream failed, check=storage.failed, correlation=c-1",
            False,
        ),
    ],
)
async def test_a_stream_that_fails_ends_without_its_last_chunk(caplog, fault, told, traced):
    with caplog.at_level(logging.ERROR):
        async with serving() as (exchange, _, port, _):
            exchange.source = Source(b"a", fault)
            answer = await raw(port, GET)
    assert answer.endswith(b"\r\n6\r\nfirst,\r\n1\r\na\r\n")
    assert exchange.source.closed.is_set()
    (record,) = caplog.records
    assert (record.getMessage(), record.exc_info is not None) == (told, traced)


async def test_a_client_sees_that_a_stream_failed():
    async with serving() as (exchange, _, port, _), aiohttp.ClientSession() as client:
        exchange.source = Source(b"a", ConnectionError("of the registry"))
        async with client.get(f"http://{HOST}:{port}/x") as response:
            with pytest.raises(aiohttp.ClientPayloadError) as caught:
                await response.read()
        assert isinstance(caught.value.__cause__, TransferEncodingError)


async def test_a_stream_that_fails_over_http_1_0_is_reset():
    async with serving() as (exchange, _, port, _):
        gate = asyncio.Event()
        exchange.source = Source(gate, RuntimeError("broken"))
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"GET /x HTTP/1.0\r\n\r\n")
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), PATIENCE)
        gate.set()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), PATIENCE)
        writer.transport.abort()


async def test_a_client_that_goes_away_ends_its_stream_while_it_waits():
    async with serving() as (exchange, meter, port, _):
        exchange.source = Source(asyncio.Event())
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(GET)
        await asyncio.wait_for(exchange.source.started.wait(), PATIENCE)
        writer.transport.abort()
        await asyncio.wait_for(exchange.source.closed.wait(), PATIENCE)
        await until(lambda: meter.levels["http.streams"] == 0)
    assert meter.bounds == []


async def test_a_client_that_was_gone_before_the_answer_is_sent_nothing():
    async with serving() as (exchange, _, port, _):
        gate = asyncio.Event()
        asked = asyncio.Event()
        answer = exchange.handle

        async def slowly(inbound):
            asked.set()
            await gate.wait()
            return await answer(inbound)

        exchange.handle = slowly
        exchange.source = Source(b"a")
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(GET)
        await asyncio.wait_for(asked.wait(), PATIENCE)
        writer.transport.abort()
        await asyncio.sleep(0.1)
        gate.set()
        await asyncio.sleep(0.1)
        assert exchange.source.made == 0


async def test_a_server_that_stops_waits_for_its_streams():
    async with serving() as (exchange, _, port, server), aiohttp.ClientSession() as client:
        gate = asyncio.Event()
        exchange.source = Source(gate, b"kept")
        async with client.get(f"http://{HOST}:{port}/x") as response:
            server.stop_accepting()
            asyncio.get_running_loop().call_later(0.1, gate.set)
            await server.drain(PATIENCE)
            assert exchange.source.closed.is_set()
            assert await response.read() == b"first,kept"


async def test_a_server_that_stops_cuts_a_stream_that_has_no_end():
    async with serving() as (exchange, meter, port, server), aiohttp.ClientSession() as client:
        exchange.source = Source(asyncio.Event())
        async with client.get(f"http://{HOST}:{port}/x") as response:
            await asyncio.wait_for(exchange.source.started.wait(), PATIENCE)
            await server.close(0.1)
            assert exchange.source.closed.is_set()
            assert meter.levels["http.streams"] == 0
            with pytest.raises((aiohttp.ClientPayloadError, aiohttp.ClientConnectionError)):
                await response.read()


def unread(port):
    """Connect with a small receive buffer and read nothing."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    sock.connect((HOST, port))
    sock.setblocking(False)
    return sock


async def read(sock, size):
    while size > 0:
        part = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 1_048_576), PATIENCE)
        size -= len(part)


async def standstill(source):
    """Wait until nothing more is made."""
    before = -1
    async with asyncio.timeout(PATIENCE):
        while before != source.made:
            before = source.made
            await asyncio.sleep(0.3)
