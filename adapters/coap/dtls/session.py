"""One DTLS session: its handshake, whose key it asks for, whom it turns out to be, and the CoAP messages it carries."""

import asyncio
import enum
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from adapters.coap.config import CoapConfig
from adapters.coap.dtls.channel import Broken, Channel, Closed
from adapters.coap.dtls.handshake import preshared_identity
from adapters.coap.dtls.proving import key_of, proof_of
from adapters.coap.dtls.records import HANDSHAKE, epoch
from adapters.coap.dtls.timers import Timers
from adapters.coap.remote import Remote
from adapters.exchange import Exchange, Meter, Peer
from core.errors import Refusal
from core.limits import source_of
from core.messages import Preshared

log = logging.getLogger("adapters.coap")


class Stage(enum.Enum):
    """How far a session has come."""

    SHAKING_HANDS = "shaking_hands"
    OPEN = "open"
    ENDED = "ended"


class Keeper(Protocol):
    """Whoever keeps the sessions, and takes what arrives in them."""

    @property
    def exchange(self) -> Exchange:
        """Return what is asked for keys and identities."""
        ...

    def shaken(self, session: "Session") -> None:
        """Take note that a handshake is over."""
        ...

    def arrived(self, session: "Session", remote: Remote, message: bytes) -> None:
        """Take a message that was decrypted."""
        ...

    def ended(self, session: "Session") -> None:
        """Forget a session."""
        ...

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something to its end."""
        ...


class Session:
    """The association with one client address, from the right cookie to its end; it sends what CoAP has for this client.

    While somebody is asked about it, a few datagrams wait.
    """

    __slots__ = (
        "_asking",
        "_channel",
        "_config",
        "_end_watch",
        "_fetched",
        "_handshake_bytes",
        "_keeper",
        "_meter",
        "_preshared",
        "_sealed",
        "_timers",
        "_waiting",
        "random",
        "remote",
        "seen_at",
        "source",
        "stage",
        "wire",
    )

    def __init__(self, wire: Remote, random: bytes, channel: Channel, keeper: Keeper, meter: Meter, config: CoapConfig) -> None:
        self.wire = wire
        self.random = random
        self.source = source_of(wire.address[0])
        self.stage = Stage.SHAKING_HANDS
        self.seen_at = asyncio.get_running_loop().time()
        self.remote: Remote | None = None
        self._channel: Channel | None = channel
        self._keeper = keeper
        self._meter = meter
        self._config = config
        self._fetched = False
        self._preshared: Preshared | None = None
        self._handshake_bytes = 0
        self._sealed = False
        self._asking = False
        self._waiting: list[tuple[bytes, ...]] = []
        self._timers = Timers(config.dtls_handshake_seconds, self._late, self._resend)
        self._end_watch: Callable[[], None] | None = None

    def begin(self) -> None:
        """Answer the ClientHello."""
        self._feed(())

    def take(self, records: tuple[bytes, ...]) -> None:
        """Take the records of one datagram; never raises, whatever they are."""
        if self._asking:
            self._wait(records)
            return
        if self.stage is Stage.SHAKING_HANDS and not self._fetched:
            identity = preshared_identity(records)
            if identity is not None:
                self._wait(records)
                self._ask(self._fetch_key(identity))
                return
        self._feed(records)

    def send(self, datagram: bytes, address: tuple[Any, ...]) -> None:
        """Encrypt one CoAP message and send it; nothing is sent once the session ended."""
        if self._channel is None:
            return
        try:
            self._channel.send(datagram)
        except Broken:
            self.end()
        else:
            self._flush()

    def end(self, *, quietly: bool = False) -> None:
        """End the session, with a close_notify unless `quietly`; nothing where it ended before."""
        channel = self._channel
        if channel is None:
            return
        if not quietly:
            channel.say_goodbye()
            self._flush()
        channel.release()
        self.stage, self._channel, self._preshared = Stage.ENDED, None, None
        self._waiting.clear()
        self._timers.stop()
        if self._end_watch is not None:
            self._end_watch()
        self._keeper.ended(self)
        self.remote = self._end_watch = None  # each leads back here; what nothing leads to is freed at once

    def _wait(self, records: tuple[bytes, ...]) -> None:
        """Keep the records of a datagram for later, where there is room."""
        kept = sum(map(len, records)) + sum(len(record) for earlier in self._waiting for record in earlier)
        if len(self._waiting) < self._config.dtls_queue_datagrams and kept <= self._config.dtls_queue_bytes:
            self._waiting.append(records)
        else:
            self._meter.bound("coap.dtls_queue")

    def _feed(self, records: tuple[bytes, ...]) -> None:
        channel = self._channel
        if channel is None:
            return
        try:
            if self.stage is Stage.OPEN:
                self._decrypt(channel, records)
            else:
                self._shake_hands(channel, records)
        except Closed:
            self.end()
        except Broken:
            self._meter.bound("coap.dtls_broken")
            self._flush()  # an alert may tell why
            self.end(quietly=True)
        else:
            self._flush()

    def _decrypt(self, channel: Channel, records: tuple[bytes, ...]) -> None:
        for record in records:
            channel.write(record)
            for message in channel.messages():
                if self.remote is None or self._channel is None:  # what came before may have ended the session
                    return
                self._keeper.arrived(self, self.remote, message)

    def _shake_hands(self, channel: Channel, records: tuple[bytes, ...]) -> None:
        self._handshake_bytes += sum(map(len, records))
        if self._handshake_bytes > self._config.dtls_handshake_bytes:
            self._meter.bound("coap.dtls_handshake_bytes")
            self.end(quietly=True)
            return
        self._sealed |= any(record[0] == HANDSHAKE and epoch(record) for record in records)
        if self._is_shaken(channel, records):
            self._timers.stop()
            self._keeper.shaken(self)
            self._ask(self._log_in(channel))
        elif channel.handed_out and self._sealed and channel.changed_cipher:
            self._mistrust()  # OpenSSL is silent about a Finished that it cannot decrypt
        else:
            self._timers.await_answer(channel.timeout())

    def _is_shaken(self, channel: Channel, records: tuple[bytes, ...]) -> bool:
        """Take the records; tells whether the handshake is over. What is left of them then waits."""
        for place, record in enumerate(records, start=1):
            channel.write(record)
            if channel.shake_hands():
                if records[place:]:
                    self._wait(records[place:])
                return True
        return channel.shake_hands()

    def _ask(self, question: Coroutine[Any, Any, None]) -> None:
        self._asking = True
        self._keeper.keep(self._answered(question))

    async def _answered(self, question: Coroutine[Any, Any, None]) -> None:
        """Wait for an answer, then take what came meanwhile."""
        try:
            await question
        except Refusal:
            self.end()
        except Exception:
            self._meter.bound("coap.internal")
            log.exception("A DTLS session could not be opened.")
            self.end()
        self._asking = False
        waiting, self._waiting = self._waiting, []
        for records in waiting:
            self.take(records)

    async def _fetch_key(self, identity: bytes) -> None:
        try:
            key, preshared = await key_of(identity, self._keeper.exchange, self._peer())
        except Refusal:
            self._meter.bound("coap.dtls_key_refused")
            self._waiting.clear()  # the client repeats them, and asks again with them
            return
        if self._channel is not None:
            self._fetched, self._preshared = True, preshared
            self._channel.offer(identity, key)

    async def _log_in(self, channel: Channel) -> None:
        """Ask who this is, and open the session. Raises `Refusal`."""
        # A ClientKeyExchange that only passed by proves nothing: the key must be the one that OpenSSL asked for.
        preshared = self._preshared if channel.handed_out else None
        peer = self._peer(secure=True, claim=preshared.claim if preshared is not None else "")
        exchange = self._keeper.exchange
        proof = await proof_of(channel.chain(), preshared, exchange, peer)
        if self._channel is None:
            return
        self._preshared = None
        self.remote = Remote(self, self.wire.address, proof)
        self.stage = Stage.OPEN
        if proof.identity is not None:
            self._end_watch = exchange.attend(proof.identity, peer, self.end)
        elif proof.claim:  # nobody tells when its secret was replaced
            seconds = self._config.dtls_claim_seconds
            self._end_watch = asyncio.get_running_loop().call_later(seconds, self.end).cancel

    def _late(self) -> None:
        if self._channel is not None and self._channel.handed_out and self._sealed:
            self._mistrust()
        else:
            self._meter.bound("coap.dtls_handshake_seconds")
            self.end(quietly=True)

    def _mistrust(self) -> None:
        """End a handshake in which the other end has another key. Silently: the other end must not learn which names exist."""
        self._meter.bound("coap.dtls_wrong_key")
        identity = None if self._preshared is None else self._preshared.identity
        self._keeper.exchange.mistrust(self._peer(), identity)
        self.end(quietly=True)

    def _peer(self, *, secure: bool = False, claim: str = "") -> Peer:
        return Peer(self.wire.address[0], self.wire.address[1], secure=secure, claim=claim)

    def _flush(self) -> None:
        if self._channel is not None:
            for datagram in self._channel.datagrams():
                self.wire.send(datagram)

    def _resend(self) -> None:
        """Send the last flight again."""
        channel = self._channel
        if channel is None:
            return
        try:
            channel.resend()
        except Broken:
            self.end(quietly=True)
        else:
            self._flush()
            self._timers.await_answer(channel.timeout())
