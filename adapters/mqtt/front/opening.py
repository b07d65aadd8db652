"""How a client gets into the broker: under one agreed identity, with a will that it may leave."""

import asyncio
import os
import socket

import msgspec

from adapters.mqtt.front import rewriting
from adapters.mqtt.front.arrived import Arrived
from adapters.mqtt.front.broker_line import BrokerLine
from adapters.mqtt.front.crossing import Crossing, Purpose
from adapters.mqtt.front.cutting import Frame
from adapters.mqtt.front.front import Front
from adapters.mqtt.front.properties import map_response_topic, unmapped_response_topic
from adapters.mqtt.front.rewriting import Welcome
from adapters.mqtt.front.rights import Rights
from adapters.mqtt.packets import Connect, ProtocolError
from core.errors import Reason, Refusal

WILL = "mqtt.will"
"""The check that refuses a will for a topic that is not the client's."""

_LONGEST_BYTES = 65_535  # of a string (OASIS MQTT 5.0, section 1.5.4)


class Way(msgspec.Struct, frozen=True):
    """What a client goes through. The broker's first packet is awaited as `first`."""

    front: Front
    rights: Rights
    crossing: Crossing
    broker: BrokerLine
    first: asyncio.Future[Frame]


async def enter(arrived: Arrived, way: Way, most_bytes: int) -> Welcome:
    """Log in to the broker; returns what it answered. The device may send packets of `most_bytes`.

    Raises `Refusal`: UNAVAILABLE where the broker or the registry cannot be reached, FORBIDDEN for a will elsewhere, MALFORMED
    for a client identifier that is too long beside the device's id.
    """
    upstream, sent = way.front.upstream, arrived.connect
    if len(upstream.client_id(arrived.identity, sent.client_id).encode()) > _LONGEST_BYTES:
        raise Refusal(Reason.MALFORMED, "the client identifier is too long", check="mqtt.client_id")
    try:
        async with asyncio.timeout(upstream.seconds):
            await way.rights.ask()
            topic, block = _will(sent, way.crossing)
            await way.front.open(way.broker)
            way.broker.write(rewriting.connect(sent, arrived.identity, upstream, topic, block))
            frame = await way.first
        assigned = "" if sent.client_id else upstream.client_id(arrived.identity, "")
        return rewriting.welcome(frame, sent, assigned, most_bytes)
    except TimeoutError:
        raise _unreachable(way.front, f"no answer within {upstream.seconds:g} s") from None
    except OSError as error:
        raise _unreachable(way.front, _detail(error)) from error
    except ProtocolError as error:
        raise _unreachable(way.front, str(error)) from error


def _will(sent: Connect, crossing: Crossing) -> tuple[str, bytes]:
    """Return topic and properties of the client's will at the broker. Raises `Refusal` where it is for another's topic."""
    if sent.will is None:
        return "", b""
    topic = crossing.will_topic(sent.will.topic)
    block = map_response_topic(sent.will.raw_properties, crossing.response_topic)
    if topic is None or block is None:
        raise Refusal(Reason.FORBIDDEN, "the will is for a topic that is not the device's", check=WILL)
    return topic, block


def refused_by_will(sent: Connect, crossing: Crossing) -> tuple[str, Purpose]:
    """Return the topic that kept a client out, and what its will wanted it for."""
    if sent.will is None:
        return "", Purpose.WILL
    response = unmapped_response_topic(sent.will.raw_properties, crossing.response_topic)
    if crossing.will_topic(sent.will.topic) is not None and response:
        return response, Purpose.WILL_RESPONSE
    return sent.will.topic, Purpose.WILL


def _detail(error: OSError) -> str:
    """Return what the system says of a fault; event loops put an address in its place. Names are not its own."""
    if error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _unreachable(front: Front, detail: str) -> Refusal:
    front.unreachable(detail)
    return Refusal(Reason.UNAVAILABLE, "the broker cannot be reached", check="mqtt.upstream")
