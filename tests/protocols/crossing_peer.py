"""A crossing with grants, and what either side says to it."""

from adapters.mqtt.front.crossing import Crossed, Crossing
from adapters.mqtt.front.cutting import Frame
from adapters.mqtt.front.rewriting import read_message
from core.topic_spaces import Grants
from tests.protocols.front_peer import (
    GRANTS,
    body_of,
)

DEVICE_KINDS = frozenset({4, 5, 6, 7, 12})
BROKER_KINDS = frozenset({4, 5, 6, 7, 9, 11, 13})


def crossing(version: int = 4) -> Crossing:
    made = Crossing(version, 100_000, 100_000)
    made.permit(Grants(GRANTS))
    made.enter()
    return made


def said(made: Crossing, data: bytes, version: int = 4) -> Crossed:
    """Let the device publish something that is looked at."""
    frame = Frame(*body_of(data))
    return made.publish(frame, read_message(frame, version))


def heard(made: Crossing, data: bytes) -> Crossed:
    """Let the broker send something that is looked at."""
    return made.from_broker(Frame(*body_of(data)))


def passes(made: Crossing, data: bytes) -> bytes:
    """Return what becomes of a packet of the device that is not looked at."""
    made.up.feed(data)
    assert made.up.next() is None
    return made.up.take_passed()


def comes_down(made: Crossing, data: bytes) -> bytes | None:
    """Return what becomes of a packet of the broker; None: it is looked at."""
    made.down.feed(data)
    return made.down.take_passed() if made.down.next() is None else None
