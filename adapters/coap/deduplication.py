"""Which confirmable and non-confirmable requests came already, and what they were answered (RFC 7252, section 4.5)."""

from collections import OrderedDict

from adapters.coap.config import CoapConfig
from adapters.coap.remote import Remote
from adapters.exchange import Meter

Key = tuple[Remote, int]


class Entry:
    """One request: what it looked like, when it came, and the bytes that answered it."""

    __slots__ = ("answer", "at", "fingerprint", "key")

    def __init__(self, key: Key, fingerprint: int, at: float) -> None:
        self.key = key
        self.fingerprint = fingerprint
        self.at = at
        self.answer = b""  # nothing was sent yet


class Deduplication:
    """Remembers requests by sender and message id, for EXCHANGE_LIFETIME or until its entries or bytes run out.

    A retransmission repeats every byte. A message id that comes back with another message is a device that started anew
    and counts from the beginning again: it is not answered with what its former life was told.
    """

    def __init__(self, config: CoapConfig, meter: Meter) -> None:
        self._meter = meter
        self._max_entries = config.dedup_entries
        self._max_bytes = config.dedup_bytes
        self._seconds = config.dedup_seconds
        self._entries: OrderedDict[Key, Entry] = OrderedDict()
        self.stored_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, key: Key, datagram: bytes, now: float) -> Entry | None:
        """Return the entry of a datagram that came before."""
        entry = self._entries.get(key)
        if entry is None or now - entry.at > self._seconds or entry.fingerprint != hash(datagram):
            return None
        return entry

    def open(self, key: Key, datagram: bytes, now: float) -> Entry:
        """Remember a datagram, and forget a few of those whose time has passed."""
        self._forget(key)
        entry = self._entries[key] = Entry(key, hash(datagram), now)
        for _ in range(2):
            oldest = next(iter(self._entries.values()))
            if now - oldest.at <= self._seconds:
                break
            self._forget(oldest.key)
        self._shrink()
        return entry

    def answered(self, entry: Entry, answer: bytes) -> None:
        """Keep the bytes that answered a request, where it is still remembered."""
        if self._entries.get(entry.key) is entry:
            self.stored_bytes += len(answer) - len(entry.answer)
            entry.answer = answer
            self._shrink()

    def release(self, entry: Entry) -> None:
        """Forget a request of which a duplicate may as well be answered anew."""
        if self._entries.get(entry.key) is entry:
            self._forget(entry.key)

    def _shrink(self) -> None:
        while len(self._entries) > self._max_entries or self.stored_bytes > self._max_bytes:
            self._meter.bound("coap.dedup")
            self._forget(next(iter(self._entries)))

    def _forget(self, key: Key) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.stored_bytes -= len(entry.answer)
