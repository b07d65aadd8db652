"""What the log and the counters are told of one client's connection to the broker."""

import structlog

from adapters.exchange import Meter, who
from adapters.mqtt.front.crossing import Crossed, Purpose
from core.messages import Identity

log = structlog.get_logger("firstlight")

_TOPIC_CHARACTERS = 1_024  # of one that is named


class Remarks:
    """Counts everything, and tells of the first of a kind alone."""

    __slots__ = ("_identity", "_meter", "_told_large", "_told_refusal")

    def __init__(self, identity: Identity, meter: Meter) -> None:
        self._identity = identity
        self._meter = meter
        self._told_refusal = False
        self._told_large = False

    def refused(self, topic: str, purpose: Purpose) -> None:
        """Take note of a topic that was refused."""
        self._meter.bound("mqtt.topic_refused")
        if topic and not self._told_refusal:
            self._told_refusal = True
            log.info(
                "topic refused, further ones of this connection are only counted",
                **who(self._identity),
                action=purpose.value,
                topic=topic[:_TOPIC_CHARACTERS],
            )

    def not_delivered(self, crossed: Crossed) -> None:
        """Take note of a message of the broker that was taken off it and went no further."""
        self._meter.bound("mqtt.upstream_packet" if crossed.size else "mqtt.delivery_refused")
        if crossed.size and not self._told_large:
            self._told_large = True
            log.warning(
                "a message of the broker is too large and was left out, further ones of this connection are only counted",
                **who(self._identity),
                topic=crossed.refused[:_TOPIC_CHARACTERS],
                bytes=crossed.size,
                setting="FIRSTLIGHT_MQTT_UPSTREAM_PACKET_BYTES",
            )

    def broken(self, detail: str) -> None:
        """Take note of a broker that breaks the protocol."""
        self._meter.bound("mqtt.upstream_packet")
        log.warning("the broker sent what cannot be passed on", **who(self._identity), detail=detail)
