"""The broker's side of one device's connection."""

import asyncio
import socket
import ssl
from typing import Final, Protocol

from adapters.mqtt.config import MqttConfig
from adapters.mqtt.deadlines import Expiry
from adapters.mqtt.line import Line

# Three probes that nobody answers after half a minute of silence; the first two are in seconds.
_PROBES: Final = (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3))


class DeviceSide(Protocol):
    """The device's side, as far as the broker's concerns it."""

    def from_broker(self, data: bytes) -> None:
        """Take bytes."""
        ...

    def broker_takes(self) -> None:
        """Read or rest, as the broker takes what it is sent or not."""
        ...

    def bound(self, name: str) -> None:
        """Count what a limit refused."""
        ...

    def broker_lost(self) -> None:
        """End, now that the broker is gone."""
        ...


class BrokerLine(Line):
    """A connection to the broker, for one device."""

    __slots__ = ("_config", "_device", "_open")

    def __init__(self, device: DeviceSide, config: MqttConfig) -> None:
        super().__init__(config.write_stall_seconds)
        self._config = config
        self._device: DeviceSide | None = device
        self._open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Bound what waits here for the broker."""
        super().connection_made(transport)
        self._open = True
        self._transport.set_write_buffer_limits(high=self._config.write_buffer_bytes)
        _probe(transport.get_extra_info("socket"))

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the device's side, and let go of it."""
        super().connection_lost(error)
        device, self._device = self._device, None
        if device is not None:
            device.broker_lost()

    def data_received(self, data: bytes) -> None:
        """Hand bytes over."""
        if self._device is not None:
            self._device.from_broker(data)

    def hold(self) -> None:
        """Take nothing more from the device while the broker does not take it."""
        if self._device is not None:
            self._device.broker_takes()

    def resumed(self) -> None:
        """Go on."""
        if self._device is not None:
            self._device.broker_takes()

    def expired(self, expiry: Expiry) -> None:
        """Give up on a broker that reads nothing."""
        if self._device is not None:
            self._device.bound("upstream_stall")
        self.abort()

    def write_if_open(self, data: bytes) -> None:
        """Send bytes, to nobody where the connection is not open yet."""
        if self._open:
            self.write(data)

    def finish(self) -> None:
        """Close once what was written has left; nobody is told. It may not be open yet, or any more."""
        self._device = None
        if self._open and not self._transport.is_closing():  # asyncio's TLS does not bear to be closed twice
            self.close()

    def drop(self) -> None:
        """Close at once; nobody is told."""
        self._device = None
        if self._open:
            self.abort()


def _probe(connection: socket.socket) -> None:
    """Find out within about a minute that a broker is gone which nobody sends anything (RFC 9293, section 3.8.4)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _PROBES:
        option = getattr(socket, name, None)  # not every platform has them
        if option is not None:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)


async def connect(line: BrokerLine, host: str, port: int, tls: ssl.SSLContext | None = None) -> None:
    """Open the connection, over TLS with a context. Raises `OSError`, also where it is another host's certificate."""
    await asyncio.get_running_loop().create_connection(lambda: line, host, port, ssl=tls)
