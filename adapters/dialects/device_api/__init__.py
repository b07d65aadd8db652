"""What any device may ask, whatever dialect it came in through: its firmware, its certificate, its configuration.

Over HTTP and CoAP `GET /v1/devices/me/firmware` asks for it, with `?running=1.2.0` where the device says what it runs, and
`POST` of `{"version":"1.2.0"}` there reports that. Over MQTT a device publishes to `v1/devices/me/firmware/request`: nothing or
`{"running":"1.2.0"}` to ask, `{"version":"1.2.0"}` to report.

The answer is `{"update":{"version":...,"url":...,"size":...,"sha256":...}}`, or `{"update":null}` where there is nothing to do;
a report is answered without a body. The answer has an entity tag (HTTP: ETag and If-None-Match, CoAP: ETag and 2.03), which
`.../firmware/version` tells by itself, small enough to be observed over CoAP (RFC 7641). Over MQTT the answer comes on
`v1/devices/me/firmware/response`, and again whenever it changes, to a connection that subscribed to that. Bodies are JSON
(RFC 8259), or CBOR (RFC 8949) where the request says or asks so.

Over HTTP and CoAP `POST /v1/devices/me/certificate` asks for a certificate to log in with, over MQTT a message to
`v1/devices/me/certificate/request`, answered on `v1/devices/me/certificate/response`. The body is `{"csr":"<PEM>"}`, or
`{"key":"ec-p256"}` (also `rsa-2048`, `rsa-3072`) where the device's profile lets the gateway make the key; or the request
itself as `application/pkcs10` (RFC 5967) in DER, base64 or PEM. The answer is `{"certificate":...,"chain":...,"ca":...,
"expires_at":...}`, all PEM, with `"private_key"` where it was made here. It is asked for again before it ends; the one before
stays good until its own end. `GET /v1/ca/certificates` (PEM) and `GET /v1/ca/crl` (DER, RFC 5280) are open to everybody; over
MQTT an empty request is answered with `{"ca":...}`.

A device that has nothing yet but its external key proves it without sending it, and gets its configuration sealed:
`POST /v1/bootstrap/challenge` and then `POST /v1/bootstrap`, over MQTT as guest `bootstrap` messages to
`v1/bootstrap/challenge/request` and `v1/bootstrap/request`, answered on `.../response`. No secret is in the clear on the way,
so an unprotected wire will do; `deploy/devices/challenge.md` specifies it.

A device proves itself by its connection (over MQTT always, elsewhere where the handshake proved something), or else with any
credential it was issued: over HTTP in `Authorization`, as `Bearer` and an access token or the token of a session, or as `Basic`
(RFC 7617) with user name and password, or device id and secret; over CoAP with the same text in `?auth=`, where the word before
a token may be left out. An external key opens a configuration and nothing else. A device that is called `me` is an operator's
as `name:me`.
"""

from adapters.dialects.device_api import certificates, challenge
from adapters.dialects.device_api.answers import answer_topic, write, write_refusal
from adapters.dialects.device_api.certificates import AUTHORITIES, REVOCATIONS, SIGN
from adapters.dialects.device_api.requests import FIRMWARE, REPORT, VERSION, read
from adapters.exchange import Carrier, Decoded, Inbound, Outbound, Route
from core.errors import Refusal
from core.messages import FirmwareAnswer, FirmwareReported
from core.topic_spaces import TopicSpace

NAME = "firstlight"
_TOPIC = "v1/devices/me/firmware"
_VERSION = f"{_TOPIC}/version"
_CERTIFICATE = "v1/devices/me/certificate"
_PUBLIC = (AUTHORITIES, REVOCATIONS)
ROUTES = (
    *(
        Route(
            carrier=carrier,
            method=method,
            path=f"/{path}",
            operation=operation,
            sealed=operation in challenge.OPERATIONS,
            public=operation in _PUBLIC,
        )
        for carrier in (Carrier.HTTP, Carrier.COAP)
        for method, path, operation in (
            ("GET", _TOPIC, FIRMWARE),
            ("POST", _TOPIC, REPORT),
            ("GET", _VERSION, VERSION),
            ("POST", _CERTIFICATE, SIGN),
            ("GET", "v1/ca/certificates", AUTHORITIES),
            ("GET", "v1/ca/crl", REVOCATIONS),
            *(("POST", topic, operation) for topic, operation in challenge.TOPICS),
        )
    ),
    *(
        Route(carrier=Carrier.MQTT, method="PUBLISH", path=f"{topic}/request", operation=operation)
        for topic, operation in ((_TOPIC, FIRMWARE), (_VERSION, VERSION), (_CERTIFICATE, SIGN))
    ),
    # For guests alone: whoever logged in with its external key has sent it, and asks in other ways.
    *(
        Route(
            carrier=Carrier.MQTT,
            method="PUBLISH",
            path=f"{topic}/request",
            operation=operation,
            guest=challenge.GUEST.name,
            sealed=True,
        )
        for topic, operation in challenge.TOPICS
    ),
)
GUESTS = (challenge.GUEST,)
SUBSCRIPTIONS = (f"{_TOPIC}/response", f"{_VERSION}/response", f"{_CERTIFICATE}/response")
TOPICS: tuple[TopicSpace, ...] = ()


def decode(route: Route, inbound: Inbound) -> Decoded:
    """Read a request. Raises `Refusal` UNAUTHENTICATED without a credential, MALFORMED for what cannot be read."""
    if route.operation in challenge.OPERATIONS:
        return Decoded(challenge.read(route.operation, inbound), inbound.form)
    reads = certificates.read if route.operation in (SIGN, *_PUBLIC) else read
    return Decoded(reads(route.operation, inbound), inbound.form)


def encode(
    result: FirmwareAnswer | FirmwareReported | certificates.Answer | challenge.Answer, form: str, inbound: Inbound
) -> Outbound:
    """Write the answer to a granted request."""
    if isinstance(result, FirmwareAnswer | FirmwareReported):
        return write(result, inbound)
    if isinstance(result, challenge.Answer):
        return challenge.write(result, inbound, answer_topic(inbound))
    return certificates.write(result, inbound, answer_topic(inbound))


def refuse(refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
    """Write the answer to a refused request; a connection stays open."""
    return write_refusal(refusal, inbound)
