"""How requests of EnOS devices are read and refused, whatever a stranger sends."""

import json
import re
from typing import Any

import cbor2
import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.commands.explanations import EXPLANATIONS
from adapters.dialects import enos
from adapters.dialects.enos import device, errors
from adapters.dialects.enos.errors import BY_REASON, WITHHELD, InvalidArgument
from adapters.exchange import Carrier, Inbound, Outbound, Peer, Route, Success
from core.errors import Reason, Refusal
from core.messages import BranchRequest, ConnectRequest, Enrolled, EnrolRequest, OpenSession, SignedSerial, Triple, TripleLogin
from core.model import Device, DeviceId, Profile, ProfileId, Sealed, Secret, Strategy, TenantId
from core.registration import Withheld
from tests.dialects.enos_gateway import GROUP, SERIAL, TIME, bootstrap, own, signature

DIALECT = enos.open_dialect(enos.DialectOptions())
PATHS = {device.BOOTSTRAP: "/dev/bootstrap", device.GET_CONN: "/dev/get/conn", device.OPEN_SESSION: "/auth/pk/dk"}
SESSION = {"signMethod": "sha256", "sign": "0" * 64, "lifetime": 300_000}
VALID: dict[str, Any] = {
    device.BOOTSTRAP: bootstrap(),
    device.GET_CONN: {"self": own(), "sub": own()},
    device.OPEN_SESSION: SESSION,
}
HIDDEN = "5ecre7" * 8
PARAMS = {"svc": "dev", "pk": "pk", "dk": "dk"}


def inbound(operation: str, body: bytes = b"", carrier: Carrier = Carrier.HTTP, **fields: Any) -> Inbound:
    path = f"{PATHS[operation][1:]}/request" if carrier is Carrier.MQTT else PATHS[operation]
    given = {"path": path, "operation": operation, "params": PARAMS} | fields
    return Inbound(carrier=carrier, method="POST", peer=Peer("192.0.2.7", 4711), body=body, correlation="c-1", **given)


def decoded(operation: str, document: Any, carrier: Carrier = Carrier.HTTP, **fields: Any) -> Any:
    route = Route(carrier=carrier, method="POST", path=PATHS[operation], operation=operation)
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return DIALECT.decode(route, inbound(operation, body, carrier, **fields)).message


def test_what_requests_mean() -> None:
    name = {"defaultValue": "Pump 1", "i18nValue": {"en_US": "Pump 1"}}
    proof = SignedSerial(SERIAL, str(TIME), signature(SERIAL))
    metadata = {"deviceName": name, "timezone": "+08:00"}
    assert decoded(device.BOOTSTRAP, bootstrap()) == EnrolRequest(group=GROUP, proof=proof, label="Pump 1", metadata=metadata)
    signed = SignedSerial(SERIAL, str(TIME), signature(SERIAL))
    assert decoded(device.GET_CONN, {"self": own()}) == ConnectRequest(proof=signed)
    for sub, meant in (
        ({"branch": 7}, BranchRequest(branch=7)),
        (own(), BranchRequest(proof=signed)),
        (own() | {"branch": None}, BranchRequest(proof=signed)),
        (
            own() | {"branch": 7, "createSubSnFromGw": False},
            BranchRequest(branch=7, proof=signed, named_by_gateway=False),
        ),
    ):
        assert decoded(device.GET_CONN, {"self": own(), "sub": sub, "signMethod": "SHA256"}).sub == meant
    assert decoded(device.OPEN_SESSION, SESSION) == OpenSession(TripleLogin("pk", "dk", "300000", "0" * 64))


def test_the_sending_of_cbor_over_http_is_not_the_vendors() -> None:
    with pytest.raises(Refusal) as refusal:
        decoded(device.BOOTSTRAP, cbor2.dumps(bootstrap()), content_type="application/cbor")
    assert refusal.value.reason is Reason.UNSUPPORTED
    assert decoded(device.BOOTSTRAP, cbor2.dumps(bootstrap()), Carrier.COAP, content_type="application/cbor")


def answer(carrier: Carrier = Carrier.HTTP, accept: str = "", **fields: Any) -> Outbound:
    headers = {"accept": accept} if accept else {}
    request = inbound(device.BOOTSTRAP, carrier=carrier, headers=headers, **fields)
    return DIALECT.refuse(Refusal(Reason.UNAUTHENTICATED, "no", check="signature.wrong"), "", request)


@pytest.mark.parametrize(
    ("accept", "cbor"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("application/cbor", True),
        ("text/html, application/cbor;q=0.5, */*", True),
        ("application/json, application/cbor", False),
        ("text/html", False),
    ],
)
def test_cbor_is_answered_where_it_is_asked_for(accept: str, cbor: bool) -> None:
    found = answer(accept=accept)
    assert found.content_type == ("application/cbor" if cbor else "application/json")
    document = cbor2.loads(found.body) if cbor else json.loads(found.body)
    assert document == {"code": 35601, "msg": "Verify not pass", "requestId": "c-1", "data": None}


def test_an_answer_over_mqtt_goes_beside_its_question() -> None:
    found = answer(Carrier.MQTT, form="kept")
    assert (found.topic, found.form) == ("dev/bootstrap/response", "kept")
    assert answer(Carrier.MQTT, path="dev/bootstrap").topic is None
    assert answer().topic is None


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("always_200", [False, True])
@pytest.mark.parametrize("session", [False, True])
def test_every_refusal_has_a_code_and_no_triple(reason: Reason, always_200: bool, session: bool) -> None:
    found = errors.refuse(Refusal(reason, "no", check="any"), inbound(device.BOOTSTRAP), always_200=always_200, session=session)
    document = json.loads(found.body)
    assert document["code"] == BY_REASON[reason].code
    assert "ds" not in document
    assert ("message" in document) is session
    assert found.outcome is (Success.OK if always_200 else BY_REASON[reason].outcome)


def test_every_reason_is_in_the_table() -> None:
    assert set(BY_REASON) == set(Reason)


@pytest.mark.parametrize("serial", ["{serial}", "{detail}", "%s", "{0.__class__}", '"}'])
@pytest.mark.parametrize("reason", WITHHELD)
def test_a_serial_is_said_as_it_is(serial: str, reason: Reason) -> None:
    found = errors.fault(Withheld(reason, "no", serial, check="device.any"))
    assert (found.code, found.msg.startswith(f"[{serial}] ")) == (10000, True)


@pytest.mark.parametrize(
    ("refusal", "msg"),
    [
        (InvalidArgument("timezone", "odd"), "Invalid Argument timezone:odd"),
        (errors.missing("groupId"), "Invalid Argument groupId:groupId is missing"),
        (Refusal(Reason.MALFORMED, "the path is odd", check="http.path"), "Invalid Argument request:the path is odd"),
        (Refusal(Reason.UNSUPPORTED, "no such format", check="coap.accept"), "Invalid Argument request:no such format"),
        (Refusal(Reason.UNSUPPORTED, "only JSON", check="content.type"), "Invalid Argument Content-Type:only JSON"),
        (Refusal(Reason.UNAUTHENTICATED, "no", check="device.discarded"), "Verify not pass"),
    ],
)
def test_a_refusal_is_called_by_the_vendors_words(refusal: Refusal, msg: str) -> None:
    assert errors.fault(refusal).msg == msg


def test_a_device_whose_profile_does_not_sign_goes_to_the_gateways_own_addresses() -> None:
    own_addresses = enos.DialectOptions(mqtt_url=lambda _: "tcp://h:1", http_url=lambda _: "http://h")
    common: dict[str, Any] = {"tenant": TenantId("t"), "name": "n", "created_at": 0, "updated_at": 0}
    profile = Profile(id=ProfileId("p"), strategy=Strategy.SIGNED, provision_key="k", provision_secret=Sealed(b""), **common)
    enrolled = Enrolled(
        device=Device(id=DeviceId("d"), profile=profile.id, **common), profile=profile, triple=Triple("pk", "dk", Secret("ds"))
    )
    triple = {"pk": "pk", "dk": "dk", "ds": "ds"}
    for options, urls in (
        (own_addresses, {"murl": "tcp://h:1", "hurl": "http://h"}),
        (enos.DialectOptions(), {"murl": "", "hurl": ""}),
    ):
        found = enos.open_dialect(options).encode(enrolled, "", inbound(device.BOOTSTRAP))
        assert (found.outcome, json.loads(found.body)) == (Success.OK, urls | triple)


def test_a_path_that_holds_a_slash_is_told_by_its_segments() -> None:
    refusal = Refusal(Reason.NOT_ALLOWED, "this path takes POST", check="request.method")
    for segments, outcome in ((("", "dev", "bootstrap"), Reason.NOT_ALLOWED), (("", "a/b", "bootstrap"), Reason.NOT_FOUND)):
        assert DIALECT.refuse(refusal, "", inbound(device.BOOTSTRAP, segments=segments)).outcome is outcome
    assert DIALECT.refuse(refusal, "", inbound(device.BOOTSTRAP, carrier=Carrier.MQTT)).outcome is Reason.NOT_ALLOWED


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(),
    st.text(max_size=20),
    st.binary(max_size=8),
    st.sampled_from(["", " ", "sha256", "+08:00", "0" * 64, HIDDEN, "\ud800", "\x00", TIME, str(TIME)]),
)
NAMES = ("defaultValue", "i18nValue", "en_US", "sn", "timestamp", "sign", "branch", "createSubSnFromGw")
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES) | st.integers(), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn, operation: str) -> Any:
    """Return a request that is right but for some of its members."""
    wrong = draw(st.dictionaries(st.sampled_from([*VALID[operation], "deviceId", "signMethod", "sub"]), VALUES, max_size=4))
    return VALID[operation] | wrong


def refused(operation: str, carrier: Carrier, body: bytes, content_type: str | None) -> Refusal | None:
    """Return how a request is refused, None where it is decoded; anything else that is raised passes."""
    try:
        message = decoded(operation, body, carrier, content_type=content_type)
    except Refusal as refusal:
        return refusal
    assert isinstance(message, EnrolRequest | ConnectRequest | OpenSession)
    return None


def try_to_decode(operation: str, carrier: Carrier, body: bytes, content_type: str | None) -> None:
    refusal = refused(operation, carrier, body, content_type)
    if refusal is not None:
        assert refusal.reason in (Reason.MALFORMED, Reason.UNSUPPORTED, Reason.TOO_LARGE)
        assert HIDDEN not in refusal.detail
        assert refusal.check in EXPLANATIONS
        assert HIDDEN not in repr(DIALECT.refuse(refusal, "", inbound(operation, body, carrier)))


@pytest.mark.parametrize("operation", PATHS)
@settings(deadline=None, max_examples=300)
@given(data=st.data())
def test_a_request_is_decoded_or_refused_and_never_anything_else(operation: str, data: st.DataObject) -> None:
    document = data.draw(documents(operation))
    try:
        packed = cbor2.dumps(document)
    except UnicodeEncodeError:
        packed = b"\xa1\x61a\x63\xed\xa0\x80"  # half a character
    try_to_decode(operation, Carrier.COAP, packed, "application/cbor")
    plain = json.dumps(document, default=repr, skipkeys=True).encode()
    for carrier in Carrier:
        try_to_decode(operation, carrier, plain, data.draw(st.sampled_from([None, "", "application/json; charset=utf-8"])))


@pytest.mark.parametrize("operation", PATHS)
@settings(deadline=None, max_examples=500)
@given(body=st.binary(max_size=400), content_type=st.sampled_from([None, "application/cbor", "text/plain"]))
@example(body=b"\xd8\x23\x64((((", content_type="application/cbor")
@example(body=b"\xc4\x82\x1b" + b"\xff" * 8 + b"\x01", content_type="application/cbor")
@example(body=b"\xd8\x1c\x81\xd8\x1d\x00", content_type="application/cbor")
def test_bytes_are_decoded_or_refused_and_never_anything_else(operation: str, body: bytes, content_type: str | None) -> None:
    try_to_decode(operation, Carrier.COAP, body, content_type)
    try_to_decode(operation, Carrier.MQTT, body, content_type)


CHECKS = re.compile(r'self\._wrong\("([a-z._]+)"|_unknown\("([a-z._]+)"|check="([a-z._]+)"')


@pytest.mark.parametrize("name", ["appraisal", "registration", "fetch_triple", "enrol"])
def test_whatever_refuses_a_device_that_signs_is_explained(name: str) -> None:
    module = __import__(f"core.{name}", fromlist=["__file__"])
    with open(str(module.__file__), encoding="utf-8") as file:
        checks = {next(filter(None, found)) for found in CHECKS.findall(file.read())}
    assert checks <= set(EXPLANATIONS)
