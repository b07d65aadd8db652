"""TLS between asyncio's transport of a socket and a protocol that need not know of it."""

import asyncio
from collections import deque
from typing import Any, cast

import structlog

from adapters.tls.contexts import Contexts
from adapters.tls.engine import RECORD_BYTES, BrokenTls, Engine

_LAST_WORDS_SECONDS = 5.0  # for a peer to take the alert that tells it what was wrong

log = structlog.get_logger("firstlight")

_PIECE_BYTES = 2 * RECORD_BYTES  # OpenSSL keeps as much memory as it was ever given at a time


class TlsTransport(asyncio.Protocol, asyncio.Transport):
    """The protocol of a socket's transport, and the transport of an inner protocol.

    The inner protocol is told of the connection at once, so that whoever counts connections counts handshakes too. What it
    writes before the handshake is done waits. `data_received` comes only afterwards, and from then on
    `get_extra_info("peer_chain")` is the client's chain of certificates, DER, leaf first, empty without one; before that it is
    None.
    A handshake that fails or takes too long ends in `connection_lost`, with a `ConnectionError`.
    """

    def __init__(self, protocol: asyncio.BaseProtocol, contexts: Contexts, handshake_seconds: float) -> None:
        super().__init__()
        self._inner = cast(asyncio.Protocol, protocol)
        self._contexts = contexts
        self._context = context = contexts.current
        self._meter = contexts.meter
        self._config = contexts.config
        self._handshake_seconds = handshake_seconds
        self._engine: Engine | None = Engine(context)  # None once the connection is lost: it holds most of the memory
        self._outer: asyncio.Transport
        self._timer: asyncio.TimerHandle | None = None
        self._secured = False
        self._received = 0  # while hands are shaken
        self._early = bytearray()  # written by the inner protocol while hands are shaken
        self._undecrypted: deque[memoryview] = deque()  # what came while the inner protocol did not want to read
        self._wants_to_read = True
        self._unread = False  # the peer does not take what it is sent, and makes TLS itself say something
        self._congested = False
        self._closing = False
        self._wire_ended = False
        self._told_of_end = False
        self._reading = True
        self._fault: ConnectionError | None = None

    # What the socket's transport tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Hand on, and give the handshake its time."""
        self._outer = cast(asyncio.Transport, transport)  # uvloop's do not inherit from asyncio's
        self._inner.connection_made(self)
        self._require_pace()
        if self._handshake_seconds and not self.is_closing():
            self._timer = asyncio.get_running_loop().call_later(self._handshake_seconds, self._too_slow)

    def _require_pace(self) -> None:
        address, loop = self._outer.get_extra_info("peername"), asyncio.get_running_loop()
        if self.is_closing() or self._contexts.admits(address[0] if address else "", loop.time()):
            return
        self._meter.bound("tls.handshakes_per_second")
        self._closing = True
        loop.call_soon(self._outer.abort)  # one turn later: who was told just now need not expect the end already

    def data_received(self, data: bytes) -> None:
        """Decrypt, piece by piece, and hand on what it comes to."""
        if self._closing:
            return
        view = memoryview(data)
        self._undecrypted.extend(view[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES))
        self._pump()

    def eof_received(self) -> bool:
        """Take note that nothing more comes; the inner protocol says whether that is the end."""
        self._wire_ended = True
        self._pump()
        return True  # when the socket's transport closes is decided here

    def pause_writing(self) -> None:
        """Hand on that the peer does not take what it is sent."""
        self._congested = True
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand on that it does again."""
        self._congested = False
        self._unread = False
        self._read_or_rest()
        self._inner.resume_writing()

    def connection_lost(self, error: Exception | None) -> None:
        """Hand on, and let go of everything."""
        self._stop_timer()
        if not (self._secured or self._closing):
            self._failed("the peer closed")
        self._closing = True
        protocol, self._inner = self._inner, asyncio.Protocol()  # nobody: what is left of the two must not hold each other
        self._engine = None
        self._undecrypted.clear()
        protocol.connection_lost(self._fault or error)

    # What the inner protocol wants

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send, or keep until the handshake is done."""
        if self._closing or self._engine is None or not data:
            return
        if not self._secured:
            self._early += data
            return
        view = memoryview(data)
        try:
            for start in range(0, len(view), _PIECE_BYTES):
                self._engine.encrypt(view[start : start + _PIECE_BYTES])
                self._outer.write(self._engine.take())
        except BrokenTls as error:
            self._break(error)

    def close(self) -> None:
        """Send what was written, say goodbye, and close."""
        if self._closing:
            return
        self._closing = True
        if self._secured and self._engine is not None:
            self._engine.close()
            self._send()
        self._outer.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        self._outer.abort()

    def is_closing(self) -> bool:
        """Tell whether the end has begun."""
        return self._closing or self._outer.is_closing()

    def pause_reading(self) -> None:
        """Hand on no more data; more than one read of the socket is not kept here either."""
        self._wants_to_read = False
        self._read_or_rest()

    def resume_reading(self) -> None:
        """Hand on data again, those that are here first."""
        if not self._wants_to_read and not self._closing:
            self._wants_to_read = True
            asyncio.get_running_loop().call_soon(self._go_on_reading)

    def is_reading(self) -> bool:
        """Tell whether data are handed on."""
        return self._wants_to_read and not self._closing

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the inner protocol is told to pause."""
        self._outer.set_write_buffer_limits(high=high, low=low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """Return when it is told to pause, and to go on."""
        return self._outer.get_write_buffer_limits()

    def get_write_buffer_size(self) -> int:
        """Return how much the socket has not taken yet."""
        return self._outer.get_write_buffer_size() + len(self._early)

    def can_write_eof(self) -> bool:
        """Tell that one direction alone cannot be closed."""
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Let another protocol go on with the connection."""
        self._inner = cast(asyncio.Protocol, protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Return the inner protocol."""
        return self._inner

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the client's chain (`peer_chain`), the context (`sslcontext`), or what the socket's transport knows."""
        if name == "peer_chain":
            return self._chain() if self._secured else default
        return self._context if name == "sslcontext" else self._outer.get_extra_info(name, default)

    # Between them

    def _chain(self) -> tuple[bytes, ...]:
        return self._engine.chain if self._engine is not None else ()

    def _pump(self) -> None:
        """Decrypt and hand on what is here, as far as it is wanted."""
        try:
            while not self._closing and self._engine is not None:
                if self._secured and not self._wants_to_read:
                    return
                if not (self._advance(self._engine) or self._feed(self._engine)):
                    break
            if self._wire_ended:
                self._ended()
        except BrokenTls as error:
            self._break(error)

    def _feed(self, engine: Engine) -> bool:
        """Give the engine one piece more, and tell whether there was one."""
        if not self._undecrypted:
            return False
        piece = self._undecrypted.popleft()
        self._received += 0 if self._secured else len(piece)
        engine.feed(piece)
        return True

    def _advance(self, engine: Engine) -> bool:
        """Go one step on with what the engine has, and tell whether there may be another."""
        if not self._secured:
            return self._shake_hands(engine)
        data = engine.read()
        if data:
            self._inner.data_received(data)
            return True
        self._send(of_its_own=True)
        if engine.ended:
            self._ended()
        return False

    def _shake_hands(self, engine: Engine) -> bool:
        done = engine.shake_hands()
        self._send()
        if done:
            self._secured = True
            self._stop_timer()
            early, self._early = self._early, bytearray()
            self.write(early)
            self._read_or_rest()
        elif self._received > self._config.handshake_bytes:
            self._meter.bound("tls.handshake_bytes")
            raise BrokenTls("the handshake is too long")
        return done

    def _send(self, *, of_its_own: bool = False) -> None:
        """Send what the engine has to say. What it says by itself is an answer: who reads none is not heard either."""
        data = self._engine.take() if self._engine is not None else b""
        if not data:
            return
        self._outer.write(data)
        if of_its_own and self._congested:
            self._unread = True
            self._read_or_rest()

    def _ended(self) -> None:
        """Act on the end of what the peer sends."""
        if self._told_of_end or self._closing:
            return
        if not self._secured:
            raise BrokenTls("the peer closed")
        self._told_of_end = True
        self._undecrypted.clear()
        self._read_or_rest()
        if not self._inner.eof_received():
            self.close()

    def _read_or_rest(self) -> None:
        """Read from the socket, or do not, as things are; a handshake is read whatever the inner protocol wants."""
        wanted = not (self._unread or self._told_of_end) and (self._wants_to_read or not self._secured)
        if wanted is not self._reading and not self.is_closing():
            self._reading = wanted
            (self._outer.resume_reading if wanted else self._outer.pause_reading)()

    def _go_on_reading(self) -> None:
        try:
            self._read_or_rest()
            self._pump()
        except Exception:
            self.abort()  # as the socket's transport does when `data_received` raises
            raise

    def _break(self, error: BrokenTls) -> None:
        """End a connection that is no TLS (any more); the peer is told, if it reads that."""
        self._failed(str(error))
        self._closing = True
        self._send()
        self._outer.close()
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(_LAST_WORDS_SECONDS, self._outer.abort)

    def _too_slow(self) -> None:
        self._meter.bound("tls.handshake_seconds")
        self._failed("the handshake takes too long")
        self.abort()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _failed(self, why: str) -> None:
        self._fault = ConnectionAbortedError(f"TLS: {why}")
        if not self._secured:
            self._meter.bound("tls.handshake")
        address = self._outer.get_extra_info("peername")
        log.debug("TLS failed", source=address[0] if address else "", secured=self._secured, reason=why)
