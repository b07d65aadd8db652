"""Cuts one direction of a connection into packets, and lets those pass that need no second look."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from adapters.mqtt.encode import varint
from adapters.mqtt.fields import malformed
from adapters.mqtt.packets import ProtocolError, ReasonCode

_PUBLISH: Final = 0x30
_KIND: Final = 0xF0
_QOS: Final = 0x06
_LONGEST_HEAD: Final = 5  # first byte and four of the length

UNCHANGED: Final = b""
"""Among the ways of topics: the message passes as it is."""

NO_WAYS: Final[Mapping[bytes, bytes]] = MappingProxyType({})


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One whole packet: its first byte, and what follows its length (OASIS MQTT 5.0, section 2.1)."""

    first: int
    body: bytes


class Cutter:
    """What came in and was not passed on yet.

    A PUBLISH passes where `ways` has its topic, as it is or with another topic in its place (both as bytes; the new one with
    its length before it), unless it has properties. Of other packets those pass whose kind is in `passing`, by the upper half
    of their first byte. All others are for somebody to look at. What passes is gathered in `passed`.
    """

    __slots__ = ("_at", "_data", "_limit", "_needed", "_version", "passed", "passing", "ways")

    def __init__(self, version: int, limit: int, passing: frozenset[int]) -> None:
        self.ways = NO_WAYS
        self.passing = passing
        self.passed: list[bytes] = []
        self._version = version
        self._limit = limit
        self._data: bytes | bytearray = b""
        self._at = 0
        self._needed = 0

    @property
    def pending(self) -> int:
        """Return the number of bytes that were not passed on and not looked at."""
        return len(self._data) - self._at

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        if self._at == len(self._data):
            self._data = data
        else:
            rest = self._data if isinstance(self._data, bytearray) else bytearray(self._data)
            del rest[: self._at]
            rest += data
            self._data = rest
            self._needed = max(self._needed - self._at, 0)
        self._at = 0

    def take_passed(self) -> bytes:
        """Return what passed since the last time."""
        passed = self.passed
        if not passed:
            return b""
        self.passed = []
        return passed[0] if len(passed) == 1 else b"".join(passed)

    # One loop over everything that passes: a call for each packet would cost as much as the rest.
    def next(self) -> Frame | None:  # noqa: C901 - the same
        """Return the next packet that somebody has to look at, after those that pass; None: more bytes are needed.

        Raises `ProtocolError` for a packet that is too large or no packet.
        """
        end = len(self._data)
        if end < self._needed:
            return None
        # One copy for a whole run of packets; slices of `bytes` are what dictionaries can look up.
        data = self._data if isinstance(self._data, bytes) else bytes(self._data)
        ways, passing, with_properties = self.ways, self.passing, self._version == 5
        run = at = self._at
        found: Frame | None = None
        error: ProtocolError | None = None
        while end - at >= 2:
            first, length, body = data[at], data[at + 1], at + 2
            if length >= 0x80:
                length, body = _long_length(data, at + 1)
                if not body:
                    if end - at >= _LONGEST_HEAD:
                        error = malformed("the remaining length has more than four bytes")
                    break
            stop = body + length
            if stop - at > self._limit:
                error = ProtocolError(ReasonCode.PACKET_TOO_LARGE, "the packet is too large", bound="max_packet_bytes")
                break
            if stop > end:
                self._needed = stop
                break
            if first & _KIND == _PUBLISH and length > 1:
                topic_end = body + 2 + (data[body] << 8 | data[body + 1])
                way = ways.get(data[body + 2 : topic_end]) if topic_end <= stop else None
                rest = topic_end + 2 if first & _QOS else topic_end
                # What is cut off, or has QoS 3, is for somebody to refuse.
                whole = rest < stop and not data[rest] if with_properties else rest <= stop
                if way is not None and whole and first & _QOS != _QOS:
                    if way:
                        self.passed += (data[run:at], _head(first, length - topic_end + body + len(way)), way)
                        run = topic_end
                    at = stop
                    continue
            elif first >> 4 in passing:
                at = stop
                continue
            found = Frame(first, data[body:stop])
            break
        if run < at:
            self.passed.append(data[run:at])
        if found is None:
            self._keep(data, at)
        else:
            self._data, self._at = data, stop
        if error is not None:
            raise error
        return found

    def _keep(self, data: bytes, at: int) -> None:
        """Keep the beginning of a packet, without what came with it: the rest may be long in coming."""
        self._data, self._at, self._needed = data[at:], 0, max(self._needed - at, 0)


def _long_length(data: bytes, at: int) -> tuple[int, int]:
    """Return a length of several bytes and where the body begins, 0 where that is not said (section 2.1.4)."""
    length = 0
    for position in range(at, min(at + 4, len(data))):
        length |= (data[position] & 0x7F) << 7 * (position - at)
        if data[position] < 0x80:
            return length, position + 1
    return 0, 0


def _head(first: int, length: int) -> bytes:
    return bytes((first, length)) if length < 0x80 else bytes((first,)) + varint(length)
