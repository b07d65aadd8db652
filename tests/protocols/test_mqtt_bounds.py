"""Hostile and broken clients: every limit holds, is counted, and costs nobody else anything."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.mqtt.admission import Admission
from adapters.mqtt.config import MqttConfig
from tests.protocols.mqtt_peer import (
    EVERY_LOOP,
    GUEST_LOGIN,
    HOST,
    REQUEST,
    RESPONSE,
    Gateway,
    RawClient,
    connect_packet,
    gateway,
    packet,
    publish_packet,
    subscribe_packet,
    text,
)
from tests.tls.tls_parties import place

SHORT = 0.2


@pytest.fixture(scope="module", params=EVERY_LOOP)
def running(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    with gateway(request.param) as found:
        yield found
    assert found.unexpected == []


BEFORE_CONNECT = {
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "64 zero bytes": bytes(64),
    "five byte remaining length": b"\x10\xff\xff\xff\xff\x7f",
    "256 MiB announced": b"\x10\xff\xff\xff\x7f\x00\x04MQTT",
    "PUBLISH first": publish_packet(REQUEST, b"x"),
    "client id in bad UTF-8": packet(0x10, text("MQTT"), b"\x04\x02\0\0", text(b"\xff\xfe")),
    "all CONNECT flags set": packet(0x10, text("MQTT"), b"\x04\xff\0\0", text("c"), text("t"), text("p"), text("u"), text("p")),
}


@pytest.mark.parametrize("data", BEFORE_CONNECT.values(), ids=BEFORE_CONNECT.keys())
def test_before_connect_nonsense_is_closed_without_a_word(running: Gateway, data: bytes) -> None:
    bounds = len(running.meter.bounds)
    with running.client() as client:
        client.send_as_far_as_possible(data)
        assert client.rest() == b""
    assert running.meter.bounds[bounds:] in (["mqtt.malformed"], ["mqtt.max_packet_bytes"])


AFTER_CONNECT = {
    "packet type 0": (b"\x00\x00", 0x82),
    "packet type 15": (b"\xf0\x00", 0x82),
    "second CONNECT": (connect_packet(5, username=GUEST_LOGIN), 0x82),
    "SUBSCRIBE with wrong flags": (b"\x80" + subscribe_packet((RESPONSE, 0), version=5)[1:], 0x81),
    "SUBSCRIBE without filters": (b"\x82\x03\x00\x01\x00", 0x82),
    "SUBSCRIBE to no filter": (subscribe_packet(("a/#/b", 0), version=5), 0x8F),
    "PUBLISH to a wildcard": (publish_packet("a/#", b"", version=5), 0x90),
    "QoS 3": (b"\x36\x05\x00\x01a\x00\x01", 0x81),
    "SUBACK from the client": (b"\x90\x03\x00\x01\x00", 0x82),
    "CONNACK from the client": (b"\x20\x02\x00\x00", 0x82),
    "unfinished PUBLISH of 256 MiB": (b"\x30\xff\xff\xff\x7f" + b"x" * 100, 0x95),
}
AFTER_CONNECT_5 = {
    "SUBSCRIBE with too many filters": (subscribe_packet(*[("a", 0)] * 65, version=5), 0x97),
    "topic alias": (publish_packet("a", b"", version=5, properties=b"\x23\0\x01"), 0x94),
    "property bomb": (packet(0x30, text("a"), b"\x94\x4e", b"\x26\0\0\0\0" * 2_004), 0x97),
    "property that overruns": (packet(0x30, text("a"), b"\xff\xff\x03"), 0x81),
}


@pytest.mark.parametrize(("data", "code"), AFTER_CONNECT.values(), ids=AFTER_CONNECT.keys())
@pytest.mark.parametrize("version", [4, 5])
def test_after_connect_nonsense_is_closed_and_version_5_told_why(
    running: Gateway, version: int, data: bytes, code: int
) -> None:
    with running.guest(version) as client:
        client.send_as_far_as_possible(data)
        assert client.rest() == (bytes((0xE0, 1, code)) if version == 5 else b"")
    with running.guest() as other:
        other.ping()


@pytest.mark.parametrize(("data", "code"), AFTER_CONNECT_5.values(), ids=AFTER_CONNECT_5.keys())
def test_nonsense_that_only_version_5_can_say(running: Gateway, data: bytes, code: int) -> None:
    with running.guest(5) as client:
        client.send_as_far_as_possible(data)
        assert client.rest() == bytes((0xE0, 1, code))


def test_a_property_bomb_in_connect_is_refused(running: Gateway) -> None:
    bomb = packet(0x10, text("MQTT"), b"\x05\x02\0\0", b"\x94\x4e", b"\x26\0\0\0\0" * 2_004, text(""))
    with running.client() as client:
        assert client.send(bomb).rest() == b"\x20\x03\x00\x97\x00"


@pytest.mark.parametrize("loop", EVERY_LOOP)
@pytest.mark.parametrize("data", [b"", connect_packet(4, username=GUEST_LOGIN)[:-3]], ids=["silent", "cut off"])
def test_who_does_not_connect_in_time_is_closed(loop: str, data: bytes) -> None:
    with gateway(loop, connect_seconds=SHORT) as found, found.client() as client:
        assert client.send(data).rest() == b""
        assert found.meter.bounds == ["mqtt.connect_seconds"]


def test_a_connect_that_comes_byte_by_byte_has_no_more_time() -> None:
    with gateway(connect_seconds=SHORT) as found, found.client() as client:
        for byte in connect_packet(4, username=GUEST_LOGIN * 20)[:150]:
            client.send_as_far_as_possible(bytes((byte,)))
            time.sleep(SHORT / 20)
            if found.meter.bounds:
                break
        assert client.rest() == b""
        assert found.meter.bounds == ["mqtt.connect_seconds"]


def test_a_packet_that_comes_byte_by_byte_is_not_waited_for() -> None:
    with gateway(packet_seconds=SHORT) as found, found.guest(5) as client:
        for byte in publish_packet(REQUEST, bytes(500), version=5):
            client.send_as_far_as_possible(bytes((byte,)))
            time.sleep(SHORT / 20)
            if found.meter.bounds:
                break
        assert client.rest() == b"\xe0\x01\x8d"
        assert found.meter.bounds == ["mqtt.packet_seconds"]


def test_whole_packets_start_the_packets_time_again() -> None:
    with gateway(packet_seconds=5 * SHORT) as found, found.guest() as client:
        for _ in range(6):
            client.send(b"\xc0")
            time.sleep(SHORT)
            client.send(b"\x00")
            assert client.read() == (0xD0, b"")
        assert found.meter.bounds == []


@pytest.mark.parametrize(("loop", "version"), list(zip(EVERY_LOOP, (4, 5), strict=True)))
def test_a_silent_client_is_closed_after_one_and_a_half_keep_alives(loop: str, version: int) -> None:
    with gateway(loop) as found, found.guest(version, keep_alive=1) as client:
        started = time.monotonic()
        assert client.rest() == (b"\xe0\x01\x8d" if version == 5 else b"")
        assert time.monotonic() - started > 1.4
        assert found.meter.bounds == ["mqtt.keep_alive"]


def test_a_client_that_pings_stays() -> None:
    with gateway() as found, found.guest(keep_alive=1) as client:
        for _ in range(4):
            time.sleep(0.5)
            client.ping()


def test_without_a_keep_alive_our_own_limit_counts() -> None:
    with gateway(idle_seconds=SHORT) as found, found.guest(keep_alive=0) as client:
        assert client.rest() == b""
        assert found.meter.bounds == ["mqtt.keep_alive"]


def test_a_client_that_waits_for_its_answer_is_not_silent() -> None:
    with gateway(idle_seconds=SHORT) as found, found.guest(keep_alive=0) as client:
        client.send(publish_packet(REQUEST, b"wait"))
        time.sleep(4 * SHORT)
        found.rules.release.set()
        assert client.read()[1].endswith(b"for wait")


@pytest.mark.parametrize(("loop", "version"), list(zip(EVERY_LOOP, (4, 5), strict=True)))
def test_a_guest_is_closed_some_time_after_its_last_answer(loop: str, version: int) -> None:
    with gateway(loop, linger_seconds=6 * SHORT) as found, found.guest(version) as client:
        for _ in range(4):  # each answer begins the time again
            client.send(publish_packet(REQUEST, b"me", version=version))
            client.read()
            time.sleep(2 * SHORT)
            client.ping()
        assert client.rest() == (b"\xe0\x01\x00" if version == 5 else b"")
        assert found.meter.bounds == []


def test_a_guest_that_is_still_being_answered_is_not_closed() -> None:
    with gateway(linger_seconds=SHORT) as found, found.guest() as client:
        client.send(publish_packet(REQUEST, b"me") + publish_packet(REQUEST, b"wait"))
        assert client.read()[1].endswith(b"for me")
        time.sleep(3 * SHORT)
        found.rules.release.set()
        assert client.read()[1].endswith(b"for wait")
        assert client.rest() == b""


def test_a_device_does_not_linger() -> None:
    with gateway(linger_seconds=0.0) as found, found.device() as client:
        client.send(publish_packet("own/question", b"q")).read()
        time.sleep(SHORT)
        client.ping()


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_a_client_that_does_not_read_is_paused_then_aborted(loop: str) -> None:
    with gateway(loop, write_buffer_bytes=1_024, write_stall_seconds=SHORT) as found:
        found.rules.answer_body = bytes(60_000)
        with found.client(receive_buffer=4_096).connect(username=GUEST_LOGIN) as client:
            client.send_as_far_as_possible(publish_packet(REQUEST, b"") * 2_000)
            while not found.meter.bounds:
                time.sleep(SHORT / 4)
            assert found.meter.bounds == ["mqtt.write_stall_seconds"]
            assert len(found.rules.handled) < 1_000  # the rest was never taken up
        with found.guest() as other:
            other.ping()


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_a_client_that_reads_slowly_gets_everything(loop: str) -> None:
    with gateway(loop, write_stall_seconds=1.0) as found:
        found.rules.answer_body = bytes(60_000)
        with found.guest() as client:
            client.send(publish_packet(REQUEST, b"") * 200)
            for n in range(200):
                if n < 7:
                    time.sleep(SHORT)
                assert len(client.read()[1]) > 60_000
        assert found.meter.bounds == []


@pytest.mark.parametrize("loop", EVERY_LOOP)
@pytest.mark.parametrize("stall_seconds", [0.0, SHORT])
def test_a_client_that_does_not_take_its_last_bytes_is_aborted(
    loop: str, stall_seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.mqtt.line._LAST_BYTES_SECONDS", SHORT)
    with gateway(loop, write_buffer_bytes=10_000_000, write_stall_seconds=stall_seconds) as found:
        found.rules.answer_body = bytes(60_000)
        with found.client(receive_buffer=4_096).connect(username=GUEST_LOGIN) as client:
            client.send(publish_packet(REQUEST, b"") * 100 + b"\xe0\x00")
            while not found.meter.bounds:
                time.sleep(SHORT / 4)
            assert found.meter.bounds == ["mqtt.write_stall_seconds"]
            assert found.meter.levels == {"mqtt.connections": 0}


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_what_was_written_before_the_close_still_arrives(loop: str) -> None:
    with gateway(loop) as found:
        found.rules.answer_body = bytes(60_000)
        with found.client(receive_buffer=65_536).connect(5, username=GUEST_LOGIN) as client:
            client.send(publish_packet(REQUEST, b"", version=5) * 20 + publish_packet("own/elsewhere", b"", version=5))
            time.sleep(SHORT)
            for _ in range(20):
                assert len(client.read()[1]) > 60_000
            assert client.rest() == b"\xe0\x01\x90"


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_closing_does_not_wait_for_a_client_that_does_not_read(loop: str) -> None:
    with gateway(loop) as found:
        found.rules.answer_body = bytes(60_000)
        with found.client(receive_buffer=4_096).connect(username=GUEST_LOGIN) as client:
            client.send_as_far_as_possible(publish_packet(REQUEST, b"") * 100)
            while not found.call(lambda: [connection for connection in found.server._shared.open if connection.blocked]):
                time.sleep(0.01)
            found.run(found.server.close(SHORT))
            assert found.meter.levels == {"mqtt.connections": 0}


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_closing_does_not_wait_for_a_client_that_said_goodbye_and_does_not_read(loop: str) -> None:
    with gateway(loop, write_buffer_bytes=10_000_000) as found:
        found.rules.answer_body = bytes(60_000)
        with found.client(receive_buffer=4_096).connect(username=GUEST_LOGIN) as client:
            client.send(publish_packet(REQUEST, b"") * 100 + b"\xe0\x00")
            while not found.call(lambda: [connection for connection in found.server._shared.open if connection.closing]):
                time.sleep(0.01)
            found.run(found.server.close(SHORT))
            assert found.meter.levels == {"mqtt.connections": 0}


def test_reading_stops_behind_a_request_that_runs() -> None:
    with gateway(queue_bytes=1_000) as found, found.guest() as client:
        client.send(publish_packet(REQUEST, b"wait", qos=1))
        while not found.rules.handled:
            time.sleep(0.01)
        client.socket.settimeout(1.0)
        client.send_as_far_as_possible(publish_packet(REQUEST, bytes(60_000), qos=1) * 1_000)
        client.socket.settimeout(10.0)
        (connection,) = found.call(lambda: tuple(found.server._shared.open))
        assert 1_000 < connection._decoder.pending < 400_000
        assert len(found.rules.handled) == 1
        found.rules.release.set()
        assert client.read() == (0x40, b"\0\x01")
        assert client.read()[1].endswith(b"for wait")
        assert client.read() == (0x40, b"\0\x01")


def test_a_client_that_never_acknowledges_goes_on_being_answered(running: Gateway) -> None:
    with running.guest() as client:
        for n in range(300):
            client.send(publish_packet(REQUEST, b"%d" % n, qos=1))
            assert client.read()[0] == 0x40
            assert client.read()[0] == 0x32


CONVERSATION = (
    connect_packet(5, username=GUEST_LOGIN, client_id="c")
    + subscribe_packet((RESPONSE, 1), version=5)
    + publish_packet(REQUEST, b"me", version=5, qos=1, properties=b"\x09\x00\x01x")
    + packet(0xA2, b"\0\x02\0", text(RESPONSE))
    + publish_packet(REQUEST, b"me again", version=5)
    + b"\x40\x02\x00\x01\xc0\x00"
)


def test_conversations_with_faults_cost_only_themselves(running: Gateway) -> None:
    chance = random.Random(20261121)
    for _ in range(400):
        data = bytearray(CONVERSATION)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        cut = chance.randrange(len(data))
        with running.client() as client:
            client.send_as_far_as_possible(bytes(data[:cut]))
            client.send_as_far_as_possible(bytes(data[cut:]))
            client.hang_up()
            client.rest()
    with running.guest() as other:
        other.ping()


# Who may connect


def closed_at_once(client: RawClient) -> bool:
    with client:
        client.send_as_far_as_possible(connect_packet(4, username=GUEST_LOGIN))
        return client.rest() == b""


@pytest.mark.parametrize("loop", EVERY_LOOP)
@pytest.mark.parametrize("bound", ["connections", "connections_per_source"])
def test_no_more_connections_than_allowed(loop: str, bound: str) -> None:
    bounds: dict[str, Any] = {bound: 2}
    with gateway(loop, **bounds) as found:
        one, two = found.guest(), found.guest()
        assert closed_at_once(found.client())
        assert found.meter.bounds == [f"mqtt.{bound}"]
        assert found.meter.levels == {"mqtt.connections": 2}
        one.ping()
        one.send(b"\xe0\x00").rest()
        with found.guest() as third:
            third.ping()
        two.ping()
        one.close()
        two.close()


@pytest.mark.parametrize(("version", "code"), [(4, 3), (5, 0x9F)])
def test_a_source_that_connects_too_often_is_told_to_wait(version: int, code: int) -> None:
    with gateway(connects_per_second=0.001, connect_burst=2) as found:
        for _ in range(2):
            found.guest(version).close()
        with found.client() as client:
            client.send(connect_packet(version, username=GUEST_LOGIN))
            assert client.read()[1][1] == code
            assert client.rest() == b""
        assert found.meter.bounds == ["mqtt.connects_per_second"]


def test_limits_of_zero_are_off() -> None:
    off: dict[str, Any] = {
        "connections": 0,
        "connections_per_source": 0,
        "connects_per_second": 0,
        "connect_seconds": 0,
        "packet_seconds": 0,
        "idle_seconds": 0,
        "write_stall_seconds": 0,
    }
    with gateway(**off) as found, found.guest(5, keep_alive=0) as client:
        client.send(b"\xc0")
        client.send(b"\x00")
        assert client.read() == (0xD0, b"")


def test_tokens_come_back_and_quiet_sources_are_forgotten() -> None:
    admission = Admission(MqttConfig(connects_per_second=1.0, connect_burst=2))
    assert [admission.connect("a", 0.0) for _ in range(3)] == [True, True, False]
    assert [admission.connect("a", 1.0) for _ in range(2)] == [True, False]
    assert [admission.connect("a", 100.0) for _ in range(3)] == [True, True, False]
    for n in range(20_000):
        assert admission.connect(str(n), 100.0)
    assert len(admission._connects) == 16_384
    assert admission.connect("a", 100.0)


# TLS is the same endpoint behind an argument


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_over_tls(loop: str, tmp_path: Path) -> None:
    with gateway(loop) as found:
        home = place(tmp_path)
        port = found.run(found.server.start(HOST, 0, tls=home.contexts(found.meter)))[1]
        client = RawClient(port)
        client.socket = home.client().wrap_socket(client.socket, server_hostname="localhost")
        with client.connect(username=GUEST_LOGIN):
            client.send(publish_packet(REQUEST, b"me", qos=1))
            assert client.read() == (0x40, b"\0\x01")
            assert client.read()[1].endswith(b"for me")
