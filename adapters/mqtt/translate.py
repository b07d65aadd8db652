"""Outcomes to MQTT reason codes, for every packet that can carry one."""

from types import MappingProxyType

from adapters.exchange import Outcome, Success
from adapters.mqtt.packets import ReasonCode
from core.errors import Reason, Refusal, WrongSecret

STATUS: MappingProxyType[Outcome, ReasonCode] = MappingProxyType(
    {
        **dict.fromkeys(Success, ReasonCode.SUCCESS),
        Reason.MALFORMED: ReasonCode.PAYLOAD_FORMAT_INVALID,
        Reason.UNAUTHENTICATED: ReasonCode.NOT_AUTHORIZED,
        Reason.FORBIDDEN: ReasonCode.NOT_AUTHORIZED,
        Reason.NOT_FOUND: ReasonCode.TOPIC_NAME_INVALID,
        Reason.NOT_ALLOWED: ReasonCode.TOPIC_NAME_INVALID,
        Reason.CONFLICT: ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
        Reason.STALE: ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
        Reason.TOO_LARGE: ReasonCode.QUOTA_EXCEEDED,
        Reason.UNSUPPORTED: ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
        Reason.UNPROCESSABLE: ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
        Reason.MOVED: ReasonCode.TOPIC_NAME_INVALID,
        Reason.TOO_MANY: ReasonCode.QUOTA_EXCEEDED,
        Reason.UNAVAILABLE: ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
        Reason.INTERNAL: ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
    }
)
"""What PUBACK and DISCONNECT say of an outcome: only codes that both may carry (OASIS MQTT 5.0, sections 3.4.2.1, 3.14.2.1)."""

_NOT_AUTHORIZED = 5
IDENTIFIER_REJECTED = 2
"""The return code of 3.1 and 3.1.1 for a client identifier that is not welcome."""

_SERVER_UNAVAILABLE = 3
_BAD_PASSWORD = 4

# Version 5 code and the return code of 3.1 and 3.1.1 (MQTT 3.1.1, section 3.2.2.3) for a login that was refused. Unavailable
# (3) is what a device may try again; 4, which tells a bad password from a device that is not welcome, is for those logins alone
# whose vendor has it so (`WrongSecret`).
_LOGIN: MappingProxyType[Reason, tuple[ReasonCode, int]] = MappingProxyType(
    {
        Reason.MALFORMED: (ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, IDENTIFIER_REJECTED),
        Reason.UNAUTHENTICATED: (ReasonCode.BAD_USER_NAME_OR_PASSWORD, _NOT_AUTHORIZED),
        Reason.FORBIDDEN: (ReasonCode.NOT_AUTHORIZED, _NOT_AUTHORIZED),
        Reason.NOT_FOUND: (ReasonCode.NOT_AUTHORIZED, _NOT_AUTHORIZED),
        Reason.NOT_ALLOWED: (ReasonCode.NOT_AUTHORIZED, _NOT_AUTHORIZED),
        Reason.CONFLICT: (ReasonCode.NOT_AUTHORIZED, _NOT_AUTHORIZED),
        Reason.STALE: (ReasonCode.NOT_AUTHORIZED, _NOT_AUTHORIZED),
        Reason.TOO_LARGE: (ReasonCode.QUOTA_EXCEEDED, _NOT_AUTHORIZED),
        Reason.UNSUPPORTED: (ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR, _NOT_AUTHORIZED),
        Reason.UNPROCESSABLE: (ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR, _NOT_AUTHORIZED),
        Reason.MOVED: (ReasonCode.NOT_AUTHORIZED, _NOT_AUTHORIZED),
        Reason.TOO_MANY: (ReasonCode.CONNECTION_RATE_EXCEEDED, _SERVER_UNAVAILABLE),
        Reason.UNAVAILABLE: (ReasonCode.SERVER_UNAVAILABLE, _SERVER_UNAVAILABLE),
        Reason.INTERNAL: (ReasonCode.SERVER_UNAVAILABLE, _SERVER_UNAVAILABLE),
    }
)


def connack_code(refusal: Refusal, version: int, *, with_credentials: bool) -> int:
    """Return what CONNACK says of a refused login; without user name and password it is the client id that is not known."""
    if isinstance(refusal, WrongSecret):
        return ReasonCode.BAD_USER_NAME_OR_PASSWORD if version == 5 else _BAD_PASSWORD
    if refusal.reason is Reason.UNAUTHENTICATED and not with_credentials:
        return ReasonCode.CLIENT_IDENTIFIER_NOT_VALID if version == 5 else IDENTIFIER_REJECTED
    modern, classic = _LOGIN[refusal.reason]
    return modern if version == 5 else classic
