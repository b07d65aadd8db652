"""CoAP over TCP, spoken byte by byte: settings, signals, requests, observing, bounds and nonsense."""

import asyncio
import random
from typing import Any

import pytest

from adapters.coap.tcp.connection import TURN_MESSAGES, Connection
from adapters.coap.tcp.framing import Frames, FramingError, frame, reframed
from tests.coap_tcp.streams import ABORT, CSM, HELLO, PING, PONG, RELEASE, Stream, Streaming, framed, streaming
from tests.protocols.coap_peers import (
    BIG,
    BLOCK1,
    BLOCK2,
    CON,
    CONTENT_FORMAT,
    ECHO,
    GET,
    NO_RESPONSE,
    OBSERVE,
    POST,
    PUT,
    block,
    message,
    until,
)


async def test_settings_and_a_request() -> None:
    async with streaming() as served:
        stream = await served.connect()
        settings = await stream.receive()
        assert (settings.code, settings.options) == (CSM, {2: (72 * 1024).to_bytes(3, "big"), 4: b""})
        await stream.send(HELLO)
        answer = await stream.ask(PUT, (CONTENT_FORMAT, b"\x32"), path="put", payload=b"{}", token=b"12345678")
        assert (answer.dotted, answer.token, answer.payload, answer.options[CONTENT_FORMAT]) == (
            "2.04",
            b"12345678",
            b"{}",
            b"2",
        )
        assert (await stream.get("who")).payload == b"nobody False"
        assert served.exchange.seen[0].peer.port == stream.writer.get_extra_info("sockname")[1]
        assert served.meter.bounds == {}


@pytest.mark.parametrize("size", [0, 5, 12, 200, 269, 5_000, 65_536])
async def test_messages_of_all_lengths(size: int) -> None:
    async with streaming() as served:
        stream = await served.greeted(hello=framed(CSM, (2, b"\x7f\xff\xff\xff"), (4, b"")))
        assert (await stream.ask(PUT, path="put", payload=BIG[:size])).payload == BIG[:size]


async def test_bytes_that_come_one_by_one_and_messages_that_come_together() -> None:
    async with streaming() as served:
        stream = await served.greeted()
        request = framed(PUT, path="put", payload=b"x" * 20, token=b"1")
        for byte in request:
            stream.writer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await stream.receive()).payload == b"x" * 20
        await stream.send(b"\x00\x00" + request * 40)  # an empty message is nothing
        for _ in range(40):
            assert (await stream.receive()).token == b"1"


async def test_requests_run_side_by_side_up_to_a_bound() -> None:
    async with streaming(tcp_running=3) as served:
        stream = await served.greeted()
        await stream.send(framed(GET, path="slow", token=b"s") * 2 + framed(GET, path="who", token=b"w"))
        assert (await stream.receive()).token == b"w"
        await stream.send(framed(GET, path="slow", token=b"s") + framed(GET, path="who", token=b"w"))
        await until(lambda: len(served.exchange.seen) == 4)
        await asyncio.sleep(0.05)
        assert len(served.exchange.seen) == 4
        served.exchange.gate.set()
        assert sorted([(await stream.receive()).token for _ in range(4)]) == [b"s", b"s", b"s", b"w"]


async def test_pings_and_other_signals() -> None:
    async with streaming() as served:
        stream = await served.greeted()
        pong = await stream.ask(PING, token=b"p")
        assert (pong.code, pong.token) == (PONG, b"p")
        await stream.send(framed(PONG) + framed(CSM, (2, b"\x10\x00")) + framed(0x45))
        assert (await stream.ask(PING, (2, b""))).code == PONG  # elective options are ignored
        assert served.meter.bounds == {"coap.malformed": 1}


@pytest.mark.parametrize(
    ("first", "text", "option"),
    [
        (framed(GET, path="who"), b"no settings before the first message", b""),
        (framed(PING), b"no settings before the first message", b""),
        (framed(CSM, (9, b"")), b"unknown critical option", b"\x09"),
        (HELLO + framed(PING, (1, b"")), b"unknown critical option", b""),
        (HELLO + framed(0xE9), b"unknown signal", b""),
        (HELLO + b"\x10\xe2\xff", b"a signal that cannot be read", b""),
        (HELLO + b"\x09\x01123456789", b"no CoAP message", b""),
        (HELLO + b"\x10\x01\xff", b"no CoAP message", b""),
        (HELLO + b"\xf0\xff\xff\xff\xff\x01", b"no CoAP message", b""),
        (HELLO + framed(GET, *[(2000, b"")] * 65), b"no CoAP message", b""),
        (b"GET / HTTP/1.1\r\n\r\n", b"no settings before the first message", b""),
    ],
)
async def test_what_ends_a_connection(first: bytes, text: bytes, option: bytes) -> None:
    async with streaming() as served:
        stream = await served.connect()
        await stream.send(first)
        assert (await stream.receive()).code == CSM
        last = await stream.receive()
        assert (last.code, last.payload, last.options.get(2, b"")) == (ABORT, text, option)
        assert await stream.ended()
        assert served.meter.bounds.total() == 1
        assert served.exchange.seen == []


async def test_a_client_that_lets_go_hears_what_it_asked_for() -> None:
    async with streaming() as served:
        stream = await served.greeted()
        await stream.send(framed(GET, path="slow", token=b"s"))
        await until(lambda: served.exchange.seen)
        await stream.send(framed(RELEASE) + framed(GET, path="who"))
        assert (await stream.receive()).code == RELEASE
        served.exchange.gate.set()
        assert (await stream.receive()).token == b"s"
        assert await stream.ended()
        assert len(served.exchange.seen) == 1


async def test_a_client_that_is_gone_leaves_its_request_running() -> None:
    async with streaming() as served:
        for number, end in enumerate((framed(ABORT), b"")):
            stream = await served.greeted()
            await stream.send(framed(GET, path="slow"))
            await until(lambda: len(served.exchange.seen) > number)  # noqa: B023 - asked before the next one
            await stream.send(end)
            stream.writer.transport.abort()
        served.exchange.gate.set()
        await until(lambda: len(served.exchange.finished) == 2 and not served.connections)


async def test_half_a_client_hears_its_answers() -> None:
    async with streaming() as served:
        stream = await served.greeted()
        await stream.send(framed(GET, path="who", token=b"w"))
        stream.writer.write_eof()
        heard = {(await stream.receive()).code for _ in range(2)}
        assert heard == {0x45, RELEASE}
        assert await stream.ended()


async def test_large_answers_in_one_message_or_in_blocks() -> None:
    async with streaming(max_body_bytes=200_000) as served:
        small, large = await served.greeted(), await served.greeted(hello=framed(CSM, (2, b"\x7f\xff\xff\xff"), (4, b"")))
        assert (await large.get("big")).payload == BIG
        first = await small.get("big")
        assert (first.options[BLOCK2], len(first.payload)) == (block(0, True, 6), 1024)
        assert (await small.ask(GET, (BLOCK2, block(1, False, 6)), path="big")).payload == BIG[1024:2048]
        assert (await large.ask(GET, (BLOCK2, block(2, False, 7)), path="big")).payload == BIG[2048:3072]  # BERT
        await small.send(framed(CSM, (2, b"\x01\x00\x00")))
        assert len((await small.get("big")).payload) == 1024  # 100 KiB do not fit into 64


async def test_requests_in_blocks_of_any_size() -> None:
    async with streaming() as served:
        stream = await served.greeted()
        first = await stream.ask(PUT, (BLOCK1, block(0, True, 7)), path="put", payload=BIG[:4096])
        assert (first.dotted, first.options[BLOCK1]) == ("2.31", block(0, True, 7))
        last = await stream.ask(PUT, (BLOCK1, block(4, False, 7)), path="put", payload=BIG[4096:5000])
        assert (last.dotted, served.exchange.seen[-1].body) == ("2.04", BIG[:5000])
        odd = await stream.ask(PUT, (BLOCK1, block(0, True, 7)), path="put", payload=BIG[:4000])
        assert odd.dotted == "4.00"


async def test_what_is_too_large() -> None:
    async with streaming(max_body_bytes=1_000) as served:
        stream = await served.greeted()
        answer = await stream.ask(PUT, path="put", payload=bytes(1_001))
        assert (answer.dotted, answer.options[60]) == ("4.13", b"\x03\xe8")
        await stream.send(framed(PUT, path="put", payload=bytes(10_000)))
        last = await stream.receive()
        assert (last.code, last.payload) == (ABORT, b"no CoAP message")
        assert served.meter.bounds == {"coap.body": 1, "coap.tcp_message": 1}


async def test_refusals_and_wishes() -> None:
    async with streaming(require_echo=True) as served:
        stream = await served.greeted()
        assert (await stream.ask(GET, (3001, b""), path="who")).dotted == "4.02"
        assert (await stream.ask(9, path="who")).dotted == "4.05"
        assert (await stream.ask(POST, (ECHO, b"12345678"), path="broken")).dotted == "5.00"
        await stream.send(framed(GET, (NO_RESPONSE, b"\x02"), path="who"))
        assert (await stream.get("big")).dotted == "2.05"  # an address is proved by a connection


async def observing(served: Streaming) -> Stream:
    stream = await served.greeted()
    answer = await stream.ask(GET, (OBSERVE, b""), path="version", token=b"o")
    assert (answer.payload, OBSERVE in answer.options) == (b"v1", True)
    await until(lambda: served.exchange.asked["01"] == 2)
    return stream


async def test_observing() -> None:
    async with streaming() as served:
        stream = await observing(served)
        for version in range(2, 12):
            served.exchange.turn(version)
            told = await stream.receive()
            assert (told.dotted, told.token, told.payload) == ("2.05", b"o", b"v%d" % version)
        assert (await stream.ask(GET, (OBSERVE, b"\x01"), path="version", token=b"o")).payload == b"v11"
        assert served.meter.levels["coap.tcp_observers"] == 0
        served.exchange.turn(12)
        assert (await stream.ask(PING)).code == PONG


@pytest.mark.parametrize("way", ["abort", "release", "close"])
async def test_an_observer_that_is_gone_is_struck_off(way: str) -> None:
    async with streaming() as served:
        stream = await observing(served)
        if way == "close":
            stream.writer.transport.abort()
        else:
            await stream.send(framed(ABORT if way == "abort" else RELEASE))
        await until(lambda: not served.connections)
        assert (served.meter.levels["coap.tcp_observers"], served.exchange.watching) == (0, {})


async def test_connections_are_bounded() -> None:
    async with streaming(tcp_connections=3, tcp_connections_per_source=2) as served:
        stream, _ = await served.greeted(), await served.greeted()
        assert await (await served.connect()).ended()
        assert served.meter.bounds == {"coap.tcp_connections_per_source": 1}
        await stream.send(framed(ABORT))
        await until(lambda: served.connections == 1)
        await served.greeted()
    async with streaming(tcp_connections=1) as served:
        await served.greeted()
        assert await (await served.connect()).ended()
        assert served.meter.bounds == {"coap.tcp_connections": 1}


@pytest.mark.parametrize(
    ("bound", "said", "last"),
    [
        ("tcp_csm_seconds", b"", ABORT),
        ("tcp_message_seconds", HELLO + framed(PUT, path="put", payload=b"x")[:-1], ABORT),
        ("tcp_idle_seconds", HELLO, RELEASE),
    ],
)
async def test_time_is_bounded(bound: str, said: bytes, last: int) -> None:
    bounds: Any = {bound: 0.05}
    async with streaming(**bounds) as served:
        stream = await served.connect()
        await stream.send(said)
        assert [(await stream.receive()).code for _ in range(2)] == [CSM, last]
        assert await stream.ended()
        assert served.meter.bounds == {f"coap.{bound}": 1}


async def test_who_observes_or_waits_is_not_idle() -> None:
    async with streaming(tcp_idle_seconds=0.05) as served:
        stream = await observing(served)
        await asyncio.sleep(0.15)
        served.exchange.turn(2)
        assert (await stream.receive()).payload == b"v2"
        waiting = await served.greeted()
        await waiting.send(framed(GET, path="slow", token=b"s"))
        await asyncio.sleep(0.15)
        served.exchange.gate.set()
        assert (await waiting.receive()).token == b"s"


async def test_half_messages_are_bounded_together() -> None:
    async with streaming(tcp_received_bytes=50_000) as served:
        streams = [await served.greeted() for _ in range(3)]
        for stream in streams[:2]:
            await stream.send(framed(PUT, path="put", payload=bytes(60_000))[:20_000])
        await until(lambda: served.server._connections._received == 40_000)
        await streams[2].send(framed(PUT, path="put", payload=bytes(60_000))[:20_000])
        assert await streams[2].ended()
        assert served.meter.bounds == {"coap.tcp_received_bytes": 1}
        await streams[0].send(framed(PUT, path="put", payload=bytes(60_000))[20_000:])
        assert (await streams[0].receive()).dotted == "2.04"


async def test_a_client_that_does_not_read_is_read_no_more_and_let_go() -> None:
    async with streaming(max_body_bytes=200_000, tcp_write_stall_seconds=0.2, tcp_write_buffer_bytes=1_024) as served:
        stream = await served.greeted(hello=framed(CSM, (2, b"\x7f\xff\xff\xff"), (4, b"")))
        stream.writer.write(framed(GET, path="big", token=b"b") * 2_000)
        await until(lambda: not served.connections)
        assert served.meter.bounds["coap.tcp_write_stall_seconds"] == 1
        assert len(served.exchange.seen) < 1_000


async def test_a_client_that_reads_slowly_gets_everything() -> None:
    async with streaming(max_body_bytes=200_000, tcp_write_buffer_bytes=1_024) as served:
        stream = await served.greeted(hello=framed(CSM, (2, b"\x7f\xff\xff\xff"), (4, b"")))
        stream.writer.write(framed(GET, path="big", token=b"b") * 100)
        for _ in range(100):
            assert (await stream.receive()).payload == BIG


async def test_the_end_of_the_server() -> None:
    async with streaming(drain_seconds=5) as served:
        stream = await served.greeted()
        await stream.send(framed(GET, path="slow", token=b"s"))
        await until(lambda: served.exchange.seen)
        served.server.stop_accepting()
        with pytest.raises(ConnectionRefusedError):
            await served.connect()
        busy = await stream.get("who")
        assert (busy.dotted, busy.options[14], served.meter.bounds) == ("5.03", b"\x05", {"coap.draining": 1})
        closing = asyncio.create_task(served.server.close())
        assert (await stream.receive()).code == RELEASE
        served.exchange.gate.set()
        assert (await stream.receive()).token == b"s"
        assert await stream.ended()
        await closing


async def test_the_end_of_the_server_does_not_wait_for_ever() -> None:
    async with streaming(drain_seconds=0.05) as served:
        stream = await served.greeted()
        await stream.send(framed(GET, path="slow", token=b"s"))
        await until(lambda: served.exchange.seen)
        await served.server.close()
        assert (await stream.receive()).code == RELEASE
        assert await stream.ended()


async def test_nonsense_over_many_connections() -> None:
    async with streaming(tcp_connections_per_source=5_000) as served:
        seeded = random.Random(8323)
        good = HELLO + framed(PUT, (CONTENT_FORMAT, b"\x32"), path="put", payload=b"{}", token=b"12") + framed(PING)
        for index in range(300):
            stream = await served.connect()
            data = bytearray(good if index & 1 else seeded.randbytes(seeded.randrange(200)))
            for _ in range(seeded.randrange(1, 4)):
                if data:
                    data[seeded.randrange(len(data))] = seeded.randrange(256)
            await stream.send(bytes(data))
            stream.writer.close()
        await until(lambda: not served.connections)
        assert served.meter.bounds["coap.internal"] == 0
        assert (await (await served.greeted()).get("who")).payload == b"nobody False"


def test_frames_that_are_cut_anywhere() -> None:
    seeded = random.Random(8323)
    sizes = [0, 1, 12, 13, 268, 269, 1_000, 65_804, 65_805, 70_000]
    written = [(seeded.randrange(256), seeded.randbytes(seeded.randrange(9)), seeded.randbytes(size)) for size in sizes]
    stream = b"".join(frame(*each) for each in written)
    frames, read = Frames(80_000), []
    while stream:
        size = seeded.choice([1, 2, 7, 1_000, 30_000])
        frames.feed(stream[:size])
        stream = stream[size:]
        while (found := frames.next()) is not None:
            read.append((found.code, found.token, found.raw[found.start :]))
    assert (read, len(frames)) == (written, 0)


def test_a_frame_that_is_too_large_is_refused_by_its_head() -> None:
    for head in (b"\xe0\x10\x00\x01", b"\xf0\x00\x00\x00\x00\x01"):
        frames = Frames(1_000)
        frames.feed(head)
        with pytest.raises(FramingError, match=r"coap\.tcp_message"):
            frames.next()


def test_a_datagram_becomes_a_frame() -> None:
    assert reframed(message(CON, GET, 7, token=b"ab", path="who")) == framed(GET, token=b"ab", path="who")


async def test_small_messages_without_end_leave_others_their_turn() -> None:
    async with streaming() as served:
        busy, other = await served.greeted(), await served.greeted()
        pings = 50 * TURN_MESSAGES
        await busy.send(b"\x00\xe2" * pings)
        for _ in range(1_000_000):  # turns of the loop
            if any(len(each._frames) for each in served.server._connections.all() if isinstance(each, Connection)):
                break
            await asyncio.sleep(0)
        else:
            pytest.fail("all of them were taken at once")
        assert (await other.get("who")).payload == b"nobody False"
        for _ in range(pings):
            assert (await busy.receive()).code == PONG
        assert (await busy.get("who")).payload == b"nobody False"
        assert served.meter.bounds == {}


async def test_who_leaves_in_the_middle_of_many_messages_leaves_nothing() -> None:
    async with streaming() as served:
        stream = await served.greeted()
        await stream.send(b"\x00\xe2" * 50 * TURN_MESSAGES)
        stream.writer.transport.abort()
        await until(lambda: served.connections == 0)


async def test_each_message_has_a_time_of_its_own() -> None:
    async with streaming(tcp_message_seconds=0.6) as served:
        stream = await served.greeted()
        request = framed(PUT, path="put", payload=b"{}")
        await stream.send(request[:3])
        for _ in range(6):
            await asyncio.sleep(0.2)
            await stream.send(request[3:] + request[:3])
            assert (await stream.receive()).dotted == "2.04"
        assert served.meter.bounds == {}
