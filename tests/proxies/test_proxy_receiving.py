"""Connections through proxies, before anything else is made of them: real sockets on both event loops."""

import asyncio
import contextlib
import socket
from typing import Any

import pytest

from adapters.proxying.config import ProxyConfig
from adapters.proxying.trust import TrustedProxies
from tests.proxies.proxy_headers import LOCAL, SPOKEN, TCP6, addition, addresses, binary, checked, line
from tests.proxies.receivers import ELSEWHERE, HOST, LOOPS, Heard, behind, run, until

HELLO = b"GET / HTTP/1.1\r\n"
HEADERS = {"v1": line(), "v2": binary(), "v2 with a checksum": checked()}
both_loops = pytest.mark.parametrize("loop", LOOPS)


@both_loops
@pytest.mark.parametrize("header", HEADERS)
def test_the_client_of_a_header_is_who_is_connected(loop: str, header: str) -> None:
    async def test() -> None:
        async with behind() as there:
            heard = await there.echoed(HEADERS[header] + HELLO, expected=HELLO)
            assert (heard.client, heard.received) == (SPOKEN, HELLO)
            assert heard.first_turn == 1  # whoever is told of a connection has a turn before its first bytes
            split = await there.echoed(*(bytes((byte,)) for byte in HEADERS[header] + HELLO), expected=HELLO)
            assert (split.client, split.received) == (SPOKEN, HELLO)
            apart = await there.echoed(HEADERS[header], HELLO, expected=HELLO)
            assert (apart.client, apart.received) == (SPOKEN, HELLO)
            assert there.meter.bounds == {}
            assert there.meter.levels == {"proxy.pending": 0}

    run(loop, test())


@both_loops
def test_a_proxy_may_speak_for_itself(loop: str) -> None:
    async def test() -> None:
        async with behind() as there:
            for header in (b"", binary(command=LOCAL), b"PROXY UNKNOWN\r\n"):
                heard = await there.echoed(header + HELLO, expected=HELLO)
                assert heard.client[0] == HOST
            v6 = await there.echoed(binary(addresses("2001:db8::7", "::1"), TCP6), HELLO, expected=HELLO)
            assert v6.client == ("2001:db8::7", 40_000)

    run(loop, test())


@both_loops
def test_a_stranger_is_who_he_is(loop: str) -> None:
    """What is a header from a proxy is from anybody else nothing but what his protocol makes of it."""

    async def test() -> None:
        async with behind() as there:
            for header in (line(), binary(), binary(length=0xFFFF)):
                heard = await there.echoed(header + HELLO, expected=header + HELLO, source=ELSEWHERE)
                assert heard.client[0] == ELSEWHERE
            assert there.meter.levels == {}

    run(loop, test())


@both_loops
def test_a_second_header_is_the_clients(loop: str) -> None:
    async def test() -> None:
        async with behind() as there:
            forged = line("198.51.100.66")
            heard = await there.echoed(line() + forged, expected=forged)
            assert heard.client == SPOKEN

    run(loop, test())


@both_loops
def test_headers_that_are_wrong_are_refused(loop: str, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = (
        line(family="UDP4"),
        binary(family=0x12),
        checked(wrong=1),
        binary(addresses()[:5]),
        binary(addresses(), TCP6),
        binary(addresses() + addition(4, b"1234")[:-1]),
        binary(length=0xFFFF),
        b"PROXY " + b"x" * 200_000,
        binary(length=5_000) + bytes(100_000),
    )

    async def test() -> None:
        async with behind() as there:
            for number, header in enumerate(wrong, 1):
                await there.refused(header + HELLO)
                assert there.meter.bounds == {"proxy.malformed": number}
            await there.refused(*(bytes((byte,)) for byte in line(family="UDP4")))
            assert there.connections == []
            assert there.meter.levels == {"proxy.pending": 0}

    run(loop, test())
    assert "PROXY header refused" in capsys.readouterr().out


@both_loops
@pytest.mark.parametrize("begin", [b"", b"P", line()[:-1], binary()[:-1]], ids=("silent", "a letter", "v1", "v2"))
def test_a_slow_header_is_not_waited_for(loop: str, begin: bytes) -> None:
    async def test() -> None:
        async with behind(header_seconds=0.1) as there:
            await there.refused(begin)
            assert there.meter.bounds == {"proxy.header_seconds": 1}
            assert there.connections == []

    run(loop, test())


@both_loops
def test_bytes_that_trickle_in_win_no_time(loop: str) -> None:
    async def test() -> None:
        async with behind(header_seconds=0.2) as there:
            reader, writer = await there.connect()
            for byte in line():
                if there.meter.bounds:
                    break
                writer.write(bytes((byte,)))
                await asyncio.sleep(0.02)
            assert there.meter.bounds == {"proxy.header_seconds": 1}
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            writer.close()

    run(loop, test())


@both_loops
def test_only_so_many_are_waited_for(loop: str) -> None:
    async def test() -> None:
        async with behind(pending=2) as there:
            waiting = [await there.connect() for _ in range(2)]
            await until(lambda: there.meter.levels.get("proxy.pending") == 2)
            await there.refused(line() + HELLO)
            assert there.meter.bounds == {"proxy.pending": 1}
            stranger = await there.echoed(HELLO, expected=HELLO, source=ELSEWHERE)
            assert stranger.client[0] == ELSEWHERE
            waiting[0][1].write(line() + HELLO)
            assert await waiting[0][0].readexactly(len(HELLO)) == HELLO
            assert (await there.echoed(line() + HELLO, expected=HELLO)).client == SPOKEN
            for _, writer in waiting:
                writer.close()
            await until(lambda: there.meter.levels["proxy.pending"] == 0)

    run(loop, test())


@both_loops
@pytest.mark.parametrize("begin", [b"", line()[:5]])
def test_whoever_leaves_early_is_forgotten(loop: str, begin: bytes) -> None:
    async def test() -> None:
        async with behind() as there:
            for reset in (True, False):
                _, writer = await there.connect()
                writer.write(begin)
                await until(lambda: there.meter.levels.get("proxy.pending") == 1)
                if reset:
                    writer.transport.abort()
                else:
                    writer.write_eof()
                await until(lambda: there.meter.levels["proxy.pending"] == 0)
                writer.close()
            assert there.connections == []
            assert there.meter.bounds == {}

    run(loop, test())


@both_loops
def test_the_end_comes_also_for_those_who_wait(loop: str) -> None:
    async def test() -> None:
        async with behind() as there:
            reader, writer = await there.connect()
            await until(lambda: there.meter.levels.get("proxy.pending") == 1)
            there.proxies.stop()
            with contextlib.suppress(ConnectionError):
                assert await reader.read() == b""
            await there.refused(line() + HELLO)
            assert there.meter.levels == {"proxy.pending": 0}
            assert there.meter.bounds == {}
            writer.close()

    run(loop, test())


class Shy(Heard):
    """Wants to hear nothing for a while, from the beginning on."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()


class Undecided(Heard):
    """Wants to hear nothing, and then everything after all."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        assert not self.transport.is_reading()
        self.transport.resume_reading()
        assert self.transport.is_reading()


class Full(Heard):
    """Turns every connection away, as servers do that have enough: one at once, the next a turn later."""

    later = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if Full.later:
            asyncio.get_running_loop().call_soon(self.transport.abort)
        else:
            self.transport.abort()
        Full.later = not Full.later


class Broken(Heard):
    """Fails at the first bytes."""

    def data_received(self, data: bytes) -> None:
        raise ArithmeticError


@both_loops
def test_whoever_does_not_want_to_read_is_not_made_to(loop: str) -> None:
    async def test() -> None:
        async with behind(Shy) as there:
            _, writer = await there.connect()
            writer.write(line())
            await until(lambda: there.connections)
            heard = there.connections[0]
            writer.write(HELLO)
            await asyncio.sleep(0.05)
            assert heard.received == b""
            assert not heard.transport.is_reading()
            heard.transport.resume_reading()
            await until(lambda: heard.received == HELLO)
            writer.write_eof()
            await until(lambda: heard.lost)
            assert heard.ended
            writer.close()
        async with behind(Undecided) as there:
            assert (await there.echoed(line() + HELLO, expected=HELLO)).client == SPOKEN

    run(loop, test())


@both_loops
def test_whoever_is_turned_away_is_not_heard(loop: str) -> None:
    async def test() -> None:
        async with behind(Full) as there:
            for _ in range(2):
                await there.refused(line() + HELLO)
            await until(lambda: all(each.lost for each in there.connections))
            assert [each.received for each in there.connections] == [b"", b""]

    run(loop, test())


@both_loops
def test_what_fails_ends_its_connection(loop: str) -> None:
    async def test() -> None:
        told: list[Any] = []
        async with behind(Broken) as there:
            asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context.get("exception")))
            await there.refused(line() + HELLO)
            await until(lambda: told and there.connections[0].lost)
        assert isinstance(told[0], ArithmeticError)

    run(loop, test())


@both_loops
def test_the_rest_of_the_transport_is_the_sockets(loop: str) -> None:
    async def test() -> None:
        async with behind() as there:
            _, writer = await there.connect()
            writer.write(line() + HELLO)
            await until(lambda: there.connections and there.connections[0].received)
            transport = there.connections[0].transport
            assert transport.get_extra_info("sockname")[1] == there.port
            assert transport.get_extra_info("socket").family == socket.AF_INET
            assert transport.get_extra_info("sslcontext") is None
            assert transport.get_extra_info("no such thing", "nothing") == "nothing"
            assert transport.get_write_buffer_size() == 0
            assert transport.get_protocol() is there.connections[0]
            writer.close()

    run(loop, test())


def test_where_nobody_is_trusted_nothing_is_in_between() -> None:
    async def test() -> None:
        async with behind(trusted=TrustedProxies()) as there:
            assert there.proxies.receiving(Heard) is Heard
            heard = await there.echoed(line() + HELLO, expected=line() + HELLO)
            assert heard.client[0] == HOST

    run("asyncio", test())


@pytest.mark.parametrize("bounds", [{"header_seconds": 0.0}, {"header_seconds": 3_601.0}, {"pending": 0}])
def test_bounds_that_make_no_sense_are_refused(bounds: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="must be"):
        ProxyConfig(**bounds)
