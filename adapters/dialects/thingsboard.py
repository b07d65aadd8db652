"""ThingsBoard's device API: provisioning, telemetry, attributes and claiming, as Community Edition 4.3 speaks it.

The lifecycle in its words: `provisionState` absent is our `defined`; `provisioned` is our `provisioned`, `connected` and
`associated`; any other value is our `discarded`.

Sources: https://thingsboard.io/docs/user-guide/device-provisioning/ and the reference server's `JsonConverter`,
`DeviceProvisionServiceImpl`, `MqttTransportHandler`, `CoapTransportResource`, `DeviceApiController`.

Departures from the reference server, all of them towards what its documentation promises:
- JSON `null` is an absent field; an empty MQTT or CoAP body is answered NOT_FOUND in JSON.
- A bad HTTP body is answered 400 with the error object (`errorCode` 31), not 500; the object never repeats the request.
- HTTP replies are `application/json` whatever `Accept` says.
- Who asks again may have to prove that it has its old credential (`thingsboard_proof`), or to wait for an operator; until then
  it is answered FAILURE, as it is where nobody may ask again.
- The option `thingsboard-guide-reply` adds the keys of the user guide's overview after the standard ones.
"""

from typing import Any, assert_never

import msgspec

from adapters.dialects import thingsboard_claims as claims
from adapters.dialects import thingsboard_protobuf as protobuf
from adapters.dialects import thingsboard_requests as requests
from adapters.dialects.thingsboard_json import FIELD, UNPARSED, require_json
from adapters.dialects.thingsboard_requests import PROTOBUF
from adapters.exchange import Carrier, Closing, Decoded, Guest, Inbound, Outbound, Outcome, Route, Success
from core.errors import Reason, Refusal
from core.messages import (
    AccessToken,
    Certificate,
    ClaimsAnnounced,
    ClientSecret,
    Identity,
    Login,
    Lwm2m,
    MqttBasic,
    Oscore,
    Provisioned,
    Report,
    Reported,
    TokenLogin,
    Triple,
)
from core.model import Device, Secret
from core.operate.associating import Associated
from core.topic_spaces import Action, TopicSpace

NAME = "thingsboard"
GUIDE_REPLY = "thingsboard-guide-reply"
OPTIONS = frozenset({GUIDE_REPLY, claims.CLAIMING_OFF})
CLAIMING = claims.TERMS

_REQUEST, _RESPONSE = "/provision/request", "/provision/response"
_ATTRIBUTES_RESPONSE = "v1/devices/me/attributes/response/"


def _over(carrier: Carrier, *rows: tuple[str, str, str], guest: str = "", forwarded: bool = False) -> tuple[Route, ...]:
    return tuple(
        Route(carrier=carrier, method=method, path=path, operation=operation, guest=guest, forwarded=forwarded)
        for method, path, operation in rows
    )


_DEVICE_API = (
    ("POST", "/api/v1/provision", "provision"),
    ("POST", "/api/v1/{token}/telemetry", "telemetry"),
    ("POST", "/api/v1/{token}/attributes", "attributes"),
    ("GET", "/api/v1/{token}/attributes", "read_attributes"),
    ("POST", "/api/v1/{token}/claim", claims.ANNOUNCE),
    # Without a token: for devices that proved who they are by a certificate or a pre-shared key.
    ("POST", "/api/v1/telemetry", "telemetry"),
    ("POST", "/api/v1/attributes", "attributes"),
    ("GET", "/api/v1/attributes", "read_attributes"),
    ("POST", "/api/v1/claim", claims.ANNOUNCE),
)
ROUTES = (
    *_over(Carrier.HTTP, *_DEVICE_API),
    *_over(Carrier.COAP, *_DEVICE_API, ("POST", "/api/v1/{any}/provision", "provision")),
    *_over(Carrier.MQTT, ("PUBLISH", _REQUEST, "provision"), guest=NAME),
    *_over(
        Carrier.MQTT,
        ("PUBLISH", "v1/devices/me/telemetry", "telemetry"),
        ("PUBLISH", "v1/devices/me/attributes", "attributes"),
        ("PUBLISH", "v1/devices/me/attributes/request/{id}", "read_attributes"),
        forwarded=True,
    ),
    *_over(
        Carrier.MQTT,
        ("PUBLISH", "v1/devices/me/claim", claims.ANNOUNCE),
        ("PUBLISH", "v1/gateway/claim", claims.ANNOUNCE_BEHIND),
    ),
    *_over(Carrier.HTTP, ("POST", claims.USER_PATH, claims.CLAIM), ("DELETE", claims.USER_PATH, claims.GIVE_UP)),
)
GUESTS = (Guest(name=NAME, login="provision", subscriptions=(_RESPONSE,), linger_seconds=60.0),)
SUBSCRIPTIONS = (
    "v1/devices/me/attributes",
    "v1/devices/me/attributes/response/+",
    "v1/devices/me/rpc/request/+",
    "v1/devices/me/rpc/response/+",
)
# The vendor's topics are the same for all devices. At a broker each device has its own, apart for what it says and what it is
# told, so that nobody hears itself.
TOPICS = tuple(
    TopicSpace(prefix=prefix, actions=frozenset({action}), upstream=f"v1/devices/{{device}}{below}/{way}", marked=marked)
    for prefix, below, marked in (("v1/devices/me", "", ""), ("v2", "/v2", ""), ("v1/gateway", "/gateway", "gateway"))
    for action, way in ((Action.PUBLISH, "up"), (Action.SUBSCRIBE, "down"))
)

_TYPES: dict[type, str] = {
    AccessToken: "ACCESS_TOKEN",
    MqttBasic: "MQTT_BASIC",
    Certificate: "X509_CERTIFICATE",
    Lwm2m: "LWM2M_CREDENTIALS",
}


def decode(route: Route, inbound: Inbound) -> Decoded:
    """Read a request; raises `Refusal` MALFORMED, or UNAUTHENTICATED for an empty provisioning body."""
    if route.operation == "provision":
        return requests.read(inbound)
    if route.operation in claims.OF_USERS:
        return Decoded(claims.read_command(route.operation, inbound))
    if route.operation in (claims.ANNOUNCE, claims.ANNOUNCE_BEHIND):
        return Decoded(claims.read_announcement(_who(inbound), route.operation, inbound), inbound.form)
    if route.operation != "read_attributes":
        require_json(inbound.body)
    return Decoded(Report(_who(inbound), route.operation), inbound.form)


def encode(result: Provisioned | Reported | ClaimsAnnounced | Associated | Device, form: str, inbound: Inbound) -> Outbound:
    """Write the answer to a granted request."""
    if isinstance(result, Provisioned):
        return _provision_reply(Success.CREATED, _success_body(result, form), form, inbound)
    if isinstance(result, Associated | Device):
        return claims.write(result)
    if isinstance(result, ClaimsAnnounced) or result.what != "read_attributes":
        return Outbound(outcome=Success.CREATED if inbound.carrier is Carrier.COAP else Success.OK, form=form)
    return Outbound(
        outcome=Success.OK, body=b"{}", content_type="application/json", topic=_attributes_topic(inbound), form=form
    )


def refuse(refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
    """Write the answer to a refused request: a reply without a reason where the device may read it, a status elsewhere."""
    form = form or inbound.form
    if inbound.operation in claims.OF_USERS:
        return claims.refuse(refusal, inbound)
    if inbound.operation == "provision":
        if refusal.reason is Reason.UNAUTHENTICATED:
            return _provision_reply(Reason.MALFORMED, _failure_body("NOT_FOUND", form), form, inbound)
        if refusal.reason in (Reason.FORBIDDEN, Reason.CONFLICT):
            return _provision_reply(Reason.MALFORMED, _failure_body("FAILURE", form), form, inbound)
    if inbound.carrier is Carrier.HTTP:
        return _http_error(refusal, inbound)
    if inbound.carrier is Carrier.COAP:
        get_provision = refusal.reason is Reason.NOT_ALLOWED and inbound.method == "GET"
        return Outbound(outcome=Reason.MALFORMED if get_provision else refusal.reason)
    return _mqtt_error(refusal, form, inbound)


# Requests


def _who(inbound: Inbound) -> Login | Identity:
    """Return the token in the path, or else what the connection proved. Raises `Refusal` UNAUTHENTICATED."""
    token = inbound.params.get("token")
    if token is not None:
        return TokenLogin(Secret(token))
    if inbound.identity is None:
        raise Refusal(Reason.UNAUTHENTICATED, "a token or a certificate is needed", check="device.credential_missing")
    return inbound.identity


# Replies


def _success_body(result: Provisioned, form: str) -> bytes:
    credential = _as_vendor_has_it(result)
    kind = _TYPES[type(credential)]
    value = _credentials_value(credential)
    if form == PROTOBUF:
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return protobuf.response("SUCCESS", kind, text)
    reply: dict[str, Any] = {} if isinstance(credential, Lwm2m) else {"credentialsValue": value}
    reply |= {"credentialsType": kind, "status": "SUCCESS"}
    if GUIDE_REPLY in result.profile.options:
        reply["provisionDeviceStatus"] = "SUCCESS"
        if isinstance(credential, AccessToken):
            reply["accessToken"] = value
    return msgspec.json.encode(reply)


def _as_vendor_has_it(result: Provisioned) -> AccessToken | MqttBasic | Certificate | Lwm2m:
    """Return a device's credential in the vendor's terms: with a client secret it logs in as the user that its id names."""
    credential = result.credential
    if isinstance(credential, ClientSecret):
        return MqttBasic("", result.device.id, credential.secret)
    if isinstance(credential, Triple):  # its password is signed anew at each login; these are the parts it is made of
        return MqttBasic("", f"{credential.device_key}&{credential.product_key}", credential.secret)
    return Lwm2m("") if isinstance(credential, Oscore) else credential  # neither has a word in this vocabulary


def _credentials_value(credential: AccessToken | MqttBasic | Certificate | Lwm2m) -> str | dict[str, str]:
    match credential:
        case AccessToken(token=token):
            return token.reveal()
        case MqttBasic(client_id=client_id, username=username, password=password):
            return {"clientId": client_id, "userName": username, "password": password.reveal()}
        case Certificate(text=text):
            return text
        case Lwm2m():
            return ""
        case _:
            assert_never(credential)


_FAILURES = {
    "NOT_FOUND": b'{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}',
    "FAILURE": b'{"errorMsg":"Failed to provision device!","status":"FAILURE"}',
}


def _failure_body(status: str, form: str) -> bytes:
    return protobuf.response(status) if form == PROTOBUF else _FAILURES[status]


def _provision_reply(outcome: Outcome, body: bytes, form: str, inbound: Inbound) -> Outbound:
    """HTTP and MQTT say success whatever the status in the body is; CoAP has a code for each."""
    if inbound.carrier is not Carrier.COAP:
        outcome = Success.OK
    # Californium's `respond(code, text)` marks its text as text/plain; protobuf replies carry no format.
    media_type = {Carrier.HTTP: "application/json", Carrier.COAP: "text/plain", Carrier.MQTT: None}[inbound.carrier]
    return Outbound(
        outcome=outcome, body=body, content_type=None if form == PROTOBUF else media_type, topic=_RESPONSE, form=form
    )


def _attributes_topic(inbound: Inbound) -> str | None:
    return _ATTRIBUTES_RESPONSE + inbound.params["id"] if inbound.carrier is Carrier.MQTT else None


_ERROR_CODES = {Reason.MALFORMED: 31, Reason.UNPROCESSABLE: 31, Reason.TOO_MANY: 33}
_ERROR_STATUS = {
    Reason.MALFORMED: 400,
    Reason.NOT_ALLOWED: 405,
    Reason.TOO_LARGE: 413,
    Reason.UNSUPPORTED: 415,
    Reason.UNPROCESSABLE: 422,
    Reason.TOO_MANY: 429,
    Reason.UNAVAILABLE: 503,
}


def _http_error(refusal: Refusal, inbound: Inbound) -> Outbound:
    """Write the error object of `ThingsboardErrorResponseHandler`; a bad token and an internal error have no body."""
    status = _ERROR_STATUS.get(refusal.reason)
    if status is None:
        return Outbound(outcome=refusal.reason)
    error = {
        "status": status,
        "message": refusal.detail,
        "errorCode": _ERROR_CODES.get(refusal.reason, 2),
        "timestamp": inbound.received_at,
    }
    return Outbound(outcome=refusal.reason, body=msgspec.json.encode(error), content_type="application/json")


def _mqtt_error(refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
    """A body that cannot be read is acknowledged as such; a request that can be read and is wrong ends the connection."""
    if refusal.check == UNPARSED:
        return Outbound(outcome=Reason.MALFORMED, closing=Closing.UNLESS_TOLD, form=form)
    outcome = Reason.INTERNAL if refusal.check == FIELD else refusal.reason
    return Outbound(outcome=outcome, closing=Closing.YES, form=form)
