"""What all connections that go on to the broker share: where it is, whether it can be reached, and how many there are."""

import asyncio

import structlog

from adapters.exchange import Meter, who
from adapters.mqtt.front.broker_line import BrokerLine, connect
from adapters.mqtt.front.config import Upstream
from core.messages import Identity

log = structlog.get_logger("firstlight")

_GATHER_SECONDS = 1.0


class Front:
    """The broker, as far as devices are passed on to it. An outage is told once, and its end once.

    Connections that the broker closes are told together.
    """

    def __init__(self, upstream: Upstream, meter: Meter) -> None:
        self.upstream = upstream
        self._meter = meter
        self._away = False
        self._connections = 0
        self._lost: list[Identity] = []

    async def open(self, line: BrokerLine) -> None:
        """Open a connection to the broker. Raises `OSError`."""
        await connect(line, self.upstream.host, self.upstream.port, self.upstream.tls)

    def entered(self) -> None:
        """Count a device that is in, which shows that the broker is there."""
        self._connections += 1
        self._meter.level("mqtt.upstream", self._connections)
        if self._away:
            self._away = False
            log.info("the broker is back", broker=self._place)

    def left(self) -> None:
        """Count a device that was in and is gone."""
        self._connections -= 1
        self._meter.level("mqtt.upstream", self._connections)

    def unreachable(self, detail: str) -> None:
        """Take note that a device could not be passed on."""
        self._meter.bound("mqtt.upstream_unreachable")
        if not self._away:
            self._away = True
            log.warning("the broker cannot be reached, devices are asked to come again", broker=self._place, detail=detail)

    def refused(self, code: int, identity: Identity) -> None:
        """Tell of a client that the broker does not want, which is for the operator to mend: the client proved itself here."""
        self._meter.bound("mqtt.upstream_refused")
        log.warning("the broker refused a client that proved itself", broker=self._place, **who(identity), code=code)

    def lost(self, identity: Identity) -> None:
        """Take note of a client's connection that the broker closed without a word."""
        if not self._lost:
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._tell_lost)
        self._lost.append(identity)

    def _tell_lost(self) -> None:
        lost, self._lost = self._lost, []
        named = who(lost[0]) if len(lost) == 1 else {}
        log.info("the broker closed connections", broker=self._place, connections=len(lost), **named)

    @property
    def _place(self) -> str:
        return f"{self.upstream.host}:{self.upstream.port}"
