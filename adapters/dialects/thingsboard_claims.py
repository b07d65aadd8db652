"""ThingsBoard's claiming: what a device or gateway announces, and what a user claims and gives up.

See https://thingsboard.io/docs/user-guide/claiming-devices/ and the reference server's `ClaimDevicesServiceImpl`.

Departures from the reference server:
- A device's metadata stands for its server attributes: `claimingAllowed` and `claimingData` are members of it, which operators
  write. Claiming is allowed by default; the option `thingsboard-claiming-off` of a profile turns that round for its devices.
- An announcement lasts 30 days at most. One of a gateway counts only for devices that exist: for itself, for those whose
  metadata names its id under `gateway_id`, and for those of its own profile that name no gateway and never came by themselves.
  Whatever can be let in can call itself a gateway, so that word alone opens no other device.
- An announcement takes no code away that an operator drew for the device, and a wrong secret drops no such code.
- A user is whoever has a bearer token that allows it, in `X-Authorization` or `Authorization`; the customer is the user's
  organisation, and for a token that is no user's the tenant's own.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from adapters.dialects.thingsboard_json import UNPARSED, bad_field, text
from adapters.exchange import Carrier, Inbound, Outbound, Success
from core.associate import ClaimingTerms
from core.errors import Reason, Refusal
from core.messages import AnnounceClaims, ClaimNotice, Identity, Login
from core.model import Device, Secret
from core.operate.associating import Associated, ClaimDevice, GiveUpDevice
from core.operate.directory import own_organization
from core.operate.messages import Operation, Unreadable

ANNOUNCE, ANNOUNCE_BEHIND = "claim", "gateway_claim"
CLAIM, GIVE_UP = "claim_device", "give_up_device"
OF_USERS: Final = frozenset({CLAIM, GIVE_UP})
USER_PATH: Final = "/api/customer/device/{deviceName}/claim"
CLAIMING_OFF: Final = "thingsboard-claiming-off"
TERMS: Final = ClaimingTerms(
    closed=CLAIMING_OFF,
    allowed="claimingAllowed",
    announced="claimingData",
    secret="secretKey",  # noqa: S106 - the name of a member, no secret
    expires_at="expirationTime",
    gateway="gateway",
    gateway_id="gateway_id",
)

_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NUMBER = re.compile(r"-?[0-9]{1,30}(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?")  # as small devices write 8.64e+07
_BEARER = "bearer "
_HEADERS = ("x-authorization", "authorization")
_FAILURES = {"association.secret": b'"FAILURE"', "association.state": b'"FAILURE"', "association.owned": b'"CLAIMED"'}
_ERRORS = {
    Reason.MALFORMED: (400, 31),
    Reason.UNAUTHENTICATED: (401, 10),
    Reason.FORBIDDEN: (403, 20),
    Reason.NOT_FOUND: (404, 32),
    Reason.NOT_ALLOWED: (405, 2),
    Reason.CONFLICT: (409, 35),
    Reason.TOO_LARGE: (413, 2),
    Reason.TOO_MANY: (429, 33),
    Reason.UNAVAILABLE: (503, 2),
}
"""Status and code of the error object (`ThingsboardErrorCode`)."""


class EntityId(msgspec.Struct, frozen=True, rename="camel"):
    """An id with the kind of thing that it is the id of."""

    entity_type: str
    id: str


class DeviceObject(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A device as users see it; `type` is the id of its profile, as the profile's name is not told to them."""

    id: EntityId
    created_time: int
    tenant_id: EntityId
    customer_id: EntityId
    name: str
    type: str
    label: str
    device_profile_id: EntityId
    additional_info: dict[str, Any]
    version: int


class Claimed(msgspec.Struct, frozen=True):
    """The answer to a user whose secret was right."""

    device: DeviceObject
    response: str = "SUCCESS"


def read_announcement(who: Login | Identity, operation: str, inbound: Inbound) -> AnnounceClaims:
    """Read what a device or gateway announces. Raises `Refusal` MALFORMED."""
    if operation == ANNOUNCE_BEHIND:
        notices = tuple(_notice(_object(raw), name) for name, raw in _object(inbound.body).items())
    elif not inbound.body and inbound.carrier is not Carrier.COAP:
        notices = (ClaimNotice(),)
    else:
        notices = (_notice(_object(inbound.body), None),)
    return AnnounceClaims(who, notices)


def read_command(operation: str, inbound: Inbound) -> Operation:
    """Read what a user asks; what is wrong with it is told to who proves to be one."""
    bearer = _bearer(inbound.headers)
    try:
        return Operation(bearer, None, _command(operation, inbound))
    except Refusal as refusal:
        return Operation(bearer, None, Unreadable(refusal))


def write(result: Associated | Device) -> Outbound:
    """Write the answer to a user."""
    if not isinstance(result, Associated):
        return Outbound(outcome=Success.OK)
    body = msgspec.json.encode(Claimed(_shown(result.device)))
    return Outbound(outcome=Success.OK, body=body, content_type="application/json")


def refuse(refusal: Refusal, inbound: Inbound) -> Outbound:
    """Write the answer to a user who is refused. A device that is nobody's is given up already."""
    if refusal.check == "device.not_associated":
        return Outbound(outcome=Success.OK)
    failure = _FAILURES.get(refusal.check)
    if failure is not None:
        return Outbound(outcome=Reason.MALFORMED, body=failure, content_type="application/json")
    status, code = _ERRORS.get(refusal.reason, (0, 0))
    if not status:
        return Outbound(outcome=refusal.reason)
    error = {"status": status, "message": refusal.detail, "errorCode": code, "timestamp": inbound.received_at}
    return Outbound(outcome=refusal.reason, body=msgspec.json.encode(error), content_type="application/json")


def _command(operation: str, inbound: Inbound) -> ClaimDevice | GiveUpDevice:
    name = _name(inbound.params["deviceName"])
    if operation == GIVE_UP:
        return GiveUpDevice(f"name:{name}")
    fields = _object(inbound.body) if inbound.body else {}
    return ClaimDevice(name=name, secret=_secret(fields))


def _name(written: str) -> str:
    """Return a name as the registry can look for it."""
    try:
        written.encode()
    except UnicodeEncodeError as error:
        raise bad_field("the device name is not UTF-8") from error
    return written


def _notice(fields: Mapping[str, msgspec.Raw], name: str | None) -> ClaimNotice:
    return ClaimNotice(device_name=name, secret=_secret(fields), duration_ms=_duration(fields))


def _secret(fields: Mapping[str, msgspec.Raw]) -> Secret:
    found = text(fields["secretKey"], "secretKey") if "secretKey" in fields else None
    return Secret(found or "")


def _duration(fields: Mapping[str, msgspec.Raw]) -> int | None:
    found = text(fields["durationMs"], "durationMs") if "durationMs" in fields else None
    if found is None:
        return None
    if _NUMBER.fullmatch(found) is None:
        raise bad_field("durationMs is not a number")
    return int(Decimal(found))


def _object(body: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    try:
        return _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Refusal(Reason.MALFORMED, "the body is not a JSON object", check=UNPARSED) from error


def _bearer(headers: Mapping[str, str]) -> Secret:
    """Return the bearer token (RFC 6750, section 2.1), in the vendor's own header first; empty where there is none."""
    for name in _HEADERS:
        credentials = headers.get(name, "")
        if credentials[: len(_BEARER)].lower() == _BEARER:
            return Secret(credentials[len(_BEARER) :].strip())
    return Secret("")


def _shown(device: Device) -> DeviceObject:
    return DeviceObject(
        id=EntityId("DEVICE", device.id),
        created_time=device.created_at,
        tenant_id=EntityId("TENANT", device.tenant),
        customer_id=EntityId("CUSTOMER", device.owner or own_organization(device.tenant)),
        name=device.name,
        type=device.profile,
        label=device.label,
        device_profile_id=EntityId("DEVICE_PROFILE", device.profile),
        additional_info=device.metadata,
        version=device.version,
    )
