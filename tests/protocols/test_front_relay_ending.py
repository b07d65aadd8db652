"""How a connection through the front ends, by either side or by ours, and that it leaves nothing."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.protocols.broker_beside import mosquitto_beside
from tests.protocols.front_peer import (
    DEVICE_ID,
    DISCONNECT,
    EVERY_LOOP,
    PINGREQ,
    ROOM,
    UP,
    UP_THERE,
    Front,
    body_of,
    front,
    until,
    will_fields,
    with_properties,
)
from tests.protocols.mqtt_peer import RawClient, connect_packet, packet, publish_packet, subscribe_packet, text

VERSIONS = (3, 4, 5)
SHORT = 0.15
UNHURRIED = 0.6  # what no step of a test takes
QUESTION = "own/question"
RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER on, without lingering: close() resets the connection


@pytest.fixture(params=EVERY_LOOP)
def found(request: pytest.FixtureRequest) -> Iterator[Front]:
    with front(request.param) as running:
        yield running


def shut_down(found: Front) -> None:
    found.call(lambda: [connection.shut_down() for connection in tuple(found.server._shared.open)])


# By the device

GOODBYES = [
    (3, DISCONNECT),
    (4, DISCONNECT),
    (5, DISCONNECT),
    (5, b"\xe0\x01\x04"),
    (5, packet(0xE0, b"\0", with_properties(b"\x11\0\0\0\0" + b"\x26" + text("a") + text("b")))),
]


@pytest.mark.parametrize(("version", "goodbye"), GOODBYES)
def test_a_goodbye_passes_after_what_was_said_before_and_nothing_after_it(found: Front, version: int, goodbye: bytes) -> None:
    with found.device(version) as (client, there):
        said = publish_packet(UP, b"last words", version=version)
        client.send(said + goodbye + said)
        assert there.read() == body_of(publish_packet(UP_THERE, b"last words", version=version))
        assert there.rest() == goodbye
        assert client.rest() == b""


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
def test_who_is_suddenly_gone_says_no_goodbye(found: Front, version: int, reset: bool) -> None:
    with found.device(version) as (client, there):
        client.send(publish_packet(UP, b"last words", version=version))
        assert there.read() == body_of(publish_packet(UP_THERE, b"last words", version=version))
        client.send(publish_packet(UP, b"unfinished", version=version)[:-1])
        if reset:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        assert there.rest() == b""


def test_what_was_received_before_the_end_is_handled_and_passed_on(found: Front) -> None:
    with found.device() as (client, there):
        client.send(publish_packet(QUESTION, b"wait") + publish_packet(UP, b"x") + publish_packet(QUESTION, b"y") + DISCONNECT)
        until(lambda: found.rules.handled)
        client.close()
        found.rules.release.set()
        assert there.read() == body_of(publish_packet(UP_THERE, b"x"))
        assert there.rest() == DISCONNECT
        assert [inbound.body for inbound in found.rules.finished] == [b"wait", b"y"]


# By the broker


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("reset", [False, True])
def test_a_broker_that_goes_takes_its_devices_along(found: Front, version: int, reset: bool) -> None:
    with found.device(version) as (client, there):
        if reset:
            there.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        there.close()
        assert client.rest() == (b"\xe0\x01\x8b" if version == 5 else b"")


def test_a_broker_that_goes_while_a_request_is_answered(found: Front) -> None:
    with found.device(5) as (client, there):
        client.send(publish_packet(QUESTION, b"wait", version=5))
        until(lambda: found.rules.handled)
        there.close()
        assert client.rest() == b"\xe0\x01\x8b"
        found.rules.release.set()
        until(found.is_empty)


def test_what_the_broker_says_to_the_last_is_heard_and_its_goodbye_is_the_only_one(found: Front) -> None:
    with found.device(5) as (client, there):
        said = publish_packet(ROOM, b"x", version=5)
        there.send(said + b"\xe0\x01\x8e")
        there.close()
        assert client.rest() == said + b"\xe0\x01\x8e"


# By us


@pytest.mark.parametrize("version", VERSIONS)
def test_who_is_revoked_is_closed_at_both_sides(found: Front, version: int) -> None:
    with found.device(version) as (client, there):
        found.call(found.rules.attended.tell)
        assert client.rest() == (b"\xe0\x01\x87" if version == 5 else b"")
        assert there.rest() == b""


def test_who_is_revoked_while_a_request_is_answered_gets_no_answer(found: Front) -> None:
    with found.device(5) as (client, there):
        client.send(publish_packet(QUESTION, b"wait", version=5))
        until(lambda: found.rules.handled)
        found.call(found.rules.attended.tell)
        assert client.rest() == b"\xe0\x01\x87"
        assert there.rest() == b""
        found.rules.release.set()


@pytest.mark.parametrize("version", VERSIONS)
def test_shutting_down_tells_everybody(found: Front, version: int) -> None:
    with found.device(version) as (client, there), found.device(version) as (other, beyond):
        found.run(found.server.close(5.0))
        assert client.rest() == other.rest() == (b"\xe0\x01\x8b" if version == 5 else b"")
        assert there.rest() == beyond.rest() == b""


def test_shutting_down_waits_for_what_was_begun_and_begins_nothing(found: Front) -> None:
    with found.device(5) as (client, there):
        client.send(publish_packet(QUESTION, b"wait", version=5, qos=1) + publish_packet(QUESTION, b"more", version=5))
        until(lambda: found.rules.handled)
        shut_down(found)
        client.send(PINGREQ * 10)
        found.rules.release.set()
        rest = client.rest()
        assert rest.startswith(b"\x40\x02\0\x01")
        assert rest.endswith(b"for wait\xe0\x01\x8b")
        assert there.rest() == b""
        assert len(found.rules.handled) == 1


def test_shutting_down_waits_for_a_push(found: Front) -> None:
    with found.device(5) as (client, there):
        client.send(subscribe_packet(("own/state", 1), version=5))
        assert client.read()[0] == 0x90
        assert client.read()[1].endswith(b"1")
        found.rules.state = b"2"
        found.rules.slow.add("own/state")
        found.call(found.rules.watchers.tell)
        until(lambda: found.rules.slow_asked)
        shut_down(found)
        client.send(PINGREQ)
        assert there.is_quiet()
        found.rules.release.set()
        assert client.rest().endswith(b"\xe0\x01\x8b")
        assert there.rest() == b""


def test_cutting_off_waits_for_nothing(found: Front) -> None:
    with found.device(5) as (client, there), found.device(5) as (other, beyond):
        client.send(publish_packet(QUESTION, b"wait", version=5))
        until(lambda: found.rules.handled)
        found.run(found.server.close(0.0))
        assert client.rest() == b""
        assert other.rest() in (b"", b"\xe0\x01\x8b")
        assert there.rest() == beyond.rest() == b""
        found.cut_off()


def test_a_fault_of_ours_ends_one_connection_alone(found: Front, capsys: pytest.CaptureFixture[str]) -> None:
    with found.device() as (client, there), found.device() as (other, beyond):
        client.send(publish_packet(QUESTION, b"break"))
        assert client.rest() == b""
        assert there.rest() == b""
        other.send(PINGREQ)
        assert beyond.read() == (0xC0, b"")
        until(lambda: "connection to the broker failed" in capsys.readouterr().out)


# By a deadline


@pytest.mark.parametrize("version", [4, 5])
def test_a_packet_that_is_never_finished(version: int) -> None:
    with front(packet_seconds=SHORT) as found, found.device(version) as (client, there):
        client.send(publish_packet(UP, b"good", version=version) + publish_packet(UP, b"x", version=version)[:-1])
        assert client.rest() == (b"\xe0\x01\x8d" if version == 5 else b"")
        assert there.read() == body_of(publish_packet(UP_THERE, b"good", version=version))
        assert there.rest() == b""
        assert found.counted("packet_seconds") == 1


def test_a_stream_that_is_always_in_the_middle_of_a_packet_is_none_of_these() -> None:
    data = publish_packet(UP, b"x")
    with front(packet_seconds=UNHURRIED) as found, found.device() as (client, there):
        client.send(data[:3])
        over = time.monotonic() + 2 * UNHURRIED
        while time.monotonic() < over:
            client.send(data[3:] + data[:3])
            assert there.read() == body_of(publish_packet(UP_THERE, b"x"))
            time.sleep(UNHURRIED / 50)
        assert found.counted("packet_seconds") == 0


def test_time_stands_still_while_a_request_is_answered() -> None:
    with front(packet_seconds=SHORT) as found, found.device() as (client, there):
        rest = publish_packet(UP, b"x")
        client.send(rest[:-1])
        until(lambda: any(relay._crossing.up.pending for relay in tuple(found.server._shared.open)))
        client.send(rest[-1:] + publish_packet(QUESTION, b"wait") + rest[:-1])
        until(lambda: found.rules.handled)
        assert there.read() == body_of(publish_packet(UP_THERE, b"x"))
        assert there.is_quiet(2 * SHORT)
        assert found.counted("packet_seconds") == 0
        found.rules.release.set()
        assert client.read()[0] == 0x30
        assert client.rest() == b""
        assert found.counted("packet_seconds") == 1


# The will, as a real broker has it


@pytest.mark.parametrize("version", VERSIONS)
def test_a_will_is_published_when_its_device_is_gone_and_not_when_it_said_goodbye(tmp_path: Path, version: int) -> None:
    with mosquitto_beside(tmp_path) as port, front(port=port) as found, RawClient(port) as watcher:
        watcher.connect(4, client_id="watcher").send(subscribe_packet((f"at/{DEVICE_ID}/#", 0)))
        assert watcher.read()[0] == 0x90
        for goodbye in (True, False):
            will = will_fields(f"{UP}/last", b"gone", version)
            with found.client().send(
                connect_packet(version, username="dev1", client_id="c", will=will, will_flags=0x04)
            ) as client:
                assert client.read()[0] == 0x20
                client.send(publish_packet(UP, b"%d" % goodbye, version=version))
                assert watcher.read() == body_of(publish_packet(UP_THERE, b"%d" % goodbye))
                if goodbye:
                    client.send(DISCONNECT)
                    assert client.rest() == b""
        assert watcher.read() == body_of(publish_packet(f"{UP_THERE}/last", b"gone"))
