"""Wills of devices that lose a topic while they are connected: what the broker has is not published there any more."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from adapters.mqtt.front.relay import Relay
from core.topic_spaces import Grants
from tests.protocols.broker_beside import mosquitto_beside
from tests.protocols.front_peer import (
    DEVICE_ID,
    DISCONNECT,
    EVERY_LOOP,
    GRANTS,
    HOST,
    PINGREQ,
    PINGRESP,
    UP,
    UP_THERE,
    BrokerSide,
    Front,
    body_of,
    front,
    unavailable,
    until,
    will_fields,
    with_properties,
)
from tests.protocols.mqtt_peer import RawClient, connect_packet, packet, publish_packet, subscribe_packet

VERSIONS = (3, 4, 5)
QUESTION = "own/question"
SHORT = 0.15
SILENCE_SECONDS = 2.2  # more than a client with a keep-alive of a second may be silent
RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER on, without lingering: close() resets the connection


@pytest.fixture(params=EVERY_LOOP)
def found(request: pytest.FixtureRequest) -> Iterator[Front]:
    with front(request.param) as running:
        yield running


@contextlib.contextmanager
def with_will(found: Front, version: int = 4) -> Iterator[tuple[RawClient, BrokerSide]]:
    """Let a device with a will in."""
    with found.device(version, will=will_fields(UP, b"gone", version), will_flags=0x04) as (client, there):
        yield client, there


def _vanishes(found: Front, client: RawClient) -> None:
    client.close()


def _resets(found: Front, client: RawClient) -> None:
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    client.close()


def _breaks_the_protocol(found: Front, client: RawClient) -> None:
    client.send(b"\xf0\x00")


def _is_shut_down(found: Front, client: RawClient) -> None:
    found.run(found.server.close(5.0))


def _is_cut_off(found: Front, client: RawClient) -> None:
    found.cut_off()


def _meets_a_fault_of_ours(found: Front, client: RawClient) -> None:
    client.send(publish_packet(QUESTION, b"break"))


def _does_not_read(found: Front, client: RawClient) -> None:
    with contextlib.suppress(OSError):
        while True:
            client.send(publish_packet(QUESTION, b"x" * 60_000))


ENDS: list[Callable[[Front, RawClient], None]] = [
    _vanishes,
    _resets,
    _breaks_the_protocol,
    _is_shut_down,
    _is_cut_off,
    _meets_a_fault_of_ours,
    _does_not_read,
]


@pytest.mark.parametrize("lapsed", [True, False])
@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_a_will_that_lapsed_is_taken_back_at_every_end(
    loop: str, ends: Callable[[Front, RawClient], None], lapsed: bool
) -> None:
    with front(loop, write_stall_seconds=0.1, write_buffer_bytes=8_192) as found, with_will(found) as (client, there):
        found.grant(*(GRANTS[1:] if lapsed else GRANTS))
        ends(found, client)
        assert there.rest() == (DISCONNECT if lapsed else b"")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_will_of_who_is_revoked_is_left_with_the_broker(found: Front, version: int) -> None:
    with with_will(found, version) as (client, there):
        found.grant()
        found.call(found.rules.attended.tell)
        assert client.rest() == (b"\xe0\x01\x87" if version == 5 else b"")
        assert there.rest() == b""


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_a_will_that_lapsed_before_the_broker_answered_is_taken_back(loop: str) -> None:
    with (
        front(loop, seconds=SHORT) as found,
        found.knock(will=will_fields(UP, b"gone"), will_flags=0x04) as client,
        found.broker.accept() as there,
    ):
        assert there.read()[0] == 0x10
        found.grant(*GRANTS[1:])
        assert client.rest() == unavailable(4)
        assert there.rest() == DISCONNECT


@pytest.mark.parametrize("lapsed", [True, False])
def test_a_goodbye_that_wants_the_will_published_does_not_get_it_where_it_lapsed(found: Front, lapsed: bool) -> None:
    rest = with_properties(b"\x11\0\0\0\x09")
    with with_will(found, 5) as (client, there):
        found.grant(*(GRANTS[1:] if lapsed else GRANTS))
        client.send(packet(0xE0, b"\x04", rest))
        assert there.rest() == packet(0xE0, b"\0" if lapsed else b"\x04", rest)


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_a_will_that_lapses_on_the_way_to_the_broker_is_nothing_to_take_back(loop: str) -> None:
    with (
        socket.create_server((HOST, 0), backlog=0) as busy,
        socket.create_connection(busy.getsockname()),
        front(loop, port=busy.getsockname()[1], seconds=SHORT) as found,
        found.knock(will=will_fields(UP, b"gone"), will_flags=0x04) as client,
    ):
        until(lambda: any(isinstance(one, Relay) and one._crossing._will for one in tuple(found.server._shared.open)))
        found.grant(*GRANTS[1:])
        assert client.rest() == unavailable(4)


# Who is silent


@pytest.mark.parametrize("version", [4, 5])
def test_who_is_silent_is_given_up_before_the_broker_publishes_a_will_that_lapsed(version: int) -> None:
    will = will_fields(UP, b"gone", version)
    with front() as found, found.device(version, will=will, will_flags=0x04, keep_alive=1) as (client, there):
        found.grant(*GRANTS[1:])
        assert set(bytes_of(there.rest())) == {PINGREQ, DISCONNECT}
        assert client.rest() == (b"\xe0\x01\x8d" if version == 5 else b"")
        assert found.counted("keep_alive") == 1


def bytes_of(data: bytes) -> list[bytes]:
    """Return packets of two bytes; the last one is the goodbye."""
    packets = [data[at : at + 2] for at in range(0, len(data), 2)]
    assert DISCONNECT not in packets[:-1]
    return packets


def test_who_is_not_silent_stays_and_whose_will_is_permitted_again_is_the_brokers() -> None:
    with front() as found, found.device(will=will_fields(UP, b"gone"), will_flags=0x04, keep_alive=1) as (client, there):
        found.grant(*GRANTS[1:])
        over = time.monotonic() + SILENCE_SECONDS
        while time.monotonic() < over:
            client.send(PINGREQ)
            assert there.read() == (0xC0, b"")
            there.send(PINGRESP)
            assert client.read() == (0xD0, b"")
            time.sleep(0.2)
        found.grant(*GRANTS)
        assert there.is_quiet(SILENCE_SECONDS)


def test_who_waits_for_an_answer_is_not_silent() -> None:
    with front() as found, found.device(will=will_fields(UP, b"gone"), will_flags=0x04, keep_alive=1) as (client, there):
        found.grant(*GRANTS[1:])
        client.send(publish_packet(QUESTION, b"wait"))
        until(lambda: found.rules.handled)
        for _ in range(6):
            assert there.read() == (0xC0, b"")
        assert found.counted("keep_alive") == 0
        found.rules.release.set()
        assert client.read()[0] == 0x30


@pytest.mark.parametrize("version", VERSIONS)
def test_a_real_broker_does_not_publish_what_lapsed(tmp_path: Path, version: int) -> None:
    with mosquitto_beside(tmp_path) as port, front(port=port) as found, RawClient(port) as watcher:
        watcher.connect(4, client_id="watcher").send(subscribe_packet((f"at/{DEVICE_ID}/#", 0)))
        assert watcher.read()[0] == 0x90
        will = will_fields(f"{UP}/last", b"gone", version)
        connect = connect_packet(version, username="dev1", client_id="c", will=will, will_flags=0x04)
        for lapsed in (True, False):
            with found.client().send(connect) as client:
                assert client.read()[0] == 0x20
                client.send(publish_packet(UP, b"%d" % lapsed, version=version))
                assert watcher.read() == body_of(publish_packet(UP_THERE, b"%d" % lapsed))
                if lapsed:
                    found.grant(*GRANTS[1:])
            until(found.is_empty)
            found.rules.rights = Grants(GRANTS, (DEVICE_ID,))
        assert watcher.read() == body_of(publish_packet(f"{UP_THERE}/last", b"gone"))
