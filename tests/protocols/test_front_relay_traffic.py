"""What passes between a device and the broker, what is refused on the way, and what changes while both are there."""

from collections.abc import Iterator

import pytest

from core.errors import Reason, Refusal
from core.topic_spaces import Grant
from tests.protocols.front_peer import (
    BOTH,
    DEVICE_ID,
    DOWN,
    DOWN_THERE,
    EVERY_LOOP,
    GRANTS,
    PINGREQ,
    PINGRESP,
    ROOM,
    UP,
    UP_THERE,
    BrokerSide,
    Front,
    body_of,
    front,
    is_quiet,
    suback,
    until,
    with_properties,
)
from tests.protocols.mqtt_peer import RawClient, connect_packet, packet, publish_packet, subscribe_packet, text

VERSIONS = (3, 4, 5)
WRONG_UTF8 = b"\x30\x05\x00\x02\xff\xfe\x00"


@pytest.fixture(params=EVERY_LOOP)
def found(request: pytest.FixtureRequest) -> Iterator[Front]:
    with front(request.param) as running:
        yield running


def crosses(client: RawClient, there: BrokerSide) -> None:
    """Prove that everything sent before was handled, both ways."""
    client.send(PINGREQ)
    assert there.read() == (0xC0, b"")
    there.send(PINGRESP)
    assert client.read() == (0xD0, b"")


@pytest.mark.parametrize("version", VERSIONS)
def test_messages_and_acknowledgements_cross(found: Front, version: int) -> None:
    properties = b"\x01\x01" + b"\x03" + text("a/b") + b"\x26" + text("k") + text("v")
    with found.device(version) as (client, there):
        for qos in (0, 1, 2):
            for _ in range(2):  # looked at, and by its way
                up = publish_packet(UP, b"x" * qos, version=version, qos=qos, packet_id=9, flags=1, properties=properties)
                client.send(up)
                assert there.read() == body_of(
                    up.replace(text(UP), text(UP_THERE)).replace(up[:2], bytes((up[0], len(up) + 4)))
                )
                down = publish_packet(DOWN_THERE, b"y", version=version, qos=qos, packet_id=9, flags=1, properties=b"\x0b\x07")
                there.send(down)
                assert client.read() == body_of(
                    publish_packet(DOWN, b"y", version=version, qos=qos, packet_id=9, flags=1, properties=b"\x0b\x07")
                )
        for kind in (b"\x40", b"\x50", b"\x62", b"\x70"):
            there.send(kind + b"\x02\0\x09")
            assert client.read() == (kind[0], b"\0\x09")
            client.send(kind + b"\x02\0\x09")
            assert there.read() == (kind[0], b"\0\x09")


@pytest.mark.parametrize("version", VERSIONS)
def test_subscriptions_cross_and_come_back(found: Front, version: int) -> None:
    block = with_properties(b"\x0b\x07") if version == 5 else b""
    with found.device(version) as (client, there):
        options = b"\x2d" if version == 5 else b"\x01"
        client.send(packet(0x82, b"\0\x05", block, text(f"{DOWN}/#"), options))
        assert there.read() == (0x82, b"\0\x05" + block + text(f"{DOWN_THERE}/#") + options)
        there.send(suback(b"\x01", version, 5))
        assert client.read() == body_of(suback(b"\x01", version, 5))
        client.send(packet(0xA2, b"\0\x06", block[:1].replace(b"\x02", b"\0"), text(f"{DOWN}/#")))
        assert there.read() == (0xA2, b"\0\x06" + (b"\0" if version == 5 else b"") + text(f"{DOWN_THERE}/#"))
        there.send(suback(b"\0" if version == 5 else b"", version, 6, 0xB0))
        assert client.read() == body_of(suback(b"\0" if version == 5 else b"", version, 6, 0xB0))


@pytest.mark.parametrize("version", VERSIONS)
def test_filters_of_others_are_refused_beside_those_that_are_granted(found: Front, version: int) -> None:
    refused = b"\x87" if version == 5 else b"\x80"
    with found.device(version) as (client, there):
        client.send(subscribe_packet(("#", 0), (DOWN, 1), ("$SYS/#", 0), (f"$share/g/{DOWN}", 0), version=version, packet_id=5))
        assert there.read() == body_of(subscribe_packet((DOWN_THERE, 1), version=version, packet_id=5))
        there.send(suback(b"\x01", version, 5))
        assert client.read() == body_of(suback(refused + b"\x01" + refused * 2, version, 5))
        client.send(subscribe_packet(("#", 0), (DOWN_THERE, 1), version=version, packet_id=6))
        assert client.read() == body_of(suback(refused * 2, version, 6))
        crosses(client, there)
    assert found.counted("topic_refused") == 5


@pytest.mark.parametrize("version", VERSIONS)
def test_filters_that_were_never_there_are_given_up_here(found: Front, version: int) -> None:
    none, done = (b"\x11", b"\0") if version == 5 else (b"", b"")
    with found.device(version) as (client, there):
        client.send(packet(0xA2, b"\0\x05", b"\0" if version == 5 else b"", text("#"), text(DOWN)))
        assert there.read() == (0xA2, b"\0\x05" + (b"\0" if version == 5 else b"") + text(DOWN_THERE))
        there.send(suback(done, version, 5, 0xB0))
        assert client.read() == body_of(suback(none + done, version, 5, 0xB0))
        client.send(packet(0xA2, b"\0\x06", b"\0" if version == 5 else b"", text("#")))
        assert client.read() == body_of(suback(none, version, 6, 0xB0))
        crosses(client, there)


@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_subscribed_to_is_given_up_at_the_broker_when_it_is_not_permitted_any_more(found: Front, version: int) -> None:
    block, done, none = (b"\0", b"\0", b"\x11") if version == 5 else (b"", b"", b"")
    given_up = (0xA2, b"\0\x06" + block + text(DOWN_THERE))
    with found.device(version) as (client, there):
        client.send(subscribe_packet((DOWN, 1), version=version, packet_id=5))
        assert there.read() == body_of(subscribe_packet((DOWN_THERE, 1), version=version, packet_id=5))
        found.grant(*GRANTS[2:])
        client.send(packet(0xA2, b"\0\x06", block, text("others"), text(DOWN)))
        assert there.read() == given_up
        there.send(suback(done, version, 6, 0xB0))
        assert client.read() == body_of(suback(none + done, version, 6, 0xB0))
        client.send(packet(0xA2, b"\0\x06", block, text(DOWN)))
        assert client.read() == body_of(suback(none, version, 6, 0xB0))
        found.grant(*GRANTS)
        client.send(packet(0xA2, b"\0\x06", block, text(DOWN)))
        assert there.read() == given_up


@pytest.mark.parametrize("topic", ["others", DOWN, UP_THERE, "$SYS/x", "/", "me/upper"])
def test_what_is_published_elsewhere_is_acknowledged_and_nothing_else(found: Front, topic: str) -> None:
    with found.device(5) as (client, there):
        client.send(publish_packet(topic, b"x", version=5))
        client.send(publish_packet(topic, b"x", version=5, qos=1, packet_id=7))
        assert client.read() == (0x40, b"\0\x07\x87")
        client.send(publish_packet(topic, b"x", version=5, qos=2, packet_id=8))
        assert client.read() == (0x50, b"\0\x08\x87")
        crosses(client, there)
        client.send(b"\x62\x02\0\x08")  # which some clients send nevertheless
        assert client.read() == (0x70, b"\0\x08\x92")
        crosses(client, there)
    with found.device(4) as (client, there):
        client.send(publish_packet(topic, b"x", qos=1, packet_id=7))
        assert client.read() == (0x40, b"\0\x07")
        client.send(publish_packet(topic, b"x", qos=2, packet_id=8))
        assert client.read() == (0x50, b"\0\x08")
        client.send(b"\x62\x02\0\x09\x62\x02\0\x08")
        assert there.read() == (0x62, b"\0\x09")
        assert client.read() == (0x70, b"\0\x08")
        crosses(client, there)
    assert found.counted("topic_refused") == 5


def test_the_release_of_a_message_that_took_over_a_refused_ones_packet_id_is_the_brokers(found: Front) -> None:
    def release(packet_id: int) -> bytes:
        return b"\x62\x02\0" + bytes((packet_id,))

    with found.device(5) as (client, there):
        permitted = [publish_packet(ROOM, b"x", version=5, qos=2, packet_id=packet_id) for packet_id in (7, 8, 9)]
        client.send(permitted[0])
        assert there.read() == body_of(permitted[0])
        for packet_id in (8, 9):
            client.send(publish_packet("others", b"x", version=5, qos=2, packet_id=packet_id))
            assert client.read() == (0x50, bytes((0, packet_id, 0x87)))
        client.send(permitted[1])
        assert there.read() == body_of(permitted[1])
        for packet_id in (7, 8):
            client.send(release(packet_id))
            assert there.read() == body_of(release(packet_id))
        client.send(release(9))
        assert client.read() == (0x70, b"\0\x09\x92")
        client.send(release(9))
        assert there.read() == body_of(release(9))


# What ends a connection

ENDS = {
    "a second CONNECT": (connect_packet(5, username="dev1"), 0x82),
    "AUTH": (b"\xf0\x00", 0x82),
    "a packet of type 0": (b"\x00\x00", 0x82),
    "CONNACK": (b"\x20\x02\0\0", 0x82),
    "SUBACK": (b"\x90\x03\0\x01\0", 0x82),
    "UNSUBACK": (b"\xb0\x02\0\x01", 0x82),
    "PINGRESP": (PINGRESP, 0x82),
    "a wildcard": (publish_packet(f"{UP}/#", b"", version=5), 0x90),
    "another wildcard": (publish_packet("me/+", b"", version=5), 0x90),
    "no topic name": (publish_packet("", b"", version=5), 0x90),
    "a topic that is not UTF-8": (WRONG_UTF8, 0x81),
    "a topic with NUL": (publish_packet("a\0b", b"", version=5), 0x81),
    "a topic that is too long": (publish_packet("a" * 1_025, b"", version=5), 0x97),
    "QoS 3": (publish_packet(UP, b"x", version=5, qos=3), 0x81),
    "packet id 0": (publish_packet(ROOM, b"x", version=5, qos=1, packet_id=0), 0x82),
    "a filter that is none": (subscribe_packet(("a/#/b", 0), version=5), 0x8F),
    "a filter that is too long": (subscribe_packet(("a" * 1_025, 0), version=5), 0x97),
    "an unsubscription of no filter": (packet(0xA2, b"\0\x01\0", text("a/#/b")), 0x8F),
    "too many filters": (subscribe_packet(*[("a", 0)] * 65, version=5), 0x97),
    "a length of five bytes": (b"\x30\xff\xff\xff\xff\x01", 0x81),
    "a packet that is too large": (b"\x30\xff\xff\xff\x7f", 0x95),
}
ENDS_5 = {
    "an alias": (publish_packet(UP, b"", version=5, properties=b"\x23\0\x01"), 0x94),
    "an alias alone": (publish_packet("", b"", version=5, properties=b"\x23\0\x01"), 0x94),
    "an unknown property": (publish_packet(UP, b"", version=5, properties=b"\x7e\0"), 0x81),
    "a response topic with a wildcard": (publish_packet(UP, b"", version=5, properties=b"\x08" + text("me/down/+")), 0x82),
}


@pytest.mark.parametrize(("data", "code"), ENDS.values(), ids=ENDS.keys())
@pytest.mark.parametrize("version", [4, 5])
def test_what_breaks_the_protocol_ends_both_sides_after_what_was_good(version: int, data: bytes, code: int) -> None:
    with front() as found, found.device(version) as (client, there):
        if version == 4 and data[0] >> 4 in (3, 8, 10):
            data = packet(*body_of(data)) if len(data) < 7 else without_properties(data)
        client.send_as_far_as_possible(publish_packet(UP, b"good", version=version) + data + PINGREQ)
        assert client.rest() == (bytes((0xE0, 1, code)) if version == 5 else b"")
        assert there.read() == body_of(publish_packet(UP_THERE, b"good", version=version))
        assert there.rest() == b""


def without_properties(data: bytes) -> bytes:
    """Return one of the packets above as versions before 5 have it."""
    first, body = body_of(data)
    if first >> 4 != 3:
        return packet(first, body[:2], body[3:])
    at = 2 + int.from_bytes(body[:2], "big") + (2 if first & 6 else 0)
    return packet(first, body[:at], body[at + 1 :])


@pytest.mark.parametrize(("data", "code"), ENDS_5.values(), ids=ENDS_5.keys())
def test_what_only_version_5_can_break(data: bytes, code: int) -> None:
    with front() as found, found.device(5) as (client, there):
        client.send(data)
        assert client.rest() == bytes((0xE0, 1, code))
        assert there.rest() == b""


BROKEN = {
    "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n"[4:],
    "a length of five bytes": b"\x30\xff\xff\xff\xff\x01",
    "a packet that is too large": b"\x30\xff\xff\xff\x7f",
    "a second CONNACK": b"\x20\x02\0\0",
    "a SUBSCRIBE": subscribe_packet(("a", 0)),
    "a topic that is not UTF-8": WRONG_UTF8,
    "no topic": b"\x30\x03\0\0\0",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN.keys())
@pytest.mark.parametrize("version", VERSIONS)
def test_a_broker_that_breaks_the_protocol_loses_the_device_after_what_was_good(version: int, data: bytes) -> None:
    good = publish_packet(ROOM, b"good", version=version)
    with front() as found, found.device(version) as (client, there):
        there.send(good + data + b"\0" * 200)
        assert client.rest() == good + (b"\xe0\x01\x8b" if version == 5 else b"")
        assert there.rest() == b""
        assert found.counted("upstream_packet") == 1


@pytest.mark.parametrize("data", [publish_packet(ROOM, b"", version=5, properties=b"\x23\0\x01"), b"\x30\x03\0\0\0"])
def test_a_broker_that_uses_aliases_loses_the_device(data: bytes) -> None:
    with front() as found, found.device(5) as (client, there):
        there.send(data)
        assert client.rest() == b"\xe0\x01\x8b"


# Rights that change


def test_rights_that_go_are_gone_at_once(found: Front) -> None:
    up, down = publish_packet(ROOM, b"x", qos=1, packet_id=7), publish_packet(ROOM, b"y", qos=1, packet_id=8)
    with found.device() as (client, there):
        client.send(up)
        assert there.read() == body_of(up)
        there.send(down)
        assert client.read() == body_of(down)
        found.grant(*GRANTS[:2])
        client.send(up)
        assert client.read() == (0x40, b"\0\x07")
        there.send(down)
        assert there.read() == (0x40, b"\0\x08")
        there.send(publish_packet(ROOM, b"y", qos=2, packet_id=9))
        assert there.read() == (0x50, b"\0\x09")
        there.send(b"\x62\x02\0\x09")
        assert there.read() == (0x70, b"\0\x09")
        assert is_quiet(client)
        crosses(client, there)
        assert found.counted("delivery_refused") == 2
        found.grant(*GRANTS)
        there.send(down)
        assert client.read() == body_of(down)


def test_rights_that_come_are_there_at_once_and_what_they_come_from_is_watched(found: Front) -> None:
    with found.device() as (client, there):
        client.send(publish_packet("new/1", b"x", qos=1, packet_id=7))
        assert client.read() == (0x40, b"\0\x07")
        found.grant(*GRANTS, Grant("new", "new", BOTH), parts=(DEVICE_ID, "new"))
        client.send(publish_packet("new/1", b"x", qos=1, packet_id=7))
        assert there.read() == body_of(publish_packet("new/1", b"x", qos=1, packet_id=7))
        until(lambda: [key for key, _ in found.rules.watchers.there.values()] == [f"{DEVICE_ID}\nnew"])


@pytest.mark.parametrize("fault", [Refusal(Reason.UNAVAILABLE, "away", check="test"), RuntimeError("broken")])
def test_while_nobody_knows_what_was_true_stays_so(fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.mqtt.front.rights._RETRY_SECONDS", 0.02)
    with front() as found, found.device() as (client, there):
        found.rules.refusal = fault
        asked = found.rules.asked
        found.grant()
        until(lambda: found.rules.asked > asked + 2)
        client.send(publish_packet(UP, b"x"))
        assert there.read() == body_of(publish_packet(UP_THERE, b"x"))
        found.rules.refusal = None
        asked = found.rules.asked
        until(lambda: found.rules.asked > asked)
        found.call(lambda: None)
        client.send(publish_packet(UP, b"x", qos=1, packet_id=7))
        assert client.read() == (0x40, b"\0\x07")


def test_a_change_while_rights_are_asked_about_is_not_missed(found: Front) -> None:
    with found.device() as (client, there):
        found.rules.waits = True
        asked = found.rules.asked
        found.grant(*GRANTS)
        found.rules.rights = type(found.rules.rights)((), (DEVICE_ID,))
        found.call(found.rules.watchers.tell)
        assert found.rules.asked == asked + 1
        found.rules.release.set()
        until(lambda: found.rules.asked == asked + 2)
        found.call(lambda: None)
        client.send(publish_packet(UP, b"x", qos=1, packet_id=7))
        assert client.read() == (0x40, b"\0\x07")
        crosses(client, there)


def test_who_leaves_while_rights_are_asked_about_leaves_nothing(found: Front) -> None:
    with found.device() as (client, there):
        found.rules.waits = True
        found.grant(*GRANTS)
        client.close()
        assert there.rest() == b""
        until(found.is_empty)


# Many in one piece, one in many


def test_a_stream_in_pieces_and_in_one(found: Front) -> None:
    with found.device() as (client, there):
        for data in (
            publish_packet(UP, b"one"),
            publish_packet("no", b"", qos=1, packet_id=3),
            publish_packet(ROOM, b"x" * 300),
        ):
            for byte in data:
                client.send(bytes((byte,)))
        assert there.read() == body_of(publish_packet(UP_THERE, b"one"))
        assert there.read() == body_of(publish_packet(ROOM, b"x" * 300))
        assert client.read() == (0x40, b"\0\x03")
        many = b"".join(publish_packet(f"{UP}/{number}", b"%d" % number) + PINGREQ for number in range(300))
        client.send(many)
        for number in range(300):
            assert there.read() == body_of(publish_packet(f"{UP_THERE}/{number}", b"%d" % number))
            assert there.read() == (0xC0, b"")
