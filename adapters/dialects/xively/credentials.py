"""The endpoint that gives devices and users their MQTT credentials, each shown once."""

from typing import Final

from adapters.dialects.moments import rfc3339
from adapters.dialects.xively.endpoint import ACCOUNT, Asked, Endpoint, Shown
from adapters.dialects.xively.faults import Fault, unfit
from adapters.dialects.xively.objects import Document, author_of, derived_id
from adapters.dialects.xively.reading import optional_text, text
from adapters.dialects.xively.versions import opaque
from core.errors import Reason
from core.model import EntryKind, TenantId
from core.operate.directing import (
    IssuedCertificate,
    IssuedSecret,
    IssuedUserSecret,
    IssueSecret,
    IssueUserSecret,
    RegisterCertificate,
)

CERTIFICATE_CHARACTERS: Final = 16_384
DEVICE: Final = "device"
USERS: Final = {"endUser": EntryKind.END_USER, "accountUser": EntryKind.ACCOUNT_USER}

_ID, _TYPE, _CERTIFICATE = "entityId", "entityType", "certificate"


def endpoints() -> tuple[Endpoint, ...]:
    """Return the row."""
    return (
        Endpoint(
            operation="create_credential",
            method="POST",
            path="/api/v1/access/mqtt-credentials",
            command=_issue,
            write=_issued,
            needs_account=True,
            form=(ACCOUNT, _ID, _TYPE, _CERTIFICATE),
        ),
    )


def _issue(asked: Asked) -> IssueSecret | RegisterCertificate | IssueUserSecret:
    entity, kind = text(asked.members, _ID), text(asked.members, _TYPE)
    pem = optional_text(asked.members, _CERTIFICATE, CERTIFICATE_CHARACTERS)
    if kind == DEVICE:
        return RegisterCertificate(entity, pem) if pem else IssueSecret(entity)
    if kind not in USERS:
        raise unfit(_TYPE, f"one of {', '.join((DEVICE, *USERS))}")
    if pem:
        raise Fault(Reason.UNPROCESSABLE, "users have no certificates", check="credential.kind", target=_CERTIFICATE)
    return IssueUserSecret(kind=USERS[kind], id=entity)


def _issued(result: IssuedSecret | IssuedCertificate | IssuedUserSecret, asked: Asked) -> Shown:
    if isinstance(result, IssuedUserSecret):
        entry = result.entry
        credential = _credential(
            entry.tenant, derived_id(entry.id, "credential"), entry.version, entry.updated_at, entry.id, asked
        )
        return Shown({"mqttCredential": credential | {"secret": result.secret.reveal()}})
    found = result.credential
    credential = _credential(result.device.tenant, found.id, found.version, found.created_at, result.device.id, asked)
    if isinstance(result, IssuedSecret):
        return Shown({"mqttCredential": credential | {"secret": result.secret.reveal()}})
    return Shown({"mqttCredential": credential | {_CERTIFICATE: result.pem, "fingerprint": result.fingerprint}})


def _credential(tenant: TenantId, identity: str, version: int, at: int, entity: str, asked: Asked) -> Document:
    author = author_of(tenant)
    return {
        "id": identity,
        "created": rfc3339(at),
        "createdById": author,
        "lastModified": rfc3339(at),
        "lastModifiedById": author,
        "ownedById": author,
        "version": opaque(version),
        ACCOUNT: tenant,
        _ID: entity,
        _TYPE: asked.members[_TYPE],
    }
