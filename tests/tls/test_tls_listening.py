"""TLS as clients see it: versions, ciphers, certificates asked for, and connections that end in every way."""

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import Any

import pytest
from OpenSSL import SSL

from adapters.tls.contexts import HTTP
from adapters.tls.engine import Engine
from tests.tls.tls_parties import HOST, LOOPS, Counts, Place, closed, listening, opened, run, said, signed, until

EVERY_LOOP = pytest.mark.parametrize("loop", LOOPS)
BIG = bytes(range(256)) * 16_384  # 4 MiB


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_modern_versions_are_spoken(home: Place, version: str) -> None:
    async with listening(home.contexts(Counts())) as there:
        text = await s_client(there.port, version, "-CAfile", home.authority, "-verify_return_error")
    assert "hello" in text
    assert "Verify return code: 0 (ok)" in text
    assert there.connections[0].chain == ()


@pytest.mark.parametrize(
    "words",
    [
        ("-tls1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "AES128-SHA:AES128-GCM-SHA256:@SECLEVEL=0"),  # no forward secrecy
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0"),  # CBC
        ("-tls1_2", "-cipher", "eNULL:aNULL:@SECLEVEL=0"),
        ("-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0"),
    ],
    ids=lambda words: " ".join(words[::2]),
)
async def test_what_is_old_or_weak_is_refused(home: Place, words: tuple[str, ...]) -> None:
    meter = Counts()
    async with listening(home.contexts(meter)) as there:
        text = await s_client(there.port, *words)
    assert "Cipher is (NONE)" in text
    assert meter.bounds == ["tls.handshake"]
    assert isinstance(there.connections[0].lost.result(), ConnectionError)


async def test_the_protocol_is_agreed_on_and_strangers_to_it_are_served(home: Place) -> None:
    async with listening(home.contexts(Counts(), *HTTP)) as there:
        assert "ALPN protocol: http/1.1" in await s_client(there.port, "-alpn", "h2,http/1.1")
        assert "No ALPN negotiated" in await s_client(there.port, "-alpn", "h2")


async def test_sessions_are_not_resumed(home: Place, own: Place) -> None:
    kept = own.folder / "session"
    async with listening(home.contexts(Counts())) as there:
        for version in ("-tls1_2", "-tls1_3"):
            await s_client(there.port, version, "-sess_out", kept)
            if kept.exists():
                assert "Reused" not in await s_client(there.port, version, "-sess_in", kept)
    assert [bytes(each.received) for each in there.connections] == [b"hello\n"] * len(there.connections)


async def test_nothing_is_renegotiated(home: Place) -> None:
    async with listening(home.contexts(Counts())) as there:
        text = await said(*client(there.port, "-tls1_2"), sent=b"R\n", until_said=b"no renegotiation")
    assert "no renegotiation" in text


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("known", [False, True])
async def test_a_clients_chain_is_handed_on_as_it_was_sent(home: Place, own: Place, version: str, known: bool) -> None:
    root = signed("root", authority=True)
    middle = signed("middle", root, authority=True)
    leaf = signed("pump-1", middle)
    file, authority = own.write("pump-1", leaf, middle, root), own.write("root", root)
    contexts = home.contexts(Counts(), client_ca=authority if known else None)
    async with listening(contexts) as there:
        text = await s_client(there.port, version, "-cert", file, "-key", file, "-cert_chain", file)
    assert ("root" in text.partition("Acceptable client certificate CA names")[2].partition("\n\n")[0]) is known
    assert there.connections[0].chain == (leaf.der, middle.der, root.der)


async def test_the_servers_own_chain_is_sent(own: Place) -> None:
    root = signed("root", authority=True)
    middle = signed("middle", root, authority=True)
    leaf = signed("localhost", middle)
    own.certificate.write_bytes(leaf.pem + middle.pem)
    own.key.write_bytes(leaf.key_pem)
    own.authority.write_bytes(root.pem)
    async with listening(own.contexts(Counts())) as there:
        text = await s_client(there.port, "-CAfile", own.authority)
    assert "Verify return code: 0 (ok)" in text


async def test_a_certificate_that_signed_itself_is_handed_on(home: Place, own: Place) -> None:
    alone = signed("alone")
    file = own.write("alone", alone)
    async with listening(home.contexts(Counts())) as there:
        await s_client(there.port, "-cert", file, "-key", file)
    assert there.connections[0].chain == (alone.der,)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
async def test_whoever_does_not_come_from_the_authorities_is_refused(home: Place, own: Place, version: str) -> None:
    file, authority = own.write("alone", signed("alone")), own.write("root", signed("root", authority=True))
    meter = Counts()
    async with listening(home.contexts(meter, client_ca=authority)) as there:
        text = await s_client(there.port, version, "-cert", file, "-key", file)
        assert "alert unknown ca" in text
        assert "hello" in await s_client(there.port, version)  # without a certificate: somebody else asks for one, or not
    assert meter.bounds == ["tls.handshake"]


async def test_an_authority_in_the_middle_is_enough(home: Place, own: Place) -> None:
    middle = signed("middle", signed("root", authority=True), authority=True)
    leaf = signed("pump-1", middle)
    file, authority = own.write("pump-1", leaf), own.write("middle", middle)
    async with listening(home.contexts(Counts(), client_ca=authority)) as there:
        await s_client(there.port, "-cert", file, "-key", file)
    assert there.connections[0].chain == (leaf.der,)


async def test_a_new_certificate_is_for_new_connections(own: Place) -> None:
    contexts = own.contexts(Counts())
    material = contexts._material
    async with listening(contexts) as there:
        before = own.client()
        reader, writer = await opened(there.port, before)
        own.renew()
        material.look()
        _, other = await opened(there.port, own.client())
        with pytest.raises(ssl.SSLCertVerificationError):
            await opened(there.port, before)
        writer.write(b"still here")
        assert await reader.readexactly(10) == b"still here"
        await closed(other)
        await closed(writer)


@EVERY_LOOP
def test_much_goes_both_ways(home: Place, loop: str) -> None:
    async def scene() -> None:
        async with listening(home.contexts(Counts())) as there:
            reader, writer = await opened(there.port, home.client())
            taking = asyncio.create_task(reader.readexactly(len(BIG)))
            writer.write(BIG)
            await writer.drain()
            assert await asyncio.wait_for(taking, 15) == BIG
            await closed(writer)

    run(loop, scene())


@EVERY_LOOP
def test_who_does_not_read_holds_the_writer_back(home: Place, loop: str) -> None:
    async def scene() -> None:
        async with listening(home.contexts(Counts())) as there:
            reader, writer = await opened(there.port, home.client())
            writer.write(b"x")
            await reader.readexactly(1)
            protocol = await there.first()
            transport = protocol.transport
            transport.set_write_buffer_limits(high=10_000)
            assert transport.get_write_buffer_limits()[1] == 10_000
            while True not in protocol.paused:
                transport.write(BIG)
                await asyncio.sleep(0)
            held = transport.get_write_buffer_size()
            assert held > 10_000
            await reader.readexactly(len(BIG))
            taking = asyncio.create_task(reader.read())
            transport.close()
            assert transport.is_closing()
            assert len(await asyncio.wait_for(taking, 15)) % len(BIG) == 0  # all of it, and then a proper end
            assert await asyncio.wait_for(protocol.lost, 15) is None
            await closed(writer)

    run(loop, scene())


@EVERY_LOOP
def test_who_makes_tls_talk_and_does_not_read_is_not_heard(home: Place, loop: str) -> None:
    async def scene() -> None:
        async with listening(home.contexts(Counts())) as there:
            reader, writer = await asyncio.open_connection(HOST, there.port, limit=1_024)
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.set_max_proto_version(SSL.TLS1_2_VERSION)
            client = Engine(context, connecting=True)
            while not client.shake_hands():
                writer.write(client.take())
                client.feed(await reader.read(1_024))
            protocol = await there.first()
            protocol.echoes = False
            client.encrypt(b"hello")
            writer.write(client.take())
            await until(lambda: protocol.received == b"hello")
            while True not in protocol.paused:
                protocol.transport.write(BIG)
                await asyncio.sleep(0)
            client._connection.renegotiate()
            assert not client.shake_hands()
            writer.write(client.take())
            await until(lambda: not protocol.transport._reading)
            while protocol.paused[-1]:
                await asyncio.wait_for(reader.read(1_000_000), 15)
            assert protocol.transport._reading
            await closed(writer)

    run(loop, scene())


@EVERY_LOOP
def test_a_protocol_that_rests_gets_everything_later(home: Place, loop: str) -> None:
    async def scene() -> None:
        async with listening(home.contexts(Counts())) as there:
            _, writer = await opened(there.port, home.client())
            protocol = await there.first()
            protocol.echoes = False
            writer.write(b"first")
            await until(lambda: protocol.received == b"first")
            transport = protocol.transport
            transport.pause_reading()
            transport.pause_reading()
            assert not transport.is_reading()
            sending = asyncio.create_task(_send(writer, BIG))
            await asyncio.sleep(0.05)
            assert protocol.received == b"first"
            transport.resume_reading()
            transport.resume_reading()
            assert transport.is_reading()
            await until(lambda: len(protocol.received) == 5 + len(BIG))
            await sending
            await closed(writer)
            assert await asyncio.wait_for(protocol.lost, 15) is None
            transport.resume_reading()

    run(loop, scene())


async def _send(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)
    await writer.drain()


@EVERY_LOOP
def test_a_protocol_may_rest_in_the_middle_of_what_came(home: Place, loop: str) -> None:
    async def scene() -> None:
        async with listening(home.contexts(Counts())) as there:
            _, writer = await opened(there.port, home.client())
            protocol = await there.first()
            seen: list[int] = []

            class Slow(asyncio.Protocol):
                def data_received(self, data: bytes) -> None:
                    seen.append(len(data))
                    protocol.transport.pause_reading()
                    asyncio.get_running_loop().call_soon(protocol.transport.resume_reading)

                def connection_lost(self, error: Exception | None) -> None:
                    protocol.lost.set_result(error)

            protocol.transport.set_protocol(Slow())
            assert isinstance(protocol.transport.get_protocol(), Slow)
            writer.write(BIG[:500_000])
            writer.close()  # the end, too, waits for its turn
            await asyncio.wait_for(protocol.lost, 15)
            assert sum(seen) == 500_000
            await closed(writer)

    run(loop, scene())


@EVERY_LOOP
def test_a_protocol_that_fails_loses_its_connection(home: Place, loop: str) -> None:
    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(None)
        async with listening(home.contexts(Counts())) as there:
            reader, writer = await opened(there.port, home.client())
            protocol = await there.first()
            protocol.transport.pause_reading()

            class Broken(asyncio.Protocol):
                def data_received(self, data: bytes) -> None:
                    raise ZeroDivisionError

                def connection_lost(self, error: Exception | None) -> None:
                    protocol.lost.set_result(error)

            protocol.transport.set_protocol(Broken())
            heard: list[dict[str, Any]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: heard.append(context))
            writer.write(BIG[:100])
            await asyncio.sleep(0.02)
            protocol.transport.resume_reading()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            await asyncio.wait_for(protocol.lost, 15)
            assert any(isinstance(context["exception"], ZeroDivisionError) for context in heard)
            await closed(writer)

    run(loop, scene())


# How connections end


@EVERY_LOOP
@pytest.mark.parametrize("how", ["close_notify", "fin", "reset"])
def test_a_client_that_leaves_is_noticed(home: Place, loop: str, how: str) -> None:
    async def scene() -> None:
        async with listening(home.contexts(Counts())) as there:
            bare = await asyncio.to_thread(_shake_hands, there.port, home)
            protocol = await there.first()
            await until(lambda: protocol.received == b"hello")
            if how == "close_notify":
                await asyncio.to_thread(bare.unwrap)
            elif how == "fin":
                socket.socket.shutdown(bare, socket.SHUT_WR)
            else:
                bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                bare.close()
            error = await asyncio.wait_for(protocol.lost, 15)
            assert isinstance(error, ConnectionError) if how == "reset" else error is None
            assert protocol.ended is (how != "reset")
            bare.close()

    run(loop, scene())


@EVERY_LOOP
def test_one_who_has_said_all_still_hears(home: Place, loop: str) -> None:
    async def scene() -> None:
        async with listening(home.contexts(Counts())) as there:
            bare = await asyncio.to_thread(_shake_hands, there.port, home)
            protocol = await there.first()
            await until(lambda: protocol.received == b"hello")
            protocol.keeps_open = True
            socket.socket.shutdown(bare, socket.SHUT_WR)
            await until(lambda: protocol.ended)
            protocol.transport.write(b" and goodbye")
            protocol.transport.close()
            protocol.transport.close()
            protocol.transport.write(b"for nobody")
            assert await asyncio.to_thread(_read_all, bare) == b" and goodbye"
            bare.close()

    run(loop, scene())


def _shake_hands(port: int, home: Place) -> ssl.SSLSocket:
    raw = socket.create_connection((HOST, port), 10)
    bare = home.client().wrap_socket(raw, server_hostname="localhost")
    bare.sendall(b"hello")
    assert bare.recv(5) == b"hello"
    return bare


def _read_all(bare: ssl.SSLSocket) -> bytes:
    heard = b""
    while part := bare.recv(1_000):
        heard += part
    return heard


@EVERY_LOOP
@pytest.mark.parametrize(
    ("data", "bounds"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", ["tls.handshake"]),
        (b"\x16\x03\x01\x00\x05\x01\xff\xff\xff\xff", ["tls.handshake"]),
        (b"", ["tls.handshake"]),
    ],
    ids=["no TLS", "a hello of 16 MiB", "nothing"],
)
def test_what_is_no_handshake_is_ended(home: Place, loop: str, data: bytes, bounds: list[str]) -> None:
    async def scene() -> None:
        meter = Counts()
        async with listening(home.contexts(meter)) as there:
            reader, writer = await asyncio.open_connection(HOST, there.port)
            writer.write(data)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), 15)
            protocol = await there.first()
            error = await asyncio.wait_for(protocol.lost, 15)
            assert isinstance(error, ConnectionAbortedError)
            assert protocol.transport.get_extra_info("peer_chain") is None
            assert meter.bounds == bounds
            await closed(writer)

    run(loop, scene())


@EVERY_LOOP
def test_who_breaks_off_in_the_handshake_is_counted(home: Place, loop: str) -> None:
    async def scene() -> None:
        meter = Counts()
        async with listening(home.contexts(meter)) as there:
            raw = socket.create_connection((HOST, there.port), 10)
            protocol = await there.first()
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raw.close()
            assert isinstance(await asyncio.wait_for(protocol.lost, 15), ConnectionAbortedError)
            assert meter.bounds == ["tls.handshake"]

    run(loop, scene())


@EVERY_LOOP
def test_a_handshake_that_dawdles_is_ended(home: Place, loop: str) -> None:
    async def scene() -> None:
        meter = Counts()
        async with listening(home.contexts(meter), seconds=0.3) as there:
            reader, writer = await asyncio.open_connection(HOST, there.port)
            hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc" + bytes(508)
            protocol = await there.first()
            protocol.transport.write(b"x" * 100)  # what is written before waits, and is counted
            assert protocol.transport.get_write_buffer_size() == 100
            for octet in hello[:200]:
                if protocol.lost.done():
                    break
                writer.write(bytes((octet,)))
                await asyncio.sleep(0.01)
            assert isinstance(await asyncio.wait_for(protocol.lost, 15), ConnectionAbortedError)
            assert meter.bounds == ["tls.handshake_seconds", "tls.handshake"]
            with contextlib.suppress(ConnectionError):
                await reader.read()
            await closed(writer)

    run(loop, scene())


async def test_a_handshake_may_have_no_limit_of_time(home: Place) -> None:
    async with listening(home.contexts(Counts()), seconds=0) as there:
        assert "hello" in await s_client(there.port)


async def test_a_handshake_of_too_many_bytes_is_ended(home: Place, own: Place) -> None:
    chain = [signed("x" * 60, authority=True)] * 160
    file = own.write("many", *chain)
    meter = Counts()
    async with listening(home.contexts(meter, handshake_bytes=4_096)) as there:
        await said(*client(there.port, "-cert", file, "-key", file, "-cert_chain", file), sent=b"hello\n")
        await until(lambda: there.connections[0].lost.done())
    assert meter.bounds == ["tls.handshake_bytes", "tls.handshake"]


@EVERY_LOOP
def test_garbage_after_the_handshake_ends_the_connection(home: Place, loop: str) -> None:
    async def scene() -> None:
        meter = Counts()
        async with listening(home.contexts(meter)) as there:
            bare = await asyncio.to_thread(_shake_hands, there.port, home)
            protocol = await there.first()
            await until(lambda: protocol.received == b"hello")
            socket.socket.send(bare, b"this is not TLS at all")
            assert isinstance(await asyncio.wait_for(protocol.lost, 15), ConnectionAbortedError)
            assert meter.bounds == []
            bare.close()

    run(loop, scene())


@EVERY_LOOP
def test_one_who_is_not_wanted_costs_no_handshake(home: Place, loop: str) -> None:
    async def scene() -> None:
        contexts = home.contexts(Counts())
        async with listening(contexts) as there:
            reader, writer = await asyncio.open_connection(HOST, there.port)
            protocol = await there.first()
            protocol.transport.abort()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            assert await asyncio.wait_for(protocol.lost, 15) is None
            assert there.meter.bounds == []
            await closed(writer)
            _, second = await asyncio.open_connection(HOST, there.port)
            await until(lambda: len(there.connections) == 2)
            there.connections[1].transport.close()
            assert await asyncio.wait_for(there.connections[1].lost, 15) is None
            await closed(second)

    run(loop, scene())


@EVERY_LOOP
def test_a_source_shakes_hands_so_often(home: Place, loop: str) -> None:
    async def scene() -> None:
        meter = Counts()
        async with listening(home.contexts(meter, handshakes_per_second=0.001, burst_handshakes=2)) as there:
            for _ in range(2):
                assert "hello" in await s_client(there.port)
            reader, writer = await asyncio.open_connection(HOST, there.port)
            await until(lambda: len(there.connections) == 3)
            protocol = there.connections[2]
            protocol.transport.write(b"never sent")
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            await asyncio.wait_for(protocol.lost, 15)
            assert protocol.transport.is_closing()
            assert meter.bounds == ["tls.handshakes_per_second"]
            await closed(writer)

    run(loop, scene())


@EVERY_LOOP
def test_two_hundred_at_once(home: Place, loop: str) -> None:
    async def scene() -> None:
        async with listening(home.contexts(Counts())) as there:
            context = home.client()
            clients = await asyncio.gather(*(opened(there.port, context) for _ in range(200)))
            for number, (_, writer) in enumerate(clients):
                writer.write(number.to_bytes(2, "big"))
            for number, (reader, _) in enumerate(clients):
                assert await reader.readexactly(2) == number.to_bytes(2, "big")
            for _, writer in clients:
                await closed(writer)
            await until(lambda: all(each.lost.done() for each in there.connections))

    run(loop, scene())


def client(port: int, *words: object) -> tuple[str, ...]:
    return ("openssl", "s_client", "-connect", f"{HOST}:{port}", "-servername", "localhost", *map(str, words))


async def s_client(port: int, *words: object) -> str:
    """Say hello by OpenSSL's own client, which is answered with the same."""
    return await said(*client(port, *words), sent=b"hello\n", until_said=b"\nhello\n")
