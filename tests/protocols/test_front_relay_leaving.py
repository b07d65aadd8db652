"""Whatever becomes of connections through the front, nothing of them is left."""

import pytest

from tests.protocols.front_peer import (
    CONNACK,
    DISCONNECT,
    DOWN,
    EVERY_LOOP,
    BrokerSide,
    Front,
    front,
    until,
)
from tests.protocols.mqtt_peer import RawClient, publish_packet, subscribe_packet

VERSIONS = (3, 4, 5)
SHORT = 0.15
UNHURRIED = 0.6  # what no step of a test takes
QUESTION = "own/question"
RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER on, without lingering: close() resets the connection


def _is_let_in(found: Front, client: RawClient, there: BrokerSide) -> None:
    there.let_in()
    assert client.read()[0] == 0x20


@pytest.mark.parametrize("loop", EVERY_LOOP)
def test_two_hundred_connections_of_all_kinds_leave_nothing(loop: str) -> None:
    with front(loop, connect_burst=10_000, seconds=2.0) as found:
        for _ in range(20):
            for kind in KINDS:
                with found.knock() as client:
                    KINDS[kind](found, client)
        until(found.is_empty)
        assert found.meter.levels["mqtt.connections"] == 0
        assert found.meter.levels["mqtt.upstream"] == 0


def _leaves(found: Front, client: RawClient) -> None:
    with found.broker.accept() as there:
        _is_let_in(found, client, there)
        client.send(DISCONNECT)
        assert there.rest() == DISCONNECT


def _vanishes(found: Front, client: RawClient) -> None:
    with found.broker.accept() as there:
        _is_let_in(found, client, there)
        client.close()
        assert there.rest() == b""


def _vanishes_early(found: Front, client: RawClient) -> None:
    client.close()
    with found.broker.accept() as there:
        there.send(CONNACK[4])
        there.read()
        assert there.rest() == b""


def _is_refused(found: Front, client: RawClient) -> None:
    with found.broker.accept() as there:
        there.let_in(b"\x20\x02\0\x05")
        assert client.rest() == b"\x20\x02\0\x03"


def _is_dropped(found: Front, client: RawClient) -> None:
    with found.broker.accept() as there:
        there.read()
    assert client.rest() == b"\x20\x02\0\x03"


def _is_left_alone(found: Front, client: RawClient) -> None:
    with found.broker.accept() as there:
        _is_let_in(found, client, there)
    assert client.rest() == b""


def _breaks_the_protocol(found: Front, client: RawClient) -> None:
    with found.broker.accept() as there:
        _is_let_in(found, client, there)
        client.send(b"\xf0\x00")
        assert client.rest() == b""


def _asks_and_leaves(found: Front, client: RawClient) -> None:
    with found.broker.accept() as there:
        _is_let_in(found, client, there)
        client.send(subscribe_packet(("own/state", 0), (DOWN, 0)) + publish_packet(QUESTION, b"x"))
        assert there.read()[0] == 0x82
        client.close()


def _is_revoked(found: Front, client: RawClient) -> None:
    with found.broker.accept() as there:
        _is_let_in(found, client, there)
        found.call(found.rules.attended.tell)
        assert client.rest() == b""


def _is_cut_off(found: Front, client: RawClient) -> None:
    with found.broker.accept() as there:
        there.read()
        found.cut_off()
        assert client.rest() == b""


KINDS = {
    kind.__name__: kind
    for kind in (
        _leaves,
        _vanishes,
        _vanishes_early,
        _is_refused,
        _is_dropped,
        _is_left_alone,
        _breaks_the_protocol,
        _asks_and_leaves,
        _is_revoked,
        _is_cut_off,
    )
}
