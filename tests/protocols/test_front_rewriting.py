"""Packets as the other side of the front sees them: nothing lost that it may see, nothing kept that it may not."""

import pytest

from adapters.mqtt.front import rewriting
from adapters.mqtt.front.config import ClientIds, Upstream
from adapters.mqtt.front.cutting import Frame
from adapters.mqtt.front.properties import each, map_response_topic, read_block, with_length, without
from adapters.mqtt.front.rewriting import Filters, Message, Wanted, Welcome, merge_codes, read_filters, read_message, welcome
from adapters.mqtt.packets import Connect, ProtocolError, ReasonCode
from adapters.mqtt.wire import Decoder
from core.messages import Identity
from core.model import CredentialId, DeviceId, Secret, TenantId
from tests.protocols.front_peer import body_of, suback, will_fields, with_properties
from tests.protocols.mqtt_peer import connect_packet, packet, publish_packet, subscribe_packet, text

VERSIONS = (3, 4, 5)
DEVICE = Identity(TenantId("t"), DeviceId("d-1"), "thermometer", CredentialId("c"))
USER = Identity(TenantId("t"), DeviceId("u-1"), "anna", CredentialId("c"), user=True)
USER_PROPERTY = b"\x26" + text("colour") + text("blue")
OWN_IN_CONNECT = b"\x11\0\0\0\x3c" + b"\x21\0\x05" + b"\x17\x00" + b"\x19\x01" + USER_PROPERTY * 2
WILL_PROPERTIES = (
    b"\x18\0\0\0\x05" + b"\x01\x01" + b"\x02\0\0\0\x09" + b"\x03" + text("text/plain") + b"\x08" + text("me/down/1") + b"\x09"
) + (text("id") + USER_PROPERTY)
OWN_IN_PUBLISH = (
    b"\x01\x01" + b"\x02\0\0\x10\0" + b"\x03" + text("text/plain") + b"\x09" + text(b"\0\xff") + b"\x0b\xff\x7f" + USER_PROPERTY
)
UPSTREAM = Upstream(host="broker", port=1883)


def sent(version: int, **fields: object) -> Connect:
    found = next(Decoder(10_000).feed(connect_packet(version, **fields)))  # type: ignore[arg-type] # the fields of any test
    assert isinstance(found, Connect)
    return found


def rewritten(version: int, upstream: Upstream = UPSTREAM, identity: Identity = DEVICE, **fields: object) -> Connect:
    connect = sent(version, **({"username": "who", "password": b"pw", "client_id": "chosen"} | fields))
    data = rewriting.connect(
        connect, identity, upstream, "at/d-1/last", b"" if connect.will is None else connect.will.raw_properties
    )
    found = next(Decoder(10_000).feed(data))
    assert isinstance(found, Connect)
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("clean", [True, False])
def test_connect_says_who_it_is_and_keeps_the_session(version: int, clean: bool) -> None:
    found = rewritten(version, clean=clean, keep_alive=417)
    assert (found.version, found.clean, found.keep_alive) == (version, clean, 417)
    assert (found.client_id, found.username, found.password, found.will) == ("d-1", "d-1", None, None)


@pytest.mark.parametrize("version", VERSIONS)
def test_connect_has_one_user_and_password_for_all_where_that_is_set(version: int) -> None:
    upstream = Upstream(host="broker", port=1883, username="front", password=Secret("geheim"))
    found = rewritten(version, upstream)
    assert (found.client_id, found.username, found.password) == ("d-1", "front", b"geheim")


@pytest.mark.parametrize(
    ("mode", "identity", "chosen", "seen"),
    [
        (ClientIds.DEVICE, DEVICE, "c", "d-1"),
        (ClientIds.DEVICE, DEVICE, "", "d-1"),
        (ClientIds.DEVICE, USER, "c", "u-1:c"),
        (ClientIds.DEVICE, USER, "", "u-1"),
        (ClientIds.JOINED, DEVICE, "c", "d-1:c"),
        (ClientIds.JOINED, DEVICE, "", "d-1"),
        (ClientIds.JOINED, USER, "c", "u-1:c"),
        (ClientIds.CLIENT, DEVICE, "c", "c"),
        (ClientIds.CLIENT, DEVICE, "", "d-1"),
        (ClientIds.CLIENT, USER, "c", "c"),
    ],
)
def test_client_ids_at_the_broker(mode: ClientIds, identity: Identity, chosen: str, seen: str) -> None:
    found = rewritten(4, Upstream(host="broker", port=1883, client_ids=mode), identity, client_id=chosen)
    assert (found.client_id, found.username) == (seen, identity.device)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("retain", [True, False])
def test_a_will_goes_where_it_may(version: int, qos: int, retain: bool) -> None:
    will = will_fields("me/up/last", b"\0gone", version, WILL_PROPERTIES)
    found = rewritten(version, will=will, will_flags=0x04 | qos << 3 | 0x20 * retain).will
    assert found is not None
    assert (found.topic, found.payload, found.qos, found.retain) == ("at/d-1/last", b"\0gone", qos, retain)
    assert found.raw_properties == (WILL_PROPERTIES if version == 5 else b"")


def test_connect_keeps_properties_but_for_aliases_and_says_what_fits() -> None:
    found = rewritten(5, properties=b"\x22\0\x0a" + OWN_IN_CONNECT + b"\x27\0\0\x10\0")
    assert found.raw_properties == OWN_IN_CONNECT + b"\x27\0\0\x10\0"
    assert rewritten(5).raw_properties == b"\x27\0\x10\0\0"
    assert rewritten(5, properties=b"\x27\x7f\0\0\0").raw_properties == b"\x27\0\x10\0\0"


# CONNACK


def connack(*parts: bytes) -> Frame:
    return Frame(*body_of(packet(0x20, *parts)))


@pytest.mark.parametrize("version", [3, 4])
@pytest.mark.parametrize("present", [0, 1])
@pytest.mark.parametrize(("code", "shown"), [(0, 0), (1, 3), (2, 2), (3, 3), (4, 3), (5, 3), (0x87, 3)])
def test_connack_before_version_5(version: int, present: int, code: int, shown: int) -> None:
    found = welcome(connack(bytes((present, code))), sent(version), "d-1", 500)
    assert found == Welcome(code, bytes((0x20, 2, present, shown)))
    assert found.accepted is (code == 0)


ANNOUNCED = (
    b"\x11\0\0\0\x05"
    + b"\x21\0\x14"
    + b"\x24\x01"
    + b"\x25\x00"
    + b"\x28\x00"
    + b"\x29\x00"
    + b"\x1a"
    + text("replies")
    + b"\x1f"
) + (text("hello") + USER_PROPERTY)
REPLACED = b"\x12" + text("auto-1") + b"\x22\0\x0a" + b"\x2a\x01"
NOT_HERE = b"\x22\0\0" + b"\x2a\0"


@pytest.mark.parametrize("present", [0, 1])
def test_connack_of_version_5_keeps_what_holds_here_too(present: int) -> None:
    block = ANNOUNCED + REPLACED + b"\x27\0\0\x01\0"
    found = welcome(connack(bytes((present, 0)), with_properties(block)), sent(5, client_id="x"), "", 500)
    assert found == Welcome(0, packet(0x20, bytes((present, 0)), with_properties(ANNOUNCED + NOT_HERE + b"\x27\0\0\x01\0")))
    assert found.accepted


def test_connack_of_version_5_assigns_the_client_id_and_a_packet_size() -> None:
    found = welcome(connack(b"\0\0", with_properties(b"\x27\0\1\0\0")), sent(5), "d-1", 500)
    assert found == Welcome(0, packet(0x20, b"\0\0", with_properties(NOT_HERE + b"\x27\0\0\x01\xf4" + b"\x12" + text("d-1"))))


def test_the_keep_alive_that_the_broker_wants_is_told_to_both() -> None:
    found = welcome(connack(b"\0\0", with_properties(b"\x13\0\x1e")), sent(5), "", 500)
    assert found == Welcome(0, packet(0x20, b"\0\0", with_properties(b"\x13\0\x1e" + NOT_HERE + b"\x27\0\0\x01\xf4")), 30)


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        (0x01, 0x88),
        (0x80, 0x80),
        (0x85, 0x85),
        (0x84, 0x88),
        (0x86, 0x88),
        (0x87, 0x88),
        (0x8A, 0x88),
        (0x9C, 0x88),
        (0x9F, 0x9F),
    ],
)
@pytest.mark.parametrize("rest", [b"", b"\0", with_properties(b"\x1c" + text("other:1883"))])
def test_refusals_of_version_5_do_not_blame_the_device_for_ours(code: int, shown: int, rest: bytes) -> None:
    assert welcome(connack(bytes((0, code)), rest), sent(5), "d-1", 500) == Welcome(code, bytes((0x20, 3, 0, shown, 0)))


@pytest.mark.parametrize("frame", [Frame(0x30, b"\0\0"), Frame(0x20, b"\0"), Frame(0x20, b""), Frame(0x21, b"\0\0")])
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_no_connack(frame: Frame, version: int) -> None:
    with pytest.raises(ProtocolError, match="no CONNACK"):
        welcome(frame, sent(version), "", 500)


@pytest.mark.parametrize("rest", [b"", b"\x05", b"\x01\x7e"])
def test_a_connack_of_version_5_with_broken_properties(rest: bytes) -> None:
    with pytest.raises(ProtocolError):
        welcome(connack(b"\0\0", rest), sent(5), "", 500)


# PUBLISH


def taken_apart(data: bytes, version: int) -> tuple[Frame, Message]:
    frame = Frame(*body_of(data))
    return frame, read_message(frame, version)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("flags", [0, 1, 8])
def test_a_message_gets_another_topic_and_nothing_else(version: int, qos: int, flags: int) -> None:
    def written(topic: str) -> bytes:
        return publish_packet(
            topic, b"x" * 300, version=version, qos=qos, packet_id=515, flags=flags, properties=OWN_IN_PUBLISH
        )

    frame, message = taken_apart(written("me/up/1"), version)
    assert message == Message("me/up/1", qos, 515 if qos else 0, OWN_IN_PUBLISH if version == 5 else b"", len(frame.body) - 300)
    assert rewriting.message(frame, message, "at/d-1/up/1", version, lambda topic: None) == written("at/d-1/up/1")


def test_the_response_topic_is_replaced_too_or_the_message_goes_nowhere() -> None:
    def written(topic: str) -> bytes:
        return publish_packet("up", b"x", version=5, properties=OWN_IN_PUBLISH + b"\x08" + text(topic) + USER_PROPERTY)

    frame, message = taken_apart(written("me/answers"), 5)
    assert rewriting.message(frame, message, "up", 5, lambda topic: f"there/{topic}") == written("there/me/answers")
    assert rewriting.message(frame, message, "up", 5, lambda topic: None) is None


def test_a_message_with_an_alias_is_refused() -> None:
    frame, message = taken_apart(publish_packet("up", b"x", version=5, properties=b"\x23\0\x01"), 5)
    with pytest.raises(ProtocolError) as caught:
        rewriting.message(frame, message, "up", 5, lambda topic: topic)
    assert caught.value.reason_code is ReasonCode.TOPIC_ALIAS_INVALID


@pytest.mark.parametrize(
    "frame",
    [
        Frame(0x36, text("a") + b"\0\x01\0"),
        Frame(0x32, text("a") + b"\0\0\0"),
        Frame(0x32, text("a") + b"\0"),
        Frame(0x30, b"\0"),
        Frame(0x30, text(b"\xff") + b"\0"),
        Frame(0x30, text("a\0b") + b"\0"),
        Frame(0x30, text("a")),
        Frame(0x30, text("a") + b"\x05\x01"),
    ],
)
def test_what_is_no_message(frame: Frame) -> None:
    with pytest.raises(ProtocolError):
        read_message(frame, 5)


# Properties


def test_every_property_of_the_standard_is_read() -> None:
    known = {
        **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), (b"\x01", 1)),
        **dict.fromkeys((0x13, 0x21, 0x22, 0x23), (b"\x01\x02", 258)),
        **dict.fromkeys((0x02, 0x11, 0x18, 0x27), (b"\0\0\x01\x02", 258)),
        0x0B: (b"\x80\x01", 128),
        **dict.fromkeys((0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F), (text("é"), "é")),
        **dict.fromkeys((0x09, 0x16), (text(b"\xff"), b"\xff")),
        0x26: (text("a") + text("b"), ("a", "b")),
    }
    block = b"".join(bytes((identifier,)) + raw for identifier, (raw, _) in known.items())
    assert {identifier: value for identifier, value, _ in each(block)} == {name: value for name, (_, value) in known.items()}
    assert b"".join(raw for _, _, raw in each(block)) == block
    assert without(block, known) == b""
    assert without(block, ()) == block
    assert map_response_topic(without(block, (0x23,)), str.upper) == without(block, (0x23,)).replace(
        b"\x08" + text("é"), b"\x08" + text("É")
    )


@pytest.mark.parametrize("block", [b"\x7e", b"\x00", b"\x80\x80\x80\x80\x01", b"\x01", b"\x26" + text("a"), b"\x03\0\x05a"])
def test_what_is_no_property(block: bytes) -> None:
    with pytest.raises(ProtocolError):
        list(each(block))


def test_properties_longer_than_their_packet() -> None:
    assert read_block(b"\x02\x01\x01rest", 0) == (b"\x01\x01", 3)
    with pytest.raises(ProtocolError, match="longer"):
        read_block(b"\x03\x01\x01", 0)


# SUBSCRIBE and UNSUBSCRIBE


def unsubscribe_packet(*filters: str, version: int = 4, properties: bytes = b"") -> bytes:
    block = with_properties(properties) if version == 5 else b""
    return packet(0xA2, b"\0\x07", block, *(text(each_filter) for each_filter in filters))


@pytest.mark.parametrize("version", VERSIONS)
def test_filters_are_replaced_and_left_out(version: int) -> None:
    data = packet(
        0x82,
        b"\0\x07",
        with_properties(b"\x0b\x05" + USER_PROPERTY) if version == 5 else b"",
        text("a/#"),
        b"\x2d",
        text("b"),
        b"\0",
    )
    block = b"\x0b\x05" + USER_PROPERTY if version == 5 else b""
    found = read_filters(Frame(*body_of(data)), version, 2)
    assert found == Filters(7, block, (Wanted("a/#", 0x2D), Wanted("b", 0)))
    assert rewriting.subscribe(found, found.wanted, version) == data
    assert rewriting.subscribe(found, [Wanted("there/a/#", 0x2D)], version) == packet(
        0x82, b"\0\x07", with_properties(block) if version == 5 else b"", text("there/a/#"), b"\x2d"
    )


@pytest.mark.parametrize("version", VERSIONS)
def test_filters_that_are_given_up(version: int) -> None:
    data = unsubscribe_packet("a/+", "b", version=version, properties=USER_PROPERTY)
    found = read_filters(Frame(*body_of(data)), version, 2)
    assert found == Filters(7, USER_PROPERTY if version == 5 else b"", (Wanted("a/+", 0), Wanted("b", 0)))
    assert rewriting.unsubscribe(found, ["a/+", "b"], version) == data


def test_only_3_1_marks_a_subscription_that_is_sent_again() -> None:
    frame = Frame(0x8A, body_of(subscribe_packet(("a", 0)))[1])
    assert read_filters(frame, 3, 1).wanted == (Wanted("a", 0),)
    with pytest.raises(ProtocolError, match="flags"):
        read_filters(frame, 4, 1)


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (Frame(0x82, b"\0\x01\0"), 0x82),
        (Frame(0xA2, b"\0\x01\0"), 0x82),
        (Frame(0x82, b"\0\0\0" + text("a") + b"\0"), 0x82),
        (Frame(0x82, b"\0\x01\0" + text("a")), 0x81),
        (Frame(0x82, b"\0\x01\0" + text(b"\xff") + b"\0"), 0x81),
        (Frame(0xA2, b"\0\x01\0\0\x05a"), 0x81),
        (Frame(0x82, b"\0"), 0x81),
        (Frame(0x80, b"\0\x01\0" + text("a") + b"\0"), 0x81),
        (Frame(0xA0, b"\0\x01\0" + text("a")), 0x81),
        (Frame(0xA2, b"\0\x01\0" + text("a") * 4), 0x97),
    ],
)
def test_what_is_no_subscription(frame: Frame, code: int) -> None:
    with pytest.raises(ProtocolError) as caught:
        read_filters(frame, 5, 3)
    assert caught.value.reason_code == code


# SUBACK and UNSUBACK


@pytest.mark.parametrize(
    ("version", "codes", "given", "merged"),
    [
        (4, (None, 0x87, None, 0), b"\x01\x80", b"\x01\x80\x80\x00"),
        (3, (0x87, None), b"\x02", b"\x80\x02"),
        (5, (None, 0x87, None, 0), b"\x01\x9e", b"\x01\x87\x9e\x00"),
        (5, (None, None), b"\x01", b"\x01\x80"),
        (5, (None,), b"\x01\x01", b"\x01"),
        (5, (0x87, None), with_properties(b"")[1:] + b"\x00", b"\x87\x00"),
    ],
)
def test_codes_are_merged(version: int, codes: tuple[int | None, ...], given: bytes, merged: bytes) -> None:
    frame = Frame(*body_of(suback(given, version)))
    assert merge_codes(frame, version, codes) == suback(merged, version)


def test_codes_of_unsuback() -> None:
    assert merge_codes(Frame(0xB0, b"\0\x01"), 4, (None, 0x11)) == b"\xb0\x02\0\x01"
    frame = Frame(0xB0, b"\0\x01" + with_properties(USER_PROPERTY) + b"\x00")
    assert merge_codes(frame, 5, (0x11, None)) == packet(0xB0, b"\0\x01", with_properties(USER_PROPERTY), b"\x11\x00")


def test_a_field_and_its_length() -> None:
    assert with_length(b"ab") == b"\0\x02ab"
