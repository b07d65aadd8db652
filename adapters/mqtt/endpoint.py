"""One connection: packets handled in order, each by the session or the exchange."""

import asyncio
from collections.abc import Callable

import msgspec

from adapters.exchange import Exchange, Guest, Peer
from adapters.mqtt import connack, encode
from adapters.mqtt.deadlines import NEVER, SILENCE_FACTOR, Expiry, after
from adapters.mqtt.front.arrived import Arrived
from adapters.mqtt.front.relay import Relay
from adapters.mqtt.identifying import identify
from adapters.mqtt.packets import (
    Connect,
    Disconnect,
    Packet,
    PingReq,
    ProtocolError,
    PubAck,
    Publish,
    PubRel,
    ReasonCode,
    Subscribe,
    Unsubscribe,
)
from adapters.mqtt.session import Session
from adapters.mqtt.shared import Shared
from adapters.mqtt.subscriber import Subscriber
from adapters.mqtt.wire import Decoder
from core.errors import Reason, Refusal
from core.limits import source_of
from core.messages import Identity


class TurnOver(msgspec.Struct, frozen=True):
    """Stands in for a packet when a connection has handled enough of them while others waited."""


class Connection(Subscriber):
    """One client from accept to close.

    Packets are taken from the decoder one at a time. Those that need no waiting are answered at once; a login or a PUBLISH
    starts a task, which goes on until it needs more bytes. So packets have one task at most, and none while it is idle. The
    task outlives a closed connection: what was received is handled, if only for nobody to hear. Pushes have a task of their
    own, so that no packet waits for them; they end with the connection.
    """

    __slots__ = (
        "_admitted",
        "_decoder",
        "_peer",
        "_session",
        "_silence_seconds",
        "_source",
        "_task",
        "_unattend",
    )

    def __init__(self, shared: Shared, exchange: Exchange) -> None:
        config = shared.config
        super().__init__(shared, exchange)
        self._decoder = Decoder(
            config.max_packet_bytes,
            max_topic_bytes=config.max_topic_bytes,
            user_properties=config.user_properties,
            filters=config.filters_per_packet,
        )
        self._peer = Peer("")
        self._source = ""
        self._session: Session | None = None
        self._task: asyncio.Task[None] | None = None
        self._silence_seconds = 0.0
        self._admitted = False
        self._unattend: Callable[[], None] = _nothing  # once the client has proved who it is: what ends the watch over that

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection or abort it."""
        super().connection_made(transport)
        address, port = transport.get_extra_info("peername")[:2]
        self._peer = Peer(address, port, secure=transport.get_extra_info("sslcontext") is not None)
        self._source = source_of(address)
        self._admitted = self._shared.enter(self, self._source)
        if not self._admitted:
            self.abort()
            return
        self._transport.set_write_buffer_limits(high=self._shared.config.write_buffer_bytes)
        self.deadlines.connect = after(self.loop.time(), self._shared.config.connect_seconds)
        self.arm()

    def connection_lost(self, error: Exception | None) -> None:
        """Handle what was received before the end, then leave."""
        super().connection_lost(error)
        self._forget()
        try:
            self._go_on()
        finally:
            self._settle()

    def data_received(self, data: bytes) -> None:
        """Take bytes, and handle the packets they complete unless one is being handled."""
        if not self.closing:
            self._decoder.feed(data)
            self._go_on()

    def resumed(self) -> None:
        """Handle what waited for the client to read."""
        self._go_on()
        self.push_on()

    def pushed(self) -> None:
        """Leave in order, where that waited for a push."""
        self._settle()

    def shut_down(self) -> None:
        """Say goodbye as soon as no request is running."""
        self.drain()
        self._settle()

    def cut_off(self) -> None:
        """Close at once and wait for no answer; the exchange goes on with what it has begun."""
        self.abort()
        self._forget()
        if self._task is not None:
            self._task.cancel()
            # A task that never got to run does not get to its end either.
            self._task.add_done_callback(self._finished)

    def _go_on(self) -> None:
        """Handle what is here, in a task from the first packet that must wait."""
        if self._task is None:
            packet = self._pump()
            if packet is not None:
                self._task = self.loop.create_task(self._work(packet))
        self._settle()

    async def _work(self, packet: Packet | TurnOver | None) -> None:
        handled = 0
        try:
            while packet is not None:
                handled += 1
                if isinstance(packet, Publish) and self._session is not None:
                    await self._publish(packet, self._session)
                elif isinstance(packet, Subscribe) and self._session is not None:
                    await self.subscribe_and_watch(packet, self._session)
                elif isinstance(packet, Connect):
                    await self._login(packet)
                if handled % self._shared.config.turn_packets == 0 or isinstance(packet, TurnOver):
                    await asyncio.sleep(0)
                packet = self._pump()
        except BaseException:
            self.abort()
            raise
        finally:
            self._finished()

    def _finished(self, _: asyncio.Task[None] | None = None) -> None:
        self._task = None
        self._heard()
        self._settle()

    def _pump(self) -> Packet | TurnOver | None:
        """Handle packets until one must be waited for, and return that one; None: more bytes are needed."""
        try:
            for _ in range(self._shared.config.turn_packets):
                if self.blocked or self.closing or self.draining:
                    return None
                packet = next(self._decoder, None)
                if packet is None or self._must_wait(packet):
                    return packet
        except ProtocolError as error:
            self._fail(error)
            return None
        return TurnOver()

    def _must_wait(self, packet: Packet) -> bool:
        """Answer a packet, unless the answer has to be waited for."""
        self._heard()
        if self._session is None:
            return not isinstance(packet, Connect) or self._connect(packet)
        if isinstance(packet, Subscribe) and self._watches(packet, self._session):
            return True
        if not isinstance(packet, Publish):
            self._answer(packet, self._session)
            return False
        repeated = self._session.repeated(packet)
        if repeated is None:
            return True
        self.write(repeated)
        return False

    def _answer(self, packet: Packet, session: Session) -> None:
        match packet:
            case PubAck():
                session.acknowledged()
            case PingReq():
                self.write(encode.PINGRESP)
            case Subscribe():
                self.subscribe(packet, session)
            case Unsubscribe():
                self.unsubscribe(packet, session)
            case PubRel():
                self.write(session.release(packet))
            case Disconnect():
                self._end(None)
            case _:
                raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "an answer to QoS 2, which is never sent")

    async def _publish(self, packet: Publish, session: Session) -> None:
        try:
            answer = await self.serve(packet, session)
        except ProtocolError as error:
            self._fail(error)
            return
        if answer.closing is not None:
            self._end(answer.closing)
        elif answer.published:
            self.linger(session)

    def _connect(self, packet: Connect) -> bool:
        """Let a guest in; returns True for anyone else, who has to be asked about."""
        self.deadlines.connect = NEVER
        if not self._shared.admission.connect(self._source, self.loop.time()):
            self.bound("connects_per_second")
            self._refuse(packet, Refusal(Reason.TOO_MANY, "", check="mqtt.connects_per_second"))
            return False
        guest = self._exchange.guest(packet.username or "", packet.client_id)
        if guest is None:
            return True
        self._accept(packet, guest=guest)
        return False

    async def _login(self, packet: Connect) -> None:
        try:
            identity = await identify(packet, self._transport, self._exchange, self._peer)
        except Refusal as refusal:
            self._refuse(packet, refusal)
        except UnicodeDecodeError:
            # No credential is kept that is not text, so none can match.
            self.bound("password_encoding")
            self._refuse(packet, Refusal(Reason.UNAUTHENTICATED, "", check="mqtt.password_encoding"))
        else:
            front = self._shared.front
            if front is None or identity.credential is None:
                self._accept(packet, identity=identity)
            elif not (self._is_over() or self._transport.is_closing()):  # which, lost already, would tell no successor
                self._hand_over(Relay(Arrived(packet, identity, self._peer, self._source), front, self._shared, self._exchange))

    def _hand_over(self, relay: Relay) -> None:
        """Let a client go on to the broker: from here on this connection is the relay's."""
        self._shared.hand_over(self, relay)
        self._admitted = False
        self._transport.set_protocol(relay)
        relay.take_over(self._transport, self._decoder.rest())
        super().connection_lost(None)  # it is, for this one
        self.closing = True

    def _refuse(self, packet: Connect, refusal: Refusal) -> None:
        self.write(connack.refused(packet, refusal))
        self._end(None)

    def _accept(self, packet: Connect, *, guest: Guest | None = None, identity: Identity | None = None) -> None:
        idle_seconds = self._shared.config.idle_seconds
        self._session = Session(packet, self._peer, guest=guest, identity=identity)
        self._silence_seconds = packet.keep_alive * SILENCE_FACTOR or idle_seconds
        self._heard()
        self.write(connack.accepted(packet, self._shared.announcement, idle_seconds))
        if identity is not None and not self._is_over():
            self._unattend = self._exchange.attend(identity, self._peer, self._disowned)

    def _disowned(self) -> None:
        """Close, now that the client could not log in again as who it is."""
        self._end(ReasonCode.NOT_AUTHORIZED)

    def _fail(self, error: ProtocolError) -> None:
        """Close on a stream that breaks the protocol, and tell the client why where its version has words for it."""
        self.bound(error.bound or "malformed")
        if self._session is None:
            self.write(connack.broken(error.reason_code, self._decoder.version))
        self._end(error.reason_code)

    def _end(self, reason_code: ReasonCode | None) -> None:
        """Close; version 5 is told the reason once it is connected."""
        if self.closing:
            return
        if reason_code is not None and self._session is not None and self._decoder.version == 5:
            self.write(encode.disconnect(reason_code))
        self._forget()
        self.close()

    def _forget(self) -> None:
        """End whatever tells this connection of changes."""
        self.unwatch()
        self._unattend()

    def _settle(self) -> None:
        """Leave the connection in order: at work, gone, closing, or waiting for the right things."""
        if self._task is not None:
            if self._decoder.pending > self._shared.config.queue_bytes:
                self.read(False)
        elif self.pushing and (self.lost or self.draining):
            pass  # `pushed` comes back here
        elif self.lost:
            self._leave()
        elif self.draining:
            self._end(ReasonCode.SERVER_SHUTTING_DOWN)
        elif not self.closing:
            self._wait_for_bytes()

    def _leave(self) -> None:
        self._pushes = None  # which knows this connection: nobody else can, so nothing is left to collect
        if self._admitted:
            self._admitted = False
            self._shared.leave(self, self._source)

    def _wait_for_bytes(self) -> None:
        if not self.blocked:
            self.read(True)
            if self._session is not None and self.deadlines.packet == NEVER and self._decoder.pending:
                self.deadlines.packet = after(self.loop.time(), self._shared.config.packet_seconds)
        self.arm()

    def _heard(self) -> None:
        """Take note of a whole packet; bytes alone do not keep a connection alive."""
        if not self.closing:
            self.deadlines.silence = after(self.loop.time(), self._silence_seconds)
            self.deadlines.packet = NEVER

    def expired(self, expiry: Expiry) -> None:
        """Close on what took too long; while a client waits for us or is not read, its own time stands still."""
        if expiry is Expiry.STALL:
            self.bound(expiry.value)
            self.abort()
        elif self._task is not None or self.blocked:
            self._heard()
            self.deadlines.linger = max(self.deadlines.linger, self.loop.time() + 1.0)
        elif expiry is Expiry.LINGER:
            self._end(ReasonCode.SUCCESS)
        else:
            self.bound(expiry.value)
            self._end(ReasonCode.KEEP_ALIVE_TIMEOUT)


def _nothing() -> None:
    """End no watch."""
