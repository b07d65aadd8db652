"""The link to a broker, against a real mosquitto."""

import asyncio
import contextlib
import socket
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from adapters.brokers.address import BrokerAddress
from adapters.brokers.link import Link, Patience, Refused, first_of, lost
from adapters.metrics import PrometheusMeter
from core.errors import registry_busy
from core.model import Secret
from tests.brokers.logged import Logged
from tests.brokers.mosquitto import Mosquitto, mosquitto
from tests.brokers.ports import HOST, free_port
from tests.brokers.waiting import beside, until

QUICK = Patience(0.02, 0.1, 0.2)


async def take(client: aiomqtt.Client, got: list[bytes]) -> None:
    async for message in client.messages:
        got += [bytes(message.payload)]


def link_to(address: BrokerAddress, log: Any, password: str = "", **options: Any) -> Link:
    return Link(address, Secret(password), "test", log, patience=QUICK, **options)


def linked(broker: Mosquitto, log: Any, **options: Any) -> Link:
    return link_to(broker.address(), log, **options)


async def test_a_link_begins_before_the_broker_and_outlives_it(tmp_path: Path) -> None:
    broker, log = Mosquitto(tmp_path, "allow_anonymous true"), Logged()
    link = linked(broker, log)
    got: list[bytes] = []

    async def work(client: aiomqtt.Client) -> None:
        await client.subscribe("t/#", qos=1)
        await take(client, got)

    async def arrived(payload: bytes) -> None:
        async with asyncio.timeout(20), aiomqtt.Client(HOST, broker.port) as sender:
            while payload not in got:
                await sender.publish("t/1", payload, qos=1)
                await asyncio.sleep(0.02)

    async with beside(link.keep(work)):
        await until(lambda: log.said("the link to the broker is down"))
        await broker.start()
        await arrived(b"first")
        await broker.restart()
        await arrived(b"second")
        assert link.is_up
        await broker.stop()
        await until(lambda: not link.is_up)
    assert len(log.said("is up")) == 2
    assert 2 <= len(log.said("is down")) <= 6  # once for each way in which it was down


async def test_work_that_sends_alone_notices_the_loss(tmp_path: Path) -> None:
    log = Logged()
    started = 0

    async def work(client: aiomqtt.Client) -> None:
        nonlocal started
        await client.subscribe("t")
        started += 1
        await lost(client)

    async with mosquitto(tmp_path) as broker, beside(linked(broker, log).keep(work)):
        await until(lambda: started == 1)
        async with aiomqtt.Client(HOST, broker.port) as other:
            await other.publish("t", "nobody minds", qos=1)
        await broker.restart()
        await until(lambda: started == 2)


async def test_a_link_ends_with_its_work(tmp_path: Path) -> None:
    async def work(client: aiomqtt.Client) -> None:
        assert client.identifier.startswith("firstlight-test-")

    async with mosquitto(tmp_path) as broker, asyncio.timeout(20):
        await linked(broker, Logged()).keep(work)


async def test_no_two_links_throw_each_other_out(tmp_path: Path) -> None:
    async with mosquitto(tmp_path) as broker:
        assert linked(broker, Logged()).client_id != linked(broker, Logged()).client_id


async def test_a_refused_login_is_told_once_and_mended_by_the_broker(tmp_path: Path) -> None:
    log = Logged()
    async with mosquitto(tmp_path, "allow_anonymous false") as broker:
        link = link_to(broker.address("gateway"), log, "wrong")
        async with beside(link.keep(lost)):
            await until(lambda: broker.log().count("not authorised") >= 2)
            assert len(log.said("does not let this user in")) == 1
            broker.config = "allow_anonymous true"
            await broker.restart()
            await until(lambda: link.is_up)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Refused("grant it the role"), "grant it the role"),
        (registry_busy(), "the registry did not answer"),
        (RuntimeError("a mistake"), "work at the broker failed"),
        (aiomqtt.MqttError(), "the connection was lost"),
    ],
)
async def test_work_that_fails_begins_again(tmp_path: Path, error: Exception, said: str) -> None:
    log = Logged()
    attempts = 0

    async def work(_: aiomqtt.Client) -> None:
        nonlocal attempts
        attempts += 1
        if attempts < 3:
            raise error

    async with mosquitto(tmp_path) as broker, asyncio.timeout(20):
        await linked(broker, log).keep(work)
    assert attempts == 3
    assert log.said(said)
    if isinstance(error, Refused):
        assert len(log.said(said)) == 1
        assert len(log.said("is up")) == 1  # what cannot work yet is not praised


async def test_what_comes_too_fast_is_dropped_and_counted(tmp_path: Path) -> None:
    log = Logged()
    ready, go = asyncio.Event(), asyncio.Event()
    got: list[bytes] = []

    async def work(client: aiomqtt.Client) -> None:
        await client.subscribe("t", qos=1)
        ready.set()
        await go.wait()
        await take(client, got)

    async with mosquitto(tmp_path) as broker:
        link = linked(broker, log, queued=10)
        async with beside(link.keep(work)):
            await ready.wait()
            async with aiomqtt.Client(HOST, broker.port) as sender:
                for number in range(50):
                    await sender.publish("t", str(number), qos=1)
            await until(lambda: link.dropped == 40)
            go.set()
            await until(lambda: len(got) == 10)
    assert got == [str(number).encode() for number in range(10)]
    assert [fields["dropped"] for fields in log.said("come faster")] == [1, 2, 4, 8, 16, 32]


async def test_the_bytes_that_wait_are_bounded_too(tmp_path: Path) -> None:
    meter = PrometheusMeter()
    ready, go = asyncio.Event(), asyncio.Event()
    got: list[bytes] = []

    async def work(client: aiomqtt.Client) -> None:
        await client.subscribe("t", qos=1)
        ready.set()
        await go.wait()
        await take(client, got)

    async with mosquitto(tmp_path) as broker:
        link = linked(broker, Logged(), queued_bytes=400, meter=meter)
        async with beside(link.keep(work)), aiomqtt.Client(HOST, broker.port) as sender:
            await ready.wait()
            for size in (1_000, 1, 1):  # alone it may wait, and nothing beside it
                await sender.publish("t", b"x" * size, qos=1)
            await until(lambda: link.dropped == 2)
            go.set()
            await until(lambda: len(got) == 1)
            await sender.publish("t", b"there is room again", qos=1)
            await until(lambda: len(got) == 2)
            figures = meter.exposition().decode()
            assert 'firstlight_bounds_total{bound="broker.test"} 2.0' in figures
            assert 'firstlight_level{level="broker.test.up"} 1.0' in figures
            await broker.stop()
            await until(lambda: 'firstlight_level{level="broker.test.up"} 0.0' in meter.exposition().decode())
    assert got == [b"x" * 1_000, b"there is room again"]


async def test_a_broker_of_mqtt_5_discards_what_is_larger_than_is_wanted(tmp_path: Path) -> None:
    ready = asyncio.Event()
    got: list[bytes] = []

    async def work(client: aiomqtt.Client) -> None:
        await client.subscribe("t", qos=1)
        ready.set()
        await take(client, got)

    async with mosquitto(tmp_path) as broker, beside(linked(broker, Logged(), packet_bytes=1_000).keep(work)):
        await ready.wait()
        async with aiomqtt.Client(HOST, broker.port) as sender:
            for size in (1_001, 900):
                await sender.publish("t", b"x" * size, qos=1)
            await until(lambda: bool(got))
    assert [len(payload) for payload in got] == [900]


async def speak_3_1_1_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer CONNECT as a broker of MQTT 3.1.1 does (section 3.2.2.3)."""
    head = await reader.readexactly(2)
    packet = await reader.readexactly(head[1])
    writer.write(b"\x20\x02\x00\x00" if packet[6] == 4 else b"\x20\x02\x00\x01")
    with contextlib.suppress(ConnectionError):
        await writer.drain()
        await reader.read()
    writer.close()


async def test_a_broker_of_3_1_1_is_spoken_to_in_3_1_1() -> None:
    log = Logged()
    server = await asyncio.start_server(speak_3_1_1_only, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    link = link_to(BrokerAddress(HOST, port), log)
    async with server, beside(link.keep(lost)):
        await until(lambda: link.is_up)
        assert link.protocol is aiomqtt.ProtocolVersion.V311
    assert log.said("3.1.1 is tried next")


async def refuse_for_now(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer CONNECT with: server busy (OASIS MQTT 5.0, section 3.2.2.2)."""
    await reader.readexactly(2)
    writer.write(b"\x20\x03\x00\x89\x00")
    await writer.drain()
    writer.close()


async def test_a_busy_broker_is_asked_again() -> None:
    log = Logged()
    server = await asyncio.start_server(refuse_for_now, HOST, 0)
    link = link_to(BrokerAddress(HOST, server.sockets[0].getsockname()[1]), log)
    async with server, beside(link.keep(lost)):
        await until(lambda: log.said("does not let anybody in now"))


async def test_a_link_that_is_cancelled_while_it_connects_leaves_nothing_open() -> None:
    with socket.socket() as silent:
        silent.bind((HOST, 0))
        silent.listen()
        link = link_to(BrokerAddress(HOST, silent.getsockname()[1]), Logged())
        task = asyncio.create_task(link.keep(lost))
        connection, _ = await asyncio.get_running_loop().run_in_executor(None, silent.accept)
        task.cancel()
        connection.sendall(b"\x20\x03\x00\x00\x00")
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await asyncio.get_running_loop().run_in_executor(None, drain, connection)


async def test_a_link_whose_work_swallows_the_cancel_ends_all_the_same(tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def work(_: aiomqtt.Client) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise aiomqtt.MqttError("as if it were lost") from None

    async with mosquitto(tmp_path) as broker, asyncio.timeout(20):
        task = asyncio.create_task(linked(broker, Logged()).keep(work))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def drain(connection: socket.socket) -> None:
    """Read until the other side closes."""
    with connection:
        connection.settimeout(20)
        while connection.recv(4096):
            pass


def test_patience_is_ordered() -> None:
    with pytest.raises(ValueError, match="least <= most"):
        Patience(5.0, 0.5)


async def test_a_port_that_nobody_listens_on_is_told_once() -> None:
    log = Logged()
    link = link_to(BrokerAddress(HOST, free_port()), log)
    async with beside(link.keep(lost)):
        await asyncio.sleep(0.5)
    assert len(log.said("is down")) == 1


async def test_the_first_to_end_ends_the_others() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")

    async def soon() -> None:
        await asyncio.sleep(0)

    async def broken() -> None:
        await asyncio.sleep(0)
        raise ValueError("broken")

    await first_of(endless(), soon())
    with pytest.raises(ValueError, match="broken"):
        await first_of(endless(), broken())
    assert ended == ["endless", "endless"]
