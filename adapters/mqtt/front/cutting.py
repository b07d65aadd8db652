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

ACKNOWLEDGEMENT_BYTES: Final = 4
"""Of an acknowledgement that says no reason."""

ANY_QOS: Final = 3
"""As `strict_qos`: messages of every QoS that there is pass."""

NO_WAYS: Final[Mapping[bytes, bytes]] = MappingProxyType({})


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One packet: its first byte, and what follows its length (OASIS MQTT 5.0, section 2.1).

    `size` is 0, but of a message that was too large it is what the whole packet had, in bytes; its body ends behind the topic
    and the packet identifier.
    """

    first: int
    body: bytes
    size: int = 0


class Cutter:
    """What came in and was not passed on yet.

    A PUBLISH passes where `ways` has its topic, as it is or with another topic in its place (both as bytes; the new one with
    its length before it), unless it has properties or a QoS of `strict_qos` or more. Of other packets those pass whose kind is
    in `passing`, by the upper half of their first byte. All others are for somebody to look at. What passes is gathered in
    `passed`. A packet of more than `limit` bytes is an error, unless this `skips` messages: of these only the beginning is
    kept.
    """

    __slots__ = (
        "_at",
        "_data",
        "_limit",
        "_missing",
        "_needed",
        "_skipping",
        "_skips",
        "_version",
        "passed",
        "passing",
        "strict_qos",
        "ways",
    )

    def __init__(self, version: int, limit: int, passing: frozenset[int], *, skips: bool = False) -> None:
        self.ways = NO_WAYS
        self.passing = passing
        self.strict_qos = ANY_QOS
        self.passed: list[bytes] = []
        self._version = version
        self._limit = limit
        self._skips = skips
        self._data: bytes | bytearray = b""
        self._at = 0
        self._needed = 0
        self._skipping = False  # what is here is the beginning of a message that is too large
        self._missing = 0  # so many bytes of it have not come by yet

    @property
    def pending(self) -> int:
        """Return the number of bytes that were not passed on and not looked at."""
        return len(self._data) - self._at

    def is_acknowledgement(self, data: bytes) -> bool:
        """Tell whether this is an acknowledgement that passes and nothing else, and nothing is here that comes before it."""
        whole = len(data) == ACKNOWLEDGEMENT_BYTES and data[1] == ACKNOWLEDGEMENT_BYTES - 2
        return whole and data[0] >> 4 in self.passing and self._at == len(self._data)

    def feed(self, data: bytes) -> None:
        """Take bytes."""
        if self._at == len(self._data):
            self._data = data
        elif self._missing:
            self._skip(data)
        else:
            rest = self._data if isinstance(self._data, bytearray) else bytearray(self._data)
            del rest[: self._at]
            rest += data
            self._data = rest
            self._needed = max(self._needed - self._at, 0)
        self._at = 0

    def _skip(self, data: bytes) -> None:
        rest = data[self._missing :]
        self._missing = max(self._missing - len(data), 0)
        if not self._missing:
            self._data += rest
            self._needed = 0

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
        ways, passing, with_properties, strict = self.ways, self.passing, self._version == 5, self.strict_qos << 1
        run = at = self._at
        found: Frame | None = None
        error: ProtocolError | None = None
        too_large = False
        while end - at >= 2:
            first, length, body = data[at], data[at + 1], at + 2
            if length >= 0x80:
                if end - at > 2 and data[body] < 0x80:  # most messages
                    length += (data[body] << 7) - 0x80
                    body += 1
                else:
                    length, body = _long_length(data, at + 1)
                    if not body:
                        if end - at >= _LONGEST_HEAD:
                            error = malformed("the remaining length has more than four bytes")
                        break
            stop = body + length
            if stop - at > self._limit:
                too_large = True
                break
            if stop > end:
                self._needed = stop
                break
            if first & _KIND == _PUBLISH and length > 1:
                topic_end = body + 2 + (data[body] << 8 | data[body + 1])
                way = ways.get(data[body + 2 : topic_end]) if topic_end <= stop else None
                rest = topic_end + 2 if first & _QOS else topic_end
                # What is cut off is for somebody to refuse.
                whole = rest < stop and not data[rest] if with_properties else rest <= stop
                if way is not None and whole and first & _QOS < strict:
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
        if too_large:
            return self._too_large(data, at, body, stop)
        if found is None:
            self._keep(data, at)
        else:
            self._data, self._at = data, stop
        if error is not None:
            raise error
        return found

    def _too_large(self, data: bytes, at: int, body: int, stop: int) -> Frame | None:
        """Return the beginning of a message whose rest came by; None: more bytes are needed.

        Raises `ProtocolError` where it is no message, or those are not skipped.
        """
        head_end = _head_end(data, at, body) if self._skips else 0
        if not at < head_end <= stop:
            self._keep(data, at)
            raise ProtocolError(ReasonCode.PACKET_TOO_LARGE, "the packet is too large", bound="max_packet_bytes")
        if head_end > len(data):
            self._needed = head_end
            self._keep(data, at)
            return None
        if not self._skipping and stop > len(data):
            self._skipping, self._missing = True, stop - len(data)
            self._data, self._at, self._needed = data[at:head_end], 0, stop - at
            return None
        self._data, self._at = data, head_end if self._skipping else stop
        self._skipping = False
        return Frame(data[at], data[body:head_end], stop - at)

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


def _head_end(data: bytes, at: int, body: int) -> int:
    """Return where a message's packet identifier ends, as far as that can be said; 0 for what no broker sends."""
    first = data[at]
    if first & _KIND != _PUBLISH or first & _QOS == _QOS:
        return 0
    if len(data) < body + 2:
        return body + 2
    topic_bytes = data[body] << 8 | data[body + 1]
    return body + 2 + topic_bytes + (2 if first & _QOS else 0) if topic_bytes else 0


def _head(first: int, length: int) -> bytes:
    if length < 0x80:
        return bytes((first, length))
    if length < 0x4000:
        return bytes((first, length & 0x7F | 0x80, length >> 7))
    return bytes((first,)) + varint(length)
