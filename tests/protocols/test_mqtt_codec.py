"""The decoder: every case in one chunk and byte by byte, and nothing but packets or `ProtocolError` from any bytes."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.mqtt import encode
from adapters.mqtt.packets import (
    Connect,
    Disconnect,
    Packet,
    PingReq,
    Properties,
    ProtocolError,
    PubAck,
    PubComp,
    Publish,
    PubRec,
    PubRel,
    ReasonCode,
    Subscribe,
    Subscription,
    Unsubscribe,
    Will,
)
from adapters.mqtt.properties import NO_PROPERTIES
from adapters.mqtt.wire import Decoder
from tests.protocols.mqtt_peer import connect_packet, packet, publish_packet, subscribe_packet, text

MAX_PACKET_BYTES = 4_096


def user_property(name: str = "n", value: str = "v") -> bytes:
    return b"\x26" + text(name) + text(value)


def decode(version: int, chunks: Iterable[bytes]) -> list[Packet]:
    decoder = Decoder(MAX_PACKET_BYTES)
    decoder.version = version
    return [found for chunk in chunks for found in decoder.feed(chunk)]


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def connected(version: int, **fields: object) -> Connect:
    known: dict[str, object] = {
        "client_id": "",
        "clean": True,
        "keep_alive": 60,
        "username": None,
        "password": None,
        "will": None,
        "properties": NO_PROPERTIES,
    }
    return Connect(version=version, **(known | fields))  # type: ignore[arg-type] # the fields are the struct's


ALL_CONNECT_PROPERTIES = (
    b"\x11\0\0\0\x05\x21\0\x07\x27\0\0\x01\0\x22\0\x03\x19\x01\x17\x00" + user_property("a", "1") + user_property("a", "2")
)
ALL_PUBLISH_PROPERTIES = (
    b"\x01\x01\x02\0\0\0\x09\x03" + text("text/plain") + b"\x08" + text("back") + b"\x09" + text(b"\x00\xff") + user_property()
)
WILL_5 = b"\x05\x18\0\0\0\x01" + text("bye") + text(b"\xfe")

GOOD: list[tuple[str, int, bytes, Packet]] = [
    ("connect 3.1", 0, connect_packet(3, client_id="c"), connected(3, client_id="c")),
    ("connect 3.1.1, nothing given", 0, connect_packet(4), connected(4)),
    ("connect 5, nothing given, not clean", 0, connect_packet(5, clean=False), connected(5, clean=False)),
    (
        "connect 3.1.1, all given",
        0,
        connect_packet(
            4, client_id="c", username="u", password=b"\xff", keep_alive=9, will=text("bye") + text(b"\xfe"), will_flags=0x2C
        ),
        connected(
            4, client_id="c", username="u", password=b"\xff", keep_alive=9, will=Will("bye", b"\xfe", qos=1, retain=True)
        ),
    ),
    (
        "connect 5, all given",
        0,
        connect_packet(5, password=b"p", will=WILL_5, will_flags=0x14, properties=ALL_CONNECT_PROPERTIES),
        connected(
            5,
            password=b"p",
            will=Will("bye", b"\xfe", qos=2, retain=False, raw_properties=b"\x18\0\0\0\x01"),
            properties=Properties(receive_maximum=7, maximum_packet_bytes=256, user=(("a", "1"), ("a", "2"))),
            raw_properties=ALL_CONNECT_PROPERTIES,
        ),
    ),
    ("publish QoS 0", 4, publish_packet("a/b", b"x"), Publish("a/b", b"x", 0, False, False, 0, NO_PROPERTIES)),
    (
        "publish to the longest topic",
        4,
        publish_packet("a" * 1_024, b""),
        Publish("a" * 1_024, b"", 0, False, False, 0, NO_PROPERTIES),
    ),
    ("publish, empty", 3, publish_packet("a", b""), Publish("a", b"", 0, False, False, 0, NO_PROPERTIES)),
    (
        "publish QoS 1, retained and repeated",
        4,
        publish_packet("ä", b"x", qos=1, packet_id=65535, flags=9),
        Publish("ä", b"x", 1, True, True, 65535, NO_PROPERTIES),
    ),
    (
        "publish QoS 2, longer than 127 bytes",
        4,
        publish_packet("a", b"x" * 300, qos=2, packet_id=2),
        Publish("a", b"x" * 300, 2, False, False, 2, NO_PROPERTIES),
    ),
    (
        "publish 5, all properties",
        5,
        publish_packet("a", b"x", version=5, properties=ALL_PUBLISH_PROPERTIES),
        Publish(
            "a",
            b"x",
            0,
            False,
            False,
            0,
            Properties(content_type="text/plain", correlation=b"\x00\xff", user=(("n", "v"),)),
        ),
    ),
    ("puback", 4, b"\x40\x02\x00\x07", PubAck(7)),
    ("puback 5, with a reason", 5, b"\x40\x03\x00\x07\x10", PubAck(7, 0x10)),
    ("puback 5, with properties", 5, packet(0x40, b"\0\x07\x80\x04\x1f", text("x")), PubAck(7, 0x80)),
    ("pubrec", 4, b"\x50\x02\x00\x07", PubRec(7)),
    ("pubrel", 4, b"\x62\x02\x00\x07", PubRel(7)),
    ("pubrel 3.1, repeated", 3, b"\x6a\x02\x00\x07", PubRel(7)),
    ("pubcomp", 4, b"\x70\x02\x00\x07", PubComp(7)),
    ("subscribe", 4, subscribe_packet(("a", 0), ("b/+", 2)), Subscribe(1, (Subscription("a", 0), Subscription("b/+", 2)))),
    (
        "subscribe 3.1, repeated",
        3,
        b"\x8a" + subscribe_packet(("a", 1))[1:],
        Subscribe(1, (Subscription("a", 1),)),
    ),
    (
        "subscribe 5, all options",
        5,
        packet(0x82, b"\0\x01", bytes((len(user_property()),)), user_property(), text("#"), b"\x2d"),
        Subscribe(1, (Subscription("#", 1),)),
    ),
    ("unsubscribe", 4, packet(0xA2, b"\0\x02", text("a"), text("b")), Unsubscribe(2, ("a", "b"))),
    ("unsubscribe 5", 5, packet(0xA2, b"\0\x02\0", text("a")), Unsubscribe(2, ("a",))),
    ("pingreq", 4, b"\xc0\x00", PingReq()),
    ("disconnect", 4, b"\xe0\x00", Disconnect()),
    ("disconnect 5, empty", 5, b"\xe0\x00", Disconnect()),
    ("disconnect 5, with a reason", 5, b"\xe0\x01\x04", Disconnect(4)),
    ("disconnect 5, with properties", 5, b"\xe0\x07\x04\x05\x11\0\0\0\0", Disconnect(4)),
    ("remaining length with a needless byte", 4, b"\xc0\x80\x00", PingReq()),
]

MALFORMED, PROTOCOL = ReasonCode.MALFORMED_PACKET, ReasonCode.PROTOCOL_ERROR


def connect_with_properties(*properties: bytes) -> bytes:
    return connect_packet(5, properties=b"".join(properties))


def publish_with_properties(*properties: bytes) -> bytes:
    return publish_packet("a", b"", version=5, properties=b"".join(properties))


BAD: list[tuple[str, int, bytes, ReasonCode]] = [
    ("an HTTP request", 0, b"GET / HTTP/1.1\r\n\r\n", PROTOCOL),
    ("zero bytes", 0, bytes(64), PROTOCOL),
    ("PUBLISH first", 0, publish_packet("a", b""), PROTOCOL),
    ("second CONNECT", 4, connect_packet(4), PROTOCOL),
    ("CONNECT with flags", 0, b"\x11" + connect_packet(4)[1:], MALFORMED),
    ("five byte remaining length", 0, b"\x10\x80\x80\x80\x80\x01", MALFORMED),
    ("256 MiB announced", 0, b"\x10\xff\xff\xff\x7f", ReasonCode.PACKET_TOO_LARGE),
    ("one byte too large", 4, b"\x30\xfe\x1f", ReasonCode.PACKET_TOO_LARGE),
    ("empty CONNECT", 0, b"\x10\x00", MALFORMED),
    ("unknown protocol name", 0, packet(0x10, text("MQTX"), b"\x04\x02\0\0\0\0"), ReasonCode.UNSUPPORTED_PROTOCOL_VERSION),
    ("unknown version", 0, packet(0x10, text("MQTT"), b"\x06\x02\0\0\0\0"), ReasonCode.UNSUPPORTED_PROTOCOL_VERSION),
    ("bridge version", 0, packet(0x10, text("MQTT"), b"\x84\x02\0\0\0\0"), ReasonCode.UNSUPPORTED_PROTOCOL_VERSION),
    (
        "name of one version, number of another",
        0,
        packet(0x10, text("MQIsdp"), b"\x04"),
        ReasonCode.UNSUPPORTED_PROTOCOL_VERSION,
    ),
    ("all CONNECT flags", 0, connect_packet(4, will_flags=0xFF, will=text("t") + text("p"), username="u"), MALFORMED),
    ("reserved CONNECT flag", 0, connect_packet(4, will_flags=1), MALFORMED),
    ("will QoS without a will", 0, connect_packet(4, will_flags=0x08), MALFORMED),
    ("will retained without a will", 0, connect_packet(4, will_flags=0x20), MALFORMED),
    ("will QoS 3", 0, connect_packet(4, will_flags=0x1C, will=text("t") + text("p")), MALFORMED),
    ("will to a wildcard", 0, connect_packet(4, will_flags=4, will=text("#") + text("p")), ReasonCode.TOPIC_NAME_INVALID),
    ("password without user name", 0, connect_packet(4, password=b"p"), MALFORMED),
    ("empty client id without clean", 0, connect_packet(4, clean=False), ReasonCode.CLIENT_IDENTIFIER_NOT_VALID),
    ("client id that is not UTF-8", 0, packet(0x10, text("MQTT"), b"\x04\x02\0\0", text(b"\xff")), MALFORMED),
    ("client id with a surrogate", 0, packet(0x10, text("MQTT"), b"\x04\x02\0\0", text(b"\xed\xa0\x80")), MALFORMED),
    ("client id with NUL", 0, connect_packet(4, client_id="a\0b"), MALFORMED),
    ("client id cut off", 0, packet(0x10, text("MQTT"), b"\x04\x02\0\0\0\x05abc"), MALFORMED),
    ("bytes after CONNECT", 0, packet(0x10, connect_packet(4)[2:], b"x"), MALFORMED),
    ("packet type 0", 4, b"\x00\x00", PROTOCOL),
    ("packet type 15", 4, b"\xf0\x00", PROTOCOL),
    ("AUTH", 5, b"\xf0\x00", PROTOCOL),
    ("CONNACK from a client", 4, b"\x20\x02\x00\x00", PROTOCOL),
    ("SUBACK from a client", 4, b"\x90\x03\x00\x01\x00", PROTOCOL),
    ("UNSUBACK from a client", 4, b"\xb0\x02\x00\x01", PROTOCOL),
    ("PINGRESP from a client", 4, b"\xd0\x00", PROTOCOL),
    ("QoS 3", 4, b"\x36\x07" + text("a") + b"\0\x01xx", MALFORMED),
    ("PUBLISH without a topic", 4, publish_packet("", b""), ReasonCode.TOPIC_NAME_INVALID),
    ("PUBLISH to a wildcard", 4, publish_packet("a/+", b""), ReasonCode.TOPIC_NAME_INVALID),
    ("PUBLISH with packet id 0", 4, publish_packet("a", b"", qos=1, packet_id=0), PROTOCOL),
    ("PUBLISH without its packet id", 4, packet(0x32, text("a")), MALFORMED),
    ("PUBLISH with a cut topic", 4, b"\x30\x03\x00\x05a", MALFORMED),
    ("PUBACK with packet id 0", 4, b"\x40\x02\x00\x00", PROTOCOL),
    ("PUBACK with flags", 4, b"\x41\x02\x00\x01", MALFORMED),
    ("PUBACK too long", 4, b"\x40\x03\x00\x01\x00", MALFORMED),
    ("PUBREL without its flags", 4, b"\x60\x02\x00\x01", MALFORMED),
    ("PUBREL 3.1.1, repeated", 4, b"\x6a\x02\x00\x01", MALFORMED),
    ("SUBSCRIBE with wrong flags", 4, b"\x80" + subscribe_packet(("a", 0))[1:], MALFORMED),
    ("SUBSCRIBE without filters", 4, b"\x82\x02\x00\x01", PROTOCOL),
    ("SUBSCRIBE with packet id 0", 4, subscribe_packet(("a", 0), packet_id=0), PROTOCOL),
    ("SUBSCRIBE with QoS 3", 4, subscribe_packet(("a", 3)), MALFORMED),
    ("SUBSCRIBE with options before version 5", 4, subscribe_packet(("a", 4)), MALFORMED),
    ("SUBSCRIBE with reserved options", 5, subscribe_packet(("a", 0x40), version=5), MALFORMED),
    ("SUBSCRIBE with retain handling 3", 5, subscribe_packet(("a", 0x30), version=5), MALFORMED),
    ("SUBSCRIBE without its QoS", 4, packet(0x82, b"\0\x01", text("a")), MALFORMED),
    ("SUBSCRIBE to no filter", 4, subscribe_packet(("a#", 0)), ReasonCode.TOPIC_FILTER_INVALID),
    ("SUBSCRIBE with too many filters", 4, subscribe_packet(*[("a", 0)] * 65), ReasonCode.QUOTA_EXCEEDED),
    (
        "SUBSCRIBE with an identifier",
        5,
        packet(0x82, b"\0\x01\x02\x0b\x01", text("a"), b"\0"),
        ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
    ),
    ("topic that is too long", 4, publish_packet("a" * 1_025, b""), ReasonCode.QUOTA_EXCEEDED),
    ("filter that is too long", 4, subscribe_packet(("ä" * 513, 0)), ReasonCode.QUOTA_EXCEEDED),
    ("UNSUBSCRIBE without filters", 4, b"\xa2\x02\x00\x01", PROTOCOL),
    ("UNSUBSCRIBE with too many filters", 4, packet(0xA2, b"\0\x01", text("a") * 65), ReasonCode.QUOTA_EXCEEDED),
    ("PINGREQ with a body", 4, b"\xc0\x01\x00", MALFORMED),
    ("DISCONNECT with a body before version 5", 4, b"\xe0\x01\x00", MALFORMED),
    ("DISCONNECT 5 too long", 5, b"\xe0\x03\x00\x00\x00", MALFORMED),
    ("unknown property", 0, connect_with_properties(b"\x7f\x00"), MALFORMED),
    ("property of a server", 0, connect_with_properties(b"\x24\x01"), MALFORMED),
    ("property of another packet", 0, connect_with_properties(b"\x23\x00\x01"), MALFORMED),
    ("repeated property", 0, connect_with_properties(b"\x21\x00\x01" * 2), PROTOCOL),
    ("properties longer than the packet", 5, packet(0x30, text("a"), b"\x05\x01"), MALFORMED),
    ("property cut off", 0, connect_with_properties(b"\x11\x00"), MALFORMED),
    ("property over the end of the properties", 5, packet(0x30, text("a"), b"\x02\x03\x00", text("b")), MALFORMED),
    ("property length of five bytes", 5, packet(0x30, text("a"), b"\xff\xff\xff\xff\x01"), MALFORMED),
    ("property length missing", 5, packet(0x30, text("a")), MALFORMED),
    ("receive maximum 0", 0, connect_with_properties(b"\x21\x00\x00"), PROTOCOL),
    ("maximum packet size 0", 0, connect_with_properties(b"\x27\x00\x00\x00\x00"), PROTOCOL),
    ("problem information 2", 0, connect_with_properties(b"\x17\x02"), PROTOCOL),
    ("payload format 2", 5, publish_with_properties(b"\x01\x02"), PROTOCOL),
    ("topic alias", 5, publish_with_properties(b"\x23\x00\x01"), ReasonCode.TOPIC_ALIAS_INVALID),
    ("subscription identifier in PUBLISH", 5, publish_with_properties(b"\x0b\x01"), MALFORMED),
    ("response topic with a wildcard", 5, publish_with_properties(b"\x08" + text("a/#")), PROTOCOL),
    ("content type that is not UTF-8", 5, publish_with_properties(b"\x03" + text(b"\xff")), MALFORMED),
    ("another way to log in", 0, connect_with_properties(b"\x15" + text("SCRAM")), ReasonCode.BAD_AUTHENTICATION_METHOD),
    ("authentication data alone", 0, connect_with_properties(b"\x16" + text("x")), PROTOCOL),
    (
        "too many user properties",
        5,
        packet(0x30, text("a"), (33 * 7).to_bytes(2, "little").replace(b"\xe7\x00", b"\xe7\x01"), user_property() * 33),
        ReasonCode.QUOTA_EXCEEDED,
    ),
]


def named(cases: list[tuple[str, int, bytes, Packet]] | list[tuple[str, int, bytes, ReasonCode]]) -> list[str]:
    return [case[0] for case in cases]


@pytest.mark.parametrize(("name", "version", "data", "expected"), GOOD, ids=named(GOOD))
def test_good_packets_in_one_chunk_and_byte_by_byte(name: str, version: int, data: bytes, expected: Packet) -> None:
    assert decode(version, [data]) == [expected]
    assert decode(version, bytewise(data)) == [expected]


@pytest.mark.parametrize(("name", "version", "data", "expected"), BAD, ids=named(BAD))
def test_bad_packets_in_one_chunk_and_byte_by_byte(name: str, version: int, data: bytes, expected: ReasonCode) -> None:
    for chunks in ([data], bytewise(data)):
        with pytest.raises(ProtocolError) as raised:
            decode(version, chunks)
        assert raised.value.reason_code is expected


def test_packets_before_a_bad_one_are_given_out_first() -> None:
    decoder = Decoder(MAX_PACKET_BYTES)
    decoder.version = 4
    found = iter(decoder.feed(b"\xc0\x00" * 2 + b"\xf0\x00"))
    assert [next(found), next(found)] == [PingReq(), PingReq()]
    for _ in range(2):  # the stream stays lost
        with pytest.raises(ProtocolError):
            next(found)


def test_a_packet_is_decoded_only_when_it_is_asked_for() -> None:
    decoder = Decoder(MAX_PACKET_BYTES)
    decoder.version = 4
    assert next(decoder.feed(b"\xc0\x00" * 3 + b"\xc0")) == PingReq()
    assert decoder.pending == 5
    assert list(decoder.feed(b"\x00")) == [PingReq()] * 3
    assert decoder.pending == 0


def test_nothing_is_kept_of_an_empty_stream() -> None:
    assert list(Decoder(MAX_PACKET_BYTES).feed(b"")) == []


def test_the_version_is_known_even_where_the_rest_of_connect_is_wrong() -> None:
    decoder = Decoder(MAX_PACKET_BYTES)
    with pytest.raises(ProtocolError):
        next(decoder.feed(connect_packet(5, will_flags=1)))
    assert decoder.version == 5


def test_a_packet_of_exactly_the_limit_is_taken() -> None:
    data = publish_packet("a", b"x" * (MAX_PACKET_BYTES - 6))
    assert len(data) == MAX_PACKET_BYTES
    assert len(decode(4, [data])) == 1


def consume(version: int, chunks: Iterable[bytes]) -> int:
    """Decode a hostile stream; returns how many packets came out of it."""
    decoder = Decoder(MAX_PACKET_BYTES)
    decoder.version = version
    packets = 0
    for chunk in chunks:
        try:
            for _ in decoder.feed(chunk):
                packets += 1
        except ProtocolError:
            return packets
        assert decoder.pending < MAX_PACKET_BYTES
    return packets


@given(st.sampled_from([0, 3, 4, 5]), st.binary(max_size=200), st.integers(1, 50))
def test_any_bytes_parse_or_break_the_protocol(version: int, data: bytes, size: int) -> None:
    whole = consume(version, [data])
    assert consume(version, [data[at : at + size] for at in range(0, len(data), size)]) == whole


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Change, remove, repeat or add some bytes."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed)) if changed else 0
        match chance.randrange(4):
            case 0 if changed:
                changed[at] = chance.randrange(256)
            case 1:
                del changed[at : at + chance.randint(1, 4)]
            case 2:
                changed[at:at] = changed[at : at + chance.randint(1, 20)]
            case _:
                changed[at:at] = chance.randbytes(chance.randint(1, 3))
    return bytes(changed)


def test_mutated_packets_parse_or_break_the_protocol() -> None:
    chance = random.Random(20261121)
    samples = [(version, data) for _, version, data, _ in GOOD] + [(version, data) for _, version, data, _ in BAD]
    packets = 0
    for _ in range(30_000):
        version, data = chance.choice(samples)
        stream = mutated(data, chance) + chance.choice(samples)[1]
        cut = chance.randrange(len(stream) + 1)
        packets += consume(version, [stream[:cut], stream[cut:]])
    assert packets > 1_000


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (encode.connack_refused(4, 5), b"\x20\x02\x00\x05"),
        (encode.connack_refused(5, 0x86), b"\x20\x03\x00\x86\x00"),
        (encode.connack_refused(5, 0x86, "no"), b"\x20\x08\x00\x86\x05\x1f\x00\x02no"),
        (encode.publish(4, "a", b"x", 0), b"\x30\x04\x00\x01ax"),
        (encode.publish(4, "a", b"x", 258), b"\x32\x06\x00\x01a\x01\x02x"),
        (encode.publish(5, "a", b"x", 0, b"\xff", "t"), b"\x30\x0d\x00\x01a\x08\x03\x00\x01t\x09\x00\x01\xffx"),
        (encode.publish(4, "a", bytes(200), 0)[:3], b"\x30\xcb\x01"),
        (encode.publish(4, "a", bytes(20_000), 0)[:4], b"\x30\xa3\x9c\x01"),
        (encode.puback(4, 1, 0x87), b"\x40\x02\x00\x01"),
        (encode.puback(5, 1, 0x87), b"\x40\x03\x00\x01\x87"),
        (encode.puback(5, 1, 0), b"\x40\x02\x00\x01"),
        (encode.suback(4, 1, [0, 1, 0x97]), b"\x90\x05\x00\x01\x00\x01\x80"),
        (encode.suback(5, 1, [0, 1, 0x97]), b"\x90\x06\x00\x01\x00\x00\x01\x97"),
        (encode.unsuback(4, 1, [0]), b"\xb0\x02\x00\x01"),
        (encode.unsuback(5, 1, [0, 0x11]), b"\xb0\x05\x00\x01\x00\x00\x11"),
        (encode.disconnect(0x8B), b"\xe0\x01\x8b"),
    ],
)
def test_what_the_server_writes(data: bytes, expected: bytes) -> None:
    assert data == expected
