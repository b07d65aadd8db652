"""Devices of Mainflux and Magistrala over three protocols: how they prove themselves, what they get, and in which form."""

from typing import Any

import cbor2
import pytest

from adapters.exchange import Carrier, Outbound, Success
from core.crypto.cfb import Envelope, decrypt
from core.errors import Reason, Refusal
from core.messages import BootstrapRequest, EncryptedKey, PlainKey
from core.model import Secret
from tests.dialects.mainflux_asking import (
    ETAG,
    IDENTITY,
    NAMES,
    bootstrapped,
    channel,
    decoded,
    dialect,
    entity,
    refused,
    request,
    scheme,
)

DATA = channel("ch-1", "up", type="data")
FLAVOURS = pytest.mark.parametrize("flavour", NAMES)
PATHS = {
    "bootstrap/e-1": (False, False),
    "bootstrap/secure/e-1": (True, False),
    "bootstrap/e-1/version": (False, True),
    "bootstrap/secure/e-1/version": (True, True),
}


def asked(flavour: str, carrier: Carrier, path: str, key: str, **fields: Any) -> BootstrapRequest:
    """Return what a device means that sends this key."""
    spoken, full = dialect(flavour), f"/{entity(flavour)}/{path}"
    match carrier:
        case Carrier.HTTP:
            message = decoded(spoken, carrier, "GET", full, headers={"authorization": key}, **fields)
        case Carrier.COAP:
            message = decoded(spoken, carrier, "GET", full, query={"auth": key}, **fields)
        case Carrier.MQTT:
            body = b'{"authorization":"%s"}' % key.encode()
            message = decoded(spoken, carrier, "PUBLISH", f"{full[1:]}/request", body=body, guest="bootstrap", **fields)
    assert isinstance(message, BootstrapRequest)
    return message


@FLAVOURS
@pytest.mark.parametrize("carrier", Carrier)
@pytest.mark.parametrize("path", PATHS)
def test_a_path_means_the_same_over_every_protocol(flavour: str, carrier: Carrier, path: str) -> None:
    encrypted, version_only = PATHS[path]
    proof = EncryptedKey("0011") if encrypted else PlainKey(Secret("0011"))
    expected = BootstrapRequest(external_id="e-1", proof=proof, version_only=version_only)
    assert asked(flavour, carrier, path, f"{scheme(flavour)}0011") == expected
    if carrier is not Carrier.HTTP:
        assert asked(flavour, carrier, path, "0011") == expected  # the scheme's word may be left out


@FLAVOURS
def test_what_a_device_holds_counts_unless_the_answer_is_encrypted(flavour: str) -> None:
    for path, held in (("bootstrap/e", (ETAG,)), ("bootstrap/secure/e", ()), ("bootstrap/e/version", (ETAG,))):
        assert asked(flavour, Carrier.HTTP, path, f"{scheme(flavour)}00", held=(ETAG,)).held == held


@FLAVOURS
def test_a_topic_level_may_be_escaped(flavour: str) -> None:
    name = asked(flavour, Carrier.MQTT, "bootstrap/a%2Fb%2B%23%C3%A9%FF", "k").external_id
    assert name == "a/b+#é\ufffd"
    assert asked(flavour, Carrier.COAP, "bootstrap/a%2Fb", "k").external_id == "a%2Fb"  # its protocol undid what there was


@FLAVOURS
def test_over_mqtt_a_user_property_or_the_connection_may_prove_a_device(flavour: str) -> None:
    spoken, topic = dialect(flavour), f"{entity(flavour)}/bootstrap/e-1/request"
    header = {"authorization": f"{scheme(flavour)}k"}
    given = {"headers": header, "identity": IDENTITY}
    for body in (b"", b" ", b"{}", b'{"authorization":null,"x":1}'):
        assert decoded(spoken, Carrier.MQTT, "PUBLISH", topic, body=body, **given).proof == PlainKey(Secret("k"))
        assert decoded(spoken, Carrier.MQTT, "PUBLISH", topic, body=body, identity=IDENTITY).proof == IDENTITY
    member = b'{"authorization":"mine"}'
    assert decoded(spoken, Carrier.MQTT, "PUBLISH", topic, body=member, **given).proof == PlainKey(Secret("mine"))
    secure = topic.replace("bootstrap/", "bootstrap/secure/")
    answer = refused(spoken, Carrier.MQTT, "PUBLISH", secure, identity=IDENTITY)
    assert (answer.topic, answer.content_type) == (secure.replace("/request", "/response"), "application/json")
    assert refused(spoken, Carrier.MQTT, "PUBLISH", topic, guest="bootstrap").topic == topic.replace("/request", "/response")


@FLAVOURS
def test_a_body_over_mqtt_that_is_no_json_is_refused_as_such(flavour: str) -> None:
    for body in (b"{", b"[]", b"\xff", b"[" * 100_000):
        with pytest.raises(Refusal) as refusal:
            decoded(dialect(flavour), Carrier.MQTT, "PUBLISH", f"{entity(flavour)}/bootstrap/e/request", body=body)
        assert refusal.value.check == "body.json"


@FLAVOURS
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_path_without_an_id_is_refused_over_coap(flavour: str, slash: str) -> None:
    spoken, path = dialect(flavour), f"/{entity(flavour)}/bootstrap{slash}"
    assert refused(spoken, Carrier.COAP, "GET", path, query={"auth": "k"}).outcome is Reason.MALFORMED
    without_key = refused(spoken, Carrier.COAP, "GET", path)
    assert without_key.outcome in (Reason.MALFORMED, Reason.UNAUTHENTICATED, Reason.FORBIDDEN)
    assert without_key.content_type == "application/json"


def answered(flavour: str, path: str, result: Any, carrier: Carrier = Carrier.HTTP, **fields: Any) -> Outbound:
    """Return the answer to a device."""
    spoken, full = dialect(flavour), f"/{entity(flavour)}/{path}"
    if carrier is Carrier.MQTT:
        _, inbound = request(spoken, carrier, "PUBLISH", f"{full[1:]}/request", guest="bootstrap", **fields)
    else:
        _, inbound = request(spoken, carrier, "GET", full, **fields)
    return spoken.encode(result, "", inbound)


@FLAVOURS
@pytest.mark.parametrize("carrier", Carrier)
def test_a_version_is_small_and_has_the_documents_tag(flavour: str, carrier: Carrier) -> None:
    answer = answered(flavour, "bootstrap/e-1/version", bootstrapped(DATA), carrier)
    assert answer.body == b'{"version":3,"etag":"0011223344556677"}\n'
    assert len(answer.body) < 64
    assert (answer.outcome, answer.etag, answer.watch) == (Success.OK, ETAG, "cl-1\nch-1")
    assert answer.topic == (f"{entity(flavour)}/bootstrap/e-1/version/response" if carrier is Carrier.MQTT else None)


@FLAVOURS
def test_what_a_device_has_already_is_not_sent_again(flavour: str) -> None:
    for path in ("bootstrap/e", "bootstrap/e/version", "bootstrap/secure/e/version"):
        answer = answered(flavour, path, bootstrapped(DATA, unchanged=True), Carrier.MQTT, form="json")
        assert answer == Outbound(outcome=Success.UNCHANGED, etag=ETAG, watch="cl-1\nch-1", form="json")


@FLAVOURS
def test_the_form_of_a_connections_other_answers_is_left_alone(flavour: str) -> None:
    assert answered(flavour, "bootstrap/e", bootstrapped(), Carrier.MQTT, form="protobuf").form == "protobuf"


@FLAVOURS
@pytest.mark.parametrize("carrier", [Carrier.HTTP, Carrier.COAP])
def test_the_same_document_in_cbor(flavour: str, carrier: Carrier) -> None:
    accept = {"accept": "application/cbor"}
    answer = answered(flavour, "bootstrap/e", bootstrapped(DATA, content="text"), carrier, headers=accept)
    assert (answer.content_type, answer.etag) == ("application/cbor", ETAG)
    document = cbor2.loads(answer.body)
    assert list(document.values()) == ["cl-1", "s-1", [{"id": "ch-1", "name": "up", "metadata": {"type": "data"}}], "text"]
    without = answered(flavour, "bootstrap/e", bootstrapped(), carrier, headers=accept)
    assert list(cbor2.loads(without.body).values()) == ["cl-1", "s-1", None]
    version = answered(flavour, "bootstrap/e/version", bootstrapped(), carrier, headers=accept)
    assert cbor2.loads(version.body) == {"version": 3, "etag": ETAG}


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("", "application/json"),
        ("text/html", "application/json"),
        ("*/*", "application/json"),
        ("application/*, application/cbor", "application/json"),
        ("application/json, application/cbor;q=0.5", "application/json"),
        ("Application/CBOR;q=1, application/json", "application/cbor"),
        ("text/html,application/cbor", "application/cbor"),
    ],
)
def test_cbor_is_sent_where_it_is_asked_for_first(accept: str, media_type: str) -> None:
    answer = answered("mg-client", "bootstrap/e", bootstrapped(), headers={"accept": accept})
    assert answer.content_type == media_type


KEY_V1 = b"12345678910111213141516171819202"
IV_V1 = bytes(range(16))
V4 = bytes.fromhex(
    "000102030405060708090a0b0c0d0e0fadf63e9eafbca8bd1efee1d9084184f40600b26b8907aa5674bc8843a671aba9dd11e3daec7fdf15080db57971"
    "db7072e8a5ccfa65e2da454af025631538e83b3eafdb354c52f31d51ccf6a11251e8d4b47f39c7ba0ffb46a945ad680c008c49806ae74ab7487749fb59"
    "916980811409351504480276875d8a9f888ec78279d16c587c5316532dbcb77e8e"
)
KEY_V2 = bytes.fromhex("12345678910111213141516171819202")
IV_V5 = bytes(range(15, -1, -1))
V5 = bytes.fromhex(
    "0f0e0d0c0b0a09080706050403020100f8e2f7060ba2d823c937e9f03781d3fc4e06ac6fdf565a5359f5d837f2f15fec9d99896e603ddbb7bdc035e537"
    "d6314191b5585acb1bc1aa531e884a3d743e527282843a"
)
REQUESTS = {
    "V1": (
        KEY_V1,
        "000102030405060708090a0b0c0d0e0fb2b12bdfadbcbfe471a7b5ca",
        "dev-key-0001",
    ),
    "V2": (
        KEY_V2,
        "000102030405060708090a0b0c0d0e0f3dee42985ec0e6e797d12978",
        "dev-key-0001",
    ),
    "V3": (
        b"abcdefghijklmnopqrstuvwx",
        "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff2845064615cbc6f80c0f6277a7cc1d957c33d44118c1febf5b63043cd6fa4f4825fe3c3d18c31e9ed4",
        "A-longer-external-key-that-spans-3-blocks",
    ),
    "V6": (
        b"1234567891011121",
        "ffeeddccbbaa99887766554433221100207c28c600abb876cb0fa3de",
        "external-key",
    ),
}


@pytest.mark.parametrize(("key", "text", "plaintext"), REQUESTS.values(), ids=REQUESTS)
def test_an_encrypted_key_of_the_originals(key: bytes, text: str, plaintext: str) -> None:
    proof = asked("mg-client", Carrier.HTTP, "bootstrap/secure/e", f"Client {text}").proof
    assert proof == EncryptedKey(text)
    message = bytes.fromhex(text)
    assert decrypt(key, message).decode() == plaintext
    assert Envelope(key, message[:16]).close(plaintext.encode()) == message


@pytest.mark.parametrize("carrier", Carrier)
def test_the_encrypted_answer_of_magistrala(carrier: Carrier) -> None:
    result = bootstrapped(DATA, content='{"log":"info"}', envelope=Envelope(KEY_V1, IV_V1), unchanged=True)
    answer = answered("mg-client", "bootstrap/secure/e", result, carrier, headers={"accept": "application/cbor"})
    assert (answer.outcome, answer.body, answer.content_type) == (Success.OK, V4, "application/octet-stream")
    assert (answer.etag, answer.watch) == ("", "")
    assert answer.topic == ("clients/bootstrap/secure/e/response" if carrier is Carrier.MQTT else None)


@pytest.mark.parametrize("flavour", ["mf-raw", "mf-thing"])
def test_the_encrypted_answer_of_mainflux(flavour: str) -> None:
    result = bootstrapped(identity="th-1", secret="k-1", envelope=Envelope(KEY_V2, IV_V5))
    answer = answered(flavour, "bootstrap/secure/e", result)
    assert (answer.body, answer.content_type) == (V5, "application/json")


@FLAVOURS
def test_a_guest_may_hear_answers_and_nothing_else(flavour: str) -> None:
    spoken, prefix = dialect(flavour), entity(flavour)
    (guest,) = spoken.GUESTS
    assert (guest.name, guest.login, guest.linger_seconds) == ("bootstrap", "bootstrap", None)
    assert guest.subscriptions == spoken.SUBSCRIPTIONS
    assert (
        tuple(f"{prefix}/bootstrap/{path}/response" for path in ("+", "secure/+", "+/version", "secure/+/version"))
        == spoken.SUBSCRIPTIONS
    )
    over_mqtt = [route for route in spoken.ROUTES if route.carrier is Carrier.MQTT]
    assert {route.guest for route in over_mqtt} == {"", "bootstrap"}
    assert all(route.path.endswith("/request") for route in over_mqtt)
