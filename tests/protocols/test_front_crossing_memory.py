"""What a crossing keeps in mind: messages that wait for their release, subscriptions, the will."""

import pytest

from adapters.mqtt.front.crossing import Crossed, Crossing
from adapters.mqtt.front.cutting import Frame
from adapters.mqtt.packets import ProtocolError, ReasonCode
from core.topic_spaces import Grant, Grants
from tests.protocols.crossing_peer import BROKER_KINDS, DEVICE_KINDS, crossing, said
from tests.protocols.front_peer import (
    BOTH,
    DOWN,
    DOWN_THERE,
    GRANTS,
    ROOM,
    SUBSCRIBE,
    UP,
    body_of,
    with_properties,
)
from tests.protocols.mqtt_peer import packet, publish_packet

VERSIONS = (3, 4, 5)


@pytest.mark.parametrize("version", [3, 4])
def test_qos_2_that_is_refused_before_version_5_is_completed_here(version: int) -> None:
    made = crossing(version)
    said(made, publish_packet("no", b"x", qos=2, packet_id=7), version)
    assert made.up.passing == DEVICE_KINDS - {6}
    assert made.release(Frame(0x62, b"\0\x08")) == Crossed(to_broker=b"\x62\x02\0\x08")
    assert made.release(Frame(0x62, b"\0\x07")) == Crossed(to_device=b"\x70\x02\0\x07")
    made.look_at_releases(False)
    assert made.up.passing == DEVICE_KINDS
    assert made.release(Frame(0x62, b"\0\x07")) == Crossed(to_broker=b"\x62\x02\0\x07")


def test_releases_are_looked_at_as_long_as_somebody_waits_for_one() -> None:
    made = crossing()
    made.look_at_releases(True)
    said(made, publish_packet("no", b"x", qos=2, packet_id=7))
    made.look_at_releases(False)
    assert made.up.passing == DEVICE_KINDS - {6}
    made.release(Frame(0x62, b"\0\x07"))
    made.look_at_releases(True)
    assert made.up.passing == DEVICE_KINDS - {6}
    with pytest.raises(ProtocolError):
        made.release(Frame(0x62, b"\0\0"))


def test_refused_messages_that_are_never_released_have_an_end() -> None:
    made = crossing()
    for packet_id in range(1, 65):
        said(made, publish_packet("no", b"x", qos=2, packet_id=packet_id))
    said(made, publish_packet("no", b"x", qos=2, packet_id=64, flags=8))
    with pytest.raises(ProtocolError) as caught:
        said(made, publish_packet("no", b"x", qos=2, packet_id=65))
    assert (caught.value.reason_code, caught.value.bound) == (ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, "receive_maximum")


def test_in_version_5_where_most_releases_never_come_the_latest_are_awaited() -> None:
    made = crossing(5)
    for packet_id in range(1, 66):
        said(made, publish_packet("no", b"x", version=5, qos=2, packet_id=packet_id), 5)
    assert made.release(Frame(0x62, b"\0\x01")) == Crossed(to_broker=b"\x62\x02\0\x01")
    assert made.release(Frame(0x62, b"\0\x41")) == Crossed(to_device=b"\x70\x03\0\x41\x92")
    made.look_at_releases(False)
    assert (made.up.passing, made.up.strict_qos) == (DEVICE_KINDS, 3)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_packet_id_that_is_taken_over_waits_for_no_release_here(version: int) -> None:
    made = crossing(version)
    said(made, publish_packet(ROOM, b"x", version=version), version)
    said(made, publish_packet("no", b"x", version=version, qos=2, packet_id=7), version)
    other = publish_packet(ROOM, b"x", version=version, qos=2, packet_id=7)
    made.up.feed(publish_packet(ROOM, b"x", version=version, qos=1) + other)
    assert made.up.next() == Frame(*body_of(other))
    assert said(made, other, version) == Crossed(to_broker=other)
    assert made.release(Frame(0x62, b"\0\x07")) == Crossed(to_broker=b"\x62\x02\0\x07")


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("qos", "answer"), [(0, b""), (1, b"\x40\x02\0\x07"), (2, b"\x50\x02\0\x07")])
def test_a_delivery_that_is_too_large_is_taken_off_the_broker(version: int, qos: int, answer: bytes) -> None:
    made = Crossing(version, 1_000, 1_000)
    made.permit(Grants(GRANTS))
    made.enter()
    data = publish_packet(ROOM, b"x" * 1_000, version=version, qos=qos, packet_id=7, properties=b"\x01\x01")
    made.down.feed(data)
    frame = made.down.next()
    assert frame is not None
    assert made.from_broker(frame) == Crossed(to_broker=answer, refused=ROOM, size=len(data))
    assert made.down.passing == (BROKER_KINDS - {6} if qos == 2 else BROKER_KINDS)


def test_a_will_lapses_with_what_it_was_permitted_by_and_comes_back_with_it() -> None:
    made = crossing()
    made.permit(Grants())
    assert not made.will_lapsed
    made.permit(Grants(GRANTS))
    made.will_topic(UP)
    assert not made.will_lapsed
    made.permit(Grants(GRANTS[1:]))
    assert made.will_lapsed
    made.permit(Grants((Grant(UP, "elsewhere", BOTH),)))
    assert made.will_lapsed
    made.permit(Grants(GRANTS))
    assert not made.will_lapsed
    made.permit(Grants())
    made.leave_will()
    assert not made.will_lapsed


@pytest.mark.parametrize("body", [b"", b"\0", b"\x04", b"\x04" + with_properties(b"\x11\0\0\0\x09")])
def test_a_goodbye_takes_back_a_will_that_lapsed(body: bytes) -> None:
    made = crossing(5)
    made.will_topic(UP)
    assert made.goodbye(Frame(0xE0, body)) == packet(0xE0, body)
    made.will_topic(UP)
    made.permit(Grants())
    assert made.goodbye(Frame(0xE0, body)) == packet(0xE0, body[:1].replace(b"\x04", b"\0") + body[1:])
    assert not made.will_lapsed


def test_subscriptions_are_known_by_their_filters_at_the_broker_until_they_are_given_up() -> None:
    made = crossing()
    assert [made.subscribe(wanted) for wanted in (DOWN, ROOM, "others")] == [DOWN_THERE, ROOM, None]
    made.permit(Grants((Grant(DOWN, "elsewhere", SUBSCRIBE),)))
    for there in (DOWN_THERE, "elsewhere"):
        assert made.unsubscribe(DOWN) == there
    for unknown in (ROOM, None):
        assert made.unsubscribe(ROOM) == unknown
    assert made.unsubscribe("others") is None


def test_a_long_subscription_is_not_kept_in_mind() -> None:
    made = crossing()
    long = f"{DOWN}/{'x' * 300}"
    assert made.subscribe(long) == long.replace(DOWN, DOWN_THERE)
    made.permit(Grants())
    assert made.unsubscribe(long) is None


def test_so_many_subscriptions_are_known_and_no_more() -> None:
    made = crossing()
    for number in range(65):
        made.subscribe(f"{DOWN}/{number}")
    made.subscribe(f"{DOWN}/0")
    made.permit(Grants())
    assert made.unsubscribe(f"{DOWN}/64") is None
    known = [made.unsubscribe(f"{DOWN}/{number}") for number in range(65)]
    assert known == [f"{DOWN_THERE}/{number}" for number in range(64)] + [None]
