"""What a secured UDP socket does with a datagram: cookies for strangers, sessions for those who sent one back."""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any

from adapters.coap.admission import TokenBucket
from adapters.coap.config import CoapConfig
from adapters.coap.dtls.acceptance import Acceptance
from adapters.coap.dtls.channel import Broken
from adapters.coap.dtls.cookies import Cookies
from adapters.coap.dtls.handshake import ClientHello, client_hello, hello_verify_request, is_client_hello
from adapters.coap.dtls.records import split
from adapters.coap.dtls.session import Session, Stage
from adapters.coap.dtls.sessions import Sessions
from adapters.coap.remote import Remote
from adapters.exchange import Exchange, Meter
from adapters.tls.material import ServerMaterial
from core.limits import source_of

log = logging.getLogger("adapters.coap")

Receive = Callable[[Remote, bytes], None]


class DtlsEndpoint:
    """Serves one exchange over DTLS; what it decrypts goes to `receive`, with a remote for which it encrypts.

    `material` is asked for the certificate with every new session; None: there is none, and only pre-shared keys are good.
    `gone` hears of every remote whose session ended.
    """

    def __init__(
        self,
        exchange: Exchange,
        receive: Receive,
        gone: Callable[[Remote], None],
        sessions: Sessions,
        material: Callable[[], ServerMaterial | None],
        meter: Meter,
        config: CoapConfig,
    ) -> None:
        self.exchange = exchange
        self.draining = False
        self._receive = receive
        self._gone = gone
        self._sessions = sessions
        self._meter = meter
        self._config = config
        self._cookies = Cookies()
        self._pace = Pace(config)
        self._material = material
        self._current = material()
        self._acceptance = Acceptance(self._current)
        self._work: set[asyncio.Task[None]] = set()

    def receive(self, wire: Remote, datagram: bytes) -> None:
        """Take one datagram, whatever it is."""
        records = split(datagram)
        if not records:
            self._meter.bound("coap.dtls_malformed")
        elif is_client_hello(records[0]):
            self._greet(wire, records[0])
        else:
            session = self._sessions.get(wire)
            if session is not None:
                session.take(records)
            else:
                self._meter.bound("coap.dtls_unknown")

    async def close(self) -> None:
        """Begin no session any more, and wait until those that ask about their clients have their answers."""
        self.draining = True
        await asyncio.gather(*self._work, return_exceptions=True)

    def shaken(self, session: Session) -> None:
        """Take note that a handshake is over."""
        self._sessions.shaken(session)

    def arrived(self, session: Session, remote: Remote, message: bytes) -> None:
        """Pass a decrypted message on."""
        self._sessions.heard(session)
        self._receive(remote, message)

    def ended(self, session: Session) -> None:
        """Forget a session, and what was waiting for its client."""
        self._sessions.remove(session)
        if session.remote is not None:
            self._gone(session.remote)

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something to its end."""
        task = asyncio.get_running_loop().create_task(work)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    def _greet(self, wire: Remote, record: bytes) -> None:
        """Answer a ClientHello: with a cookie, or with a session for a cookie (RFC 6347, sections 4.2.1 and 4.2.8)."""
        hello = client_hello(record)
        if hello is None:
            self._meter.bound("coap.dtls_malformed")
            return
        now = time.monotonic()
        session = self._sessions.get(wire)
        if not self._cookies.proven(wire, hello, now):
            wire.send(hello_verify_request(self._cookies.cookie(wire, hello, now)))
        elif session is None or session.random != hello.random:
            self._open(wire, hello, record, session, now)
        elif session.stage is Stage.SHAKING_HANDS:
            session.take((record,))  # it did not hear the answer

    def _open(self, wire: Remote, hello: ClientHello, record: bytes, former: Session | None, now: float) -> None:
        if self.draining:
            self._meter.bound("coap.draining")
            return
        if not self._pace.allows(wire.address[0], now):
            self._meter.bound("coap.dtls_handshakes_per_second")
            return
        try:
            channel = self._accepting().channel(record)
        except Broken:
            self._meter.bound("coap.dtls_broken")
            return
        if former is not None:
            former.end(quietly=True)  # a device that started anew does not understand what its former life is told
        session = Session(wire, hello.random, channel, self, self._meter, self._config)
        self._sessions.add(session)
        session.begin()

    def _accepting(self) -> Acceptance:
        """Return what new sessions are offered: something else once the certificate changed, where OpenSSL takes that."""
        material = self._material()
        if material is not self._current:
            self._current = material
            try:
                self._acceptance = Acceptance(material)
            except ValueError:
                log.exception("The new certificate is not taken for DTLS; the old one stays.")
        return self._acceptance


class Pace:
    """How often a source may begin a handshake, which costs a millisecond; the sources heard least recently go first."""

    def __init__(self, config: CoapConfig) -> None:
        self._config = config
        self._sources: OrderedDict[str, TokenBucket] = OrderedDict()

    def allows(self, address: str, now: float) -> bool:
        """Tell whether this source may begin one more now."""
        source, burst = source_of(address), self._config.dtls_burst_handshakes
        bucket = self._sources.setdefault(source, TokenBucket(burst, now))
        self._sources.move_to_end(source)
        if len(self._sources) > self._config.max_sources:
            self._sources.popitem(last=False)
        return bucket.take(self._config.dtls_handshakes_per_second, burst, now)
