"""All connections together: how many there are, from where, and how much of messages that are not whole they hold."""

import asyncio
from collections import Counter
from typing import Protocol

from adapters.coap.config import KIB, CoapConfig
from adapters.coap.notifier import Notifier
from adapters.exchange import Meter
from core.limits import source_of

HEADROOM = 8 * KIB  # options beside the largest body: path, query, and what protection adds


class Open(Protocol):
    """A connection, as far as its end concerns others."""

    def release(self) -> None:
        """Take no more requests, and close when those that run are answered."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class Connections:
    """The connections of all addresses, and what they share."""

    def __init__(self, notifier: Notifier, meter: Meter, config: CoapConfig) -> None:
        self.notifier = notifier
        self.meter = meter
        self.config = config
        self.max_message_bytes = config.max_body_bytes + HEADROOM
        self.draining = False
        self.running: set[asyncio.Task[None]] = set()  # also of connections that are gone
        self._open: dict[Open, str] = {}
        self._sources: Counter[str] = Counter()
        self._received = 0

    def __len__(self) -> int:
        return len(self._open)

    def all(self) -> tuple[Open, ...]:
        """Return those that are open."""
        return tuple(self._open)

    def admit(self, connection: Open, address: str) -> bool:
        """Take one more connection, where a bound does not forbid it."""
        source = source_of(address)
        if len(self._open) >= self.config.tcp_connections:
            self.meter.bound("coap.tcp_connections")
            return False
        if self._sources[source] >= self.config.tcp_connections_per_source:
            self.meter.bound("coap.tcp_connections_per_source")
            return False
        self._open[connection] = source
        self._sources[source] += 1
        self.meter.level("coap.tcp_connections", len(self._open))
        return True

    def leave(self, connection: Open) -> None:
        """Forget a connection that is closed."""
        source = self._open.pop(connection, None)
        if source is None:
            return
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
        self.meter.level("coap.tcp_connections", len(self._open))

    def hold(self, more: int) -> bool:
        """Count so many bytes more, or less, of messages that are not whole; False: these are too many."""
        self._received += more
        if more <= 0 or self._received <= self.config.tcp_received_bytes:
            return True
        self.meter.bound("coap.tcp_received_bytes")
        return False
