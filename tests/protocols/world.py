"""The small world that the scenarios begin with: profiles of every strategy, and devices that an operator has defined."""

from typing import Any, NamedTuple

from adapters.app import Running
from core.attestation import secret_row
from core.crypto.tokens import new_id
from core.model import Profile, ProfileId, Secret, Strategy, Tenant, TenantId
from core.ports import Changes
from tests.e2e.operator_api import Operator

CERTIFICATE_TEXT = "MIIBszCCAVmgAwIBAgIUQm9ndXM" + "A" * 900 + "="


class Known(NamedTuple):
    """A profile as a device knows it."""

    key: str
    secret: str

    def claim(self, **fields: Any) -> dict[str, Any]:
        """Return a request under this profile."""
        return {"provisionDeviceKey": self.key, "provisionDeviceSecret": self.secret, **fields}


METERS = Known("meters-key-0000000000", "meters-secret-0000000")
PUMPS = Known("pumps-key-00000000000", "pumps-secret-00000000")
FACTORY = Known("factory-key-000000000", "factory-secret-000000")
SPARES = Known("spares-key-0000000000", "spares-secret-0000000")
CLOSED = Known("closed-key-0000000000", "closed-secret-0000000")
SAME = Known("same-key-000000000000", "same-secret-000000000")
SAME_FACTORY = Known("same-factory-key-0000", "same-factory-secret-0")
ROTATING = Known("rotating-key-00000000", "rotating-secret-00000")
GUIDE = Known("guide-key-00000000000", "guide-secret-00000000")
ELSEWHERE = Known("elsewhere-key-0000000", "elsewhere-secret-0000")

_PROFILES: dict[str, tuple[Known, dict[str, Any]]] = {
    "meters": (METERS, {}),
    "pumps": (PUMPS, {}),
    "factory": (FACTORY, {"strategy": "pre_provisioned"}),
    "spares": (SPARES, {"strategy": "pre_provisioned"}),
    "closed": (CLOSED, {"strategy": "disabled"}),
    "same": (SAME, {"reprovision": "same"}),
    "same-factory": (SAME_FACTORY, {"strategy": "pre_provisioned", "reprovision": "same"}),
    "rotating": (ROTATING, {"reprovision": "rotate"}),
    "guide": (GUIDE, {"options": ["thingsboard-guide-reply"]}),
}
DEVICES: dict[str, tuple[str, dict[str, Any]]] = {
    "pump-1": ("pumps", {"type": "access_token", "token": "stored-token-of-pump-1"}),
    "expected-token": ("factory", {"type": "access_token", "token": "stored-token-of-expected"}),
    "expected-basic": ("factory", {"type": "mqtt_basic", "client_id": "c-1", "username": "u-1", "password": "p-1"}),
    "expected-certificate": ("factory", {"type": "x509_certificate", "certificate": CERTIFICATE_TEXT}),
    "expected-lwm2m": ("factory", {"type": "lwm2m", "endpoint": "urn:dev:os:expected"}),
    "expected-same": ("same-factory", {"type": "access_token", "token": "stored-token-of-same"}),
    "spare-1": ("spares", {"type": "access_token", "token": "stored-token-of-spare-1"}),
}


async def stock(running: Running, operator: Operator) -> None:
    """Make the world, through the operator API as far as it goes: another tenant is put into the registry itself."""
    for name, (known, rule) in _PROFILES.items():
        body = {"name": name, "provision_key": known.key, "provision_secret": known.secret, **rule}
        await operator.post("/v1/profiles", body)
    for name, (profile, credential) in DEVICES.items():
        await operator.post("/v1/devices", {"name": name, "profile": profile, "credential": credential})
    await _stock_elsewhere(running)


async def _stock_elsewhere(running: Running) -> None:
    issuer = running.issuer
    now = issuer.clock.now()
    tenant = TenantId("elsewhere")
    identity = ProfileId(new_id(now, issuer.entropy))
    profile = Profile(
        id=identity,
        tenant=tenant,
        name="meters",
        strategy=Strategy.CREATE_NEW,
        provision_key=ELSEWHERE.key,
        provision_secret=issuer.vault.seal(Secret(ELSEWHERE.secret), secret_row(identity)),
        created_at=now,
        updated_at=now,
    )
    await running.repository.commit(Changes(insert=(Tenant(id=tenant, name="elsewhere", created_at=now), profile)))
