"""The cutter: what passes, what is looked at and what is an error, however the stream comes in pieces."""

from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.mqtt.front.cutting import UNCHANGED, Cutter, Frame
from adapters.mqtt.packets import ProtocolError, ReasonCode
from tests.protocols.front_peer import body_of, varint
from tests.protocols.mqtt_peer import packet, publish_packet, text

LIMIT = 200_000
PASSING = frozenset({4, 12})
NEW = text("at/d/up")
WAYS = {b"up": NEW, b"same": UNCHANGED, b"short/long/topic": text("s")}
PINGREQ = b"\xc0\x00"
SUBSCRIBE = b"\x82\x06\x00\x01\x00\x01a\x00"


def cutter(version: int = 4, limit: int = LIMIT) -> Cutter:
    made = Cutter(version, limit, PASSING)
    made.ways = WAYS
    return made


def cut(made: Cutter, chunks: Iterable[bytes]) -> tuple[bytes, list[Frame], ProtocolError | None]:
    """Feed everything; returns what passed, what was to be looked at, and what ended it."""
    passed, frames = b"", []
    for chunk in chunks:
        made.feed(chunk)
        try:
            while (frame := made.next()) is not None:
                frames.append(frame)
        except ProtocolError as error:
            return passed + made.take_passed(), frames, error
        passed += made.take_passed()
    return passed, frames, None


def in_ways(data: bytes) -> list[list[bytes]]:
    """Return ways in which a stream may come."""
    return [
        [data],
        [data[at : at + 1] for at in range(len(data))],
        [data[:3], data[3:]],
        [data[at : at + 7] for at in range(0, len(data), 7)],
    ]


def moved(topic: bytes, data: bytes) -> bytes:
    """Return a PUBLISH with its topic replaced as the ways have it."""
    first, body = body_of(data)
    return packet(first, WAYS[topic] or text(topic), body[2 + len(topic) :])


CASES: dict[str, tuple[bytes, bytes, list[Frame]]] = {
    "nothing": (b"", b"", []),
    "a packet that passes": (PINGREQ, PINGREQ, []),
    "one that is looked at": (SUBSCRIBE, b"", [Frame(0x82, SUBSCRIBE[2:])]),
    "an empty one that is looked at": (b"\xe0\x00", b"", [Frame(0xE0, b"")]),
    "a topic that stays": (publish_packet("same", b"x"), publish_packet("same", b"x"), []),
    "a topic that becomes longer": (publish_packet("up", b"x"), publish_packet("at/d/up", b"x"), []),
    "a topic that becomes shorter": (publish_packet("short/long/topic", b"x"), publish_packet("s", b"x"), []),
    "QoS 1": (publish_packet("up", b"x", qos=1, packet_id=300), publish_packet("at/d/up", b"x", qos=1, packet_id=300), []),
    "QoS 2, retained": (publish_packet("up", b"", qos=2, flags=1), publish_packet("at/d/up", b"", qos=2, flags=1), []),
    "no payload": (publish_packet("up", b""), publish_packet("at/d/up", b""), []),
    "a topic that is not known": (publish_packet("down", b"x"), b"", [Frame(0x30, text("down") + b"x")]),
    "a topic that begins like one": (publish_packet("upper", b"x"), b"", [Frame(0x30, text("upper") + b"x")]),
    "no topic at all": (b"\x30\x00", b"", [Frame(0x30, b"")]),
    "half a length of a topic": (b"\x30\x01\x00", b"", [Frame(0x30, b"\0")]),
    "a topic beyond the packet": (b"\x30\x04\x00\x09up" + PINGREQ, PINGREQ, [Frame(0x30, b"\x00\x09up")]),
    "a packet id that is cut off": (b"\x32\x05\x00\x02up\x01", b"", [Frame(0x32, b"\x00\x02up\x01")]),
    "QoS 3": (publish_packet("up", b"x", qos=3), b"", [Frame(0x36, text("up") + b"\0\x01x")]),
    "a length in more bytes than it needs": (b"\x30\x85\x00\x00\x02upx", publish_packet("at/d/up", b"x"), []),
    "a length that grows by a byte": (publish_packet("up", bytes(120)), publish_packet("at/d/up", bytes(120)), []),
    "a length of three bytes": (publish_packet("up", bytes(20_000)), publish_packet("at/d/up", bytes(20_000)), []),
    "a payload of a length of four bytes": (publish_packet("same", b"x"), publish_packet("same", b"x"), []),
    "many of all kinds": (
        PINGREQ + publish_packet("up", b"1") + PINGREQ + SUBSCRIBE + publish_packet("same", b"2") + publish_packet("up", b"3"),
        PINGREQ + publish_packet("at/d/up", b"1") + PINGREQ + publish_packet("same", b"2") + publish_packet("at/d/up", b"3"),
        [Frame(0x82, SUBSCRIBE[2:])],
    ),
}


@pytest.mark.parametrize(("data", "passed", "frames"), CASES.values(), ids=CASES.keys())
def test_every_case_in_every_number_of_pieces(data: bytes, passed: bytes, frames: list[Frame]) -> None:
    for chunks in in_ways(data):
        made = cutter()
        assert cut(made, chunks) == (passed, frames, None)
        assert made.pending == 0


CASES_5: dict[str, tuple[bytes, bytes, list[Frame]]] = {
    "without properties": (publish_packet("up", b"x", version=5), publish_packet("at/d/up", b"x", version=5), []),
    "without properties at QoS 1": (
        publish_packet("up", b"x", version=5, qos=1),
        publish_packet("at/d/up", b"x", version=5, qos=1),
        [],
    ),
    "with properties": (
        publish_packet("up", b"x", version=5, properties=b"\x01\x01"),
        b"",
        [Frame(0x30, text("up") + b"\x02\x01\x01x")],
    ),
    "without a length of properties": (b"\x30\x04\x00\x02up", b"", [Frame(0x30, text("up"))]),
}


@pytest.mark.parametrize(("data", "passed", "frames"), CASES_5.values(), ids=CASES_5.keys())
def test_messages_with_properties_are_looked_at(data: bytes, passed: bytes, frames: list[Frame]) -> None:
    for chunks in in_ways(data):
        assert cut(cutter(5), chunks) == (passed, frames, None)


FIVE_BYTES = b"\x30\xff\xff\xff\xff"
TOO_LARGE = b"\x30" + varint(LIMIT)


@pytest.mark.parametrize(
    ("wrong", "code", "bound"),
    [(FIVE_BYTES, ReasonCode.MALFORMED_PACKET, ""), (TOO_LARGE, ReasonCode.PACKET_TOO_LARGE, "max_packet_bytes")],
)
def test_what_came_before_an_error_still_passes_and_once(wrong: bytes, code: ReasonCode, bound: str) -> None:
    good = publish_packet("up", b"x") + PINGREQ
    for chunks in in_ways(good + wrong + PINGREQ):
        made = cutter()
        passed, frames, error = cut(made, chunks)
        assert (passed, frames) == (publish_packet("at/d/up", b"x") + PINGREQ, [])
        assert error is not None
        assert (error.reason_code, error.bound) == (code, bound)
        with pytest.raises(ProtocolError):
            made.next()
        assert made.take_passed() == b""


def test_a_packet_is_refused_for_its_size_before_it_is_here() -> None:
    made = cutter(limit=10)
    assert cut(made, [publish_packet("up", b"1234")])[2] is None
    made.feed(b"\x30\x09")
    with pytest.raises(ProtocolError, match="too large"):
        made.next()


def test_a_large_packet_is_gathered_and_nothing_else_is_kept() -> None:
    made = cutter()
    large = publish_packet("up", bytes(150_000))
    made.feed(PINGREQ * 50_000 + large[:10])
    assert made.next() is None
    assert made.take_passed() == PINGREQ * 50_000
    assert (made.pending, len(made._data)) == (10, 10)
    assert cut(made, [large[at : at + 1_000] for at in range(10, len(large), 1_000)]) == (moved(b"up", large), [], None)
    assert made.pending == 0


def skipping(limit: int) -> Cutter:
    made = Cutter(4, limit, PASSING, skips=True)
    made.ways = WAYS
    return made


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("topic", ["up", "other", "t" * 50])  # the last is more than may be in a packet itself
@pytest.mark.parametrize("size", [100, 20_000])
def test_messages_that_are_too_large_are_left_out_but_for_their_beginning(qos: int, topic: str, size: int) -> None:
    large = publish_packet(topic, b"x" * size, qos=qos, packet_id=300)
    beginning = Frame(large[0], text(topic) + (b"\x01\x2c" if qos else b""), len(large))
    good, passed = publish_packet("up", b"1") + PINGREQ, publish_packet("at/d/up", b"1") + PINGREQ
    for chunks in in_ways(good + large + large + good + large):
        made = skipping(40)
        assert cut(made, chunks) == (passed * 2, [beginning] * 3, None)
        assert made.pending == 0


@pytest.mark.parametrize(
    ("data", "so"),
    [
        (b"\x40\x02\0\x01", True),
        (b"\x50\x02\0\x01", False),
        (b"\x40\x03\0\x01", False),
        (b"\x40\x03\0\x01\0", False),
        (b"\x40\x02\0", False),
    ],
)
def test_an_acknowledgement_alone_is_known_at_once(data: bytes, so: bool) -> None:
    made = cutter()
    assert made.is_acknowledgement(data) is so
    made.feed(PINGREQ[:1])
    assert made.next() is None
    assert not made.is_acknowledgement(data)


def test_nothing_is_kept_of_what_is_left_out() -> None:
    made = skipping(1_000)
    made.feed(b"\x32" + varint(200_000_000) + text("up") + b"\0\x07" + b"x" * 50_000)
    for _ in range(50):
        assert made.next() is None
        made.feed(b"x" * 50_000)
        assert made.pending < 20


@pytest.mark.parametrize(
    "wrong",
    [
        b"\x20" + varint(LIMIT),
        b"\x36" + varint(LIMIT) + text("up") + b"\0\x07",
        b"\x30" + varint(LIMIT) + text(""),
        b"\x30" + varint(100) + b"\xff\xff" + b"t" * 65_535,
        b"\x32" + varint(100) + text("t" * 97) + b"\0\x07",
    ],
)
def test_what_is_too_large_and_no_message_is_an_error(wrong: bytes) -> None:
    for chunks in in_ways(PINGREQ + wrong)[:3]:
        passed, frames, error = cut(skipping(40), chunks)
        assert (passed, frames) == (PINGREQ, [])
        assert error is not None
        assert error.reason_code is ReasonCode.PACKET_TOO_LARGE


def test_messages_of_a_strict_qos_are_looked_at() -> None:
    made = cutter()
    made.strict_qos = 2
    data = [publish_packet("up", b"x", qos=qos) for qos in (0, 1, 2)]
    passed = b"".join(publish_packet("at/d/up", b"x", qos=qos) for qos in (0, 1))
    assert cut(made, data) == (passed, [Frame(*body_of(data[2]))], None)


def test_what_passes_unchanged_is_not_copied() -> None:
    made = cutter()
    data = publish_packet("same", b"x") * 100
    made.feed(data)
    assert made.next() is None
    assert made.take_passed() is data


def test_new_ways_and_kinds_count_from_the_next_packet_on() -> None:
    made = cutter()
    made.feed(SUBSCRIBE + publish_packet("up", b"x") + PINGREQ)
    assert made.next() == Frame(0x82, SUBSCRIBE[2:])
    made.ways, made.passing = {}, frozenset()
    assert made.next() == Frame(0x30, text("up") + b"x")
    assert made.next() == Frame(0xC0, b"")
    assert made.next() is None
    assert made.take_passed() == b""


# Whatever comes, in whatever pieces: the same as by a reading that is slow and plain

_TOPICS = st.sampled_from([b"up", b"same", b"short/long/topic", b"other", b""])


@st.composite
def publishes(draw: st.DrawFn) -> bytes:
    qos = draw(st.integers(0, 3))
    topic = draw(_TOPICS)
    rest = draw(st.binary(max_size=200))
    return packet(0x30 | qos << 1 | draw(st.sampled_from([0, 1, 8])), text(topic), b"\0\x07" if qos else b"", rest)


def others() -> st.SearchStrategy[bytes]:
    return st.builds(packet, st.integers(0, 255).filter(lambda first: first >> 4 != 3), st.binary(max_size=150))


def naive(data: bytes, version: int) -> tuple[bytes, list[Frame]]:
    """Cut whole packets one by one."""
    passed, frames = b"", []
    while data:
        length, at, shift = 0, 1, 0
        while True:
            length |= (data[at] & 0x7F) << shift
            shift, at = shift + 7, at + 1
            if data[at - 1] < 0x80:
                break
        whole, data = data[: at + length], data[at + length :]
        frame = Frame(whole[0], whole[at:])
        topic = topic_of(frame, version)
        if topic is not None:
            passed += packet(frame.first, WAYS[topic] or text(topic), frame.body[2 + len(topic) :])
        elif frame.first >> 4 in PASSING:
            passed += whole
        else:
            frames.append(frame)
    return passed, frames


def topic_of(frame: Frame, version: int) -> bytes | None:
    """Return the topic of a message that passes."""
    qos = frame.first >> 1 & 3
    topic = frame.body[2 : 2 + int.from_bytes(frame.body[:2], "big")]
    rest = frame.body[2 + len(topic) :]
    if frame.first >> 4 != 3 or qos == 3 or topic not in WAYS or len(rest) < (2 if qos else 0):
        return None
    rest = rest[2:] if qos else rest
    return topic if version < 5 or rest[:1] == b"\0" else None


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(publishes(), others()), max_size=12), st.data(), st.sampled_from([4, 5]))
def test_any_packets_in_any_pieces_come_out_as_they_should(packets: list[bytes], data: st.DataObject, version: int) -> None:
    stream = b"".join(packets)
    ends = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    chunks = [stream[start:end] for start, end in zip([0, *ends], [*ends, len(stream)], strict=True)]
    made = cutter(version)
    assert cut(made, chunks) == (*naive(stream, version), None)
    assert made.pending == 0


@settings(deadline=None, max_examples=300)
@given(st.lists(st.binary(max_size=60), max_size=8), st.sampled_from([4, 5]))
def test_any_bytes_end_in_packets_or_in_an_error(chunks: list[bytes], version: int) -> None:
    made = cutter(version, 1_000)
    passed, frames, error = cut(made, chunks)
    assert error is not None or made.pending <= 1_000
    assert cut(cutter(version, 1_000), [b"".join(chunks)])[:2] == (passed, frames)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.one_of(publishes(), others()), max_size=8), st.data())
def test_any_packets_that_are_left_out_are_the_same_in_any_pieces(packets: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(packets)
    ends = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    chunks = [stream[start:end] for start, end in zip([0, *ends], [*ends, len(stream)], strict=True)]
    passed, frames, error = cut(skipping(40), chunks)
    whole_passed, whole_frames, whole_error = cut(skipping(40), [stream])
    assert (passed, frames, str(error)) == (whole_passed, whole_frames, str(whole_error))
