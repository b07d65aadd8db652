"""What ThingsBoard devices send to get their identity: JSON as its many clients write it, or protobuf."""

from typing import Any

import msgspec

from adapters.dialects import thingsboard_protobuf as protobuf
from adapters.dialects.thingsboard_json import UNPARSED, bad_field, is_json, text
from adapters.dialects.thingsboard_proof import proof
from adapters.exchange import Carrier, Decoded, Inbound
from core.credentials import certificate
from core.errors import Reason, Refusal
from core.messages import AccessToken, CredentialValue, Lwm2m, MqttBasic, ProvenClaim, ProvisionRequest, SharedSecret
from core.model import Secret

JSON, PROTOBUF = "json", "protobuf"


class _Sent(msgspec.Struct, frozen=True):
    """A provisioning request as most devices write it."""

    deviceName: str | None = None  # noqa: N815 - the field's name on the wire
    provisionDeviceKey: str | None = None  # noqa: N815 - the same
    provisionDeviceSecret: str | None = None  # noqa: N815 - the same
    credentialsType: str | None = None  # noqa: N815 - the same
    token: str | None = None
    clientId: str | None = None  # noqa: N815 - the same
    username: str | None = None
    password: str | None = None
    hash: str | None = None
    gateway: bool | str | None = None


_SENT = msgspec.json.Decoder(_Sent)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])


def read(inbound: Inbound) -> Decoded:
    """Read a request for an identity. Raises `Refusal` MALFORMED, or UNAUTHENTICATED for an empty body.

    Whoever proved a claim key in its handshake may leave out the key and its secret.
    """
    if not inbound.body:
        return _decode_empty(inbound)
    try:
        sent = _SENT.decode(inbound.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _decode_other(inbound)
    return Decoded(_from_json(sent, inbound), inbound.form or JSON)


def _decode_other(inbound: Inbound) -> Decoded:
    """Read what is not plainly typed JSON: numbers where texts belong, protobuf, or nothing that can be read."""
    try:
        fields = _OBJECT.decode(inbound.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return _decode_protobuf(inbound, error)
    texts = {name: text(fields[name], name) for name in _Sent.__struct_fields__ if name in fields}
    return Decoded(_from_json(_Sent(**texts), inbound), inbound.form or JSON)


def _decode_empty(inbound: Inbound) -> Decoded:
    if inbound.carrier is Carrier.HTTP:
        raise Refusal(Reason.MALFORMED, "the request has no body", check="body.empty")
    return Decoded(ProvisionRequest(evidence=_evidence("", "", inbound.peer.claim)), inbound.form or JSON)


def _decode_protobuf(inbound: Inbound, not_json: Exception) -> Decoded:
    if inbound.carrier is Carrier.HTTP or is_json(inbound.body):
        raise Refusal(Reason.MALFORMED, "the body is not a JSON object", check=UNPARSED) from not_json
    try:
        request = protobuf.parse_request(inbound.body)
    except protobuf.NotProtobufError as error:
        raise Refusal(Reason.MALFORMED, "the body is neither JSON nor protobuf", check=UNPARSED) from error
    return Decoded(_from_protobuf(request, inbound), PROTOBUF)


def _from_json(sent: _Sent, inbound: Inbound) -> ProvisionRequest:
    return ProvisionRequest(
        evidence=_evidence(sent.provisionDeviceKey, sent.provisionDeviceSecret, inbound.peer.claim),
        device_name=sent.deviceName,
        credential=_credential(
            "ACCESS_TOKEN" if sent.credentialsType is None else sent.credentialsType,
            sent.token or "",
            sent.hash or "",
            (sent.clientId or "", sent.username or "", sent.password or ""),
        ),
        proof=proof(inbound),
        metadata=_gateway(sent.gateway in (True, "true")),
    )


def _from_protobuf(request: protobuf.Request, inbound: Inbound) -> ProvisionRequest:
    if not 0 <= request.credentialsType < len(protobuf.CREDENTIALS_TYPES):
        raise bad_field("credentialsType is not known")
    sent = request.credentials
    return ProvisionRequest(
        evidence=_evidence(request.claim.provisionDeviceKey, request.claim.provisionDeviceSecret, inbound.peer.claim),
        device_name=request.deviceName,
        credential=_credential(
            protobuf.CREDENTIALS_TYPES[request.credentialsType],
            sent.token.token,
            sent.certificate.hash,
            (sent.basic.clientId, sent.basic.userName, sent.basic.password),
        ),
        proof=proof(inbound),
        metadata=_gateway(request.gateway),
    )


def _evidence(key: str | None, secret: str | None, proven: str) -> SharedSecret | ProvenClaim:
    if proven and not secret and key in (None, "", proven):
        return ProvenClaim(proven)
    return SharedSecret(_required(key, "provisionDeviceKey"), Secret(_required(secret, "provisionDeviceSecret")))


def _credential(kind: str, token: str, certificate_text: str, basic: tuple[str, str, str]) -> CredentialValue | None:
    """Return what the device proposes; the five values alone say whether it does, the type only says which one counts."""
    client_id, username, password = basic
    proposed = token or certificate_text or client_id or username or password
    match kind:
        case "ACCESS_TOKEN":
            return AccessToken(Secret(token)) if proposed else None
        case "MQTT_BASIC":
            return MqttBasic(client_id, username, Secret(password)) if proposed else None
        case "X509_CERTIFICATE":
            return certificate(certificate_text) if proposed else None
        case "LWM2M_CREDENTIALS":
            return Lwm2m("") if proposed else None  # cannot be proposed here: refused as an empty credential
        case _:
            raise bad_field("credentialsType is not known")


def _required(text: str | None, name: str) -> str:
    if text is None:
        raise bad_field(f"{name} is missing")
    return text


def _gateway(marked: bool) -> dict[str, Any]:
    return {"gateway": True} if marked else {}
