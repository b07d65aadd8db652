"""What crosses between a device and the broker by its grants, and what is answered for whoever does not get it."""

import pytest

from adapters.mqtt.front.crossing import Crossed, Crossing, Purpose, raw
from adapters.mqtt.front.cutting import UNCHANGED, Frame
from adapters.mqtt.packets import ProtocolError, ReasonCode
from core.topic_spaces import Grant, Grants
from tests.protocols.crossing_peer import BROKER_KINDS, comes_down, crossing, heard, passes, said
from tests.protocols.front_peer import (
    BOTH,
    DOWN,
    DOWN_THERE,
    PINGRESP,
    ROOM,
    SUBSCRIBE,
    UP,
    UP_THERE,
    suback,
    with_properties,
)
from tests.protocols.mqtt_peer import packet, publish_packet, text

VERSIONS = (3, 4, 5)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_topic_is_decided_about_once(version: int, qos: int) -> None:
    made = crossing(version)
    for topic, there in ((f"{UP}/1", f"{UP_THERE}/1"), (ROOM, ROOM)):
        data = publish_packet(topic, b"x", version=version, qos=qos)
        expected = publish_packet(there, b"x", version=version, qos=qos)
        assert said(made, data, version) == Crossed(to_broker=expected)
        assert passes(made, data * 3) == expected * 3


@pytest.mark.parametrize("version", VERSIONS)
def test_a_delivery_is_decided_about_once(version: int) -> None:
    made = crossing(version)
    for there, topic in ((f"{DOWN_THERE}/1", f"{DOWN}/1"), (ROOM, ROOM)):
        data = publish_packet(there, b"x", version=version, qos=1, flags=9)
        expected = publish_packet(topic, b"x", version=version, qos=1, flags=9)
        assert heard(made, data) == Crossed(to_device=expected)
        assert comes_down(made, data * 3) == expected * 3


@pytest.mark.parametrize(
    ("version", "qos", "answer"),
    [
        (3, 0, b""),
        (4, 0, b""),
        (5, 0, b""),
        (3, 1, b"\x40\x02\0\x07"),
        (4, 1, b"\x40\x02\0\x07"),
        (5, 1, b"\x40\x03\0\x07\x87"),
        (4, 2, b"\x50\x02\0\x07"),
        (5, 2, b"\x50\x03\0\x07\x87"),
    ],
)
@pytest.mark.parametrize("topic", [DOWN, "me/upper", UP_THERE, "$SYS/broker", "room", "room/70"])
def test_a_message_elsewhere_is_acknowledged_and_goes_nowhere(version: int, qos: int, answer: bytes, topic: str) -> None:
    made = crossing(version)
    data = publish_packet(topic, b"x", version=version, qos=qos, packet_id=7)
    assert said(made, data, version) == Crossed(to_device=answer, refused=topic)
    made.up.feed(data)
    assert made.up.next() is not None


def test_new_grants_count_at_once_both_ways() -> None:
    made = crossing()
    up, down = publish_packet(ROOM, b"x", qos=1, packet_id=7), publish_packet(ROOM, b"y", qos=1, packet_id=8)
    said(made, up)
    heard(made, down)
    made.permit(Grants())
    assert said(made, up) == Crossed(to_device=b"\x40\x02\0\x07", refused=ROOM)
    assert heard(made, down) == Crossed(to_broker=b"\x40\x02\0\x08", refused=ROOM)
    made.permit(Grants((Grant(ROOM, "elsewhere", BOTH),)))
    assert said(made, up) == Crossed(to_broker=publish_packet("elsewhere", b"x", qos=1, packet_id=7))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_delivery_that_is_not_the_devices_is_taken_off_the_broker(version: int) -> None:
    made = crossing(version)

    def delivery(qos: int) -> bytes:
        return publish_packet("others", b"x", version=version, qos=qos, packet_id=7)

    assert heard(made, delivery(0)) == Crossed(refused="others")
    assert heard(made, delivery(1)) == Crossed(to_broker=b"\x40\x02\0\x07", refused="others")
    assert heard(made, delivery(2)) == Crossed(to_broker=b"\x50\x02\0\x07", refused="others")
    assert made.down.passing == BROKER_KINDS - {6}
    assert heard(made, b"\x62\x02\0\x08") == Crossed(to_device=b"\x62\x02\0\x08")
    assert heard(made, b"\x62\x02\0\x07") == Crossed(to_broker=b"\x70\x02\0\x07")
    assert made.down.passing == BROKER_KINDS


def test_many_topics_are_not_all_remembered() -> None:
    made = crossing()
    for number in range(1_000):
        said(made, publish_packet(f"{UP}/{number}", b"x"))
        assert passes(made, publish_packet(f"{UP}/{number}", b"y")) == publish_packet(f"{UP_THERE}/{number}", b"y")
        assert len(made.up.ways) <= 64


def test_a_long_topic_is_not_remembered() -> None:
    made = crossing()
    topic = f"{UP}/{'x' * 60_000}"
    for _ in range(2):
        assert said(made, publish_packet(topic, b"x")).to_broker == publish_packet(topic.replace(UP, UP_THERE), b"x")
    assert made.up.ways == {}


# Response topics


def response(topic: str) -> bytes:
    return b"\x08" + text(topic)


def with_response(topic: str, there: str, qos: int = 0) -> bytes:
    return publish_packet(topic, b"x", version=5, properties=response(there), qos=qos, packet_id=7)


def test_answers_to_a_device_come_to_its_own_topics() -> None:
    made = crossing(5)
    found = said(made, with_response(UP, f"{DOWN}/1"), 5)
    assert found == Crossed(to_broker=with_response(UP_THERE, f"{DOWN_THERE}/1"))
    assert made.response_topic(f"{DOWN}/2") == f"{DOWN_THERE}/2"


@pytest.mark.parametrize("there", ["others", UP, DOWN_THERE, "$SYS/x"])
def test_nobody_is_made_to_answer_elsewhere(there: str) -> None:
    made = crossing(5)
    for qos, answer in ((1, b"\x40\x03\0\x07\x87"), (2, b"\x50\x03\0\x07\x87")):
        refused = Crossed(to_device=answer, refused=there, purpose=Purpose.RESPONSE)
        assert said(made, with_response(UP, there, qos), 5) == refused
    assert made.response_topic(there) is None


@pytest.mark.parametrize("there", ["me/down/+", "me/down/#", ""])
def test_a_response_topic_is_a_topic(there: str) -> None:
    made = crossing(5)
    with pytest.raises(ProtocolError, match="no topic name"):
        said(made, with_response(UP, there), 5)


def test_a_device_that_is_asked_answers_on_its_own_topics() -> None:
    made = crossing(5)
    assert heard(made, with_response(DOWN_THERE, f"{UP_THERE}/1")) == Crossed(to_device=with_response(DOWN, f"{UP}/1"))
    assert heard(made, with_response(DOWN_THERE, "others")) == Crossed(to_device=with_response(DOWN, "others"))


@pytest.mark.parametrize("data", [b"\x30\x04\0\0\0x", publish_packet(DOWN_THERE, b"x", version=5, properties=b"\x23\0\x01")])
def test_no_alias_comes_from_the_broker(data: bytes) -> None:
    with pytest.raises(ProtocolError) as caught:
        heard(crossing(5), data)
    assert caught.value.reason_code is ReasonCode.TOPIC_ALIAS_INVALID


# Answers


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_to_subscriptions_are_completed(version: int) -> None:
    made = crossing(version)
    assert made.subscribe(f"{DOWN}/#") == f"{DOWN_THERE}/#"
    assert made.subscribe("$share/g/me/down/#") is None
    made.expect(1, (None, ReasonCode.NOT_AUTHORIZED))
    assert made.down.passing == BROKER_KINDS - {9, 11}
    assert heard(made, suback(b"\x01", version, 2)) == Crossed(to_device=suback(b"\x01", version, 2))
    refusal = b"\x87" if version == 5 else b"\x80"
    assert heard(made, suback(b"\x01", version)) == Crossed(to_device=suback(b"\x01" + refusal, version))
    assert made.down.passing == BROKER_KINDS


@pytest.mark.parametrize("version", VERSIONS)
def test_answers_to_what_is_given_up_are_completed(version: int) -> None:
    made = crossing(version)
    made.expect(1, (ReasonCode.NO_SUBSCRIPTION_EXISTED, None))
    given, merged = (b"\0", b"\x11\0") if version == 5 else (b"", b"")
    assert heard(made, suback(given, version, first=0xB0)) == Crossed(to_device=suback(merged, version, first=0xB0))


def test_so_many_answers_are_awaited_and_no_more() -> None:
    made = crossing()
    for packet_id in range(1, 65):
        made.expect(packet_id, (None,))
    with pytest.raises(ProtocolError) as caught:
        made.expect(65, (None,))
    assert (caught.value.reason_code, caught.value.bound) == (ReasonCode.QUOTA_EXCEEDED, "subscribing")


def test_answers_to_our_own_pings_stay_here() -> None:
    made = crossing()
    assert comes_down(made, PINGRESP) == PINGRESP
    made.pinged()
    made.pinged()
    for _ in range(2):
        assert comes_down(made, PINGRESP) is None
        assert heard(made, PINGRESP) == Crossed()
    assert comes_down(made, PINGRESP) == PINGRESP


# What a broker may send


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"\xe0\x01\x8e", b"\xe0\x01\x8e"),
        (b"\xe0\x00", b"\xe0\x00"),
        (
            packet(0xE0, b"\x98", with_properties(b"\x1f" + text("bye"))),
            packet(0xE0, b"\x98", with_properties(b"\x1f" + text("bye"))),
        ),
        (packet(0xE0, b"\x9c", with_properties(b"\x1c" + text("inside:1883"))), b"\xe0\x01\x8b"),
        (b"\xe0\x01\x9d", b"\xe0\x01\x8b"),
    ],
)
def test_a_goodbye_of_the_broker_is_told_but_not_where_else_to_go(data: bytes, shown: bytes) -> None:
    assert heard(crossing(5), data) == Crossed(to_device=shown)


@pytest.mark.parametrize(
    "data", [b"\xe0\x00", b"\x00\x00", b"\x10\x00", b"\x20\x02\0\0", b"\x82\x00", b"\xa2\x00", b"\xc0\x00", b"\xf0\x00"]
)
def test_what_no_broker_sends(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="no packet of type"):
        heard(crossing(), data)


def test_a_will_goes_where_messages_go() -> None:
    made = crossing()
    assert made.will_topic(f"{UP}/last") == f"{UP_THERE}/last"
    assert made.will_topic(DOWN) is None


def test_an_unknown_topic_is_looked_at_and_what_it_becomes_is_unchanged_or_new() -> None:
    made = crossing()
    said(made, publish_packet(ROOM, b"x"))
    said(made, publish_packet(UP, b"x"))
    assert made.up.ways == {ROOM.encode(): UNCHANGED, UP.encode(): text(UP_THERE)}


@pytest.mark.parametrize("data", [PINGRESP, b"\x40\x02\0\x01", suback(b"\0"), b"\x20\x02\0\0"])
def test_nothing_passes_before_the_broker_took_the_client(data: bytes) -> None:
    made = Crossing(4, 1_000, 1_000)
    assert comes_down(made, data) is None


def test_nothing_is_permitted_before_somebody_said_so() -> None:
    made = Crossing(4, 1_000, 1_000)
    assert said(made, publish_packet(UP, b"x")) == Crossed(refused=UP)
    assert made.subscribe(DOWN) is None
    assert heard(made, publish_packet(DOWN_THERE, b"x")) == Crossed(refused=DOWN_THERE)


def test_a_device_that_may_only_listen() -> None:
    made = crossing()
    made.permit(Grants((Grant(ROOM, ROOM, SUBSCRIBE),)))
    assert said(made, publish_packet(ROOM, b"x")) == Crossed(refused=ROOM)
    assert heard(made, publish_packet(ROOM, b"x")) == Crossed(to_device=publish_packet(ROOM, b"x"))
    assert raw(Frame(0xC0, b"")) == b"\xc0\x00"
