"""The table of DTLS sessions: how many there may be, which one goes when there are too many, and how long one may be idle."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from adapters.coap.config import CoapConfig
from adapters.coap.dtls.session import Session, Stage
from adapters.coap.remote import Remote
from adapters.exchange import Meter

Table = OrderedDict[Remote, Session]


class Sessions:
    """All sessions by where they are on the wire, each table in the order in which they were heard last.

    `needed` tells whether a session must stay although it is idle.
    """

    def __init__(self, needed: Callable[[Remote], bool], meter: Meter, config: CoapConfig) -> None:
        self._needed = needed
        self._meter = meter
        self._config = config
        self._shaking: Table = OrderedDict()
        self._open: Table = OrderedDict()
        self._sources: dict[str, Table] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._shaking) + len(self._open)

    def get(self, wire: Remote) -> Session | None:
        """Return the session with this client address."""
        return self._open.get(wire) or self._shaking.get(wire)

    def add(self, session: Session) -> None:
        """Enter a new session; where there are too many, others end for it."""
        self._make_room(session.source)
        self._shaking[session.wire] = session
        self._sources.setdefault(session.source, OrderedDict())[session.wire] = session
        self._count()

    def shaken(self, session: Session) -> None:
        """Take note that a handshake is over."""
        if self._shaking.pop(session.wire, None) is not None:
            self._open[session.wire] = session
            self.heard(session)
            self._await_expiry()

    def heard(self, session: Session) -> None:
        """Take note that a session is in use."""
        session.seen_at = asyncio.get_running_loop().time()
        self._open.move_to_end(session.wire)
        self._sources[session.source].move_to_end(session.wire)

    def remove(self, session: Session) -> None:
        """Forget a session that ended."""
        for table in (self._shaking, self._open):
            if table.get(session.wire) is session:
                del table[session.wire]
        of_source = self._sources.get(session.source)
        if of_source is not None and of_source.get(session.wire) is session:
            del of_source[session.wire]
            if not of_source:
                del self._sources[session.source]
        self._count()

    def end(self) -> None:
        """End all sessions."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for session in (*self._shaking.values(), *self._open.values()):
            session.end()

    def _make_room(self, source: str) -> None:
        """End the session that can be missed most: of a greedy source its own, then one that proved nothing, then an idle one.

        Handshakes beyond their share make way for each other: they must not drive out devices that came in.
        """
        of_source = self._sources.get(source)
        if of_source is not None and len(of_source) >= self._config.dtls_sessions_per_source:
            self._displace(of_source, "coap.dtls_sessions_per_source")
        if self._shaking and len(self._shaking) >= self._config.dtls_handshakes:
            self._displace(self._shaking, "coap.dtls_handshakes")
        if len(self) >= self._config.dtls_sessions:
            self._displace(self._open or self._shaking, "coap.dtls_sessions")

    def _displace(self, table: Table, bound: str) -> None:
        self._meter.bound(bound)
        session = next(iter(table.values()))
        session.end(quietly=session.stage is Stage.SHAKING_HANDS)

    def _count(self) -> None:
        self._meter.level("coap.dtls_sessions", len(self))

    def _await_expiry(self) -> None:
        if self._timer is None and self._open:
            oldest = next(iter(self._open.values()))
            due = oldest.seen_at + self._config.dtls_idle_seconds
            self._timer = asyncio.get_running_loop().call_at(due, self._expire)

    def _expire(self) -> None:
        self._timer = None
        latest = asyncio.get_running_loop().time() - self._config.dtls_idle_seconds
        while self._open:
            oldest = next(iter(self._open.values()))
            if oldest.seen_at > latest:
                break
            if oldest.remote is not None and self._needed(oldest.remote):
                self.heard(oldest)
            else:
                self._meter.bound("coap.dtls_idle_seconds")
                oldest.end()
        self._await_expiry()
