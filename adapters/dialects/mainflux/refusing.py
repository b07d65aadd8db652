"""How a refusal is answered: the generation's outcome, text and shape for it."""

from urllib.parse import quote

from adapters.dialects.mainflux.device import answer_topic
from adapters.dialects.mainflux.endpoint import DialectOptions
from adapters.dialects.mainflux.flavours import JSON, TEXT, Flavour, Shape
from adapters.dialects.mainflux.go_writing import Record, line, record
from adapters.dialects.mainflux.wording import DOCUMENTED, NO_PAGE, VALIDATION, Worded, natural
from adapters.exchange import Carrier, Inbound, Outbound, Outcome
from core.errors import Reason, Refusal

_SAFE = ":@!$&'()*+,;=-._~"  # what a path segment may hold as it is (RFC 3986, section 3.3)


def refuse(flavour: Flavour, options: DialectOptions, refusal: Refusal, inbound: Inbound) -> Outbound:
    """Write the answer to a refused request; a connection stays open."""
    worded = _worded(flavour, refusal, inbound.operation)
    body = _body(flavour, worded, refusal, inbound)
    return Outbound(
        outcome=_outcome(options, worded, refusal, inbound.operation),
        body=body,
        content_type=_content_type(flavour, worded, inbound) if body else None,
        headers=(("Location", _without_slash(inbound)),) if worded.outcome is Reason.MOVED else (),
        topic=answer_topic(inbound),
        form=inbound.form,
    )


def _worded(flavour: Flavour, refusal: Refusal, operation: str) -> Worded:
    table = flavour.wording
    return table.get((operation, refusal.check)) or table.get(("", refusal.check)) or natural(refusal.reason)


def _outcome(options: DialectOptions, worded: Worded, refusal: Refusal, operation: str) -> Outcome:
    documented = DOCUMENTED.get((operation, refusal.check)) if options.documented_codes else None
    return documented or worded.outcome


def _body(flavour: Flavour, worded: Worded, refusal: Refusal, inbound: Inbound) -> bytes:
    if worded.silent:
        return b""
    if worded.page and inbound.carrier is Carrier.HTTP:
        return f"{NO_PAGE}\n".encode()
    text = NO_PAGE if worded.page else refusal.detail if worded.text is None else worded.text
    if worded.lists:
        return line(record(*((name, None) for name in worded.lists), ("error", text)))
    cause, message = (text, VALIDATION) if worded.validation else (worded.cause, text)
    return line(_error(flavour.shape, text, cause, message))


def _error(shape: Shape, text: str, cause: str, message: str) -> Record:
    match shape:
        case Shape.ERROR:
            return record(("error", text))
        case Shape.MESSAGE:
            return record(("message", text))
        case _:
            return record(("error", cause), ("message", message))


def _content_type(flavour: Flavour, worded: Worded, inbound: Inbound) -> str:
    """Name the type of a body; what two generations announce wrongly over HTTP is JSON elsewhere."""
    if inbound.carrier is not Carrier.HTTP or worded.lists:
        return JSON
    return TEXT if worded.page else flavour.error_type


def _without_slash(inbound: Inbound) -> str:
    segments = inbound.segments or tuple(inbound.path.split("/"))
    path = "/".join(quote(segment, safe=_SAFE, errors="replace") for segment in segments[:-1])
    return f"{path}?{inbound.raw_query}" if inbound.raw_query else path
