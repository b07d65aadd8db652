"""One client's connection in front of the broker, from its login to its close."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import structlog

from adapters.exchange import Exchange, who
from adapters.mqtt import connack, encode
from adapters.mqtt.deadlines import NEVER, Expiry, after
from adapters.mqtt.front import opening, rewriting
from adapters.mqtt.front.arrived import Arrived
from adapters.mqtt.front.crossing import DISCONNECT, Crossing
from adapters.mqtt.front.cutting import ACKNOWLEDGEMENT_BYTES, Frame
from adapters.mqtt.front.front import Front
from adapters.mqtt.front.rights import Rights
from adapters.mqtt.front.sender import Sender
from adapters.mqtt.packets import ProtocolError, ReasonCode
from adapters.mqtt.shared import Shared
from core.errors import Reason, Refusal

log = structlog.get_logger("firstlight")


class Relay(Sender):
    """The two sides of a client that goes on to the broker, and what passes between them.

    What it publishes and subscribes to goes on where its grants have it, what a route of ours answers is answered here, and
    everything else crosses as it is.
    """

    __slots__ = ("_attended", "_first", "_front", "_goodbye", "_in", "_rights")

    def __init__(self, arrived: Arrived, front: Front, shared: Shared, exchange: Exchange) -> None:
        most_up, most_down = shared.config.max_packet_bytes, front.upstream.packet_bytes
        super().__init__(arrived, Crossing(arrived.connect.version, most_up, most_down), shared, exchange)
        self._front = front
        self._rights = Rights(arrived.identity, exchange, self._crossing, self._permitted)
        self._attended: Callable[[], None] = _nothing
        self._first: asyncio.Future[Frame] | None = None  # what the broker says first
        self._in = False  # the broker took the client
        self._goodbye = False  # it was said by somebody

    def take_over(self, transport: asyncio.Transport, rest: bytes) -> None:
        """Go on where the login stopped, with what was received and not looked at."""
        self.connection_made(transport)
        transport.set_write_buffer_limits(high=self._shared.config.write_buffer_bytes)
        self.read(False)
        if not self._arrived.connect.keep_alive:
            _let_the_kernel_look(transport)
        self._crossing.up.feed(rest)
        self._attended = self._exchange.attend(self._arrived.identity, self._arrived.peer, self._disowned)
        self.begin(self._open())

    # The beginning

    async def _open(self) -> None:
        """Log in to the broker, and let the client in or turn it away."""
        self._first = self.loop.create_future()
        way = opening.Way(self._front, self._rights, self._crossing, self._broker, self._first)
        try:
            welcome = await opening.enter(self._arrived, way, self._shared.config.max_packet_bytes)
        except Refusal as refusal:
            if refusal.check == opening.WILL:
                self._remarks.refused(*opening.refused_by_will(self._arrived.connect, self._crossing))
            self._turn_away(refusal)
        else:
            self._enter(welcome)

    def _enter(self, welcome: rewriting.Welcome) -> None:
        if self._is_over():
            return
        if not welcome.accepted:
            self._front.refused(welcome.code, self._arrived.identity)
            self.write(welcome.connack)
            self.end(None)
            return
        self.write(welcome.connack)
        self._in, self._first = True, None
        self._crossing.enter()
        self._wrote = self.loop.time()
        self._front.entered()
        connect = self._arrived.connect
        keep_alive = connect.keep_alive if welcome.keep_alive is None else welcome.keep_alive
        # Neither password nor will is needed any more.
        connect = msgspec.structs.replace(connect, password=None, will=None, raw_properties=b"", keep_alive=keep_alive)
        self._arrived = msgspec.structs.replace(self._arrived, connect=connect)
        self._permitted()
        self._flow_down()
        if self._broker.lost:
            self.broker_lost()  # at once, when nobody listened yet

    def _turn_away(self, refusal: Refusal) -> None:
        self.write(connack.refused(self._arrived.connect, refusal))
        self.end(None)

    # From the device

    def data_received(self, data: bytes) -> None:
        """Take bytes, and pass on what they complete unless something is being answered here."""
        if not self.closing:
            self._crossing.up.feed(data)
            self._flow_up()

    def _flow_up(self) -> None:
        """Pass on, refuse and answer what is here, until something must be waited for or others have their turn."""
        up, looked_at = self._crossing.up, 0
        try:
            while self._in and self._task is None and not (self.closing or self.draining or self.blocked):
                if looked_at == self._shared.config.turn_packets and up.pending:
                    self.begin(asyncio.sleep(0))
                    break
                frame = up.next()
                if frame is None:
                    break
                looked_at += 1
                self.look_at(frame)
        except ProtocolError as error:
            self.fail(error)
        passed = self.pass_on()
        if passed or looked_at:
            self.deadlines.packet = NEVER  # that was a whole packet
        if looked_at and not passed:
            self.keep_alive()
        self._settle()

    # From the broker

    def from_broker(self, data: bytes) -> None:
        """Take bytes, and pass them on."""
        if self.closing:
            return
        down = self._crossing.down
        # These come one by one, and would cost as much as a message.
        if len(data) == ACKNOWLEDGEMENT_BYTES and down.is_acknowledgement(data):
            self.write(data)
            return
        down.feed(data)
        self._flow_down()

    def _flow_down(self) -> None:
        down = self._crossing.down
        try:
            while not self.closing:
                if self._first is not None and self._first.done():
                    break  # the rest waits until that was read
                frame = down.next()
                if frame is None:
                    break
                self._hear(frame)
        except ProtocolError as error:
            self.write(down.take_passed())
            self._broker_broke(error)
        self.write(down.take_passed())

    def _hear(self, frame: Frame) -> None:
        if self._first is not None:
            self._first.set_result(frame)
            return
        crossed = self._crossing.from_broker(frame)
        if crossed.to_device:
            self._crossing.down.passed.append(crossed.to_device)
        if crossed.to_broker:
            self._broker.write(crossed.to_broker)
        if crossed.refused:
            self._remarks.not_delivered(crossed)
        self._goodbye = self._goodbye or frame.first >> 4 == DISCONNECT

    def _broker_broke(self, error: ProtocolError) -> None:
        self._remarks.broken(str(error))
        if self._first is None:
            self.end(ReasonCode.SERVER_SHUTTING_DOWN)
        else:
            self._first.set_exception(error)

    def broker_takes(self) -> None:
        """Read or rest, as the broker takes what it is sent or not."""
        self._settle()

    def broker_lost(self) -> None:
        """End, now that the broker is gone."""
        if self._first is not None and not self._first.done():
            self._first.set_exception(ConnectionResetError("the broker closed the connection"))
        elif self._in:
            if not self._goodbye:
                self._front.lost(self._arrived.identity)
            self.end(None if self._goodbye else ReasonCode.SERVER_SHUTTING_DOWN)

    # Back-pressure

    def hold(self) -> None:
        """Take nothing more from either side while the client takes neither deliveries nor answers."""
        super().hold()
        self._broker.read(False)

    def resumed(self) -> None:
        """Go on."""
        self._broker.read(True)
        self._flow_up()
        self.push_on()

    def pushed(self) -> None:
        """Leave in order, where that waited for a push."""
        self._settle()

    # The end

    def shut_down(self) -> None:
        """Say goodbye as soon as nothing is being answered."""
        self.drain()
        self._settle()

    def cut_off(self) -> None:
        """Close at once and wait for no answer."""
        self.abort()
        self._part(at_once=True)
        self._forget()
        if self._task is not None:
            self._task.cancel()

    def connection_lost(self, error: Exception | None) -> None:
        """Pass on what was received before the end, then leave."""
        super().connection_lost(error)
        self._forget()
        if not self._in and self._task is not None:
            self._task.cancel()
        self._flow_up()

    def expired(self, expiry: Expiry) -> None:
        """Close on what took too long. Whether the client is silent is for the broker to see, but for wills that lapsed."""
        if expiry is Expiry.STALL:
            self.bound(expiry.value)
            self._part(at_once=True)
            self.abort()
        elif expiry is Expiry.SILENCE:
            self.look_for_silence(is_read=self._task is None and self._takes)
        elif self._task is not None or not self._takes:
            self.deadlines.packet = NEVER  # until it is read again
        else:
            self.bound(expiry.value)
            self.end(ReasonCode.KEEP_ALIVE_TIMEOUT)

    def _permitted(self) -> None:
        """Look after a will that lapses."""
        if self._in:
            self.look_for_silence(is_read=False)

    def _disowned(self) -> None:
        """Close, now that the client could not log in again as who it is. It is gone, which is what its will is for."""
        self._crossing.leave_will()
        if self._in:
            self.end(ReasonCode.NOT_AUTHORIZED)
        else:
            self._turn_away(Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check="identity.gone"))

    def fail(self, error: ProtocolError) -> None:
        """Close on a stream that breaks the protocol."""
        self.bound(error.bound or "malformed")
        self.end(error.reason_code)

    def end(self, reason_code: ReasonCode | None) -> None:
        """Close both sides; version 5 is told the reason. What the broker does then is for it to know."""
        if self.closing:
            return
        if reason_code is not None and self._in and self._version == 5:
            self.write(encode.disconnect(reason_code))
        self._forget()
        if not self._in and self._task is not None:
            self._task.cancel()
        self.pass_on()
        self._part()
        self.close()

    def _part(self, *, at_once: bool = False) -> None:
        """Let go of the broker, which forgets a will that the client may not have any more."""
        if self._crossing.will_lapsed:
            self._broker.write_if_open(rewriting.DISCONNECT)
            self._broker.finish()
        elif at_once:
            self._broker.drop()
        else:
            self._broker.finish()

    def said_goodbye(self) -> None:
        """Close once the broker was told, and take nothing more from the client."""
        self._goodbye = True
        self.end(None)

    def _forget(self) -> None:
        """End whatever tells this connection of changes."""
        self.unwatch()
        self._attended()
        self._attended = _nothing  # which knows this connection: nobody else can, so nothing is left to collect
        self._rights.forget()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that has to be waited for, while further packets of the client wait for it."""
        self._task = self.loop.create_task(work)
        # Not at the end of the coroutine: one that is cancelled before it runs has none.
        self._task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._task = None
        if not task.cancelled() and task.exception() is not None:
            log.error("connection to the broker failed", **who(self._arrived.identity), exc_info=task.exception())
            self._part(at_once=True)
            self.abort()
        self._flow_up()

    def _settle(self) -> None:
        """Leave the connection in order: at work, gone, closing, or waiting for the right things."""
        if self._task is not None:
            self.read(self._takes and self._crossing.up.pending <= self._shared.config.queue_bytes)
        elif self.pushing and (self.lost or self.draining):
            self.read(False)  # `pushed` comes back here
        elif self.lost:
            self._leave()
        elif self.draining:
            self.end(ReasonCode.SERVER_SHUTTING_DOWN)
        elif not self.closing:
            self.read(self._takes)
            if self.deadlines.packet == NEVER and self._takes and self._crossing.up.pending:
                self.deadlines.packet = after(self.loop.time(), self._shared.config.packet_seconds)
            self.arm()

    @property
    def _takes(self) -> bool:
        """Tell whether there is room for what the client sends, here and at the broker."""
        return self._in and not (self.blocked or self.draining or self._broker.blocked)

    def _leave(self) -> None:
        self._part()
        self._pushes = None  # which knows this connection: nobody else can, so nothing is left to collect
        if self._in:
            self._in = False
            self._front.left()
        if self._arrived.source:
            self._shared.leave(self, self._arrived.source)
            self._arrived = msgspec.structs.replace(self._arrived, source="")


def _let_the_kernel_look(transport: asyncio.Transport) -> None:
    """Find out by probes of TCP that a client is gone which promised no sign of life (RFC 9293, section 3.8.4)."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)


def _nothing() -> None:
    """End no watch."""
