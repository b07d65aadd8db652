"""How a refusal looks: one object with what each generation of clients reads.

Scripts and Android read `error.message`, Android `error.code` as a string, the web client `error.details[0].message`. Of the
codes 21 alone is the vendor's.
"""

import re
from typing import Any, Final

import msgspec

from adapters.dialects.xively import associating, login
from adapters.dialects.xively.faults import NO_TARGET, Fault
from adapters.exchange import Inbound, Outbound
from core.errors import Guard, Reason, Refusal

JSON: Final = "application/json"
NO_STORE: Final = ("Cache-Control", "no-store")

_CHALLENGE: Final = ("WWW-Authenticate", "Bearer")  # RFC 6750, section 3
_NOT_ALLOWED, _CANNOT_ASSOCIATE, _WRONG_METHOD, _IN_USE = 21, 30, 31, 32
_NO_VERSION, _OTHER_VERSION = 11, 12
_CODES: Final = {
    Reason.MALFORMED: 10,
    Reason.STALE: _OTHER_VERSION,
    Reason.NOT_ALLOWED: 13,
    Reason.TOO_LARGE: 14,
    Reason.UNSUPPORTED: 15,
    Reason.UNAUTHENTICATED: 20,
    Reason.FORBIDDEN: _NOT_ALLOWED,
    Reason.NOT_FOUND: 22,
    Reason.MOVED: 22,
    Reason.CONFLICT: 33,
    Reason.UNPROCESSABLE: 34,
    Reason.TOO_MANY: 40,
    Reason.INTERNAL: 50,
    Reason.UNAVAILABLE: 51,
}
"""The code of each reason where no check says more."""

_SENTENCES: Final = {
    _NOT_ALLOWED: "You are not allowed to perform this action",
    _OTHER_VERSION: "Version mismatch",
}
_MEMBERS: Final = {"login": "emailAddress", "serial": "serialNumber"}
_PLACE = re.compile(r"([A-Za-z_][\w-]{0,254}): ")


def refuse(refusal: Refusal, inbound: Inbound) -> Outbound:
    """Write the answer to a refused request."""
    refusal = as_told(refusal)
    unknown = refusal.reason is Reason.UNAUTHENTICATED
    if unknown and inbound.operation == login.OPERATION:
        body = login.refuse(refusal.detail)
    else:
        body = msgspec.json.encode(error(refusal, inbound.operation))
    return Outbound(
        outcome=refusal.reason,
        body=body,
        content_type=JSON,
        headers=(NO_STORE, _CHALLENGE) if unknown else (NO_STORE,),
        retry_after=refusal.retry_after,
    )


def error(refusal: Refusal, operation: str) -> dict[str, Any]:
    """Return the error object of a refused operation."""
    refusal = as_told(refusal)
    code = _code(refusal, operation)
    message = _SENTENCES.get(code, refusal.detail)
    detail = {"code": code, "message": message, "target": _target(refusal)}
    return {"error": {"code": str(code), "message": message, "innerError": None, "details": [detail]}}


def as_told(refusal: Refusal) -> Refusal:
    """Return a refusal as its sender may know it: an account that is not there is as forbidden as one of others."""
    if refusal.check != "tenant.unknown":
        return refusal
    return Refusal(Reason.FORBIDDEN, refusal.detail, check=refusal.check)


def _code(refusal: Refusal, operation: str) -> int:
    """Return the code of a refusal; the name of its check says more than its reason."""
    match refusal.reason:
        case Reason.MALFORMED if refusal.check == "etag.missing":
            return _NO_VERSION
        case Reason.UNPROCESSABLE if operation in (associating.OFFER, associating.ASSOCIATE):
            return _CANNOT_ASSOCIATE
        case Reason.UNPROCESSABLE if refusal.check.startswith(("credential.", "certificate.")):
            return _WRONG_METHOD
        case Reason.CONFLICT if refusal.check == Guard.CREDENTIAL_LOOKUP.value:
            return _IN_USE
        case _:
            return _CODES[refusal.reason]


def _target(refusal: Refusal) -> str:
    """Return the member at fault, which sentences of the core begin with."""
    if isinstance(refusal, Fault):
        return refusal.target
    if refusal.check == "device.field_missing":
        return refusal.detail.rpartition(": ")[0]
    place = _PLACE.match(refusal.detail) if refusal.reason is Reason.MALFORMED else None
    return _MEMBERS.get(place[1], place[1]) if place else NO_TARGET
