"""What refusals are called on the wire: one table of codes, messages and outcomes for devices and applications alike.

Sources: EnOS Device Provisioning Service, "Bootstrap Device" and the common error codes of its application API. Where these
are silent the outcome is ours, and so are the rows without a page.
"""

from types import MappingProxyType
from typing import Any, Final

import msgspec

from adapters.dialects.enos.representation import answer
from adapters.exchange import Inbound, Outbound, Outcome, Success
from core.errors import Reason, Refusal
from core.registration import Withheld

SUCCEEDED: Final = 0
"""The code of what is granted."""

_ARGUMENT, _STATE, _TENANT, _ABSENT, _BUSY, _INTERNAL, _PROOF, _PERMISSION = (
    *(99400, 10000, 35400, 35404),
    *(35429, 35500, 35601, 35603),
)
_NOT_PERMITTED: Final = "Unauthorized to access the resource"
_INVALID: Final = "Invalid Argument {detail}"
_NOT_THE_VENDORS: Final = frozenset({"request.path", "request.method"})


class InvalidArgument(Refusal):
    """A member of a request is not what it has to be: its name as the sender wrote it, and why."""

    def __init__(self, field: str, fault: str, *, check: str = "body.field") -> None:
        super().__init__(Reason.MALFORMED, f"{field}:{fault}", check=check)


def missing(field: str) -> InvalidArgument:
    """Make the refusal of a request without a member that it has to have, or with an empty one."""
    return InvalidArgument(field, f"{field} is missing")


class Fault(msgspec.Struct, frozen=True):
    """What a refusal is called: `{detail}` and `{serial}` in a message stand for the refusal's own."""

    code: int
    msg: str
    outcome: Outcome


class Envelope(msgspec.Struct, frozen=True):
    """What every answer of the application API, and every error, comes in; `requestId` is the request's correlation id."""

    code: int
    msg: str
    requestId: str  # noqa: N815 - the member's name on the wire
    data: Any = None


class _SessionEnvelope(msgspec.Struct, frozen=True):
    """An error of the session service, which calls its message by another name; it has both."""

    code: int
    msg: str
    message: str
    requestId: str  # noqa: N815 - the member's name on the wire
    data: None = None


WITHHELD: Final = MappingProxyType(
    {
        Reason.CONFLICT: Fault(_STATE, "[{serial}] not allocated", Reason.CONFLICT),
        Reason.FORBIDDEN: Fault(_STATE, "[{serial}] discarded", Reason.FORBIDDEN),
    }
)
"""The refusals of a device that proved itself, by their reason: it waits for an operator, or is out of service."""

BY_CHECK: Final = MappingProxyType(
    {
        "sub.not_gateway": Fault(_ARGUMENT, "Invalid Argument sub:self is not a gateway", Reason.MALFORMED),
        "session.lifetime": Fault(_ARGUMENT, "Invalid Argument lifetime:no number of milliseconds", Reason.MALFORMED),
        "content.type": Fault(_ARGUMENT, "Invalid Argument Content-Type:{detail}", Reason.UNSUPPORTED),
        "organization.missing": Fault(_TENANT, "OrgId is required", Reason.MALFORMED),
        "profile.unknown": Fault(_ABSENT, "Group not found", Reason.NOT_FOUND),
        "device.unknown": Fault(_ABSENT, "sn not found", Reason.NOT_FOUND),
        "device_serial": Fault(_PROOF, "Illegal deviceSn, deviceSn duplicated", Reason.CONFLICT),
        "serial.count": Fault(_ARGUMENT, "count of PvsDeviceCreateInfo must between 1 to 1000000", Reason.MALFORMED),
        "serial.other_group": Fault(
            _TENANT, "Target device and replacement device should belong to the same group", Reason.MALFORMED
        ),
        "serial.allocated": Fault(_PERMISSION, "Replacement device is allocated", Reason.FORBIDDEN),
    }
)
"""The refusals that have a name of their own, by the check that refused."""

BY_REASON: Final = MappingProxyType(
    {
        Reason.MALFORMED: Fault(_ARGUMENT, _INVALID, Reason.MALFORMED),
        Reason.UNAUTHENTICATED: Fault(_PROOF, "Verify not pass", Reason.UNAUTHENTICATED),
        Reason.FORBIDDEN: Fault(_PERMISSION, _NOT_PERMITTED, Reason.FORBIDDEN),
        Reason.NOT_FOUND: Fault(_ABSENT, "Not found", Reason.NOT_FOUND),
        Reason.NOT_ALLOWED: Fault(_ARGUMENT, "Invalid Argument method:{detail}", Reason.NOT_ALLOWED),
        Reason.CONFLICT: Fault(_STATE, "{detail}", Reason.CONFLICT),
        Reason.STALE: Fault(_STATE, "{detail}", Reason.STALE),
        Reason.TOO_LARGE: Fault(_ARGUMENT, "Invalid Argument body:{detail}", Reason.TOO_LARGE),
        Reason.UNSUPPORTED: Fault(_ARGUMENT, _INVALID, Reason.UNSUPPORTED),
        Reason.UNPROCESSABLE: Fault(_ARGUMENT, _INVALID, Reason.UNPROCESSABLE),
        Reason.MOVED: Fault(_ABSENT, "Not found", Reason.NOT_FOUND),
        Reason.TOO_MANY: Fault(_BUSY, "Too many requests", Reason.TOO_MANY),
        Reason.UNAVAILABLE: Fault(_INTERNAL, "Service unavailable", Reason.UNAVAILABLE),
        Reason.INTERNAL: Fault(_INTERNAL, "Internal error", Reason.INTERNAL),
    }
)
"""All others, by their reason."""


def fault(refusal: Refusal) -> Fault:
    """Return what a refusal is called, its message filled in."""
    if isinstance(refusal, Withheld):
        return _filled(WITHHELD[refusal.reason], "{serial}", refusal.serial)
    called, detail = BY_CHECK.get(refusal.check) or BY_REASON[refusal.reason], refusal.detail
    if called.msg == _INVALID and not isinstance(refusal, InvalidArgument):
        detail = f"request:{detail}"
    return _filled(called, "{detail}", detail)


def _filled(called: Fault, place: str, text: str) -> Fault:
    return Fault(called.code, called.msg.replace(place, text), called.outcome)


def refuse(refusal: Refusal, inbound: Inbound, *, always_200: bool = False, session: bool = False) -> Outbound:
    """Write the answer to a refused request; it never has a member `ds`, which devices take for success.

    `always_200` is for firmware that does not read the body of another status: all but a wrong path and method are then OK.
    """
    called = fault(refusal)
    outcome = Success.OK if always_200 and refusal.check not in _NOT_THE_VENDORS else called.outcome
    envelope: Envelope | _SessionEnvelope = Envelope(called.code, called.msg, inbound.correlation)
    if session:
        envelope = _SessionEnvelope(called.code, called.msg, called.msg, inbound.correlation)
    return answer(outcome, envelope, inbound)


def granted(document: Any, inbound: Inbound) -> Outbound:
    """Write the answer of the application API to a granted request."""
    return answer(Success.OK, Envelope(SUCCEEDED, "OK", inbound.correlation, document), inbound)
