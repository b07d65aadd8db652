"""The transport of one connection: writing with back-pressure, reading on and off, closing, and one timer for all deadlines."""

import abc
import asyncio
from typing import cast

from adapters.mqtt.deadlines import NEVER, Deadlines, Expiry, after

_LAST_BYTES_SECONDS = 10.0  # to take what was written before the close, where no stall limit is set


class Line(asyncio.Protocol, abc.ABC):
    """A connection's way out. Whoever reads what comes in extends it with `data_received`, `resumed` and `expired`."""

    __slots__ = (
        "_armed_for",
        "_reading",
        "_stall_seconds",
        "_timer",
        "_transport",
        "_unflushed",
        "blocked",
        "closing",
        "deadlines",
        "loop",
        "lost",
    )

    _transport: asyncio.Transport

    def __init__(self, stall_seconds: float) -> None:
        self.loop = asyncio.get_running_loop()
        self.deadlines = Deadlines()
        self.blocked = False  # the peer does not take what it is sent
        self.closing = False  # nothing that comes in matters any more
        self.lost = False  # nothing that goes out gets anywhere
        self._stall_seconds = stall_seconds
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for = NEVER
        self._unflushed = 0
        self._reading = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's do not inherit from asyncio's

    def connection_lost(self, error: Exception | None) -> None:
        """Stop writing and timing."""
        self.lost = True
        self.blocked = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def pause_writing(self) -> None:
        """Take note of a peer that does not take what it is sent."""
        self.blocked = True
        self.hold()
        self._watch_flush()

    def resume_writing(self) -> None:
        """Go on where `pause_writing` stopped."""
        self.blocked = False
        if not self.closing:
            self.deadlines.stall = NEVER
            self.resumed()

    def hold(self) -> None:
        """Take nothing more from a peer that does not take what it is sent."""
        self.read(False)

    @abc.abstractmethod
    def resumed(self) -> None:
        """Take up what waited for the peer to read."""

    @abc.abstractmethod
    def expired(self, expiry: Expiry) -> None:
        """Act on a deadline that is over."""

    def write(self, data: bytes) -> None:
        """Send bytes, to nobody when there is nobody left."""
        if data and not self.lost and not self._transport.is_closing():
            self._transport.write(data)

    def read(self, wanted: bool) -> None:
        """Switch reading on or off."""
        if wanted is not self._reading and not self.lost and not self._transport.is_closing():
            self._reading = wanted
            (self._transport.resume_reading if wanted else self._transport.pause_reading)()

    def close(self) -> None:
        """Close after what was written has left, or has stopped leaving."""
        self.closing = True
        self.deadlines = Deadlines()
        self._transport.close()
        if not self.lost and self._transport.get_write_buffer_size():
            self._watch_flush()

    def abort(self) -> None:
        """Close at once."""
        self.closing = True
        self._transport.abort()

    def arm(self) -> None:
        """Set the timer; a deadline that moved away is looked at when it fires, not before."""
        due = self.deadlines.next()
        if self.lost or due >= self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = due
        self._timer = self.loop.call_at(due, self._fire)

    def _fire(self) -> None:
        self._armed_for = NEVER
        self._timer = None
        expiry = self.deadlines.expired(self.loop.time())
        if expiry is Expiry.STALL and self._transport.get_write_buffer_size() < self._unflushed:
            self._watch_flush()
        elif expiry is not None:
            self.expired(expiry)
        self.arm()

    def _watch_flush(self) -> None:
        """Wait for bytes to leave, as long as some do."""
        self._unflushed = self._transport.get_write_buffer_size()
        seconds = self._stall_seconds
        if self.closing:
            seconds = seconds or _LAST_BYTES_SECONDS
        self.deadlines.stall = after(self.loop.time(), seconds)
        self.arm()
