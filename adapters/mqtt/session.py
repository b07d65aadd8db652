"""What one connection has agreed and remembers between packets, without I/O and without a clock."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from adapters.exchange import NOTHING, Carrier, Closing, Guest, Inbound, Outbound, Peer
from adapters.mqtt import encode
from adapters.mqtt.packets import Connect, ProtocolError, Publish, PubRel, ReasonCode, Subscribe, Unsubscribe
from adapters.mqtt.translate import STATUS
from core.messages import Identity
from core.topics import covers, matches

_LAST_PACKET_ID = 65_535
_ASKED, _ANSWERED = "/request", "/response"
SUBSCRIBE = "SUBSCRIBE"
REPEAT_KEY = "idempotency-key"
"""The user property by which a client calls a request, where it may send it again."""
_NONE: Final[frozenset[int]] = frozenset()


MaySubscribe = Callable[[str, Identity], bool]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What goes back for a PUBLISH: bytes to write, and why to close after them (None: stay).

    `published` tells whether a message is among the bytes, `bound` which limit kept it out.
    """

    data: bytes
    closing: ReasonCode | None
    published: bool
    bound: str = ""


class Granted(msgspec.Struct, frozen=True, gc=False):
    """What goes back for a SUBSCRIBE, and the filters it grants.

    `full` tells that the limit on subscriptions refused some of it.
    """

    data: bytes
    filters: tuple[str, ...]
    full: bool


class Message(msgspec.Struct, frozen=True, gc=False):
    """A PUBLISH on its way to the client, empty where the limit `bound` kept it back."""

    data: bytes
    bound: str = ""


class Session:
    """One client after its CONNECT. It ends with its connection and shares nothing with any other.

    Where it is `fronted` a broker behind this server has the rest of the conversation, so what that can do is not refused here.
    """

    __slots__ = (
        "_form",
        "_fronted",
        "_guest",
        "_identity",
        "_last_packet_id",
        "_maximum_packet_bytes",
        "_peer",
        "_receive_maximum",
        "_received",
        "_subscriptions",
        "_unacknowledged",
        "_version",
    )

    def __init__(
        self,
        connect: Connect,
        peer: Peer,
        *,
        guest: Guest | None = None,
        identity: Identity | None = None,
        fronted: bool = False,
    ) -> None:
        self._version = connect.version
        self._fronted = fronted
        self._peer = peer
        self._guest = guest
        self._identity = identity
        self._receive_maximum = connect.properties.receive_maximum
        self._maximum_packet_bytes = connect.properties.maximum_packet_bytes
        self._form = ""
        self._subscriptions: dict[str, int] = {}
        self._received = _NONE  # packet ids of QoS 2 that were not released yet
        self._unacknowledged = 0
        self._last_packet_id = 0

    @property
    def linger_seconds(self) -> float | None:
        """Return how long this connection stays after an answer; None: as long as it likes."""
        return None if self._guest is None else self._guest.linger_seconds

    def repeated(self, packet: Publish) -> bytes | None:
        """Return the PUBREC for a QoS 2 message that was received before and not released; None: it is to be handled."""
        if packet.qos == 2 and packet.packet_id in self._received:
            return encode.pubrec(self._version, packet.packet_id)
        return None

    def receive(self, packet: Publish, receive_maximum: int) -> Inbound:
        """Make a neutral request of a message, and remember it where QoS 2 demands.

        Raises `ProtocolError` where version 5 asks for what CONNACK announced as missing, and beyond `receive_maximum`
        messages of QoS 2 that wait for their release (MQTT 3.1.1, section 4.3.3).
        """
        if self._version == 5 and not self._fronted:
            if packet.qos == 2:
                raise ProtocolError(ReasonCode.QOS_NOT_SUPPORTED, "QoS 2 was announced as missing")
            if packet.retain:
                raise ProtocolError(ReasonCode.RETAIN_NOT_SUPPORTED, "retaining was announced as missing")
        elif packet.qos == 2:
            if len(self._received) >= receive_maximum:
                detail = "too many QoS 2 messages wait for their release"
                raise ProtocolError(ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, detail, bound="receive_maximum")
            self._received |= {packet.packet_id}
        properties = packet.properties
        return self._inbound(packet.topic, packet.payload, _headers(properties.user), properties.content_type)

    def implied(self, topic_filter: str) -> Inbound | None:
        """Return the request that a device makes by subscribing to its answers alone: empty, where they are published.

        None where a filter is no such topic. A guest has proved nothing that could stand for its request.
        """
        if self._identity is None or not topic_filter.endswith(_ANSWERED) or "+" in topic_filter:
            return None
        return self._inbound(topic_filter.removesuffix(_ANSWERED) + _ASKED)

    def subscribing(self, topic_filter: str) -> Inbound | None:
        """Return the subscription of a device itself as a request; None for filters with wildcards, and for guests."""
        if self._identity is None or "+" in topic_filter or "#" in topic_filter:
            return None
        return self._inbound(topic_filter, method=SUBSCRIBE)

    def _inbound(
        self,
        topic: str,
        body: bytes = b"",
        headers: Mapping[str, str] = NOTHING,
        content_type: str | None = None,
        method: str = "PUBLISH",
    ) -> Inbound:
        return Inbound(
            carrier=Carrier.MQTT,
            method=method,
            path=topic,
            peer=self._peer,
            headers=headers,
            content_type=content_type,
            body=body,
            identity=self._identity,
            guest="" if self._guest is None else self._guest.name,
            form=self._form,
            version=self._version,
            repeat_key=headers.get(REPEAT_KEY, "") if headers else "",
        )

    def answer(self, packet: Publish, out: Outbound) -> Answer:
        """Acknowledge a message, then publish its answer where there is one."""
        reason_code = STATUS[out.outcome]
        data = self._acknowledge(packet, reason_code)
        self._form = out.form
        told = self._version == 5 and packet.qos == 1
        closes = out.closing is Closing.YES or (out.closing is Closing.UNLESS_TOLD and not told)
        closing = reason_code if closes else None
        if out.topic is None:
            return Answer(data, closing, published=False)
        message = self._message(out.topic, out.body, packet.properties.correlation, out.content_type)
        return Answer(data + message.data, closing, published=not message.bound, bound=message.bound)

    def push(self, topic: str, out: Outbound) -> Message:
        """Publish an answer that changed. It belongs to no message of the client, so nothing of one is repeated."""
        return self._message(topic, out.body, None, out.content_type)

    def _acknowledge(self, packet: Publish, reason_code: ReasonCode) -> bytes:
        if packet.qos == 0:
            return b""
        if packet.qos == 1:
            return encode.puback(self._version, packet.packet_id, reason_code)
        return encode.pubrec(self._version, packet.packet_id)

    def _message(self, topic: str, payload: bytes, correlation: bytes | None, content_type: str | None) -> Message:
        packet_id = 0
        # Beyond what a client takes unacknowledged, an answer still goes out, at QoS 0: waiting would lose it.
        # So it does in front of a broker, whose packet ids are not ours to use.
        if not self._fronted and self._granted_qos(topic) and self._unacknowledged < self._receive_maximum:
            packet_id = self._last_packet_id % _LAST_PACKET_ID + 1
        data = encode.publish(self._version, topic, payload, packet_id, correlation, content_type)
        if self._maximum_packet_bytes and len(data) > self._maximum_packet_bytes:
            # It must not be sent (OASIS MQTT 5.0, section 3.1.2.11.4).
            return Message(b"", "client_packet_bytes")
        if packet_id:
            self._last_packet_id = packet_id
            self._unacknowledged += 1
        return Message(data)

    def subscribed(self, topic: str) -> bool:
        """Tell whether the client subscribed to a topic."""
        return topic in self._subscriptions or any(matches(wanted, topic) for wanted in self._subscriptions)

    def _granted_qos(self, topic: str) -> int:
        """Return the highest QoS granted for a topic; 1 without a subscription, since the answer goes out all the same."""
        exact = self._subscriptions.get(topic)
        if exact is not None:
            return exact
        return max((qos for wanted, qos in self._subscriptions.items() if matches(wanted, topic)), default=1)

    def subscribe(self, packet: Subscribe, may_subscribe: MaySubscribe, limit: int) -> Granted:
        """Grant or refuse each filter: a guest what its patterns cover, a device what `may_subscribe` says, `limit` in all."""
        codes = [self._grant(wanted.topic_filter, min(wanted.qos, 1), may_subscribe, limit) for wanted in packet.subscriptions]
        granted = (
            wanted.topic_filter
            for wanted, code in zip(packet.subscriptions, codes, strict=True)
            if code < ReasonCode.UNSPECIFIED_ERROR
        )
        data = encode.suback(self._version, packet.packet_id, codes)
        return Granted(data, tuple(granted), ReasonCode.QUOTA_EXCEEDED in codes)

    def _grant(self, topic_filter: str, qos: int, may_subscribe: MaySubscribe, limit: int) -> int:
        if not self._may_subscribe(topic_filter, may_subscribe):
            return ReasonCode.TOPIC_FILTER_INVALID
        if topic_filter not in self._subscriptions and len(self._subscriptions) >= limit:
            return ReasonCode.QUOTA_EXCEEDED
        self._subscriptions[topic_filter] = qos
        return qos

    def _may_subscribe(self, topic_filter: str, may_subscribe: MaySubscribe) -> bool:
        if self._identity is not None:
            return may_subscribe(topic_filter, self._identity)
        return self._guest is not None and any(covers(pattern, topic_filter) for pattern in self._guest.subscriptions)

    @property
    def version(self) -> int:
        """Return the client's version."""
        return self._version

    def unsubscribe(self, packet: Unsubscribe) -> list[ReasonCode]:
        """Give up filters; one that was never subscribed is answered, not punished."""
        return [
            ReasonCode.NO_SUBSCRIPTION_EXISTED if self._subscriptions.pop(wanted, None) is None else ReasonCode.SUCCESS
            for wanted in packet.filters
        ]

    @property
    def awaits_release(self) -> bool:
        """Tell whether QoS 2 messages were received here and not released yet."""
        return bool(self._received)

    def received(self, packet_id: int) -> bool:
        """Tell whether a QoS 2 message of this id is one of them."""
        return packet_id in self._received

    def release(self, packet: PubRel) -> bytes:
        """Forget a QoS 2 message and complete it."""
        known = packet.packet_id in self._received
        self._received -= {packet.packet_id}
        reason_code = ReasonCode.SUCCESS if known else ReasonCode.PACKET_IDENTIFIER_NOT_FOUND
        return encode.pubcomp(self._version, packet.packet_id, reason_code)

    def acknowledged(self) -> None:
        """Take note that the client received an answer. Nothing is ever sent again, so which one does not matter."""
        self._unacknowledged = max(0, self._unacknowledged - 1)


def _headers(user: tuple[tuple[str, str], ...]) -> Mapping[str, str]:
    """Return user properties as headers; of a name that occurs twice the first counts."""
    if not user:
        return NOTHING
    return MappingProxyType({name.lower(): value for name, value in reversed(user)})
