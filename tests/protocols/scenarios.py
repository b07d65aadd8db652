"""The scenarios: what devices ask for under the world's profiles, and what each protocol must answer.

The rows are those of the wire contract of ThingsBoard's provisioning (https://thingsboard.io/docs/user-guide/device-provisioning/
and the reference server, Community Edition 4.3): its edge cases, its errors and its protobuf form.
"""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from tests.protocols.world import (
    CERTIFICATE_TEXT,
    CLOSED,
    ELSEWHERE,
    FACTORY,
    GUIDE,
    METERS,
    PUMPS,
    ROTATING,
    SAME,
    SAME_FACTORY,
)

DRAWN = "<20 characters drawn by the gateway>"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Wanted(NamedTuple):
    """What one protocol must say, and the pattern of the body."""

    said: str
    body: bytes = b""


class Expected(NamedTuple):
    """The answer in each protocol."""

    http: Wanted
    coap: Wanted
    mqtt3: Wanted
    mqtt5: Wanted


class Step(NamedTuple):
    """One request and its answer; `check` is what the operator's event names as the check that refused (empty: granted)."""

    body: bytes
    expected: Expected
    check: str = ""


class Scenario(NamedTuple):
    """Some requests in order. `then` are the devices to look at afterwards: members that must be so, or None for no device.

    `only` names the protocols that have this form of request; `made` is how many devices come out of it.
    """

    name: str
    steps: tuple[Step, ...]
    then: Mapping[str, Mapping[str, Any] | None] = _NOTHING
    made: int = 0
    only: tuple[str, ...] = Expected._fields


# Answers


def granted(kind: str, value: Any = DRAWN, more: str = "") -> Expected:
    """Return the answer of success: compact JSON in the reference's order of keys."""
    text = json.dumps(value, separators=(",", ":"))
    pattern = "" if value is None else f'"credentialsValue":{_pattern(text)},'
    return _replied("2.01", rf'\{{{pattern}"credentialsType":"{kind}","status":"SUCCESS"{more}\}}'.encode())


def _pattern(text: str) -> str:
    return re.escape(text).replace(re.escape(DRAWN), "[A-Za-z0-9]{20}")


def _replied(coap_code: str, pattern: bytes) -> Expected:
    published = Wanted("published", pattern)
    return Expected(Wanted("200 application/json", pattern), Wanted(f"{coap_code} text/plain", pattern), published, published)


NOT_FOUND = _replied("4.00", re.escape(b'{"errorMsg":"Provision data was not found!","status":"NOT_FOUND"}'))
FAILURE = _replied("4.00", re.escape(b'{"errorMsg":"Failed to provision device!","status":"FAILURE"}'))
_ERROR = Wanted("400 application/json", rb'\{"status":400,"message":"[^"]+","errorCode":31,"timestamp":\d{13}\}')
WRONG_FIELD = Expected(_ERROR, Wanted("4.00"), Wanted("closed"), Wanted("closed 131"))
UNREADABLE = Expected(_ERROR, Wanted("4.00"), Wanted("closed"), Wanted("told 153"))
EMPTY = NOT_FOUND._replace(http=_ERROR)


def token(value: str = DRAWN) -> Expected:
    return granted("ACCESS_TOKEN", value)


def basic(client_id: str = "", username: str = "", password: str = "") -> Expected:
    return granted("MQTT_BASIC", {"clientId": client_id, "userName": username, "password": password})


def certificate(text: str) -> Expected:
    return granted("X509_CERTIFICATE", text)


def protobuf(coap_code: str, pattern: bytes) -> Expected:
    """Return an answer in protobuf, which HTTP does not have."""
    published = Wanted("published", pattern)
    return Expected(_ERROR, Wanted(coap_code, pattern), published, published)


# Requests


def ask(fields: Any, expected: Expected, check: str = "") -> Step:
    """Return a step that sends JSON, or bytes as they are."""
    body = fields if isinstance(fields, bytes) else json.dumps(fields, separators=(",", ":")).encode()
    return Step(body, expected, check)


def message(*fields: tuple[int, bytes | int]) -> bytes:
    """Write a protobuf message of short fields."""
    return b"".join(
        bytes((number << 3, value)) if isinstance(value, int) else bytes((number << 3 | 2, len(value))) + value
        for number, value in fields
    )


def protobuf_claim(key: str, secret: str) -> tuple[int, bytes]:
    return 3, message((1, key.encode()), (2, secret.encode()))


def one(name: str, fields: Any, expected: Expected, check: str = "", **rest: Any) -> Scenario:
    """Return a scenario of a single request; one that is granted makes a device."""
    return Scenario(name, (ask(fields, expected, check),), made=0 if check else 1, **rest)


_STRANGER = {"provisionDeviceKey": "no-such-key-00000000", "provisionDeviceSecret": METERS.secret}
_LONG = "n" * 256
_NEW = {"deviceName": "new-1"}
_GUIDE_MORE = r',"provisionDeviceStatus":"SUCCESS","accessToken":"[A-Za-z0-9]{20}"'

_NAMES_AND_KEYS = (
    one("row 1: no name, a new device", METERS.claim(), token()),
    one("row 1: an empty name, a new device", METERS.claim(deviceName=""), token()),
    one("row 2: no name, an expected device", FACTORY.claim(), FAILURE, "device.name_missing"),
    one("row 3: a name with white space around it", METERS.claim(deviceName="  m1 "), token(), then={"m1": {}}),
    one("row 4: a blank name wins over a wrong key", {**_STRANGER, "deviceName": "   "}, FAILURE, "device.name_blank"),
    one("row 5: an unknown key", {**_STRANGER, **_NEW}, NOT_FOUND, "claim.key", then={"new-1": None}),
    one(
        "row 5: a wrong secret for a name that exists",
        {**PUMPS.claim(deviceName="pump-1"), "provisionDeviceSecret": "wrong"},
        NOT_FOUND,
        "claim.secret",
    ),
    one("an empty key", {**METERS.claim(**_NEW), "provisionDeviceKey": ""}, NOT_FOUND, "claim.empty"),
    one("an empty secret", {**METERS.claim(**_NEW), "provisionDeviceSecret": ""}, NOT_FOUND, "claim.empty"),
    one("a key in capitals", {**METERS.claim(**_NEW), "provisionDeviceKey": METERS.key.upper()}, NOT_FOUND, "claim.key"),
    one("a disabled profile", CLOSED.claim(**_NEW), NOT_FOUND, "profile.disabled", then={"new-1": None}),
    one("row 7: the name exists in another profile", METERS.claim(deviceName="pump-1"), FAILURE, "device.other_profile"),
    Scenario(
        "row 8: the same name in another tenant",
        (ask(METERS.claim(**_NEW), token()), ask(ELSEWHERE.claim(**_NEW), token())),
        made=1,
    ),
    one("row 34: a name of 256 characters", METERS.claim(deviceName=_LONG), FAILURE, "device.name_length"),
    one("row 34: a name of 255 characters", METERS.claim(deviceName=_LONG[1:]), token(), then={_LONG[1:]: {}}),
    one("row 34: a name with markup", METERS.claim(deviceName="<script>x</script>"), FAILURE, "device.name_characters"),
    one("row 34: a name with a zero byte", METERS.claim(deviceName="a\0b"), FAILURE, "device.name_characters"),
    one("a name beyond ASCII", METERS.claim(deviceName="Zähler-水"), token(), then={"Z%C3%A4hler-%E6%B0%B4": {}}),
    one("a name that is a number", METERS.claim(deviceName=42), token(), then={"42": {}}),
)

_REPEATS = (
    Scenario(
        "row 6: the same request twice",
        (ask(METERS.claim(**_NEW), token()), ask(METERS.claim(**_NEW), FAILURE, "device.exists")),
        made=1,
    ),
    Scenario(
        "row 9: an expected device of another profile",
        (ask(FACTORY.claim(deviceName="spare-1"), FAILURE, "device.other_profile"),),
        {"spare-1": {"state": "defined", "version": 1}},
    ),
    Scenario(
        "row 10: an expected device asks twice",
        (
            ask(FACTORY.claim(deviceName="expected-token"), token("stored-token-of-expected")),
            ask(FACTORY.claim(deviceName="expected-token"), FAILURE, "device.already_provisioned"),
        ),
        {"expected-token": {"state": "provisioned"}},
    ),
    Scenario("a device that nobody expects", (ask(FACTORY.claim(**_NEW), FAILURE, "device.unknown"),), {"new-1": None}),
    Scenario(
        "the option to repeat: the same credentials again",
        (ask(SAME.claim(token="my-own-token", **_NEW), token("my-own-token")), ask(SAME.claim(**_NEW), token("my-own-token"))),
        made=1,
    ),
    Scenario(
        "the option to repeat, for an expected device",
        (ask(SAME_FACTORY.claim(deviceName="expected-same"), token("stored-token-of-same")),) * 2,
    ),
    Scenario(
        "the option to rotate: other credentials each time",
        (ask(ROTATING.claim(token="first-token", **_NEW), token("first-token")), ask(ROTATING.claim(**_NEW), token())),
        made=1,
    ),
    one("the option of the user guide's reply", GUIDE.claim(**_NEW), granted("ACCESS_TOKEN", more=_GUIDE_MORE)),
)

_EXPECTED = (
    Scenario(
        "row 11: a proposed token is ignored for an expected device",
        (ask(FACTORY.claim(deviceName="expected-token", token="mine"), token("stored-token-of-expected")),),
    ),
    Scenario(
        "an expected device with MQTT credentials",
        (ask(FACTORY.claim(deviceName="expected-basic"), basic("c-1", "u-1", "p-1")),),
    ),
    Scenario(
        "an expected device with a certificate",
        (ask(FACTORY.claim(deviceName="expected-certificate"), certificate(CERTIFICATE_TEXT)),),
    ),
    Scenario(
        "an expected device with LwM2M credentials: no value",
        (ask(FACTORY.claim(deviceName="expected-lwm2m"), granted("LWM2M_CREDENTIALS", None)),),
    ),
    Scenario(
        "row 26: an expected device is not made a gateway",
        (ask(FACTORY.claim(deviceName="expected-token", gateway=True), token("stored-token-of-expected")),),
        {"expected-token": {"metadata": {}}},
    ),
)

_BASIC = {"credentialsType": "MQTT_BASIC"}
_X509 = {"credentialsType": "X509_CERTIFICATE"}
_PEM_CRLF = "-----BEGIN CERTIFICATE-----\r\nMIIB\r\nszCC=\r\n-----END CERTIFICATE-----\r\n"

_CREDENTIALS = (
    one("row 12: MQTT_BASIC without values", METERS.claim(**_BASIC, **_NEW), token()),
    one("row 13: X509_CERTIFICATE without a certificate", METERS.claim(**_X509, **_NEW), token()),
    one("row 14: ACCESS_TOKEN without a token", METERS.claim(credentialsType="ACCESS_TOKEN", **_NEW), token()),
    one("row 15: a token without a type", METERS.claim(token="my-own-token", **_NEW), token("my-own-token")),
    one("row 16: a user name without a type", METERS.claim(username="u", **_NEW), FAILURE, "credential.empty"),
    one("row 16: a client id without a type", METERS.claim(clientId="c", **_NEW), FAILURE, "credential.empty"),
    one("row 16: a certificate without a type", METERS.claim(hash="MIIB", **_NEW), FAILURE, "credential.empty"),
    one("row 17: a password alone", METERS.claim(**_BASIC, password="p", **_NEW), FAILURE, "credential.mqtt_basic"),
    one(
        "row 18: a client id and a password",
        METERS.claim(**_BASIC, clientId="c", password="p", **_NEW),
        FAILURE,
        "credential.mqtt_basic",
        then={"new-1": None},
    ),
    one("row 19: a user name alone", METERS.claim(**_BASIC, username="u", **_NEW), basic(username="u")),
    one("a client id alone", METERS.claim(**_BASIC, clientId="c", **_NEW), basic(client_id="c")),
    one(
        "client id, user name and password",
        METERS.claim(**_BASIC, clientId="meter-0042", username="field", password="pw-0042"),
        basic("meter-0042", "field", "pw-0042"),
    ),
    one("the null that an SDK sends for a missing part", METERS.claim(**_BASIC, clientId=None, username="u"), basic("", "u")),
    Scenario(
        "row 20: a token in use, and the name stays free",
        (
            ask(METERS.claim(token="stored-token-of-pump-1", **_NEW), FAILURE, "credential.taken"),
            ask(METERS.claim(token="another-token", **_NEW), token("another-token")),
        ),
        made=1,
    ),
    Scenario(
        "row 21: a user name that is somebody's token",
        (ask(METERS.claim(**_BASIC, username="stored-token-of-pump-1", **_NEW), FAILURE, "credential.taken"),),
        {"new-1": None},
    ),
    Scenario(
        "row 22: one certificate for two devices",
        (
            ask(METERS.claim(**_X509, hash="MIIB", **_NEW), certificate("MIIB")),
            ask(METERS.claim(**_X509, hash="MIIB", deviceName="new-2"), FAILURE, "credential.taken"),
        ),
        {"new-2": None},
        made=1,
    ),
    Scenario(
        "row 23: PEM with CRLF and bare base64 are one certificate",
        (
            ask(METERS.claim(**_X509, hash=_PEM_CRLF, **_NEW), certificate("MIIBszCC=")),
            ask(METERS.claim(**_X509, hash="MIIBszCC=", deviceName="new-2"), FAILURE, "credential.taken"),
        ),
        made=1,
    ),
    one("row 24: a certificate that is none", METERS.claim(**_X509, hash="testHash", **_NEW), certificate("testHash")),
    one(
        "a certificate of more than one datagram",
        METERS.claim(**_X509, hash="M" * 3_000, **_NEW),
        certificate("M" * 3_000),
    ),
    one("a token with a control character", METERS.claim(token="a\nb", **_NEW), FAILURE, "credential.characters"),
    one(
        "LWM2M_CREDENTIALS with a value",
        METERS.claim(credentialsType="LWM2M_CREDENTIALS", token="t"),
        FAILURE,
        "credential.empty",
    ),
    one("row 25: a gateway", METERS.claim(gateway=True, **_NEW), token(), then={"new-1": {"metadata": {"gateway": True}}}),
    one("a gateway in words", METERS.claim(gateway="true", **_NEW), token(), then={"new-1": {"metadata": {"gateway": True}}}),
    one("a gateway of 1 is none", METERS.claim(gateway=1, **_NEW), token(), then={"new-1": {"metadata": {}}}),
    one("row 27: unknown fields", METERS.claim(firmware={"version": [1, 2]}, **_NEW), token()),
)

_ERRORS = (
    one("no key", {"provisionDeviceSecret": METERS.secret, **_NEW}, WRONG_FIELD, "body.field"),
    one("no secret", {"provisionDeviceKey": METERS.key, **_NEW}, WRONG_FIELD, "body.field"),
    one("a key of null", {**METERS.claim(), "provisionDeviceKey": None}, WRONG_FIELD, "body.field"),
    one("an unknown type of credentials", METERS.claim(credentialsType="PASSPORT"), WRONG_FIELD, "body.field"),
    one("an object for a name", METERS.claim(deviceName={}), WRONG_FIELD, "body.field"),
    one("an array for a token", METERS.claim(token=["t"]), WRONG_FIELD, "body.field"),
    one("neither JSON nor protobuf", b"hello", UNREADABLE, "body.unparsed"),
    one("JSON that ends too early", b'{"provisionDeviceKey":"', UNREADABLE, "body.unparsed"),
    one("JSON that is no object", b"[1,2]", UNREADABLE, "body.unparsed"),
    one("JSON that is a number", b"7", UNREADABLE, "body.unparsed"),
    one("an empty body over HTTP", b"", EMPTY, "body.empty", only=("http",)),
    one("an empty body", b"", EMPTY, "claim.empty", only=("coap", "mqtt3", "mqtt5")),
)

_PROTOBUF = (
    one(
        "protobuf: a drawn token",
        message((1, b"new-1"), protobuf_claim(*METERS)),
        protobuf("2.01", rb"\x08\x01\x1a\x14[A-Za-z0-9]{20}"),
        then={"new-1": {}},
        only=("coap", "mqtt3", "mqtt5"),
    ),
    one(
        "protobuf: MQTT credentials",
        message((2, 2), protobuf_claim(*METERS), (4, message((3, message((2, b"u")))))),
        protobuf("2.01", rb"\x08\x01\x10\x02\x1a." + re.escape(b'{"clientId":"","userName":"u","password":""}')),
        only=("coap", "mqtt3", "mqtt5"),
    ),
    one(
        "protobuf: a wrong secret",
        message((1, b"new-1"), protobuf_claim(METERS.key, "wrong")),
        protobuf("4.00", rb"\x08\x02"),
        "claim.secret",
        only=("coap", "mqtt3", "mqtt5"),
    ),
    one(
        "protobuf: a missing secret",
        message((1, b"new-1"), (3, message((1, METERS.key.encode())))),
        protobuf("4.00", rb"\x08\x02"),
        "claim.empty",
        only=("coap", "mqtt3", "mqtt5"),
    ),
    one(
        "protobuf: a name that exists",
        message((1, b"pump-1"), protobuf_claim(*PUMPS)),
        protobuf("4.00", rb"\x08\x03"),
        "device.exists",
        only=("coap", "mqtt3", "mqtt5"),
    ),
    one(
        "protobuf over HTTP",
        message((1, b"new-1"), protobuf_claim(*METERS)),
        UNREADABLE,
        "body.unparsed",
        only=("http",),
    ),
)

SCENARIOS = (*_NAMES_AND_KEYS, *_REPEATS, *_EXPECTED, *_CREDENTIALS, *_ERRORS, *_PROTOBUF)
