"""Whom other replicas have let in at a broker, so that each connection is attended to by the one that knows its login."""

import asyncio
import hashlib
from typing import Final

import msgspec

from adapters.replicas.peers import Peers
from core.replicas import Gossip

TOPIC: Final = "admitted"
SPREAD_SECONDS: Final = 0.2
AT_ONCE: Final = 1_000
MOST: Final = 100_000
"""How many are remembered of each replica, the last ones."""

_NAME_BYTES: Final = 12


class Told(msgspec.Struct, frozen=True):
    """Digests of those that a replica let in."""

    replica: str
    names: list[bytes]


class AdmittedElsewhere:
    """Satisfies `adapters.brokers.admissions.Elsewhere`. `key` is what all replicas have in common.

    What is not told, or forgotten, is not known: then a connection is attended to twice, which does no harm but that it may
    have to come again. Whoever begins is told of all that the others know.
    """

    def __init__(self, gossip: Gossip, peers: Peers, me: str, key: bytes) -> None:
        self._gossip = gossip
        self._peers = peers
        self._me = me
        self._hash = hashlib.blake2b(digest_size=_NAME_BYTES, key=key)
        self._own: dict[bytes, None] = {}
        self._waiting: dict[bytes, None] = {}
        self._others: dict[str, dict[bytes, None]] = {}
        self._timer: asyncio.TimerHandle | None = None
        gossip.hear(TOPIC, self._heard)
        peers.greet(self._tell_all)

    def note(self, username: str, client_id: str) -> None:
        """Have the others know that somebody was let in here."""
        name = self._name(username, client_id)
        _put(self._own, name)
        _put(self._waiting, name)
        for others in self._others.values():
            others.pop(name, None)  # the broker has thrown out who came with the same names before
        self._hurry()

    def knows(self, username: str, client_id: str) -> bool:
        """Tell whether a replica that runs now has let somebody in with these names, and last of all."""
        name = self._name(username, client_id)
        return any(name in names and self._peers.is_here(replica) for replica, names in self._others.items())

    def _name(self, username: str, client_id: str) -> bytes:
        digest = self._hash.copy()
        digest.update(f"{username}\0{client_id}".encode("utf-8", "surrogatepass"))
        return digest.digest()

    def _hurry(self) -> None:
        if self._timer is None and self._waiting:
            self._timer = asyncio.get_running_loop().call_later(SPREAD_SECONDS, self._spread)

    def _spread(self) -> None:
        self._timer = None
        names = list(self._waiting)[:AT_ONCE]
        for name in names:
            del self._waiting[name]
        self._gossip.spread(TOPIC, msgspec.msgpack.encode(Told(self._me, names)))
        self._hurry()

    def _tell_all(self) -> None:
        self._waiting = dict(self._own)
        self._hurry()

    def _heard(self, message: bytes) -> None:
        try:
            told = msgspec.msgpack.decode(message, type=Told)
        except msgspec.MsgspecError:
            return  # of another version
        self._others = {replica: names for replica, names in self._others.items() if self._peers.is_here(replica)}
        there = self._others.setdefault(told.replica, {})
        for name in told.names:
            self._own.pop(name, None)
            _put(there, name)


def _put(names: dict[bytes, None], name: bytes) -> None:
    names.pop(name, None)
    names[name] = None
    if len(names) > MOST:
        del names[next(iter(names))]
