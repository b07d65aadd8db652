"""What crosses between one device and the broker, and how: decided by the device's grants, without I/O and without a clock."""

import enum
from typing import Final

import msgspec

from adapters.mqtt import encode
from adapters.mqtt.front.cutting import ANY_QOS, NO_WAYS, UNCHANGED, Cutter, Frame
from adapters.mqtt.front.properties import unmapped_response_topic, with_length
from adapters.mqtt.front.rewriting import Message, merge_codes, message, read_message, read_packet_id
from adapters.mqtt.packets import ProtocolError, ReasonCode
from core.topic_spaces import NOTHING, Grants
from core.topics import valid_name

PUBLISH, PUBREL, SUBACK, UNSUBACK, PINGRESP, DISCONNECT = 3, 6, 9, 11, 13, 14
_ACKNOWLEDGEMENTS: Final = frozenset({4, 5, PUBREL, 7})
_FROM_DEVICE: Final = _ACKNOWLEDGEMENTS | {12}
_FROM_BROKER: Final = _ACKNOWLEDGEMENTS | {SUBACK, UNSUBACK, PINGRESP}
_TOPICS = 64
_TOPIC_BYTES = 256  # a longer one is decided about each time, so that those that are remembered stay small
_PENDING = 64
_UNRELEASED = 64
_SUBSCRIPTIONS = 64
_QOS_2 = 2
_WITHOUT_PROPERTIES = 4  # the last version whose messages have none
_REDIRECTIONS: Final = frozenset({0x9C, 0x9D})  # "use another server", "server moved" (section 3.14.2.1)
_NONE: Final[frozenset[int]] = frozenset()

Codes = tuple[int | None, ...]


class Purpose(enum.Enum):
    """What a client wanted a topic for."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"
    RESPONSE = "response topic"
    WILL = "will"
    WILL_RESPONSE = "response topic of the will"


class Crossed(msgspec.Struct, frozen=True, gc=False):
    """What goes to either side for a packet. `refused` is the topic that was not permitted, empty: it was.

    Of a message of the broker that was too large, `refused` is the topic and `size` what it had in bytes.
    """

    to_device: bytes = b""
    to_broker: bytes = b""
    refused: str = ""
    purpose: Purpose = Purpose.PUBLISH
    size: int = 0


class Crossing:
    """Both directions of one connection. Topics that were decided about are remembered until the grants change."""

    __slots__ = (
        "_grants",
        "_own_pings",
        "_pending",
        "_refused",
        "_subscribed",
        "_swallowed",
        "_version",
        "_will",
        "down",
        "up",
    )

    def __init__(self, version: int, most_up: int, most_down: int) -> None:
        self.up = Cutter(version, most_up, _FROM_DEVICE)
        # Nothing passes before the broker took the client. What is too large waits in a session there until it is taken.
        self.down = Cutter(version, most_down, _NONE, skips=True)
        self._version = version
        self._grants = NOTHING
        self._pending: dict[int, Codes] = {}
        self._refused = _NONE  # packet ids of QoS 2 from the device that were refused and not released yet
        self._swallowed = _NONE  # the same from the broker
        self._own_pings = 0
        self._subscribed: dict[str, str] = {}  # the filters at the broker, by the device's own
        self._will: tuple[str, str] | None = None  # the topic of the will, the device's own and the broker's

    def enter(self) -> None:
        """Let pass what a broker sends to a client that it took."""
        self._look_at_answers()

    def permit(self, grants: Grants) -> None:
        """Decide by these grants from now on."""
        self._grants = grants
        self.up.ways = NO_WAYS
        self.down.ways = NO_WAYS

    def publish(self, frame: Frame, sent: Message) -> Crossed:
        """Pass a message of the device on, or refuse it. Raises `ProtocolError`."""
        topic = self._grants.publish(sent.topic)
        if topic is None:
            return self._refuse(sent, sent.topic)
        data = message(frame, sent, topic, self._version, self.response_topic)
        if data is None:
            return self._refuse(sent, unmapped_response_topic(sent.block, self.response_topic), Purpose.RESPONSE)
        if sent.qos == _QOS_2:
            self._refused -= {sent.packet_id}  # its release is the broker's
        _remember(self.up, sent.topic, topic)
        return Crossed(to_broker=data)

    def will_topic(self, topic: str) -> str | None:
        """Return where the device's will goes; None: it may not go there."""
        there = self._grants.publish(topic)
        self._will = None if there is None else (topic, there)
        return there

    @property
    def will_lapsed(self) -> bool:
        """Tell whether the broker has a will that would go where the device may not publish any more."""
        return self._will is not None and self._grants.publish(self._will[0]) != self._will[1]

    def leave_will(self) -> None:
        """Leave the will with the broker, whatever becomes of the grants."""
        self._will = None

    def goodbye(self, frame: Frame) -> bytes:
        """Return a DISCONNECT of the device for the broker. It takes back a will that has lapsed.

        In version 5 every reason but 0 has the will published (OASIS MQTT 5.0, section 3.1.2.5).
        """
        body = b"\0" + frame.body[1:] if frame.body and self.will_lapsed else frame.body
        self._will = None
        return encode.packet(frame.first, body)

    def response_topic(self, topic: str) -> str | None:
        """Return where the broker's other clients may answer the device; None: not there.

        Raises `ProtocolError` for what is no topic name (section 3.3.2.3.5): whoever believed it would break off on answering.
        """
        if not valid_name(topic):
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "the response topic is no topic name")
        return self._grants.subscribe(topic)

    def subscribe(self, topic_filter: str) -> str | None:
        """Return the filter for a subscription of the device; None: it may not have it."""
        there = self._grants.subscribe(topic_filter)
        if there is not None:
            self._keep_in_mind(topic_filter, there)
        return there

    def _keep_in_mind(self, topic_filter: str, there: str) -> None:
        known = self._subscribed
        if len(topic_filter) + len(there) <= _TOPIC_BYTES and (topic_filter in known or len(known) < _SUBSCRIPTIONS):
            known[topic_filter] = topic_filter if there == topic_filter else there

    def unsubscribe(self, topic_filter: str) -> str | None:
        """Return the filter of a subscription that the device has or may have, whether it may still have it or not."""
        return self._subscribed.pop(topic_filter, None) or self._grants.subscribe(topic_filter)

    def release(self, frame: Frame) -> Crossed:
        """Answer or pass a PUBREL of the device."""
        packet_id, _ = read_packet_id(frame.body, 0)
        if packet_id not in self._refused:
            return Crossed(to_broker=raw(frame))
        self._refused -= {packet_id}
        # In version 5 the refusal was the end of it, so that is how this one is answered (section 4.3.3).
        code = ReasonCode.PACKET_IDENTIFIER_NOT_FOUND if self._version == 5 else ReasonCode.SUCCESS
        return Crossed(to_device=encode.pubcomp(self._version, packet_id, code))

    def look_at_releases(self, wanted: bool) -> None:
        """Let PUBREL pass no more, or again where nothing was refused that waits for one.

        As long as something does, a message may take its packet id over: whose release is next is known of those looked at.
        """
        self.up.strict_qos = _QOS_2 if self._refused else ANY_QOS
        self.up.passing = _FROM_DEVICE - {PUBREL} if wanted or self._refused else _FROM_DEVICE

    def expect(self, packet_id: int, codes: Codes) -> None:
        """Put these codes into the answer to a SUBSCRIBE or UNSUBSCRIBE; None where the broker's own belongs.

        Raises `ProtocolError` where too many answers are awaited.
        """
        if len(self._pending) >= _PENDING:
            raise ProtocolError(ReasonCode.QUOTA_EXCEEDED, "too many subscriptions wait for an answer", bound="subscribing")
        self._pending[packet_id] = codes
        self._look_at_answers()

    def pinged(self) -> None:
        """Keep the answer to a PINGREQ of our own from the device."""
        self._own_pings += 1
        self._look_at_answers()

    def from_broker(self, frame: Frame) -> Crossed:
        """Pass what did not pass by itself. Raises `ProtocolError` for what no broker sends."""
        kind = frame.first >> 4
        if kind == PUBLISH:
            return self._deliver(frame)
        if kind == PUBREL:
            return self._released(frame)
        if kind in (SUBACK, UNSUBACK):
            return self._answered(frame)
        if kind == PINGRESP:
            self._own_pings -= 1
            self._look_at_answers()
            return Crossed()
        if kind == DISCONNECT and self._version == 5:
            return Crossed(to_device=_goodbye(frame))
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"a broker sends no packet of type {kind}")

    def _deliver(self, frame: Frame) -> Crossed:
        if frame.size:
            return self._swallow(read_message(frame, _WITHOUT_PROPERTIES), frame.size)
        sent = read_message(frame, self._version)
        if not sent.topic:
            raise ProtocolError(ReasonCode.TOPIC_ALIAS_INVALID, "a topic alias, which was not announced")
        topic = self._grants.deliver(sent.topic)
        if topic is None:
            return self._swallow(sent)
        data = message(frame, sent, topic, self._version, self._grants.reply)
        _remember(self.down, sent.topic, topic)
        return Crossed(to_device=data or b"")

    def _swallow(self, sent: Message, size: int = 0) -> Crossed:
        """Take what is not for the device off the broker: a session there may be older than the grants."""
        answer = b""
        if sent.qos == 1:
            answer = encode.puback(self._version, sent.packet_id, ReasonCode.SUCCESS)
        elif sent.qos == 2:
            answer = encode.pubrec(self._version, sent.packet_id)
            self._swallowed |= {sent.packet_id}
            self._look_at_answers()
        return Crossed(to_broker=answer, refused=sent.topic, size=size)

    def _released(self, frame: Frame) -> Crossed:
        packet_id, _ = read_packet_id(frame.body, 0)
        if packet_id not in self._swallowed:
            return Crossed(to_device=raw(frame))
        self._swallowed -= {packet_id}
        self._look_at_answers()
        return Crossed(to_broker=encode.pubcomp(self._version, packet_id, ReasonCode.SUCCESS))

    def _answered(self, frame: Frame) -> Crossed:
        packet_id, _ = read_packet_id(frame.body, 0)
        codes = self._pending.pop(packet_id, None)
        if codes is None:
            return Crossed(to_device=raw(frame))
        self._look_at_answers()
        return Crossed(to_device=merge_codes(frame, self._version, codes))

    def _look_at_answers(self) -> None:
        looked_at = ({PUBREL} if self._swallowed else set()) | ({PINGRESP} if self._own_pings else set())
        looked_at |= {SUBACK, UNSUBACK} if self._pending else set()
        self.down.passing = _FROM_BROKER - looked_at if looked_at else _FROM_BROKER

    def _refuse(self, sent: Message, topic: str, purpose: Purpose = Purpose.PUBLISH) -> Crossed:
        """Acknowledge a message that goes nowhere; version 5 is told, which ends it there and then (section 4.3.3).

        Clients that release it nevertheless would confuse the broker. Raises `ProtocolError` where too many of QoS 2 wait for
        their release; in version 5, where most never come, the earlier ones are forgotten.
        """
        answer = b""
        if sent.qos == 1:
            answer = encode.puback(self._version, sent.packet_id, ReasonCode.NOT_AUTHORIZED)
        elif sent.qos == 2:
            answer = encode.pubrec(self._version, sent.packet_id, ReasonCode.NOT_AUTHORIZED)
            self._await_release(sent.packet_id)
        return Crossed(to_device=answer, refused=topic, purpose=purpose)

    def _await_release(self, packet_id: int) -> None:
        self._refused |= {packet_id}
        if len(self._refused) > _UNRELEASED:
            if self._version < 5:
                detail = "too many QoS 2 messages wait for their release"
                raise ProtocolError(ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, detail, bound="receive_maximum")
            self._refused = frozenset({packet_id})
        self.look_at_releases(True)


def raw(frame: Frame) -> bytes:
    """Return a packet as it came."""
    return encode.packet(frame.first, frame.body)


def _goodbye(frame: Frame) -> bytes:
    """Return a DISCONNECT for the device; one that sends it to another broker would send it past this server."""
    if frame.body and frame.body[0] in _REDIRECTIONS:
        return encode.disconnect(ReasonCode.SERVER_SHUTTING_DOWN)
    return raw(frame)


def _remember(cutter: Cutter, known: str, topic: str) -> None:
    """Let the next message on a topic pass; of many topics those at hand."""
    if len(known) + len(topic) > _TOPIC_BYTES:
        return
    ways = dict(cutter.ways) if len(cutter.ways) < _TOPICS else {}
    ways[known.encode()] = UNCHANGED if topic == known else with_length(topic.encode())
    cutter.ways = ways
