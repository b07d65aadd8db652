import asyncio
import shutil
from contextlib import asynccontextmanager

import aiohttp
import pytest

from adapters.exchange import Outbound, Outcome, Success
from adapters.http.config import HttpConfig
from adapters.http.server import HttpServer, Page
from adapters.http.translate import STATUS
from core.errors import Reason

HOST = "127.0.0.1"


class Echo:
    """An exchange that answers with what it was asked."""

    def __init__(self):
        self.seen = []
        self.refused = []
        self.answer = None
        self.entered = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def handle(self, inbound):
        self.seen.append(inbound)
        self.entered.set()
        await self.gate.wait()
        if self.answer is not None:
            return self.answer
        return Outbound(outcome=Success.OK, body=inbound.body, content_type="text/plain", correlation="c-1")

    async def refuse(self, inbound, refusal):
        self.refused.append((inbound, refusal))
        return Outbound(outcome=refusal.reason, body=refusal.detail.encode(), content_type="text/plain")


class Counts:
    def __init__(self):
        self.bounds = []
        self.levels = {}

    def bound(self, name):
        self.bounds.append(name)

    def level(self, name, value):
        self.levels[name] = value


async def shown():
    return Page(200, "text/plain; charset=utf-8", b"ok\n")


@asynccontextmanager
async def serving(config=None):
    exchange, meter = Echo(), Counts()
    server = HttpServer(exchange, meter, config or HttpConfig(), {"/healthz": shown})
    _, port = await server.start(HOST, 0)
    try:
        yield exchange, meter, port, server
    finally:
        await server.close(1.0)


async def raw(port, sent, *, until_eof=True):
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(sent)
    await writer.drain()
    try:
        return await asyncio.wait_for(reader.read() if until_eof else reader.read(65536), 20)
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("outcome", [*Success, *Reason])
def test_every_outcome_has_a_status(outcome: Outcome):
    assert 200 <= STATUS[outcome] < 600


async def test_a_request_arrives_neutral_and_its_answer_returns():
    async with serving() as (exchange, _, port, _), aiohttp.ClientSession() as client:
        url = f"http://{HOST}:{port}/api/v1/a%20b/telemetry?x=1&x=2&y"
        async with client.post(url, data=b"body", headers={"X-Thing": "T"}) as response:
            assert response.status == 200
            assert await response.read() == b"body"
            assert response.headers["X-Request-ID"] == "c-1"
            assert response.headers["Server"] == "firstlight"
    (inbound,) = exchange.seen
    assert inbound.method == "POST"
    assert inbound.path == "/api/v1/a b/telemetry"
    assert inbound.query == {"x": "2", "y": ""}
    assert inbound.headers["x-thing"] == "T"
    assert inbound.peer.address == HOST
    assert inbound.content_type == "application/octet-stream"


async def test_an_answer_carries_headers_type_and_retry_after():
    async with serving() as (exchange, _, port, _), aiohttp.ClientSession() as client:
        exchange.answer = Outbound(
            outcome=Reason.UNAVAILABLE,
            body=b"{}",
            content_type="application/json",
            headers=(("Allow", "GET"),),
            retry_after=1.2,
        )
        async with client.get(f"http://{HOST}:{port}/") as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "2"
            assert response.headers["Allow"] == "GET"
            assert response.content_type == "application/json"


async def test_the_gateways_own_pages_answer_get_and_head_and_nothing_else():
    async with serving() as (exchange, _, port, _), aiohttp.ClientSession() as client:
        async with client.get(f"http://{HOST}:{port}/healthz") as response:
            assert await response.text() == "ok\n"
        async with client.head(f"http://{HOST}:{port}/healthz") as response:
            assert response.status == 200
        assert exchange.seen == []
        async with client.post(f"http://{HOST}:{port}/healthz"):
            assert exchange.seen[0].path == "/healthz"


async def test_a_body_that_says_it_is_too_large_is_refused_unread():
    async with serving(HttpConfig(max_body_bytes=10)) as (exchange, meter, port, _):
        answer = await raw(port, b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"Connection: close" in answer
    assert exchange.seen == []
    assert exchange.refused[0][0].path == "/x"
    assert exchange.refused[0][1].reason is Reason.TOO_LARGE
    assert meter.bounds == ["http.body_bytes"]


async def test_a_chunked_body_is_cut_off_at_the_bound():
    async with serving(HttpConfig(max_body_bytes=10)) as (exchange, _, port, _):
        chunks = b"8\r\naaaaaaaa\r\n" * 4 + b"0\r\n\r\n"
        answer = await raw(
            port, b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks
        )
        assert answer.startswith(b"HTTP/1.1 413")
    assert exchange.seen == []


async def test_a_chunked_body_within_the_bound_arrives_whole():
    async with serving(HttpConfig(max_body_bytes=100)) as (exchange, _, port, _):
        chunks = b"3\r\nabc\r\n" * 4 + b"0\r\n\r\n"
        await raw(port, b"POST /x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + chunks)
    assert exchange.seen[0].body == b"abc" * 4


async def test_a_body_that_never_ends_is_not_waited_for():
    async with serving(HttpConfig(body_seconds=0.2)) as (exchange, meter, port, _):
        answer = await raw(port, b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc")
        assert answer.startswith(b"HTTP/1.1 400")
    assert meter.bounds == ["http.body_seconds"]
    assert exchange.seen == []


async def test_headers_that_never_end_are_not_waited_for():
    async with serving(HttpConfig(keepalive_seconds=0.3)) as (exchange, _, port, _):
        assert await raw(port, b"POST /x HTTP/1.1\r\nHost: h\r\nX-Slow: ") == b""
    assert exchange.seen == []


async def test_a_path_that_is_too_long_is_refused():
    async with serving(HttpConfig(max_path_bytes=50)) as (exchange, meter, port, _):
        answer = await raw(port, b"GET /" + b"a" * 60 + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 413")
    assert meter.bounds == ["http.path_bytes"]
    assert exchange.seen == []


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x00" * 64,
        b"\x10\x00\x04MQTT" * 10,
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
)
async def test_garbage_is_refused_and_the_server_goes_on(garbage):
    async with serving() as (exchange, _, port, _), aiohttp.ClientSession() as client:
        answer = await raw(port, garbage)
        assert answer == b"" or answer.startswith((b"HTTP/1.0 400", b"HTTP/1.1 400"))
        assert exchange.seen == []
        async with client.get(f"http://{HOST}:{port}/healthz") as response:
            assert response.status == 200


async def test_bytes_in_a_path_that_are_not_utf8_do_no_harm():
    async with serving() as (exchange, _, port, _):
        answer = await raw(port, b"GET /%ff%fe HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200")
    assert exchange.seen[0].path == "/\ufffd\ufffd"


async def test_connections_are_bounded_for_each_source_and_counted_off():
    async with serving(HttpConfig(connections_per_source=1)) as (_, meter, port, _):
        first = await asyncio.open_connection(HOST, port)
        await asyncio.sleep(0.05)
        assert await asyncio.wait_for(refused_connection(port), 10)
        first[1].close()
        await first[1].wait_closed()
        for _ in range(100):
            if not meter.levels["http.connections"]:
                break
            await asyncio.sleep(0.02)
        assert meter.levels["http.connections"] == 0
        assert (await raw(port, b"GET /healthz HTTP/1.0\r\n\r\n")).endswith(b"ok\n")
    assert meter.bounds == ["http.connections_per_source"]


async def test_connections_are_bounded_in_total():
    async with serving(HttpConfig(connections=1)) as (_, meter, port, _):
        first = await asyncio.open_connection(HOST, port)
        await asyncio.sleep(0.05)
        assert await asyncio.wait_for(refused_connection(port), 10)
        first[1].close()
        await first[1].wait_closed()
    assert meter.bounds == ["http.connections"]


async def refused_connection(port):
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        writer.write(b"GET /healthz HTTP/1.0\r\n\r\n")
        return await reader.read() == b""
    except ConnectionError:
        return True
    finally:
        writer.transport.abort()


async def test_a_request_under_way_is_answered_before_the_server_is_gone():
    async with serving() as (exchange, _, port, server), aiohttp.ClientSession() as client:
        exchange.gate.clear()
        asked = asyncio.create_task(client.post(f"http://{HOST}:{port}/slow", data=b"kept"))
        await asyncio.wait_for(exchange.entered.wait(), 10)
        server.stop_accepting()
        with pytest.raises(OSError, match=r"refused|Connect"):
            await asyncio.open_connection(HOST, port)
        asyncio.get_running_loop().call_later(0.1, exchange.gate.set)
        await server.close(10.0)
        response = await asked
        assert await response.read() == b"kept"


async def test_a_taken_port_is_an_os_error():
    async with serving() as (_, _, port, server):
        with pytest.raises(OSError, match="in use"):
            await server.start(HOST, port)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_curl_gets_its_answer():
    async with serving() as (_, _, port, _):
        process = await asyncio.create_subprocess_exec(
            "curl", "-sS", "-d", '{"a":1}', f"http://{HOST}:{port}/x", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        assert out == b'{"a":1}'


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization : Bearer the-secret\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer the-secret\x00\r\n\r\n",
        b"POST /api/v1/the-secret x/telemetry HTTP/1.1\r\nHost: x\r\n\r\n",
        b"the-secret",
        b"\x16\x03\x01the-secret\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_neither_repeated_nor_logged(sent: bytes, caplog: pytest.LogCaptureFixture):
    async with serving() as (exchange, meter, port, _):
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(sent)
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        await writer.wait_closed()
        for _ in range(5):
            await asyncio.sleep(0)
    assert b"secret" not in answer
    assert b"aiohttp" not in answer
    assert "secret" not in caplog.text
    if answer:
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"Server: firstlight" in answer
        assert answer.endswith(b'{"detail":"the request is not HTTP"}')
        assert meter.bounds == ["http.malformed"]
    assert exchange.seen == []


async def test_a_client_that_goes_away_inside_its_body_leaves_one_refusal_and_no_traceback(caplog: pytest.LogCaptureFixture):
    async with serving() as (exchange, _, port, _):
        _, writer = await asyncio.open_connection(HOST, port)
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
        for _ in range(200):
            if exchange.refused:
                break
            await asyncio.sleep(0.01)
    ((_, refusal),) = exchange.refused
    assert (refusal.reason, refusal.check) == (Reason.MALFORMED, "http.body_lost")
    assert "Traceback" not in caplog.text
