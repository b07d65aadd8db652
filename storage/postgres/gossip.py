"""Small messages between replicas, as notifications: what is lost is lost.

A notification has a payload of less than 8000 bytes of text (https://www.postgresql.org/docs/15/sql-notify.html), so messages
are base64 in parts: `replica topic number part parts base64`. Of equal payloads in one transaction the database delivers one;
no two of these are equal.
"""

import base64
import binascii
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, NamedTuple

MOST_BYTES: Final = 262_144
"""Larger messages are dropped."""

PART_BYTES: Final = 5_700
QUEUED: Final = 500
"""How many parts may wait to be sent; whole messages are dropped beyond them."""

_UNFINISHED: Final = 64
_PARTS: Final = MOST_BYTES // PART_BYTES + 1

Heard = Callable[[bytes], None]


class _Part(NamedTuple):
    message: tuple[str, str]
    topic: str
    number: int
    of: int
    content: bytes


class NotifiedGossip:
    """Satisfies `core.replicas.Gossip`. `wake` is called when there is something to be sent."""

    def __init__(self, replica: str, wake: Callable[[], None]) -> None:
        self.dropped = 0
        self._replica = replica
        self._wake = wake
        self._is_up = False
        self._messages = 0
        self._waiting: deque[str] = deque()
        self._unfinished: OrderedDict[tuple[str, str], dict[int, bytes]] = OrderedDict()
        self._heard: dict[str, dict[int, Heard]] = {}

    def spread(self, topic: str, message: bytes) -> None:
        """Send a message to the other replicas, without waiting; it is dropped while they cannot be reached."""
        parts = [message[at : at + PART_BYTES] for at in range(0, len(message), PART_BYTES)] or [b""]
        if not self._is_up or len(message) > MOST_BYTES or len(self._waiting) + len(parts) > QUEUED:
            self.dropped += 1
            return
        self._messages += 1
        head = f"{self._replica} {topic} {self._messages}"
        for number, part in enumerate(parts):
            self._waiting.append(f"{head} {number} {len(parts)} {base64.b64encode(part).decode()}")
        self._wake()

    def hear(self, topic: str, heard: Heard) -> Callable[[], None]:
        """Call `heard` with what the others send; returns what ends that."""
        there = self._heard.setdefault(topic, {})
        number = max(there, default=0) + 1
        there[number] = heard
        return lambda: self._ended(topic, number)

    def up(self, is_up: bool) -> None:
        """Take note of whether there is a connection; without one nothing is kept to be sent."""
        self._is_up = is_up
        if not is_up:
            self._waiting.clear()
            self._unfinished.clear()

    def take(self, most: int) -> list[str]:
        """Return payloads to be sent now, so many at most, which wait no longer."""
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    @property
    def is_waiting(self) -> bool:
        """Tell whether there is something to be sent."""
        return bool(self._waiting)

    def receive(self, payload: str) -> None:
        """Take a payload in; what is none of ours, or our own, is left alone."""
        part = _read(payload)
        if part is None or part.message[0] == self._replica:
            return
        content = self._whole(part)
        if content is not None:
            for heard in tuple(self._heard.get(part.topic, {}).values()):
                heard(content)

    def _whole(self, part: _Part) -> bytes | None:
        """Return a message of which this is the last part."""
        if part.of == 1:
            return part.content
        parts = self._unfinished.setdefault(part.message, {})
        parts[part.number] = part.content
        if len(parts) == part.of:
            del self._unfinished[part.message]
            return b"".join(parts[number] for number in sorted(parts))
        if len(self._unfinished) > _UNFINISHED:
            self._unfinished.popitem(last=False)
        return None

    def _ended(self, topic: str, number: int) -> None:
        self._heard[topic].pop(number, None)


def _read(payload: str) -> _Part | None:
    words = payload.split(" ")
    if len(words) != 6:
        return None
    replica, topic, message, number, of, text = words
    try:
        part = _Part((replica, message), topic, int(number), int(of), base64.b64decode(text, validate=True))
    except (ValueError, binascii.Error):
        return None
    return part if 0 <= part.number < part.of <= _PARTS else None
