"""Certificates: how a device asks for one, and what it and everybody else is given."""

from typing import Any, Final

import msgspec

from adapters.dialects.device_api import forms
from adapters.dialects.device_api.requests import fields_of, text_of, who
from adapters.dialects.moments import rfc3339
from adapters.exchange import Carrier, Inbound, Outbound, Success
from core.crypto.bundles import write_pem
from core.crypto.signing_requests import REQUEST_BYTES
from core.errors import Reason, Refusal
from core.messages import (
    AskAuthorities,
    AskRevocations,
    AuthoritiesAnswer,
    CertificateSigned,
    RevocationsAnswer,
    SignRequest,
)

SIGN: Final = "sign_certificate"
AUTHORITIES: Final = "show_authorities"
REVOCATIONS: Final = "show_revocations"
PKCS10: Final = "application/pkcs10"  # RFC 5967
PEM_CHAIN: Final = "application/pem-certificate-chain"  # RFC 8555, section 9.1
CRL: Final = "application/pkix-crl"  # RFC 2585, section 4.2
_NOT_STORED = ("Cache-Control", "no-store")
_SHARED = ("Cache-Control", "public, max-age=300")

Question = SignRequest | AskAuthorities | AskRevocations
Answer = CertificateSigned | AuthoritiesAnswer | RevocationsAnswer


class Authority(msgspec.Struct, frozen=True):
    """By whose certificates those of devices are checked, as PEM."""

    ca: str


class Signed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a device is given: its certificate, those between it and the authority, and the authority's, all PEM."""

    certificate: str
    chain: str
    ca: str
    expires_at: str
    private_key: str | None = None


def read(operation: str, inbound: Inbound) -> Question:
    """Read a request; over MQTT nothing asks for the authority. Raises `Refusal` UNAUTHENTICATED or MALFORMED."""
    if operation == AUTHORITIES or (inbound.carrier is Carrier.MQTT and not inbound.body):
        return AskAuthorities()
    if operation == REVOCATIONS:
        return AskRevocations()
    asker = who(inbound)
    kind = (inbound.content_type or "").partition(";")[0].strip().lower()
    if kind == PKCS10:
        return SignRequest(who=asker, request=_bounded(inbound.body))
    fields = fields_of(inbound)
    request, algorithm = fields.get("csr"), text_of(fields, "key")
    if (request is None) == (algorithm is None):
        raise _malformed("csr or key is needed, and not both")
    return SignRequest(who=asker, request=None if request is None else _content(request), key_algorithm=algorithm)


def write(result: Answer, inbound: Inbound, topic: str | None) -> Outbound:
    """Write the answer to a granted request."""
    match result:
        case AuthoritiesAnswer(certificates=certificates) if topic is not None:
            body, media_type = forms.write(msgspec.to_builtins(Authority(write_pem(certificates))), inbound)
            return Outbound(outcome=Success.OK, body=body, content_type=media_type, topic=topic, form=inbound.form)
        case AuthoritiesAnswer(certificates=certificates):
            return _public(write_pem(certificates).encode(), PEM_CHAIN)
        case RevocationsAnswer(content=content):
            return _public(content, CRL)
        case CertificateSigned():
            body, media_type = forms.write(_document(result), inbound)
            return Outbound(
                outcome=Success.CREATED,
                body=body,
                content_type=media_type,
                headers=(_NOT_STORED,),
                topic=topic,
                form=inbound.form,
            )


def _document(result: CertificateSigned) -> Any:
    key = result.private_key
    return msgspec.to_builtins(
        Signed(
            certificate=write_pem(result.chain[:1]),
            chain=write_pem(result.chain[1:]),
            ca=write_pem(result.authorities),
            expires_at=rfc3339(result.not_after),
            private_key=None if key is None else key.reveal(),
        )
    )


def _public(body: bytes, media_type: str) -> Outbound:
    return Outbound(outcome=Success.OK, body=body, content_type=media_type, headers=(_SHARED,))


def _content(request: object) -> bytes:
    """Return a request given as text or, in CBOR, as bytes."""
    if isinstance(request, bytes):
        return _bounded(request)
    if not isinstance(request, str):
        raise _malformed("csr is not a text")
    return _bounded(request.encode("utf-8", "surrogatepass"))


def _bounded(request: bytes) -> bytes:
    if not 1 <= len(request) <= REQUEST_BYTES:
        raise _malformed(f"a certificate request has 1 to {REQUEST_BYTES} bytes")
    return request


def _malformed(detail: str) -> Refusal:
    return Refusal(Reason.MALFORMED, detail, check="body.field")
