"""What our own routes keep, on a connection whose other packets go on to the broker."""

import time
from collections.abc import Iterator

import pytest

from tests.protocols.front_peer import (
    DOWN,
    DOWN_THERE,
    EVERY_LOOP,
    PINGREQ,
    PINGRESP,
    ROOM,
    UP,
    UP_THERE,
    Front,
    body_of,
    front,
    is_quiet,
    suback,
    until,
    with_properties,
)
from tests.protocols.mqtt_peer import packet, publish_packet, subscribe_packet, text

VERSIONS = (3, 4, 5)
QUESTION, REPORT, ANSWER, STATE = "own/question", "own/report", "own/answer/7", "own/state"
NOT_YET_SECONDS = 0.3


@pytest.fixture(params=EVERY_LOOP)
def found(request: pytest.FixtureRequest) -> Iterator[Front]:
    with front(request.param) as running:
        yield running


def answer(body: bytes, version: int = 4, correlation: bytes = b"") -> tuple[int, bytes]:
    block = b"\x03" + text("text/plain") + correlation
    return body_of(publish_packet(ANSWER, body, version=version, properties=block))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_request_is_answered_here_at_qos_0_between_the_brokers_packets(found: Front, version: int) -> None:
    correlation = b"\x09" + text(b"\0id")
    with found.device(version) as (client, there):
        for qos in (0, 1, 2):
            data = publish_packet(QUESTION, b"x", version=version, qos=qos, packet_id=7, properties=correlation)
            client.send(publish_packet(UP, b"before", version=version) + data + publish_packet(UP, b"after", version=version))
            if qos:
                assert client.read() == ((0, 0x40, 0x50)[qos], b"\0\x07")
            assert client.read() == answer(b"for x", version, correlation)
            assert there.read() == body_of(publish_packet(UP_THERE, b"before", version=version))
            assert there.read() == body_of(publish_packet(UP_THERE, b"after", version=version))
        client.send(data)
        assert client.read() == (0x50, b"\0\x07")  # received before, and not handled again
        client.send(b"\x62\x02\0\x07")
        assert client.read() == (0x70, b"\0\x07")
        client.send(b"\x62\x02\0\x08")
        assert there.read() == (0x62, b"\0\x08")
    assert [inbound.path for inbound in found.rules.finished] == [QUESTION] * 3
    assert found.rules.finished[0].identity is not None


def test_releases_of_refused_messages_and_of_ours_do_not_meet(found: Front) -> None:
    with found.device() as (client, there):
        client.send(publish_packet(REPORT, b"x", qos=2, packet_id=1))
        assert client.read() == (0x50, b"\0\x01")
        client.send(publish_packet("others", b"x", qos=2, packet_id=2))
        assert client.read() == (0x50, b"\0\x02")
        client.send(b"\x62\x02\0\x02")
        assert client.read() == (0x70, b"\0\x02")
        client.send(b"\x62\x02\0\x01")
        assert client.read() == (0x70, b"\0\x01")
        client.send(b"\x62\x02\0\x01")
        assert there.read() == (0x62, b"\0\x01")


@pytest.mark.parametrize("version", [4, 5])
def test_messages_of_qos_2_that_are_never_released_have_an_end(version: int) -> None:
    with front(receive_maximum=2) as found, found.device(version) as (client, _):
        for packet_id in (1, 2, 3):
            client.send(publish_packet(REPORT, b"", version=version, qos=2, packet_id=packet_id))
        assert client.rest() == b"\x50\x02\0\x01\x50\x02\0\x02" + (b"\xe0\x01\x93" if version == 5 else b"")
        assert found.counted("receive_maximum") == 1


def test_retained_and_qos_2_are_no_reason_to_close_where_the_broker_has_them(found: Front) -> None:
    with found.device(5) as (client, _):
        client.send(publish_packet(REPORT, b"", version=5, qos=2, packet_id=1, flags=1))
        assert client.read() == (0x50, b"\0\x01")


@pytest.mark.parametrize(
    ("version", "closing", "rest"), [(5, "yes", b"\xe0\x01\x87"), (4, "yes", b""), (4, "unless_told", b"")]
)
def test_an_answer_that_closes_ends_both_sides(found: Front, version: int, closing: str, rest: bytes) -> None:
    with found.device(version) as (client, there):
        client.send(
            publish_packet(f"refuse/forbidden/{closing}", b"", version=version) + publish_packet(UP, b"", version=version)
        )
        assert client.rest() == rest
        assert there.rest() == b""


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (publish_packet(QUESTION, b"", version=5, properties=b"\x23\0\x01"), 0x94),
        (publish_packet(QUESTION, b"", version=5, properties=b"\x7e"), 0x81),
        (publish_packet(QUESTION, b"", version=5, properties=b"\x26\0\0\0\0" * 25 + b"\x01"), 0x81),
    ],
)
def test_a_request_that_breaks_the_protocol(data: bytes, code: int) -> None:
    with front() as found, found.device(5) as (client, there):
        client.send(data + PINGREQ)
        assert client.rest() == bytes((0xE0, 1, code))
        assert there.rest() == b""


def test_an_answer_that_the_client_cannot_take_is_counted(found: Front) -> None:
    with found.device(5, properties=b"\x27\0\0\0\x40") as (client, _):
        client.send(publish_packet(QUESTION, b"x" * 100, version=5, qos=1))
        assert client.read() == (0x40, b"\0\x01")
        client.send(publish_packet(QUESTION, b"y", version=5))
        assert client.read() == answer(b"for y", 5)
    assert found.counted("client_packet_bytes") == 1


def test_an_answer_never_comes_in_the_middle_of_a_delivery(found: Front) -> None:
    delivery = publish_packet(DOWN_THERE, b"z" * 50_000)
    with found.device() as (client, there):
        there.send(delivery[:30_000])
        client.send(publish_packet(QUESTION, b"x"))
        assert client.read() == answer(b"for x")
        there.send(delivery[30_000:])
        assert client.read() == body_of(publish_packet(DOWN, b"z" * 50_000))


def test_packets_behind_a_request_wait_for_it(found: Front) -> None:
    with found.device() as (client, there):
        client.send(publish_packet(QUESTION, b"wait") + publish_packet(UP, b"x"))
        until(lambda: found.rules.handled)
        assert there.is_quiet()
        there.send(publish_packet(ROOM, b"meanwhile"))
        assert client.read() == body_of(publish_packet(ROOM, b"meanwhile"))
        found.rules.release.set()
        assert client.read() == answer(b"for wait")
        assert there.read() == body_of(publish_packet(UP_THERE, b"x"))


def test_so_much_waits_behind_a_request_and_no_more() -> None:
    with front(queue_bytes=1_024, receive_buffer=4_096) as found, found.device() as (client, there):
        client.send(publish_packet(QUESTION, b"wait"))
        until(lambda: found.rules.handled)
        client.socket.settimeout(NOT_YET_SECONDS)
        sent = 0
        try:
            while sent < 50_000_000:
                sent += client.socket.send(publish_packet(UP, b"x" * 60_000))
        except TimeoutError:
            pass
        assert sent < 50_000_000
        (relay,) = found.server._shared.open
        assert relay._crossing.up.pending < 1_000_000
        found.rules.release.set()
        assert there.read() == body_of(publish_packet(UP_THERE, b"x" * 60_000))


# Subscribing


@pytest.mark.parametrize("version", VERSIONS)
def test_subscriptions_to_answers_are_granted_here(found: Front, version: int) -> None:
    refused = b"\x87" if version == 5 else b"\x80"
    with found.device(version) as (client, there):
        client.send(subscribe_packet((ANSWER, 1), ("own/#", 2), version=version))
        assert client.read() == body_of(suback(b"\0\0", version))
        client.send(subscribe_packet(("own/#", 2), ("others", 1), (DOWN, 1), version=version, packet_id=2))
        assert there.read() == body_of(subscribe_packet((DOWN_THERE, 1), version=version, packet_id=2))
        there.send(suback(b"\x01", version, 2))
        assert client.read() == body_of(suback(b"\0" + refused + b"\x01", version, 2))


def test_so_many_are_kept_and_no_more() -> None:
    with front(subscriptions=1) as found, found.device(5) as (client, _):
        client.send(subscribe_packet(("own/a", 1), ("own/b", 1), version=5))
        assert client.read() == body_of(suback(b"\0\x87", 5))
        assert found.counted("subscriptions") == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_subscription_that_is_a_request_is_answered_and_what_changes_is_pushed(found: Front, version: int) -> None:
    block = b"" if version < 5 else b"\0"
    with found.device(version) as (client, there):
        client.send(subscribe_packet((STATE, 1), (DOWN, 1), version=version) + publish_packet(UP, b"", version=version))
        assert client.read() == (0x30, text(STATE) + block + b"1")
        assert there.read() == body_of(subscribe_packet((DOWN_THERE, 1), version=version))
        assert there.read() == body_of(publish_packet(UP_THERE, b"", version=version))
        there.send(suback(b"\x01", version))
        assert client.read() == body_of(suback(b"\0\x01", version))
        found.rules.state = b"2"
        found.call(found.rules.watchers.tell)
        assert client.read() == (0x30, text(STATE) + block + b"2")
        client.send(packet(0xA2, b"\0\x02", b"\0" if version == 5 else b"", text(STATE)))
        assert client.read() == body_of(suback(b"\0" if version == 5 else b"", version, 2, 0xB0))
        found.rules.state = b"3"
        found.call(found.rules.watchers.tell)
        assert is_quiet(client)


def test_what_is_subscribed_to_here_and_there_is_given_up_at_both(found: Front) -> None:
    with found.device(5) as (client, there):
        client.send(subscribe_packet(("own/a", 1), version=5))
        assert client.read() == body_of(suback(b"\0", 5))
        client.send(packet(0xA2, b"\0\x02", with_properties(b""), text("own/a"), text("own/b"), text(DOWN)))
        assert there.read() == (0xA2, b"\0\x02\0" + text(DOWN_THERE))
        there.send(suback(b"\0", 5, 2, 0xB0))
        assert client.read() == body_of(suback(b"\0\x11\0", 5, 2, 0xB0))


def test_who_leaves_while_its_subscription_is_asked_about_does_not_subscribe(found: Front) -> None:
    with found.device() as (client, there):
        found.rules.slow.add("own/slow/request")
        client.send(subscribe_packet(("own/slow/response", 1), (DOWN, 1)))
        until(lambda: found.rules.slow_asked)
        (relay,) = found.server._shared.open
        client.close()
        until(lambda: relay.lost)
        found.rules.release.set()
        assert there.rest() == b""


# Keep-alive


def test_a_device_that_talks_to_us_alone_is_kept_alive_at_the_broker(found: Front) -> None:
    with found.device(keep_alive=1) as (client, there):
        for data, told in (
            (publish_packet(REPORT, b"", qos=1), (0x40, b"\0\x01")),
            (publish_packet("others", b"", qos=1), (0x40, b"\0\x01")),
            (subscribe_packet(("own/#", 1)), (0x90, b"\0\x01\0")),
        ):
            time.sleep(NOT_YET_SECONDS)
            client.send(data)
            assert client.read() == told
            assert there.read() == (0xC0, b"")
            there.send(PINGRESP)
            assert is_quiet(client)
        client.send(PINGREQ)
        assert there.read() == (0xC0, b"")
        there.send(PINGRESP)
        assert client.read() == (0xD0, b"")


@pytest.mark.parametrize(("asked", "wanted", "pinged"), [(0, b"", False), (60, b"\x13\0\x01", True), (0, b"\x13\0\x01", True)])
def test_the_keep_alive_that_counts_is_the_brokers(asked: int, wanted: bytes, pinged: bool) -> None:
    connack = packet(0x20, b"\0\0", with_properties(wanted))
    with front() as found, found.device(5, connack, keep_alive=asked) as (client, there):
        time.sleep(NOT_YET_SECONDS)
        client.send(publish_packet(REPORT, b"", version=5, qos=1))
        assert client.read() == (0x40, b"\0\x01")
        assert there.is_quiet() is not pinged


def test_many_refused_messages_let_others_have_their_turn(found: Front) -> None:
    with found.device() as (client, there), found.device() as (other, beyond):
        client.send(publish_packet("no", b"", qos=1, packet_id=9) * 5_000 + PINGREQ)
        other.send(PINGREQ)
        assert beyond.read() == (0xC0, b"")
        assert client.take(5_000 * 4) == b"\x40\x02\0\x09" * 5_000
        assert there.read() == (0xC0, b"")
