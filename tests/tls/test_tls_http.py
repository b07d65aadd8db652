"""HTTP over TLS: who a device is by its certificate, and the same bounds as without."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from adapters.exchange import Outbound, Success
from adapters.http.config import HttpConfig
from adapters.http.server import HttpServer, Page
from adapters.tls.contexts import HTTP
from core.errors import Reason
from core.messages import CertificateLogin
from tests.tls.tls_doorman import Doorman
from tests.tls.tls_parties import HOST, Counts, Place, closed, opened, said, signed, until

GET = b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n"


class Served(NamedTuple):
    port: int
    door: Doorman
    meter: Counts
    server: HttpServer


async def page() -> Page:
    return Page(200, "text/plain", b"ok\n")


@contextlib.asynccontextmanager
async def serving(home: Place, **bounds: Any) -> AsyncIterator[Served]:
    door, meter = Doorman(), Counts()
    server = HttpServer(door, meter, HttpConfig(**bounds), {"/healthz": page})
    port = (await server.start(HOST, 0, tls=home.contexts(meter, *HTTP)))[1]
    try:
        yield Served(port, door, meter, server)
    finally:
        await server.close(1.0)


async def curl(home: Place, port: int, *words: str | Path, path: str = "/who") -> str:
    return await said("curl", "-sS", "--max-time", "10", "--cacert", home.authority, *words, f"https://localhost:{port}{path}")


async def test_curl_comes_with_a_certificate_and_without(home: Place, own: Place) -> None:
    leaf = signed("pump-1")
    file = own.write("pump-1", leaf)
    async with serving(home) as there:
        assert await curl(home, there.port) == "nobody"
        assert there.door.asked == []
        assert await curl(home, there.port, "--cert", file) == "pump-1"
        assert await curl(home, there.port, "--tls-max", "1.2", "--cert", file) == "pump-1"
        assert there.door.asked == [CertificateLogin((leaf.der,))] * 2
        assert all(inbound.peer.secure for inbound in there.door.handled)
        assert await curl(home, there.port, "--cert", own.write("stranger", signed("stranger"))) == "nobody"
        assert "HTTP/1.1 200" in await curl(home, there.port, "-i", "--http2")
        assert await curl(home, there.port, path="/healthz") == "ok\n"
    assert there.door.left == 2


async def test_a_certificate_is_asked_about_once_for_a_connection(home: Place, own: Place) -> None:
    for name, shown in (("pump-1", b"pump-1"), ("stranger", b"nobody")):
        async with serving(home) as there:
            reader, writer = await opened(there.port, home.client(own.write(name, signed(name))))
            for _ in range(3):
                writer.write(GET)
                assert (await _answer(reader)).endswith(shown)
            assert len(there.door.asked) == 1
            assert there.door.peers[0].secure
            await closed(writer)


async def test_what_cannot_be_told_now_is_asked_again(home: Place, own: Place) -> None:
    file = own.write("busy", signed(Reason.UNAVAILABLE.value))
    async with serving(home) as there:
        reader, writer = await opened(there.port, home.client(file))
        for _ in range(2):
            writer.write(GET)
            assert (await _answer(reader)).startswith(b"HTTP/1.1 503")
        assert len(there.door.asked) == 2
        assert there.door.handled == []
        await closed(writer)


async def test_a_connection_ends_with_what_it_proved(home: Place, own: Place) -> None:
    async with serving(home) as there:
        reader, writer = await opened(there.port, home.client(own.write("pump-1", signed("pump-1"))))
        writer.write(GET)
        assert (await _answer(reader)).endswith(b"pump-1")
        there.door.ends[0]()
        assert await asyncio.wait_for(reader.read(), 15) == b""
        await until(lambda: there.door.left == 1)
        await closed(writer)


async def test_a_request_under_way_is_answered_before(home: Place, own: Place) -> None:
    async with serving(home) as there:
        entered, release = asyncio.Event(), asyncio.Event()
        handle = there.door.handle

        async def slow(inbound: Any) -> Any:
            entered.set()
            await release.wait()
            return await handle(inbound)

        there.door.handle = slow  # type: ignore[method-assign]  # the same, later
        reader, writer = await opened(there.port, home.client(own.write("pump-1", signed("pump-1"))))
        writer.write(GET + GET)
        await asyncio.wait_for(entered.wait(), 15)
        there.door.ends[0]()
        release.set()
        assert (await _answer(reader)).endswith(b"pump-1")
        assert await asyncio.wait_for(reader.read(), 15) == b""
        assert len(there.door.handled) == 1
        await closed(writer)


async def test_a_body_that_comes_after_the_end_is_nobodys(home: Place, own: Place) -> None:
    async with serving(home) as there:
        reader, writer = await opened(there.port, home.client(own.write("pump-1", signed("pump-1"))))
        writer.write(b"POST /who HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{")
        await until(lambda: there.door.ends)
        there.door.ends[0]()
        writer.write(b"}")
        assert (await _answer(reader)).endswith(b"{}")
        assert [inbound.identity for inbound in there.door.handled] == [None]
        assert await asyncio.wait_for(reader.read(), 15) == b""
        await closed(writer)


async def test_a_stream_ends_with_what_was_proved(home: Place, own: Place) -> None:
    parted = asyncio.Event()

    async def parts() -> AsyncGenerator[bytes, None]:
        try:
            while True:
                yield b"x" * 1_000
                await asyncio.sleep(0.01)
        finally:
            parted.set()

    async with serving(home) as there:
        there.door.answer = Outbound(outcome=Success.OK, stream=parts())
        reader, writer = await opened(there.port, home.client(own.write("pump-1", signed("pump-1"))))
        writer.write(GET)
        await reader.readuntil(b"xxxx")
        there.door.ends[0]()
        await asyncio.wait_for(parted.wait(), 15)
        with contextlib.suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 15)
        await closed(writer)


async def test_large_bodies_go_both_ways(home: Place, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(bytes(range(256)) * 12_000)  # 3 MB
    async with serving(home) as there:
        back = tmp_path / "back"
        assert await curl(home, there.port, "--data-binary", f"@{body}", "-o", back) == ""
        assert back.read_bytes() == body.read_bytes()
        assert there.door.handled[0].body == body.read_bytes()


async def test_a_handshake_counts_as_a_connection(home: Place) -> None:
    async with serving(home, connections_per_source=2, handshake_seconds=5.0) as there:
        dawdling = [await asyncio.open_connection(HOST, there.port) for _ in range(2)]
        await until(lambda: there.meter.levels.get("http.connections") == 2)
        with pytest.raises((ConnectionError, ssl.SSLError)):
            await opened(there.port, home.client())
        assert there.meter.bounds == ["http.connections_per_source"]
        for _, writer in dawdling:
            await closed(writer)
        await until(lambda: there.meter.levels["http.connections"] == 0)
        assert there.meter.bounds[1:] == ["tls.handshake"] * 2


async def test_a_handshake_that_dawdles_is_ended(home: Place) -> None:
    async with serving(home, handshake_seconds=0.1) as there:
        reader, writer = await asyncio.open_connection(HOST, there.port)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 15) == b""
        assert there.meter.bounds == ["tls.handshake_seconds", "tls.handshake"]
        await closed(writer)


async def test_who_leaves_while_it_is_asked_about_is_not_attended(home: Place, own: Place) -> None:
    async with serving(home) as there:
        entered, release = asyncio.Event(), asyncio.Event()
        login = there.door.login

        async def slow(*asked: Any) -> Any:
            entered.set()
            await release.wait()
            return await login(*asked)

        there.door.login = slow  # type: ignore[assignment,method-assign]  # the same, later
        _, writer = await opened(there.port, home.client(own.write("pump-1", signed("pump-1"))))
        writer.write(GET)
        await asyncio.wait_for(entered.wait(), 15)
        await closed(writer)
        await until(lambda: there.meter.levels["http.connections"] == 0)
        release.set()
        await until(lambda: there.door.left == 1)


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Read one answer with its body."""
    async with asyncio.timeout(15):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split()[0])
        return head + await reader.readexactly(length)
