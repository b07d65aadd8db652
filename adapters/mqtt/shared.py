"""What all connections of one server share."""

import asyncio
from typing import TYPE_CHECKING

from adapters.exchange import Exchange, Meter
from adapters.mqtt import encode
from adapters.mqtt.admission import Admission
from adapters.mqtt.config import MqttConfig

if TYPE_CHECKING:  # the other way round it is imported for real
    from adapters.mqtt.endpoint import Connection


class Shared:
    """The exchange and meter, the bounds and who counts against them, and the connections that are open."""

    def __init__(self, exchange: Exchange, meter: Meter, config: MqttConfig) -> None:
        self.exchange = exchange
        self.meter = meter
        self.config = config
        self.admission = Admission(config)
        self.open: set[Connection] = set()
        self.emptied = asyncio.Event()
        self.announcement = encode.Announcement(
            receive_maximum=config.receive_maximum, maximum_packet_bytes=config.max_packet_bytes
        )

    def enter(self, connection: "Connection", source: str) -> bool:
        """Let a connection in, or count the bound that refuses it."""
        bound = self.admission.enter(source)
        if bound:
            self.meter.bound(f"mqtt.{bound}")
            return False
        self.open.add(connection)
        self.meter.level("mqtt.connections", self.admission.connections)
        return True

    def leave(self, connection: "Connection", source: str) -> None:
        """Let go of a connection whose transport is closed and whose last request is answered."""
        self.open.discard(connection)
        self.admission.leave(source)
        self.meter.level("mqtt.connections", self.admission.connections)
        if not self.open:
            self.emptied.set()
