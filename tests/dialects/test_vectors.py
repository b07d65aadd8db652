"""Recorded provisioning requests: what they mean to the core, and the bytes that answer them."""

from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from adapters.dialects import thingsboard
from adapters.exchange import Carrier, Closing, Dialect, Inbound, Outbound, Outcome, Peer, Success
from adapters.router import Match, Router
from core.errors import Reason, Refusal
from core.messages import (
    AccessToken,
    Certificate,
    ClientSecret,
    CredentialValue,
    Lwm2m,
    MqttBasic,
    Oscore,
    Provisioned,
    ProvisionRequest,
    SharedSecret,
    Triple,
)
from core.model import DEFAULT_TENANT, Device, DeviceId, Profile, ProfileId, Sealed, Secret, Strategy
from tests.fakes import START

FOLDER = Path(__file__).parent / "vectors"
DIALECTS: dict[str, Dialect] = {thingsboard.NAME: thingsboard}


class Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A record in which a misspelt field is a fault."""


class RecordedRequest(Strict, frozen=True, kw_only=True):
    """A request; the body as text or as hex."""

    carrier: Carrier
    method: str
    path: str
    body: str = ""
    body_hex: str = ""
    form: str = ""


class RecordedMessage(Strict, frozen=True, kw_only=True):
    """What the request means."""

    key: str
    secret: str
    device_name: str | None
    credential: dict[str, str] | None
    metadata: dict[str, Any]


class RecordedRefusal(Strict, frozen=True, kw_only=True):
    """How a request that means nothing is refused."""

    reason: Reason
    check: str


class RecordedResult(Strict, frozen=True, kw_only=True):
    """What the core comes to: a credential, or a reason to refuse."""

    reason: Reason | None = None
    kind: Literal["access_token", "mqtt_basic", "x509_certificate", "lwm2m", ""] = ""
    token: str = ""
    client_id: str = ""
    username: str = ""
    password: str = ""
    text: str = ""
    endpoint: str = ""
    options: tuple[str, ...] = ()


class RecordedReply(Strict, frozen=True, kw_only=True):
    """The answer; the body as text or as hex."""

    outcome: str
    body: str = ""
    body_hex: str = ""
    content_type: str | None
    topic: str | None
    closing: Closing
    form: str


class Vector(Strict, frozen=True, kw_only=True):
    """One request and its answer, with where the vendor says so."""

    name: str
    source: str
    request: RecordedRequest
    message: RecordedMessage | None = None
    refused: RecordedRefusal | None = None
    result: RecordedResult | None = None
    reply: RecordedReply


def recorded(dialect: str) -> list[Vector]:
    return msgspec.json.decode((FOLDER / f"{dialect}.json").read_bytes(), type=list[Vector])


VECTORS = [
    pytest.param(DIALECTS[path.stem], vector, id=f"{path.stem}: {vector.name}")
    for path in sorted(FOLDER.glob("*.json"))
    for vector in recorded(path.stem)
]


def content(text: str, text_hex: str) -> bytes:
    return bytes.fromhex(text_hex) if text_hex else text.encode()


def inbound(asked: RecordedRequest, dialect: Dialect) -> tuple[Match, Inbound]:
    """Return the request as it reaches the dialect."""
    request = Inbound(
        carrier=asked.carrier,
        method=asked.method,
        path=asked.path,
        peer=Peer("192.0.2.7", 4711),
        body=content(asked.body, asked.body_hex),
        guest=dialect.NAME if asked.carrier is Carrier.MQTT else "",
        form=asked.form,
        received_at=START,
    )
    match = Router([dialect]).find(request)
    assert isinstance(match, Match)
    return match, msgspec.structs.replace(request, params=match.params, operation=match.route.operation)


def credential_record(value: CredentialValue | None) -> dict[str, str] | None:
    assert not isinstance(value, Oscore)
    match value:
        case None:
            return None
        case AccessToken(token=token):
            return {"kind": "access_token", "token": token.reveal()}
        case MqttBasic(client_id=client_id, username=username, password=password):
            parts = {"client_id": client_id, "username": username, "password": password.reveal()}
            return {"kind": "mqtt_basic"} | parts
        case Certificate(text=text):
            return {"kind": "x509_certificate", "text": text}
        case Lwm2m(endpoint=endpoint):
            return {"kind": "lwm2m", "endpoint": endpoint}
        case ClientSecret(secret=secret):
            return {"kind": "client_secret", "text": secret.reveal()}
        case Triple(product_key=product_key, device_key=device_key, secret=secret):
            return {"kind": "triple", "keys": f"{device_key}&{product_key}", "text": secret.reveal()}


def credential_value(result: RecordedResult) -> CredentialValue:
    values: dict[str, CredentialValue] = {
        "access_token": AccessToken(Secret(result.token)),
        "mqtt_basic": MqttBasic(result.client_id, result.username, Secret(result.password)),
        "x509_certificate": Certificate(result.text),
        "lwm2m": Lwm2m(result.endpoint),
    }
    return values[result.kind]


def granted(result: RecordedResult) -> Provisioned:
    profile = Profile(
        id=ProfileId("p"),
        tenant=DEFAULT_TENANT,
        name="meters",
        strategy=Strategy.CREATE_NEW,
        provision_key="key",
        provision_secret=Sealed(b""),
        options=result.options,
        created_at=START,
        updated_at=START,
    )
    device = Device(
        id=DeviceId("d"), tenant=DEFAULT_TENANT, profile=profile.id, name="DEVICE_NAME", created_at=START, updated_at=START
    )
    return Provisioned(device=device, profile=profile, credential=credential_value(result))


def outcome(name: str) -> Outcome:
    return Success(name) if name in {success.value for success in Success} else Reason(name)


def reply_of(vector: Vector) -> Outbound:
    reply = vector.reply
    return Outbound(
        outcome=outcome(reply.outcome),
        body=content(reply.body, reply.body_hex),
        content_type=reply.content_type,
        topic=reply.topic,
        closing=reply.closing,
        form=reply.form,
    )


@pytest.mark.parametrize(("dialect", "vector"), VECTORS)
def test_a_recorded_request_and_its_answer(dialect: Dialect, vector: Vector) -> None:
    match, request = inbound(vector.request, dialect)
    if vector.refused is not None:
        with pytest.raises(Refusal) as refused:
            dialect.decode(match.route, request)
        assert (refused.value.reason, refused.value.check) == (vector.refused.reason, vector.refused.check)
        assert dialect.refuse(refused.value, "", request) == reply_of(vector)
        return
    decoded = dialect.decode(match.route, request)
    assert isinstance(decoded.message, ProvisionRequest)
    assert record(decoded.message) == vector.message
    assert vector.result is not None
    if vector.result.reason is not None:
        refusal = Refusal(vector.result.reason, "no device reads this", check="any")
        assert dialect.refuse(refusal, decoded.form, request) == reply_of(vector)
    else:
        assert dialect.encode(granted(vector.result), decoded.form, request) == reply_of(vector)


def record(message: ProvisionRequest) -> RecordedMessage:
    assert isinstance(message.evidence, SharedSecret)
    return RecordedMessage(
        key=message.evidence.key,
        secret=message.evidence.secret.reveal(),
        device_name=message.device_name or None,  # an empty name is no name
        credential=credential_record(message.credential),
        metadata=message.metadata,
    )


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_dialect_has_vectors_and_each_names_its_source(dialect: str) -> None:
    vectors = recorded(dialect)
    assert len({vector.name for vector in vectors}) == len(vectors)
    assert all(vector.source.startswith(("https://", f"{dialect}/")) for vector in vectors)


@pytest.mark.parametrize("dialect", sorted(DIALECTS))
def test_every_provisioning_route_has_a_vector(dialect: str) -> None:
    module = DIALECTS[dialect]
    asked = {inbound(vector.request, module)[0].route for vector in recorded(dialect)}
    assert {route for route in module.ROUTES if route.operation == "provision"} <= asked
