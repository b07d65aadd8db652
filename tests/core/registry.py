"""A registry in memory with the core's use cases over it, and what tests put into it."""

import msgspec

from core.attestation import secret_row
from core.audit import Audit
from core.authenticate import Authenticate
from core.crypto.tokens import new_id
from core.crypto.vault import Vault
from core.handshakes import Handshakes
from core.issuer import Issuer
from core.limits import Buckets, Rate
from core.lockout import Lockout
from core.messages import Context, CredentialValue, ProvisionRequest, SharedSecret
from core.model import (
    DEFAULT_TENANT,
    ChainPolicy,
    Credential,
    CredentialKind,
    Device,
    DeviceId,
    DeviceState,
    Event,
    Profile,
    ProfileId,
    Reprovision,
    Sealed,
    Secret,
    Strategy,
    Tenant,
    TenantId,
)
from core.ports import Changes, Repository
from core.provision import Provision
from core.queries import ClaimQuery, DeviceNamesQuery, DevicePage, DeviceSnapshot, EventPage, TenantQuery
from storage.memory import MemoryRepository
from tests.fakes import FrozenClock, PlainKeys, SeededEntropy

MASTER_KEY = bytes(range(32))
KEY = "k3y0demo0demo0demo00"
SECRET = "s3cr3t0demo0demo0000"
OTHER_TENANT = TenantId("elsewhere")
SOURCE = "192.0.2.7"
CONTEXT = Context("01938a4e-0000-7000-8000-000000000000", "http", "thingsboard", SOURCE)
UNLIMITED = Rate(0.0, 1.0)


class CountingVault(Vault):
    """A vault that counts how often something is opened."""

    opened = 0

    def open(self, sealed: Sealed, row: bytes) -> Secret:
        self.opened += 1
        return super().open(sealed, row)


class Registry:
    """The core over a memory store, with fakes for its other ports."""

    def __init__(
        self,
        repository: Repository | None = None,
        *,
        sources: Rate = UNLIMITED,
        claim_keys: Rate = UNLIMITED,
        failures: Rate = UNLIMITED,
        refusals: Rate = UNLIMITED,
    ) -> None:
        self.clock = FrozenClock()
        self.entropy = SeededEntropy()
        self.keys = PlainKeys()
        self.vault = CountingVault(MASTER_KEY, self.entropy)
        self.vault.opened = 0
        self.repository = repository or MemoryRepository()
        self.issuer = Issuer(self.vault, self.clock, self.entropy, self.keys)
        self.audit = Audit(self.repository, self.clock, self.entropy, refusals)
        self.provision = Provision(self.repository, self.issuer, self.audit, Buckets(sources), Buckets(claim_keys))
        wrong = Lockout(failures)
        self.authenticate = Authenticate(self.repository, self.issuer, self.audit, wrong, self.provision)
        self.handshakes = Handshakes(self.repository, self.issuer, self.audit, wrong)

    async def tenant(self, id: TenantId = OTHER_TENANT) -> Tenant:  # noqa: A002 - the field's own name
        """Add a tenant."""
        tenant = Tenant(id=id, name=str(id), created_at=self.clock.now())
        await self.repository.commit(Changes(insert=(tenant,)))
        return tenant

    async def limit_devices(self, limit: int | None) -> None:
        """Set how many devices the default tenant may have."""
        tenant = await self.repository.read(TenantQuery(DEFAULT_TENANT))
        assert tenant is not None
        changed = msgspec.structs.replace(tenant, device_limit=limit, version=tenant.version + 1)
        await self.repository.commit(Changes(replace=(changed,)))

    async def profile(
        self,
        strategy: Strategy = Strategy.CREATE_NEW,
        reprovision: Reprovision = Reprovision.DENY,
        *,
        tenant: TenantId = DEFAULT_TENANT,
        key: str = KEY,
        secret: str = SECRET,
        options: tuple[str, ...] = (),
        credential_kind: CredentialKind | None = None,
        chain: ChainPolicy | None = None,
    ) -> Profile:
        """Add a profile, named after its key."""
        identity = ProfileId(new_id(self.clock.now(), self.entropy))
        profile = Profile(
            id=identity,
            tenant=tenant,
            name=f"profile {key}",
            strategy=strategy,
            reprovision=reprovision,
            provision_key=key,
            provision_secret=self.vault.seal(Secret(secret), secret_row(identity)),
            options=options,
            credential_kind=credential_kind,
            chain=chain,
            created_at=self.clock.now(),
            updated_at=self.clock.now(),
        )
        await self.repository.commit(Changes(insert=(profile,)))
        return profile

    async def device(
        self,
        profile: Profile,
        name: str,
        value: CredentialValue | None = None,
        *,
        state: DeviceState = DeviceState.DEFINED,
        enabled: bool = True,
        keep: bool = True,
    ) -> Device:
        """Add a device, with a credential where a value is given."""
        now = self.clock.now()
        device = Device(
            id=DeviceId(new_id(now, self.entropy)),
            tenant=profile.tenant,
            profile=profile.id,
            name=name,
            state=state,
            enabled=enabled,
            created_at=now,
            updated_at=now,
        )
        issued: tuple[Credential, ...] = (await self.issuer.issue(value, device.id, keep=keep),) if value else ()
        await self.repository.commit(Changes(insert=(device, *issued)))
        return device

    async def alter(self, device: Device, **changes: object) -> Device:
        """Replace fields of a device, as an operator would."""
        changed = msgspec.structs.replace(device, version=device.version + 1, **changes)
        await self.repository.commit(Changes(replace=(changed,)))
        return changed

    async def snapshot(self, name: str, tenant: TenantId = DEFAULT_TENANT) -> DeviceSnapshot | None:
        """Return a device by name, with its credentials."""
        (found,) = await self.repository.read(DeviceNamesQuery(tenant, (name,)))
        return found

    async def known(self, name: str, tenant: TenantId = DEFAULT_TENANT) -> DeviceSnapshot:
        """Return a device by name that must be there."""
        found = await self.snapshot(name, tenant)
        assert found is not None
        return found

    async def devices(self, tenant: TenantId = DEFAULT_TENANT) -> tuple[Device, ...]:
        """Return all devices of a tenant."""
        return await self.repository.read(DevicePage(tenant))

    async def events(self, tenant: TenantId = DEFAULT_TENANT) -> tuple[Event, ...]:
        """Return all events of a tenant."""
        return await self.repository.read(EventPage(tenant))

    async def is_taken(self, value: CredentialValue) -> bool:
        """Tell whether any device has this credential."""
        return (await self.repository.read(ClaimQuery("", "", self.issuer.lookup(value)))).lookup_taken


def claim(
    name: str | None = "meter-0042", value: CredentialValue | None = None, *, key: str = KEY, secret: str = SECRET
) -> ProvisionRequest:
    """Return a request for an identity."""
    return ProvisionRequest(evidence=SharedSecret(key, Secret(secret)), device_name=name, credential=value)
