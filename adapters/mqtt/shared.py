"""What all connections of one server share."""

import asyncio
from typing import Protocol

from adapters.exchange import Meter
from adapters.mqtt import encode
from adapters.mqtt.admission import Admission
from adapters.mqtt.config import MqttConfig
from adapters.mqtt.front.config import Upstream
from adapters.mqtt.front.front import Front


class Open(Protocol):
    """An open connection, as far as the server ends it."""

    def shut_down(self) -> None:
        """Say goodbye as soon as no request is running."""
        ...

    def cut_off(self) -> None:
        """Close at once."""
        ...


class Shared:
    """The meter, the broker behind this server, the bounds and who counts against them, and the connections that are open."""

    def __init__(self, meter: Meter, config: MqttConfig, upstream: Upstream | None = None) -> None:
        self.front = Front(upstream, meter) if upstream is not None else None
        self.meter = meter
        self.config = config
        self.admission = Admission(config)
        self.open: set[Open] = set()
        self.emptied = asyncio.Event()
        self.turns = asyncio.Semaphore(config.pushes)
        self.announcement = encode.Announcement(
            receive_maximum=config.receive_maximum, maximum_packet_bytes=config.max_packet_bytes
        )

    def enter(self, connection: Open, source: str) -> bool:
        """Let a connection in, or count the bound that refuses it."""
        bound = self.admission.enter(source)
        if bound:
            self.meter.bound(f"mqtt.{bound}")
            return False
        self.open.add(connection)
        self.meter.level("mqtt.connections", self.admission.connections)
        return True

    def hand_over(self, connection: Open, successor: Open) -> None:
        """Let another object stand for a connection that is in."""
        self.open.discard(connection)
        self.open.add(successor)

    def leave(self, connection: Open, source: str) -> None:
        """Let go of a connection whose transport is closed and whose last request is answered."""
        self.open.discard(connection)
        self.admission.leave(source)
        self.meter.level("mqtt.connections", self.admission.connections)
        if not self.open:
            self.emptied.set()
