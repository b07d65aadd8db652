"""The row of the operator API's table that gives a device a certificate, with what is sent and answered."""

from typing import Annotated

import msgspec
from msgspec import Meta

from adapters.dialects.moments import rfc3339
from adapters.dialects.operator import bodies
from adapters.dialects.operator.body import Body
from adapters.dialects.operator.endpoint import Endpoint
from adapters.dialects.operator.objects import Time
from adapters.exchange import Success
from core.crypto.bundles import write_pem
from core.operate.certifying import CertifyDevice, DeviceCertified


class NewCertificate(Body, frozen=True):
    """A request that the device's key signed."""

    csr: Annotated[str, Meta(description="PKCS#10 in PEM; EC P-256 or P-384, RSA of 2048 to 4096 bits, or Ed25519.")]


class IssuedCertificate(msgspec.Struct, frozen=True, kw_only=True):
    """A device's certificate, those between it and the authority, and the authority's, all PEM; `device` is its id."""

    device: str
    name: str
    certificate: str
    chain: str
    ca: str
    expires_at: Time


def certify_device(ref: str, _query: bodies.Scoped, body: NewCertificate) -> CertifyDevice:
    """POST /v1/devices/{id}/certificates."""
    return CertifyDevice(ref=ref, request=body.csr)


def certificate(result: DeviceCertified) -> IssuedCertificate:
    """Show a certificate."""
    return IssuedCertificate(
        device=result.device.id,
        name=result.device.name,
        certificate=write_pem(result.chain[:1]),
        chain=write_pem(result.chain[1:]),
        ca=write_pem(result.authorities),
        expires_at=rfc3339(result.not_after),
    )


CERTIFYING = (
    Endpoint(
        method="POST",
        path="/v1/devices/{id}/certificates",
        operation="certify_device",
        summary="Have a certificate made for a device, which logs in with it from then on.",
        read=certify_device,
        body=NewCertificate,
        write=certificate,
        answer=IssuedCertificate,
        success=Success.CREATED,
    ),
)
