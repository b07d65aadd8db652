"""Bytes to packets: the decoder of MQTT 3.1, 3.1.1 and 5, without I/O and without a clock.

Sections are those of OASIS MQTT 5.0; versions 3.1 and 3.1.1 differ where a comment says so.
"""

from collections.abc import Iterator
from types import MappingProxyType

from adapters.mqtt.bodies import DUPLICATE, READERS, Limits, read_connect, read_protocol, read_publish
from adapters.mqtt.fields import malformed
from adapters.mqtt.packets import Packet, ProtocolError, ReasonCode

_CONNECT = 1
_PUBLISH = 3
# Packet type to the flags it must have (section 2.1.3); what is missing is reserved or a server's to send.
_FLAGS = MappingProxyType({1: 0, 4: 0, 5: 0, 6: 2, 7: 0, 8: 2, 10: 2, 12: 0, 14: 0})


class Decoder:
    """One client's stream, cut into packets. It never holds more than it was fed since the last packet it gave out.

    `version` is 0 until a CONNECT said 3, 4 or 5; the first packet is a CONNECT and no other is. After a `ProtocolError` the
    stream is lost: asking again raises again.
    """

    __slots__ = ("_buffer", "_limits", "_offset", "version")

    def __init__(
        self, max_packet_bytes: int, *, max_topic_bytes: int = 1_024, user_properties: int = 32, filters: int = 64
    ) -> None:
        self._limits = Limits(
            packet_bytes=max_packet_bytes, topic_bytes=max_topic_bytes, user_properties=user_properties, filters=filters
        )
        self._buffer: bytes | bytearray = b""
        self._offset = 0
        self.version = 0

    @property
    def pending(self) -> int:
        """Return the number of bytes that were fed and not yet given out."""
        return len(self._buffer) - self._offset

    def rest(self) -> bytes:
        """Return the bytes that were fed and not yet given out, for somebody else to go on with."""
        return bytes(self._buffer[self._offset :])

    def feed(self, data: bytes) -> "Decoder":
        """Take bytes from the stream; iterate over the result for the packets they complete.

        A packet is decoded when it is asked for, so whoever stops asking leaves the rest as bytes. Iteration raises
        `ProtocolError`.
        """
        if self._offset == len(self._buffer):
            self._buffer = data
        else:
            rest = self._buffer if isinstance(self._buffer, bytearray) else bytearray(self._buffer)
            del rest[: self._offset]
            rest += data
            self._buffer = rest
        self._offset = 0
        return self

    def __iter__(self) -> Iterator[Packet]:
        return self

    def __next__(self) -> Packet:
        buffer, start = self._buffer, self._offset
        if start == len(buffer):
            raise StopIteration
        first = buffer[start]
        self._check_first(first)
        body_start, length = self._remaining_length(buffer, start + 1)
        end = body_start + length
        if not body_start or end > len(buffer):
            raise StopIteration
        packet = self._decode(first, bytes(buffer[body_start:end]))
        self._offset = end
        if end == len(buffer):
            self._buffer, self._offset = b"", 0
        return packet

    def _remaining_length(self, buffer: bytes | bytearray, at: int) -> tuple[int, int]:
        """Return where the body begins (0: not known yet) and its length (section 2.1.4); refuses before it is buffered."""
        length = 0
        for position, shift in enumerate((0, 7, 14, 21), at):
            if position >= len(buffer):
                return 0, 0
            byte = buffer[position]
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                if position - at + 2 + length > self._limits.packet_bytes:
                    raise ProtocolError(ReasonCode.PACKET_TOO_LARGE, "the packet is too large", bound="max_packet_bytes")
                return position + 1, length
        raise malformed("the remaining length has more than four bytes")

    def _check_first(self, first: int) -> None:
        """Refuse by the first byte alone what cannot become a packet."""
        kind, flags = first >> 4, first & 0x0F
        if (kind == _CONNECT) != (self.version == 0):
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "CONNECT is the first packet and comes once")
        if kind == _PUBLISH:
            if flags & 0x06 == 0x06:
                raise malformed("QoS 3")
            return
        expected = _FLAGS.get(kind)
        if expected is None:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"a client sends no packet of type {kind}")
        # MQTT 3.1 marks repeated SUBSCRIBE, UNSUBSCRIBE and PUBREL with DUP (its section 2.1).
        if flags != expected and not (self.version == 3 and expected and flags == expected | DUPLICATE):
            raise malformed("the reserved flags are wrong")

    def _decode(self, first: int, body: bytes) -> Packet:
        kind = first >> 4
        if kind == _PUBLISH:
            return read_publish(first, body, self.version, self._limits)
        if kind == _CONNECT:
            self.version, at = read_protocol(body)
            return read_connect(body, at, self.version, self._limits)
        return READERS[kind](body, self.version, self._limits)
