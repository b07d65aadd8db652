"""What crosses between one device and the broker, and how: decided by the device's grants, without I/O and without a clock."""

from typing import Final

import msgspec

from adapters.mqtt import encode
from adapters.mqtt.front.cutting import NO_WAYS, UNCHANGED, Cutter, Frame
from adapters.mqtt.front.properties import with_length
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
_REDIRECTIONS: Final = frozenset({0x9C, 0x9D})  # "use another server", "server moved" (section 3.14.2.1)
_NONE: Final[frozenset[int]] = frozenset()

Codes = tuple[int | None, ...]


class Crossed(msgspec.Struct, frozen=True, gc=False):
    """What goes to either side for a packet. `refused` is the topic that was not permitted, empty: it was."""

    to_device: bytes = b""
    to_broker: bytes = b""
    refused: str = ""


class Crossing:
    """Both directions of one connection. Topics that were decided about are remembered until the grants change."""

    __slots__ = ("_grants", "_own_pings", "_pending", "_refused", "_swallowed", "_version", "down", "up")

    def __init__(self, version: int, most_up: int, most_down: int) -> None:
        self.up = Cutter(version, most_up, _FROM_DEVICE)
        self.down = Cutter(version, most_down, _NONE)  # nothing passes before the broker took the client
        self._version = version
        self._grants = NOTHING
        self._pending: dict[int, Codes] = {}
        self._refused = _NONE  # packet ids of QoS 2 from the device that were refused and not released yet
        self._swallowed = _NONE  # the same from the broker
        self._own_pings = 0

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
            return self._refuse(sent)
        data = message(frame, sent, topic, self._version, self.response_topic)
        if data is None:
            return self._refuse(sent)
        _remember(self.up, sent.topic, topic)
        return Crossed(to_broker=data)

    def will_topic(self, topic: str) -> str | None:
        """Return where the device's will goes; None: it may not go there."""
        return self._grants.publish(topic)

    def response_topic(self, topic: str) -> str | None:
        """Return where the broker's other clients may answer the device; None: not there.

        Raises `ProtocolError` for what is no topic name (section 3.3.2.3.5): whoever believed it would break off on answering.
        """
        if not valid_name(topic):
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "the response topic is no topic name")
        return self._grants.subscribe(topic)

    def subscribe(self, topic_filter: str) -> str | None:
        """Return the filter for a subscription of the device; None: it may not have it."""
        return self._grants.subscribe(topic_filter)

    def release(self, frame: Frame) -> Crossed:
        """Answer or pass a PUBREL of the device."""
        packet_id, _ = read_packet_id(frame.body, 0)
        if packet_id not in self._refused:
            return Crossed(to_broker=raw(frame))
        self._refused -= {packet_id}
        return Crossed(to_device=encode.pubcomp(self._version, packet_id, ReasonCode.SUCCESS))

    def look_at_releases(self, wanted: bool) -> None:
        """Let PUBREL pass no more, or again where nothing was refused that waits for one."""
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
        sent = read_message(frame, self._version)
        if not sent.topic:
            raise ProtocolError(ReasonCode.TOPIC_ALIAS_INVALID, "a topic alias, which was not announced")
        topic = self._grants.deliver(sent.topic)
        if topic is None:
            return self._swallow(sent)
        data = message(frame, sent, topic, self._version, self._grants.reply)
        _remember(self.down, sent.topic, topic)
        return Crossed(to_device=data or b"")

    def _swallow(self, sent: Message) -> Crossed:
        """Take what is not for the device any more off the broker: a session there may be older than the grants."""
        answer = b""
        if sent.qos == 1:
            answer = encode.puback(self._version, sent.packet_id, ReasonCode.SUCCESS)
        elif sent.qos == 2:
            answer = encode.pubrec(self._version, sent.packet_id)
            self._swallowed |= {sent.packet_id}
            self._look_at_answers()
        return Crossed(to_broker=answer, refused=sent.topic)

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

    def _refuse(self, sent: Message) -> Crossed:
        """Acknowledge a message that goes nowhere; version 5 is told, which ends it there and then (section 4.3.3).

        Raises `ProtocolError` where too many of QoS 2 wait for their release.
        """
        answer = b""
        if sent.qos == 1:
            answer = encode.puback(self._version, sent.packet_id, ReasonCode.NOT_AUTHORIZED)
        elif sent.qos == 2:
            answer = encode.pubrec(self._version, sent.packet_id, ReasonCode.NOT_AUTHORIZED)
            if self._version < 5:
                self._refused |= {sent.packet_id}
                self.look_at_releases(True)
                if len(self._refused) > _UNRELEASED:
                    detail = "too many QoS 2 messages wait for their release"
                    raise ProtocolError(ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, detail, bound="receive_maximum")
        return Crossed(to_device=answer, refused=sent.topic)


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
