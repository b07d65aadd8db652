"""From a screened datagram to a request: a strict walk over the options, and a message of those that are understood.

aiocoap keeps every option number and content format it has ever met, and takes options of any length and number. So the walk
is ours (RFC 7252, section 3.1), and only what passed it becomes an aiocoap message.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec
from aiocoap import Message
from aiocoap.message import Direction
from aiocoap.numbers.codes import Code
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.optiontypes import OptionType

from adapters.coap.config import CoapConfig
from adapters.coap.fault import Fault
from adapters.coap.remote import Remote
from adapters.coap.screening import message_id
from adapters.coap.seal import Seal
from adapters.coap.translate import MEDIA_TYPES, TUNING
from adapters.exchange import Peer
from core.errors import Reason
from core.messages import Identity

PAYLOAD_MARKER = 0xFF
MAX_OPTION_NUMBER = 0xFFFF  # RFC 7252, section 12.2
PROXY_OPTIONS = frozenset({OptionNumber.PROXY_URI, OptionNumber.PROXY_SCHEME})
METHODS = frozenset(range(Code.GET, Code.iPATCH + 1))
DOTS = frozenset({b".", b".."})  # RFC 7252, section 5.10.1


class Shape(NamedTuple):
    """How long an option's value may be, in bytes, and whether it may come more than once."""

    number: OptionNumber
    shortest: int
    longest: int
    repeatable: bool = False


SHAPES = (
    Shape(OptionNumber.URI_HOST, 1, 255),
    Shape(OptionNumber.ETAG, 1, 8, repeatable=True),
    Shape(OptionNumber.OBSERVE, 0, 3),
    Shape(OptionNumber.URI_PORT, 0, 2),
    Shape(OptionNumber.OSCORE, 0, 255),
    Shape(OptionNumber.URI_PATH, 0, 255, repeatable=True),
    Shape(OptionNumber.CONTENT_FORMAT, 0, 2),
    Shape(OptionNumber.URI_QUERY, 0, 255, repeatable=True),
    Shape(OptionNumber.ACCEPT, 0, 2),
    Shape(OptionNumber.BLOCK2, 0, 3),
    Shape(OptionNumber.BLOCK1, 0, 3),
    Shape(OptionNumber.SIZE1, 0, 4),
    Shape(OptionNumber.ECHO, 1, 40),
    Shape(OptionNumber.NO_RESPONSE, 0, 1),
    Shape(OptionNumber.REQUEST_TAG, 0, 8, repeatable=True),
)
"""The options that are understood, by RFC 7252 table 4, RFC 7641 section 2, RFC 7959 table 1, RFC 9175 table 1,
RFC 7967 table 1 and RFC 8613 section 2.

If-Match and If-None-Match are absent: a precondition that nobody checks must be refused, and being critical it is.
"""

UNDERSTOOD: Mapping[int, Shape] = MappingProxyType({int(shape.number): shape for shape in SHAPES})
FORMS: Mapping[int, Callable[[OptionNumber], OptionType]] = MappingProxyType(
    {int(shape.number): shape.number.format for shape in SHAPES}
)
URI_PATH, URI_QUERY, ACCEPT = int(OptionNumber.URI_PATH), int(OptionNumber.URI_QUERY), int(OptionNumber.ACCEPT)
FORMATS = frozenset({int(OptionNumber.CONTENT_FORMAT), ACCEPT})
OSCORE = int(OptionNumber.OSCORE)
ENCRYPTED = frozenset({1, 4, 5, 8, URI_PATH, 12, URI_QUERY, ACCEPT, 20})
"""Options that count inside a protected message alone; outside of one they are discarded (RFC 8613, figure 5, section 8.2)."""


class FormatError(Exception):
    """A datagram that is no CoAP message; the text names the bound."""


class Request(msgspec.Struct, frozen=True):
    """A request as it came: the message (an aiocoap `Message`), who sent it, its size in bytes, and what is wrong with it.

    `seal` is there where the message was protected by itself. `whole` is how many bytes of a body its sender takes at once
    where it does not ask for blocks; None: as much as fits a datagram.
    """

    message: Message
    remote: Remote
    size: int
    fault: Fault | None = None
    seal: Seal | None = None
    whole: int | None = None

    @property
    def peer(self) -> Peer:
        """Return the sender in neutral words."""
        peer = self.remote.peer
        return peer if self.seal is None else msgspec.structs.replace(peer, secure=True)

    @property
    def identity(self) -> Identity | None:
        """Return the device that is known to have sent it."""
        return self.remote.identity if self.seal is None else self.seal.identity


def decode(datagram: bytes, remote: Remote, config: CoapConfig) -> Request:
    """Read a request that passed `screen`. Raises `FormatError`, and nothing else whatever the bytes are.

    A request that is well formed but cannot be granted comes back with its `fault`, and with the options that are in order.
    """
    start = 4 + (datagram[0] & 15)
    if start > len(datagram):
        raise FormatError("coap.malformed")
    request = read(datagram[1], datagram[4:start], datagram, start, remote, config)
    request.message.mid = message_id(datagram)
    return request


def read(code: int, token: bytes, raw: bytes, start: int, remote: Remote, config: CoapConfig) -> Request:
    """Read the options and the payload of a request that begin at `start`, whatever they came in. Raises `FormatError`."""
    options, payload = walk(raw, start, config.max_options)
    message = Message(code=code, payload=payload, transport_tuning=TUNING)
    message.direction = Direction.INCOMING
    message.token = token
    message.remote = remote
    if any(number == OSCORE for number, _ in options):
        options = [option for option in options if option[0] not in ENCRYPTED]
    fault = None if code in METHODS else _fault(Code.METHOD_NOT_ALLOWED, "coap.method", "unknown method")
    return Request(message, remote, len(raw), _adopt(message, options, config) or fault)


def walk(datagram: bytes, position: int, max_options: int) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the options from `position` on as pairs of number and value, and the payload. Raises `FormatError`."""
    options: list[tuple[int, bytes]] = []
    number, end = 0, len(datagram)
    while position < end:
        head = datagram[position]
        if head == PAYLOAD_MARKER:
            if position + 1 == end:
                raise FormatError("coap.malformed")
            return options, datagram[position + 1 :]
        delta, position = _extended(datagram, head >> 4, position + 1)
        length, position = _extended(datagram, head & 15, position)
        number += delta
        if position + length > end or number > MAX_OPTION_NUMBER:
            raise FormatError("coap.malformed")
        if len(options) == max_options:
            raise FormatError("coap.options")
        options.append((number, datagram[position : position + length]))
        position += length
    return options, b""


def _extended(datagram: bytes, nibble: int, position: int) -> tuple[int, int]:
    if nibble < 13:
        return nibble, position
    size = nibble - 12
    if nibble == 15 or position + size > len(datagram):
        raise FormatError("coap.malformed")
    value = int.from_bytes(datagram[position : position + size], "big")
    return value + (13 if size == 1 else 269), position + size


def _adopt(message: Message, options: list[tuple[int, bytes]], config: CoapConfig) -> Fault | None:
    """Put what is understood into the message; return what is wrong, a fault in the path before any other.

    A value of a wrong length, and an option that came once too often, is as one not understood (RFC 7252, section 5.4).
    """
    fault = None
    path_bytes = query_bytes = queries = 0
    previous = -1
    for number, value in options:
        size = len(value)
        shape = UNDERSTOOD.get(number)
        if shape is None or not shape.shortest <= size <= shape.longest or (number == previous and not shape.repeatable):
            fault = fault or _not_understood(number)
            continue
        previous = number
        if number == URI_PATH:
            path_bytes += size + 1
        elif number == URI_QUERY:
            query_bytes += size
            queries += 1
        fault = _add(message, shape.number, value) or fault
    if path_bytes > config.max_path_bytes:
        return _fault(Code.BAD_REQUEST, "coap.path", "path too long", recorded=False)
    if query_bytes > config.max_query_bytes or queries > config.max_query_options:
        return fault or _fault(Code.BAD_REQUEST, "coap.query", "query too long")
    return fault


def _not_understood(number: int) -> Fault | None:
    if number in PROXY_OPTIONS:
        return Fault(Code.PROXYING_NOT_SUPPORTED, Reason.UNSUPPORTED, "coap.proxy", "this server is no proxy", recorded=False)
    if number & 1:  # critical, RFC 7252, section 5.4.6
        return Fault(Code.BAD_OPTION, Reason.UNSUPPORTED, "coap.critical_option", f"option {number} not understood")
    return None


def _add(message: Message, number: OptionNumber, value: bytes) -> Fault | None:
    if number == URI_PATH and value in DOTS:
        return _fault(Code.BAD_REQUEST, "coap.path", "path segment not allowed", recorded=False)
    if number in FORMATS and int.from_bytes(value, "big") not in MEDIA_TYPES:
        # Content-Format is elective, so an unknown one counts as none; Accept is critical (RFC 7252, section 5.10.4).
        return _not_acceptable() if number == ACCEPT else None
    # What `OptionNumber.create_option` does, but for looking up the form each time: 0.2 of 1.5 microseconds for an option.
    option = FORMS[number](number)
    try:
        option.decode(value)
    except UnicodeDecodeError:
        return _fault(Code.BAD_REQUEST, "coap.text", "option is not UTF-8", recorded=number != URI_PATH)
    message.opt.add_option(option)
    return None


def _not_acceptable() -> Fault:
    return Fault(Code.NOT_ACCEPTABLE, Reason.UNSUPPORTED, "coap.accept", "no answer in the accepted content format")


def _fault(code: Code, bound: str, detail: str, *, recorded: bool = True) -> Fault:
    reason = Reason.NOT_ALLOWED if code == Code.METHOD_NOT_ALLOWED else Reason.MALFORMED
    return Fault(code, reason, bound, detail, recorded=recorded)
