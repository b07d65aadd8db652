"""The CoAP server as a whole: its addresses, its start and end, its settings, the event loops it runs on."""

import asyncio
import errno
import logging
import socket

import pytest
import uvloop

from adapters.coap import selftest as selftest_module
from adapters.coap.config import CoapConfig
from adapters.coap.log_budget import LineBudget
from adapters.coap.selftest import selftest
from adapters.coap.server import CoapServer
from adapters.coap.transport import listen
from tests.protocols.coap_peers import (
    CON,
    POST,
    CountingMeter,
    Device,
    PathExchange,
    coap_client,
    message,
    needs_coap_client,
    serving,
)


async def test_a_port_is_not_shared() -> None:
    async with serving() as served:
        other = CoapServer(PathExchange(), CountingMeter(), CoapConfig())
        with pytest.raises(OSError, match=r"[Aa]ddress already in use") as caught:
            await other.start("127.0.0.1", served.port)
        await other.close()
    assert caught.value.errno == errno.EADDRINUSE


async def test_a_closed_server_gives_its_port_back() -> None:
    async with serving() as served:
        await served.server.close()
        again = CoapServer(PathExchange(), CountingMeter(), CoapConfig())
        assert await again.start("127.0.0.1", served.port) == ("127.0.0.1", served.port)
        await again.close()


@needs_coap_client
async def test_several_addresses_are_served_by_one_server() -> None:
    server = CoapServer(PathExchange(), CountingMeter(), CoapConfig())
    _, four = await server.start("0.0.0.0", 0)
    assert await server.start("::", four) == ("::", four)
    _, named = await server.start("localhost", 0)
    assert await coap_client("-m", "post", "-e", "four", f"coap://127.0.0.1:{four}/echo") == "four"
    assert await coap_client("-m", "post", "-e", "six", f"coap://[::1]:{four}/echo") == "six"
    assert await coap_client("-m", "post", "-e", "name", f"coap://localhost:{named}/echo") == "name"
    await server.close()


async def test_a_host_that_does_not_exist_is_an_error() -> None:
    server = CoapServer(PathExchange(), CountingMeter(), CoapConfig())
    with pytest.raises(OSError, match=r"[Cc]annot assign"):
        await server.start("192.0.2.1", 0)
    with pytest.raises(socket.gaierror):
        await server.start("no such host", 0)


def test_it_runs_on_uvloop() -> None:
    async def scenario() -> bytes:
        async with serving() as served:
            # Not through the loop: uvloop has no sock_recv for datagrams.
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as device:
                device.connect(("127.0.0.1", served.port))
                device.settimeout(30)
                device.send(message(CON, POST, 1, payload=b"hello", path="echo"))
                return await asyncio.to_thread(device.recv, 2048)

    assert uvloop.run(scenario()).endswith(b"hello")


async def test_the_block_size_must_exist() -> None:
    with pytest.raises(ValueError, match="block_size_exponent"):
        CoapConfig(block_size_exponent=7)


async def test_a_small_receive_buffer_is_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with serving(receive_buffer_bytes=1 << 30):
            pass
    assert "net.core.rmem_max" in caplog.text


async def test_nothing_is_taken_while_nothing_can_be_sent() -> None:
    meter = CountingMeter()
    taken: list[bytes] = []
    endpoint, port = await listen("127.0.0.1", 0, 4096, lambda _, datagram: taken.append(datagram), meter)
    endpoint.pause_writing()
    endpoint.datagram_received(b"lost", ("127.0.0.1", 9))
    endpoint.resume_writing()
    endpoint.datagram_received(b"taken", ("127.0.0.1", 9))
    endpoint.error_received(ConnectionRefusedError())
    await endpoint.close()
    endpoint.send(b"late", ("127.0.0.1", port))
    assert taken == [b"taken"]
    assert meter.bounds == {"coap.send_buffer": 1}


async def test_the_self_test_passes_silently() -> None:
    meter = CountingMeter()
    await selftest(meter)
    assert meter.bounds == {}


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("ANSWER", b"something else", "a response came out differently"),
        ("QUESTION", selftest_module.QUESTION.replace(b"a=b", b"a=c"), "the path came out differently"),
        ("VARYING_OPTIONS", (), "the key of a block-wise transfer came out differently"),
        ("QUESTION", b"\x42\x02\x12\x34\xab\xcd\xf0", "FormatError"),
    ],
)
async def test_another_aiocoap_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: object, complaint: str
) -> None:
    monkeypatch.setattr(selftest_module, name, value)
    server = CoapServer(PathExchange(), CountingMeter(), CoapConfig())
    with pytest.raises(RuntimeError, match=rf"does not fit this CoAP adapter: .*{complaint}"):
        await server.start("127.0.0.1", 0)


async def test_log_lines_are_bounded() -> None:
    seconds, meter = [0.0], CountingMeter()
    budget = LineBudget(2, meter, clock=lambda: seconds[0])
    record = logging.LogRecord("adapters.coap", logging.ERROR, "", 0, "x", (), None)
    assert [budget.filter(record) for _ in range(4)] == [True, True, False, False]
    seconds[0] = 1.0
    assert budget.filter(record)
    assert meter.bounds == {"coap.log": 2}


async def test_the_log_budget_stands_before_the_loggers_while_the_server_runs(caplog: pytest.LogCaptureFixture) -> None:
    async with serving(log_lines_per_second=1) as served:
        before = len(caplog.records)
        for name in ("adapters.coap", "coap", "coap-server"):
            for _ in range(50):
                logging.getLogger(name).warning("x")
        assert len(caplog.records) - before <= 2
        assert served.meter.bounds["coap.log"] >= 148
    logging.getLogger("coap").warning("heard again")
    assert "heard again" in caplog.text


async def test_ipv6_devices_are_answered() -> None:
    exchange = PathExchange()
    server = CoapServer(exchange, CountingMeter(), CoapConfig())
    _, port = await server.start("::1", 0)
    device = Device(port, "::1")
    assert (await device.ask(message(CON, POST, 1, payload=b"x", path="echo"))).payload == b"x"
    device.close()
    await server.close()
    assert exchange.seen[0].peer.address == "::1"


async def test_each_address_may_have_an_exchange_of_its_own() -> None:
    common, own, meter = PathExchange(), PathExchange(), CountingMeter()
    server = CoapServer(common, meter, CoapConfig(max_running=1))
    ports = [(await server.start("127.0.0.1", 0, exchange))[1] for exchange in (None, own, None)]
    devices = [Device(port) for port in ports]
    for number, device in enumerate(devices):
        assert (await device.ask(message(CON, POST, 1, payload=b"%d" % number, path="echo"))).dotted == "2.04"
    await devices[1].send(message(CON, POST, 2, path="slow"))
    assert (await devices[0].ask(message(CON, POST, 2, path="echo"))).dotted == "5.03"  # the bounds are common
    own.gate.set()
    await devices[1].receive()
    await server.close()
    for device in devices:
        device.close()
    assert [inbound.body for inbound in common.seen] == [b"0", b"2"]
    assert [inbound.body for inbound in own.seen] == [b"1", b""]
    assert meter.bounds == {"coap.running": 1}
