"""Peers that do not take what they are sent: who waits for whom, how much is held meanwhile, and for how long."""

import contextlib
import time
from collections.abc import Callable, Iterator

import pytest

from adapters.mqtt.front.relay import Relay
from tests.protocols.front_peer import (
    DOWN,
    DOWN_THERE,
    EVERY_LOOP,
    PINGREQ,
    UP,
    UP_THERE,
    Front,
    body_of,
    front,
    until,
)
from tests.protocols.mqtt_peer import PATIENCE_SECONDS, RawClient, publish_packet

SHORT = 0.1
SMALL = 65_536  # of the kernel, so that what waits here is seen
HELD = 1_000_000
"""More than anything that may wait in this process for one connection."""


@pytest.fixture(params=EVERY_LOOP)
def found(request: pytest.FixtureRequest) -> Iterator[Front]:
    with front(request.param, receive_buffer=SMALL, write_stall_seconds=30.0, write_buffer_bytes=8_192) as running:
        yield running


def relay(found: Front) -> Relay:
    """Return the only connection."""
    (only,) = found.server._shared.open
    assert isinstance(only, Relay)
    return only


def held(found: Front) -> int:
    """Return how many bytes wait in this process."""

    def count() -> int:
        one = relay(found)
        writing = one._transport.get_write_buffer_size() + one._broker._transport.get_write_buffer_size()
        return writing + one._crossing.up.pending + one._crossing.down.pending

    return int(found.call(count))


def send_until(stopped: Callable[[], bool], peer: RawClient, data: bytes) -> int:
    """Write until nobody reads any more, and somebody is stopped; returns how many whole ones were begun."""
    peer.socket.settimeout(SHORT)
    count, rest = 0, b""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if not rest:
            count, rest = count + 1, data
        try:
            rest = rest[peer.socket.send(rest) :]
        except TimeoutError:
            if stopped():
                return count
    raise AssertionError(f"{count} were taken")


def test_a_broker_that_does_not_read_stops_its_device_and_goes_on_later(found: Front) -> None:
    with found.device() as (client, there):
        data = publish_packet(UP, b"x" * 20_000)
        sent = send_until(lambda: relay(found)._broker.blocked, client, data)
        assert held(found) < HELD
        for _ in range(sent - 1):
            assert there.read() == body_of(publish_packet(UP_THERE, b"x" * 20_000))


def test_a_device_that_does_not_read_stops_its_broker_and_goes_on_later(found: Front) -> None:
    with found.knock() as client, found.broker.accept() as there:
        there.let_in()
        assert client.read()[0] == 0x20
        sent = send_until(lambda: relay(found).blocked, there, publish_packet(DOWN_THERE, b"x" * 20_000))
        assert held(found) < HELD
        for _ in range(sent - 1):
            assert client.read() == body_of(publish_packet(DOWN, b"x" * 20_000))


def test_a_device_that_takes_no_answers_gets_no_more_and_is_answered_later(found: Front) -> None:
    with found.device() as (client, _):
        question = publish_packet("own/question", b"x" * 20_000)
        sent = send_until(lambda: relay(found).blocked, client, question)
        assert held(found) < HELD
        assert len(found.rules.handled) < sent
        for _ in range(sent - 1):
            assert client.read()[1].endswith(b"for " + b"x" * 20_000)
        client.socket.settimeout(SHORT)
        with contextlib.suppress(TimeoutError):
            client.read()


def test_acknowledgements_that_nobody_takes_are_held_in_bounds(found: Front) -> None:
    with found.device() as (client, _):
        client.socket.setblocking(False)

        def is_held() -> bool:
            with contextlib.suppress(BlockingIOError):
                client.socket.send(publish_packet("no", b"", qos=1) * 2_000)
            return relay(found).blocked

        until(is_held)
        assert held(found) < HELD


def stalls(found: Front, happened: Callable[[], object]) -> None:
    until(happened)
    until(found.is_empty)


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_a_device_that_does_not_read_for_long_is_closed(loop: str) -> None:
    with front(loop, write_stall_seconds=SHORT, write_buffer_bytes=8_192) as found, found.device() as (client, there):
        with contextlib.suppress(OSError):
            while True:
                there.send(publish_packet(DOWN_THERE, b"x" * 60_000))
        stalls(found, lambda: found.counted("write_stall_seconds") == 1)
        assert client.socket.fileno() > 0


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_a_broker_that_does_not_read_for_long_loses_its_device(loop: str) -> None:
    with (
        front(loop, receive_buffer=SMALL, write_stall_seconds=SHORT, write_buffer_bytes=8_192) as found,
        found.device(5) as (client, there),
    ):
        with contextlib.suppress(OSError):
            while True:
                client.send(publish_packet(UP, b"x" * 60_000, version=5))
        stalls(found, lambda: not found.server._shared.open)
        assert there.socket.fileno() > 0
        assert found.counted("upstream_stall") == 1


def test_what_a_device_said_before_it_went_reaches_a_slow_broker(found: Front) -> None:
    with found.device() as (client, there):
        sent = send_until(lambda: relay(found)._broker.blocked, client, publish_packet(UP, b"x" * 20_000))
        client.close()
        for _ in range(sent - 1):
            assert there.read() == body_of(publish_packet(UP_THERE, b"x" * 20_000))
        there.rest()


def test_time_stands_still_for_a_packet_that_is_not_read() -> None:
    with (
        front(packet_seconds=SHORT, write_stall_seconds=0.0, receive_buffer=SMALL, write_buffer_bytes=8_192) as found,
        found.device() as (client, there),
    ):
        data = publish_packet(UP, b"x" * 20_000)
        sent = send_until(lambda: relay(found)._broker.blocked, client, data)
        time.sleep(2 * SHORT)
        assert found.counted("packet_seconds") == 0
        client.socket.setblocking(True)
        for _ in range(sent - 1):
            there.read()


def test_a_long_stream_up_and_down_is_complete(found: Front) -> None:
    with found.device() as (client, there):
        client.send(PINGREQ)
        assert there.read() == (0xC0, b"")
        for size in (0, 1, 100, 20_000, 100_000):
            client.send(publish_packet(UP, b"x" * size))
            assert there.read() == body_of(publish_packet(UP_THERE, b"x" * size))
            there.send(publish_packet(DOWN_THERE, b"x" * size))
            assert client.read() == body_of(publish_packet(DOWN, b"x" * size))
