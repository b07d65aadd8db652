"""How a document of this dialect is put on the wire: JSON, or CBOR where it is asked for, and its topic over MQTT."""

from typing import Any, Final

import cbor2
import msgspec

from adapters.exchange import Carrier, Inbound, Outbound, Outcome

JSON: Final = "application/json"
CBOR: Final = "application/cbor"
ASKED: Final = "/request"
ANSWERED: Final = "/response"
_ANY_TYPE = frozenset({"*/*", "application/*"})


def answer(outcome: Outcome, document: Any, inbound: Inbound) -> Outbound:
    """Answer with a document, a struct or what msgspec takes for one. A connection stays open."""
    cbor = wants_cbor(inbound)
    return Outbound(
        outcome=outcome,
        body=cbor2.dumps(msgspec.to_builtins(document)) if cbor else msgspec.json.encode(document),
        content_type=CBOR if cbor else JSON,
        topic=answer_topic(inbound),
        form=inbound.form,
    )


def answer_topic(inbound: Inbound) -> str | None:
    """Return where a request over MQTT is answered."""
    if inbound.carrier is not Carrier.MQTT or not inbound.path.endswith(ASKED):
        return None
    return inbound.path.removesuffix(ASKED) + ANSWERED


def media_type(inbound: Inbound) -> str:
    """Return the media type of a request's body without its parameters, in lower case; empty where it does not say."""
    return (inbound.content_type or "").partition(";")[0].strip().lower()


def wants_cbor(inbound: Inbound) -> bool:
    """Tell whether CBOR is accepted before anything that JSON satisfies, or is what the request itself is in.

    `Accept` is read in its own order, without weights (RFC 9110, section 12.5.1). Over HTTP, where the vendor knows JSON
    alone, it has to be asked for there.
    """
    types = [part.partition(";")[0].strip().lower() for part in inbound.headers.get("accept", "").split(",")]
    known = [name for name in types if name in (CBOR, JSON) or name in _ANY_TYPE]
    if known:
        return known[0] == CBOR
    return inbound.carrier is not Carrier.HTTP and media_type(inbound) == CBOR
