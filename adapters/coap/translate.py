"""Between CoAP's numbers and neutral words: methods, response codes, content formats, paths and queries."""

import math
from collections.abc import Mapping
from types import MappingProxyType

from aiocoap import Message
from aiocoap.numbers.codes import Code
from aiocoap.numbers.constants import TransportTuning
from aiocoap.numbers.optionnumbers import OptionNumber
from aiocoap.options import Options
from aiocoap.optiontypes import ContentFormatOption

from adapters.exchange import NOTHING, Carrier, Inbound, Outbound, Outcome, Peer, Success
from core.errors import Reason
from core.messages import Identity

STATUS: Mapping[Outcome, Code] = MappingProxyType(
    {
        Success.OK: Code.CONTENT,
        Success.CREATED: Code.CREATED,
        Success.CHANGED: Code.CHANGED,
        Success.DELETED: Code.DELETED,
        Success.ACCEPTED: Code.CHANGED,
        Success.UNCHANGED: Code.VALID,
        Reason.MALFORMED: Code.BAD_REQUEST,
        Reason.UNAUTHENTICATED: Code.UNAUTHORIZED,
        Reason.FORBIDDEN: Code.FORBIDDEN,
        Reason.NOT_FOUND: Code.NOT_FOUND,
        Reason.NOT_ALLOWED: Code.METHOD_NOT_ALLOWED,
        Reason.CONFLICT: Code.CONFLICT,
        Reason.STALE: Code.PRECONDITION_FAILED,
        Reason.TOO_LARGE: Code.REQUEST_ENTITY_TOO_LARGE,
        Reason.UNSUPPORTED: Code.UNSUPPORTED_CONTENT_FORMAT,
        Reason.UNPROCESSABLE: Code.UNPROCESSABLE_ENTITY,
        Reason.MOVED: Code.NOT_FOUND,  # CoAP has no word for it
        Reason.TOO_MANY: Code.TOO_MANY_REQUESTS,
        Reason.UNAVAILABLE: Code.SERVICE_UNAVAILABLE,
        Reason.INTERNAL: Code.INTERNAL_SERVER_ERROR,
    }
)
"""The response code of every outcome (RFC 7252 section 5.9, RFC 8132 section 6, RFC 8516)."""

MEDIA_TYPES: Mapping[int, str] = MappingProxyType(
    {0: "text/plain", 42: "application/octet-stream", 50: "application/json", 60: "application/cbor", 286: "application/pkcs10"}
)
"""The content formats that are understood (RFC 7252 section 12.3; RFC 8949 for CBOR)."""

ANNOUNCED: Mapping[str, ContentFormatOption] = MappingProxyType(
    {name: OptionNumber.CONTENT_FORMAT.create_option(value=number) for number, name in MEDIA_TYPES.items()}
)
"""The option that says so of an answer. aiocoap makes another one where it is to be changed, so answers may share it."""

METHODS: Mapping[int, str] = MappingProxyType({code: code.name.upper() for code in Code if code.is_request()})
RETRYABLE = frozenset({Code.SERVICE_UNAVAILABLE, Code.TOO_MANY_REQUESTS})
TUNING = TransportTuning()  # one for all messages: each would otherwise make its own
MAX_AGE_LIMIT = 2**32 - 1  # RFC 7252, section 5.10.5
READING = frozenset({Code.GET, Code.FETCH})  # what an entity tag in a request is for (RFC 7252 section 5.10.6.2, RFC 8132)
TAGGED = frozenset({Code.CONTENT, Code.VALID})
MAX_HELD = 8  # entity tags of a request that are looked at; the option is elective, so the others may be ignored


def inbound(message: Message, peer: Peer, body: bytes | None = None, identity: Identity | None = None) -> Inbound:
    """Return the neutral form of a decoded request; `body` stands in for its payload where blocks were joined.

    `identity` is the device that the transport, or the message itself, proved. Of two query options with one name the later one
    counts; one without `=` has an empty value. Entity tags count where the method reads, the first `MAX_HELD` of them.
    """
    options = message.opt
    accept, content_format, query, segments = options.accept, options.content_format, options.uri_query, options.uri_path
    return Inbound(
        carrier=Carrier.COAP,
        method=METHODS.get(message.code, ""),
        path="/" + "/".join(segments),
        segments=("", *segments) if "/" in "".join(segments) else (),
        peer=peer,
        query=dict(_pair(item) for item in query) if query else NOTHING,
        headers=NOTHING if accept is None else {"accept": MEDIA_TYPES[accept]},
        content_type=None if content_format is None else MEDIA_TYPES[content_format],
        body=message.payload if body is None else body,
        identity=identity,
        held=tuple(tag.hex() for tag in options.etags[:MAX_HELD]) if message.code in READING else (),
        repeat_key="" if message.code in READING else _repeat_key(options),
    )


def _repeat_key(options: Options) -> str:
    """Return the tag of a request that is all in one message: of blocks it tells which belong together (RFC 9175, section 3).

    Bytes that are no ASCII text count as their hex digits.
    """
    tags = options.get_option(OptionNumber.REQUEST_TAG)
    if len(tags) != 1 or options.block1 is not None:
        return ""
    tag = tags[0].value
    return tag.decode("ascii") if all(0x21 <= byte < 0x7F for byte in tag) else f"0x{tag.hex()}"


def _pair(item: str) -> tuple[str, str]:
    name, _, value = item.partition("=")
    return name, value


def outbound(answer: Outbound) -> Message:
    """Return the response message of an answer, whole.

    A media type without a content format number is not announced. `retry_after` becomes Max-Age, in whole seconds, where the
    code allows it (RFC 7252 section 5.9.3.4, RFC 8516). 2.03 has no payload (RFC 7252, section 5.9.1.3); it and 2.05 have the
    entity tag.
    """
    code = STATUS[answer.outcome]
    message = Message(code=code, payload=b"" if code is Code.VALID else answer.body, transport_tuning=TUNING)
    if answer.content_type is not None and message.payload:
        option = ANNOUNCED.get(answer.content_type.partition(";")[0].strip().lower())
        if option is not None:
            message.opt.add_option(option)
    if answer.etag and code in TAGGED:
        message.opt.etag = bytes.fromhex(answer.etag)
    if answer.retry_after is not None and code in RETRYABLE:
        message.opt.max_age = min(math.ceil(max(answer.retry_after, 0)), MAX_AGE_LIMIT)
    return message
