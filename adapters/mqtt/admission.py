"""Who may connect: connections in all and per source, and how fast one source may come."""

from adapters.mqtt.config import MqttConfig
from core.limits import Buckets, Rate

_REMEMBERED_SOURCES = 16_384


class Admission:
    """Counts open connections and the rate at which sources connect, in bounded memory."""

    def __init__(self, config: MqttConfig) -> None:
        self._config = config
        self._open: dict[str, int] = {}
        self._connects = Buckets(Rate(config.connects_per_second, config.connect_burst), _REMEMBERED_SOURCES)
        self.connections = 0

    def enter(self, source: str) -> str:
        """Count a new connection; returns the name of the bound that refuses it, which then is not counted."""
        opened = self._open.get(source, 0)
        if 0 < self._config.connections <= self.connections:
            return "connections"
        if 0 < self._config.connections_per_source <= opened:
            return "connections_per_source"
        self._open[source] = opened + 1
        self.connections += 1
        return ""

    def leave(self, source: str) -> None:
        """Count a connection that was admitted and is over."""
        self.connections -= 1
        opened = self._open[source] - 1
        if opened:
            self._open[source] = opened
        else:
            del self._open[source]

    def connect(self, source: str, now: float) -> bool:
        """Tell whether a source may log in once more at `now`, in monotonic seconds.

        The sources that were quiet for longest are forgotten first; a forgotten one starts with a full bucket.
        """
        return not self._connects.take(source, now)
