"""Certificates as the operator API shows them."""

import msgspec

from adapters.dialects.operator.certifying_endpoints import CERTIFYING
from core.crypto.bundles import read_bundle
from core.model import Device, DeviceId, ProfileId, TenantId
from core.operate.certifying import DeviceCertified
from tests.core.signing import der, made
from tests.fakes import START


def test_they_are_shown_as_pem() -> None:
    root = made("root")
    middle = made("middle", root)
    leaf = der(made("meter-1", middle, ca=False)[0])
    device = Device(
        id=DeviceId("d-1"),
        tenant=TenantId("default"),
        profile=ProfileId("p"),
        name="meter-1",
        created_at=START,
        updated_at=START,
    )
    result = DeviceCertified(device=device, chain=(leaf, der(middle[0])), authorities=(der(root[0]),), not_after=START)
    (endpoint,) = CERTIFYING
    assert endpoint.write is not None
    shown = msgspec.to_builtins(endpoint.write(result))
    for member, certificates in (("certificate", result.chain[:1]), ("chain", result.chain[1:]), ("ca", result.authorities)):
        assert read_bundle(shown.pop(member).encode()) == certificates
    assert shown == {"device": "d-1", "name": "meter-1", "expires_at": "2026-11-21T02:33:58.123Z"}
