"""What any device may ask, whatever dialect it came in through: which firmware it should run, over HTTP, CoAP and MQTT.

Over HTTP and CoAP `GET /v1/devices/me/firmware` asks for it, with `?running=1.2.0` where the device says what it runs, and
`POST` of `{"version":"1.2.0"}` there reports that. Over MQTT a device publishes to `v1/devices/me/firmware/request`: nothing or
`{"running":"1.2.0"}` to ask, `{"version":"1.2.0"}` to report.

The answer is `{"update":{"version":...,"url":...,"size":...,"sha256":...}}`, or `{"update":null}` where there is nothing to do;
a report is answered without a body. The answer has an entity tag (HTTP: ETag and If-None-Match, CoAP: ETag and 2.03), which
`.../firmware/version` tells by itself, small enough to be observed over CoAP (RFC 7641). Over MQTT the answer comes on
`v1/devices/me/firmware/response`, and again whenever it changes, to a connection that subscribed to that. Bodies are JSON
(RFC 8259), or CBOR (RFC 8949) where the request says or asks so.

A device proves itself with any credential it was issued: over HTTP in `Authorization`, as `Bearer` and an access token or the
token of a session, or as `Basic` (RFC 7617) with user name and password, or device id and secret; over CoAP with the same text
in `?auth=`, where the word before a token may be left out; over MQTT by its connection. An external key opens a configuration
and nothing else. A device that is called `me` is an operator's as `name:me`.
"""

from adapters.dialects.device_api.answers import write, write_refusal
from adapters.dialects.device_api.requests import FIRMWARE, REPORT, VERSION, read
from adapters.exchange import Carrier, Decoded, Guest, Inbound, Outbound, Route
from core.errors import Refusal
from core.messages import FirmwareAnswer, FirmwareReported
from core.topic_spaces import TopicSpace

NAME = "firstlight"
_TOPIC = "v1/devices/me/firmware"
_VERSION = f"{_TOPIC}/version"
ROUTES = (
    *(
        Route(carrier=carrier, method=method, path=f"/{path}", operation=operation)
        for carrier in (Carrier.HTTP, Carrier.COAP)
        for method, path, operation in (("GET", _TOPIC, FIRMWARE), ("POST", _TOPIC, REPORT), ("GET", _VERSION, VERSION))
    ),
    *(
        Route(carrier=Carrier.MQTT, method="PUBLISH", path=f"{topic}/request", operation=operation)
        for topic, operation in ((_TOPIC, FIRMWARE), (_VERSION, VERSION))
    ),
)
GUESTS: tuple[Guest, ...] = ()
SUBSCRIPTIONS = (f"{_TOPIC}/response", f"{_VERSION}/response")
TOPICS: tuple[TopicSpace, ...] = ()


def decode(route: Route, inbound: Inbound) -> Decoded:
    """Read a request. Raises `Refusal` UNAUTHENTICATED without a credential, MALFORMED for what cannot be read."""
    return Decoded(read(route.operation, inbound), inbound.form)


def encode(result: FirmwareAnswer | FirmwareReported, form: str, inbound: Inbound) -> Outbound:
    """Write the answer to a granted request."""
    return write(result, inbound)


def refuse(refusal: Refusal, form: str, inbound: Inbound) -> Outbound:
    """Write the answer to a refused request; a connection stays open."""
    return write_refusal(refusal, inbound)
