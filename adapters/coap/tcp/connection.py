"""One connection, from its settings to its end: requests side by side up to a bound, and answers as the client takes them."""

import asyncio
import enum
import logging
import socket
from typing import Any, cast

import msgspec
from aiocoap import Message
from aiocoap.numbers.codes import Code

from adapters.coap.assembly import RESERVED_EXPONENT
from adapters.coap.decoding import FormatError, Request, read
from adapters.coap.message_layer import Respond, unwanted
from adapters.coap.remote import Proof, Remote
from adapters.coap.tcp import signaling
from adapters.coap.tcp.connections import Connections
from adapters.coap.tcp.framing import Frame, Frames, FramingError, frame, reframed
from adapters.exchange import Carrier, Exchange, Peer
from core.errors import Reason, Refusal
from core.messages import CertificateLogin, Identity

log = logging.getLogger("adapters.coap")

OPTIONS_BYTES = 64  # what a response has beside its body at most
TURN_MESSAGES = 64  # of one connection, before others have theirs: a small one costs its sender nearly nothing
LAST_WORDS_SECONDS = 5.0  # for a client to take what closes a connection
_TEMPORARY = frozenset({Reason.UNAVAILABLE, Reason.TOO_MANY})


class Phase(enum.Enum):
    """What a client is waited for; the value names the bound on it."""

    SETTINGS = "coap.tcp_csm_seconds"
    MESSAGE = "coap.tcp_message_seconds"
    NOTHING = "coap.tcp_idle_seconds"


class Connection(asyncio.Protocol):
    """A client's connection, which is also the `Sender` of its `Remote`."""

    _transport: asyncio.Transport  # always there once the loop knows the connection
    _remote: Remote

    def __init__(self, connections: Connections, exchange: Exchange, respond: Respond) -> None:
        self._connections = connections
        self._config = connections.config
        self._exchange = exchange
        self._respond = respond
        self._frames = Frames(connections.max_message_bytes)
        self._held = 0
        self._whole: int | None = None  # None until the client sent its settings
        self._running: set[asyncio.Task[None]] = set()
        self._login: asyncio.Task[None] | None = None
        self._secured = False
        self._paused = False
        self._reading = True
        self._ending = False
        self._phase: Phase | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._leave: Any = None
        self._next_turn: asyncio.Handle | None = None

    # What the transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with the settings of this server, or not at all."""
        self._transport = cast(asyncio.Transport, transport)
        self._remote = Remote(self, transport.get_extra_info("peername"))
        if self._connections.draining or not self._connections.admit(self, self._remote.address[0]):
            self._transport.abort()
            return
        self._transport.set_write_buffer_limits(high=self._config.tcp_write_buffer_bytes)
        connected = transport.get_extra_info("socket")
        if connected is not None:
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self._transport.write(signaling.capabilities(self._connections.max_message_bytes))
        self._await(Phase.SETTINGS)

    def data_received(self, data: bytes) -> None:
        """Take bytes."""
        if self._ending or self._transport.is_closing():
            return
        if not self._secured:
            self._secured = True
            self._take_proof(self._transport.get_extra_info("peer_chain"))
        self._frames.feed(data)
        self._pump()

    def eof_received(self) -> bool:
        """Answer what runs, then close."""
        self.release()
        return True

    def pause_writing(self) -> None:
        """Read no more from a client that does not take its answers."""
        self._paused = True
        self._stall = asyncio.get_running_loop().call_later(self._config.tcp_write_stall_seconds, self._stalled)
        self._pump()

    def resume_writing(self) -> None:
        """Read again."""
        self._paused = False
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        self._pump()

    def connection_lost(self, error: Exception | None) -> None:
        """End. Requests that run go on: their work is not undone by a lost connection."""
        self._ending = True
        for handle in (self._timer, self._stall, self._next_turn):
            if handle is not None:
                handle.cancel()
        self._timer = self._stall = self._next_turn = None
        if self._login is not None:
            self._login.cancel()
        if self._leave is not None:
            self._leave()
        self._frames.clear()
        self._account()
        self._connections.leave(self)
        self._connections.notifier.forget(self._remote)

    # What others want

    @property
    def has_room(self) -> bool:
        """Tell whether a notification may be sent now."""
        return not (self._paused or self._ending or self._transport.is_closing())

    def send(self, datagram: bytes, address: tuple[Any, ...]) -> None:
        """Send a message that was written for a datagram."""
        self._write(reframed(datagram))

    def release(self) -> None:
        """Take no more requests, and close when those that run are answered (section 5.5)."""
        if self._ending:
            return
        self._ending = True
        self._write(signaling.release())
        self._connections.notifier.forget(self._remote)
        self._close_when_done()

    def abort(self) -> None:
        """Close at once."""
        self._transport.abort()

    # Who it is

    def _take_proof(self, chain: tuple[bytes, ...] | None) -> None:
        if chain is None:
            return  # nothing protects this wire
        self._remote = self._remote._replace(proof=Proof())
        if chain:
            self._login = asyncio.get_running_loop().create_task(self._log_in(chain))

    async def _log_in(self, chain: tuple[bytes, ...]) -> None:
        """Find out whose certificate it is. One that nobody has proves nothing, and its device may ask like any other."""
        peer = self._remote.peer
        try:
            identity = await self._exchange.login(CertificateLogin(chain), Carrier.COAP, peer)
        except Refusal as refusal:
            if refusal.reason in _TEMPORARY:
                self._give_up("try again later")
                return
        except Exception:
            log.exception("A certificate could not be looked at.")
            self._give_up("internal error")
            return
        else:
            self._adopt(identity, peer)
        finally:
            self._login = None
        self._pump()

    def _adopt(self, identity: Identity, peer: Peer) -> None:
        if not self._ending:
            self._remote = self._remote._replace(proof=Proof(identity))
            self._leave = self._exchange.attend(identity, peer, self._revoked)

    def _revoked(self) -> None:
        self._give_up("the certificate is good no longer")

    # What comes in

    def _pump(self) -> None:
        """Take messages as long as there is room for what becomes of them."""
        taken = 0
        try:
            while not self._is_full():
                message = self._frames.next()
                if message is None:
                    break
                self._take(message)
                taken += 1
                if taken == TURN_MESSAGES:
                    self._next_turn = asyncio.get_running_loop().call_soon(self._go_on)
        except FramingError as error:
            self._connections.meter.bound(str(error))
            self._give_up("no CoAP message")
        except signaling.Faulty as error:
            self._connections.meter.bound("coap.malformed")
            self._give_up(str(error), error.option)
        self._account()
        self._read_or_rest()
        self._await_next(taken)

    def _go_on(self) -> None:
        self._next_turn = None
        self._pump()

    def _is_full(self) -> bool:
        waits = self._login is not None or self._next_turn is not None
        return self._ending or self._paused or waits or len(self._running) >= self._config.tcp_running

    def _take(self, message: Frame) -> None:
        if message.code in signaling.SIGNALS:
            self._take_signal(signaling.read(message), message.token)
        elif self._whole is None:
            raise signaling.Faulty("no settings before the first message")
        elif 1 <= message.code <= 31:
            self._take_request(message, self._whole)
        elif message.code:  # a response, to nothing that was ever asked; an empty message is nothing (section 3.4)
            self._connections.meter.bound("coap.malformed")

    def _take_signal(self, signal: signaling.Signal, token: bytes) -> None:
        if signal.code == signaling.CSM:
            most = signal.max_message_bytes or (signaling.SMALLEST_MESSAGE if self._whole is None else None)
            if most is not None:
                self._whole = min(most - OPTIONS_BYTES, self._config.max_body_bytes)
        elif self._whole is None:
            raise signaling.Faulty("no settings before the first message")
        elif signal.code == signaling.PING:
            self._write(signaling.pong(token))
        elif signal.code == signaling.RELEASE:
            self.release()
        elif signal.code == signaling.ABORT:
            self._ending = True
            self._transport.close()

    def _take_request(self, message: Frame, whole: int) -> None:
        try:
            request = read(message.code, message.token, message.raw, message.start, self._remote, self._config)
        except FormatError as error:
            raise FramingError(str(error)) from error
        block2 = request.message.opt.block2
        if (
            block2 is not None and block2.size_exponent == RESERVED_EXPONENT
        ):  # BERT (section 6); a smaller block is an answer too
            request.message.opt.block2 = (block2.block_number, block2.more, RESERVED_EXPONENT - 1)
        request = msgspec.structs.replace(request, whole=whole)
        if self._connections.draining:
            self._connections.meter.bound("coap.draining")
            busy = Message(code=Code.SERVICE_UNAVAILABLE, max_age=round(self._config.retry_after_seconds))
            self._answer(request, busy)
            return
        task = asyncio.get_running_loop().create_task(self._serve(request))
        self._running.add(task)
        self._connections.running.add(task)
        task.add_done_callback(self._served)

    async def _serve(self, request: Request) -> None:
        try:
            response = await self._respond(request)
        except Exception:
            self._connections.meter.bound("coap.internal")
            log.exception("A CoAP request could not be answered.")
            response = Message(code=Code.INTERNAL_SERVER_ERROR)
        self._answer(request, response)

    def _served(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._connections.running.discard(task)
        if self._ending:
            self._close_when_done()
        else:
            self._pump()

    # What goes out

    def _answer(self, request: Request, response: Message) -> None:
        if unwanted(request.message, response):
            return
        rest = response.opt.encode() + (b"\xff" + response.payload if response.payload else b"")
        self._write(frame(response.code, request.message.token, rest))

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)

    def _give_up(self, text: str, option: int = 0) -> None:
        """Say why, and close (section 5.6)."""
        if not self._ending:
            self._ending = True
            self._write(signaling.abort(text, option))
            self._close()

    def _close_when_done(self) -> None:
        if not self._running:
            self._close()

    def _close(self) -> None:
        if not self._transport.is_closing():
            self._transport.close()
            self._set(asyncio.get_running_loop().call_later(LAST_WORDS_SECONDS, self._transport.abort))

    # What takes too long, or too much

    def _account(self) -> None:
        more, self._held = len(self._frames) - self._held, len(self._frames)
        if not self._connections.hold(more):
            self._transport.abort()

    def _read_or_rest(self) -> None:
        wanted = not self._is_full()
        if wanted == self._reading or self._transport.is_closing():
            return
        self._reading = wanted
        if wanted:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def _await_next(self, taken: int) -> None:
        if self._ending or self._whole is None:
            return
        phase = Phase.MESSAGE if len(self._frames) and not self._is_full() else Phase.NOTHING
        if taken or phase is Phase.NOTHING or self._phase is not phase:  # each message has a time of its own
            self._await(phase)

    def _await(self, phase: Phase) -> None:
        self._phase = phase
        seconds = {
            Phase.SETTINGS: self._config.tcp_csm_seconds,
            Phase.MESSAGE: self._config.tcp_message_seconds,
            Phase.NOTHING: self._config.tcp_idle_seconds,
        }[phase]
        self._set(asyncio.get_running_loop().call_later(seconds, self._late))

    def _set(self, timer: asyncio.TimerHandle) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = timer

    def _late(self) -> None:
        phase = cast(Phase, self._phase)
        if phase is Phase.NOTHING and (self._running or self._connections.notifier.observed_by(self._remote)):
            self._await(phase)
            return
        self._connections.meter.bound(phase.value)
        if phase is Phase.NOTHING:
            self.release()
        else:
            self._give_up("too slow")

    def _stalled(self) -> None:
        self._connections.meter.bound("coap.tcp_write_stall_seconds")
        self._transport.abort()
