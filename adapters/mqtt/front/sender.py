"""What a client sends in front of the broker: passed on, refused, or answered here."""

import abc
import asyncio
from collections.abc import Coroutine
from typing import Any

from adapters.exchange import Carrier, Exchange, Inbound
from adapters.mqtt import encode
from adapters.mqtt.bodies import Limits, read_publish
from adapters.mqtt.deadlines import NEVER, SILENCE_FACTOR, Expiry
from adapters.mqtt.front import rewriting
from adapters.mqtt.front.arrived import Arrived
from adapters.mqtt.front.broker_line import BrokerLine
from adapters.mqtt.front.crossing import DISCONNECT, PUBLISH, PUBREL, Crossed, Crossing, Purpose
from adapters.mqtt.front.cutting import Frame
from adapters.mqtt.front.remarks import Remarks
from adapters.mqtt.front.rewriting import Filters, Message, Wanted, read_filters, read_message, read_packet_id
from adapters.mqtt.packets import ProtocolError, PubRel, ReasonCode, Subscribe, Subscription, Unsubscribe
from adapters.mqtt.session import Granted, Session
from adapters.mqtt.shared import Shared
from adapters.mqtt.subscriber import Subscriber
from core.topics import valid_filter, valid_name

_SUBSCRIBE, _UNSUBSCRIBE = 8, 10
_QUARTER = 4


class Sender(Subscriber):
    """The packets of one client that do not pass by themselves, one after the other.

    A route of ours answers in a task, while the rest waits; such answers go out at QoS 0, between the broker's packets.
    """

    __slots__ = ("_arrived", "_broker", "_crossing", "_remarks", "_session", "_task", "_wrote")

    def __init__(self, arrived: Arrived, crossing: Crossing, shared: Shared, exchange: Exchange) -> None:
        super().__init__(shared, exchange)
        self._arrived = arrived
        self._crossing = crossing
        self._broker = BrokerLine(self, shared.config)
        self._session: Session | None = None  # from the first packet that is for us
        self._task: asyncio.Task[None] | None = None
        self._remarks = Remarks(arrived.identity, shared.meter)
        self._wrote = 0.0

    @abc.abstractmethod
    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that has to be waited for, while further packets wait for it."""

    @abc.abstractmethod
    def end(self, reason_code: ReasonCode | None) -> None:
        """Close both sides."""

    @abc.abstractmethod
    def fail(self, error: ProtocolError) -> None:
        """Close on a stream that breaks the protocol."""

    @abc.abstractmethod
    def said_goodbye(self) -> None:
        """Close once the broker was told."""

    @abc.abstractmethod
    def from_broker(self, data: bytes) -> None:
        """Take bytes of the broker."""

    @abc.abstractmethod
    def broker_takes(self) -> None:
        """Read or rest, as the broker takes what it is sent or not."""

    @abc.abstractmethod
    def broker_lost(self) -> None:
        """End, now that the broker is gone."""

    def look_at(self, frame: Frame) -> None:
        """Do what a packet asks for. Raises `ProtocolError`."""
        kind = frame.first >> 4
        if kind == PUBLISH:
            self._published(frame)
        elif kind == PUBREL:
            self._release(frame)
        elif kind == _SUBSCRIBE:
            self._subscribe(frame)
        elif kind == _UNSUBSCRIBE:
            self._unsubscribe(frame)
        elif kind == DISCONNECT:
            self._crossing.up.passed.append(self._crossing.goodbye(frame))
            self.said_goodbye()
        else:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"a client sends no packet of type {kind}")

    def _cross(self, crossed: Crossed) -> None:
        self.write(crossed.to_device)
        if crossed.to_broker:
            self._crossing.up.passed.append(crossed.to_broker)
        if crossed.refused:
            self._remarks.refused(crossed.refused, crossed.purpose)

    def _published(self, frame: Frame) -> None:
        sent = read_message(frame, self._version)
        self._check_length(sent.topic)
        if not sent.topic and sent.block:
            raise ProtocolError(ReasonCode.TOPIC_ALIAS_INVALID, "topic aliases are not supported")
        if not valid_name(sent.topic):
            raise ProtocolError(ReasonCode.TOPIC_NAME_INVALID, "not a topic name")
        if self._exchange.keeps(self._inbound(sent.topic)):
            self._serve(frame, sent)
        else:
            self._cross(self._crossing.publish(frame, sent))

    def _serve(self, frame: Frame, sent: Message) -> None:
        session = self._own_session()
        if sent.qos == 2 and session.received(sent.packet_id):
            self.write(encode.pubrec(self._version, sent.packet_id))
        else:
            self.begin(self._answer(frame, session))

    async def _answer(self, frame: Frame, session: Session) -> None:
        """Answer a message that is for us."""
        try:
            answer = await self.serve(read_publish(frame.first, frame.body, self._version, self._limits), session)
        except ProtocolError as error:
            self.fail(error)
            return
        self._crossing.look_at_releases(session.awaits_release)
        if answer.closing is not None:
            self.end(answer.closing)

    def pass_on(self) -> bool:
        """Send the broker what passed, and tell whether there was something."""
        data = self._crossing.up.take_passed()
        if data:
            self._wrote = self.loop.time()
            self._broker.write(data)
        return bool(data)

    def keep_alive(self) -> None:
        """Let the broker know that the client lives, where it hears nothing of what it sends."""
        quiet = self._arrived.connect.keep_alive / _QUARTER
        if quiet and self.loop.time() - self._wrote > quiet and not self._is_over():
            self._wrote = self.loop.time()
            self._crossing.pinged()
            self._broker.write(rewriting.PINGREQ)

    def look_for_silence(self, *, is_read: bool) -> None:
        """Give up a client that is silent, before the broker does and publishes a will that has lapsed; others are left to it.

        Meanwhile the broker is pinged instead, so that the client has its whole time (OASIS MQTT 5.0, section 3.1.2.10).
        """
        keep_alive, now = self._arrived.connect.keep_alive, self.loop.time()
        if not (keep_alive and self._crossing.will_lapsed) or self._is_over():
            self.deadlines.silence = NEVER
            return
        quiet = (now - self._wrote) / keep_alive
        if is_read and quiet > SILENCE_FACTOR + 1 / _QUARTER:  # it may have said something a quarter later
            self.bound(Expiry.SILENCE.value)
            self.end(ReasonCode.KEEP_ALIVE_TIMEOUT)
            return
        if quiet > 1:
            self._crossing.pinged()
            self._broker.write(rewriting.PINGREQ)
        self.deadlines.silence = now + keep_alive / _QUARTER
        self.arm()

    def _release(self, frame: Frame) -> None:
        packet_id, _ = read_packet_id(frame.body, 0)
        if self._session is not None and self._session.received(packet_id):
            self.write(self._session.release(PubRel(packet_id)))
        else:
            self._cross(self._crossing.release(frame))
        self._crossing.look_at_releases(self._session is not None and self._session.awaits_release)

    def _read_filters(self, frame: Frame) -> Filters:
        sent = read_filters(frame, self._version, self._shared.config.filters_per_packet)
        for wanted in sent.wanted:
            self._check_length(wanted.topic_filter)
            if not valid_filter(wanted.topic_filter):
                raise ProtocolError(ReasonCode.TOPIC_FILTER_INVALID, "not a topic filter")
        return sent

    def _check_length(self, topic: str) -> None:
        if len(topic.encode()) > self._shared.config.max_topic_bytes:
            raise ProtocolError(ReasonCode.QUOTA_EXCEEDED, "the topic is too long", bound="max_topic_bytes")

    def _subscribe(self, frame: Frame) -> None:
        sent = self._read_filters(frame)
        identity = self._arrived.identity
        own = [each for each in sent.wanted if self._exchange.may_subscribe(each.topic_filter, identity)]
        if not own:
            self._subscribe_at_broker(sent, {})
            return
        packet = Subscribe(sent.packet_id, tuple(Subscription(each.topic_filter, 0) for each in own))
        session = self._own_session()
        granted = self.grant(packet, session)
        if self._watches(packet, session):
            self.begin(self._subscribe_and_watch(sent, granted, session))
        else:
            self._subscribe_at_broker(sent, dict.fromkeys(granted.filters, 0))

    async def _subscribe_and_watch(self, sent: Filters, granted: Granted, session: Session) -> None:
        told = await self.begin_watches(granted, session)
        if not self._is_over():
            self._subscribe_at_broker(sent, dict.fromkeys(granted.filters, 0))
            self.pass_on()
        await self.tell(told, session)

    def _subscribe_at_broker(self, sent: Filters, own: dict[str, int]) -> None:
        """Subscribe to what is the client's there; the answer says of each filter what became of it, here or there."""
        there: list[Wanted] = []
        codes: list[int | None] = []
        for wanted in sent.wanted:
            topic_filter = self._crossing.subscribe(wanted.topic_filter)
            if topic_filter is not None:
                there.append(Wanted(topic_filter, wanted.options))
                codes.append(None)
            else:
                codes.append(own.get(wanted.topic_filter, ReasonCode.NOT_AUTHORIZED))
                if wanted.topic_filter not in own:
                    self._remarks.refused(wanted.topic_filter, Purpose.SUBSCRIBE)
        if not there:
            self.write(encode.suback(self._version, sent.packet_id, [code or 0 for code in codes]))
            return
        if len(there) < len(codes):
            self._crossing.expect(sent.packet_id, tuple(codes))
        self._crossing.up.passed.append(rewriting.subscribe(sent, there, self._version))

    def _unsubscribe(self, frame: Frame) -> None:
        sent = self._read_filters(frame)
        filters = tuple(wanted.topic_filter for wanted in sent.wanted)
        there = [self._crossing.unsubscribe(topic_filter) for topic_filter in filters]
        codes = [ReasonCode.NO_SUBSCRIPTION_EXISTED] * len(filters)
        if self._session is not None:
            codes = self.give_up(Unsubscribe(sent.packet_id, filters), self._session)
        kept = [topic_filter for topic_filter in there if topic_filter is not None]
        if not kept:
            self.write(encode.unsuback(self._version, sent.packet_id, codes))
            return
        if len(kept) < len(filters):
            merged = (None if found is not None else code for found, code in zip(there, codes, strict=True))
            self._crossing.expect(sent.packet_id, tuple(merged))
        self._crossing.up.passed.append(rewriting.unsubscribe(sent, kept, self._version))

    @property
    def _version(self) -> int:
        return self._arrived.connect.version

    @property
    def _limits(self) -> Limits:
        config = self._shared.config
        return Limits(
            packet_bytes=config.max_packet_bytes,
            topic_bytes=config.max_topic_bytes,
            user_properties=config.user_properties,
            filters=config.filters_per_packet,
        )

    def _own_session(self) -> Session:
        if self._session is None:
            arrived = self._arrived
            self._session = Session(arrived.connect, arrived.peer, identity=arrived.identity, fronted=True)
        return self._session

    def _inbound(self, topic: str) -> Inbound:
        arrived = self._arrived
        return Inbound(carrier=Carrier.MQTT, method="PUBLISH", path=topic, peer=arrived.peer, identity=arrived.identity)
