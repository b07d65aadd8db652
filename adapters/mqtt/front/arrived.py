"""A client on its way to the broker."""

import msgspec

from adapters.exchange import Peer
from adapters.mqtt.packets import Connect
from core.messages import Identity


class Arrived(msgspec.Struct, frozen=True):
    """A client that proved itself: what it said at CONNECT, who it is, and where it comes from."""

    connect: Connect
    identity: Identity
    peer: Peer
    source: str
