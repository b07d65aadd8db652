"""Who gives a command, and whether the role allows it."""

import hmac

import msgspec

from core.crypto.vault import Vault
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.limits import Buckets, require
from core.model import DEFAULT_TENANT, Lookup, Role, Secret, TenantId
from core.operate import configuring, messages
from core.ports import Repository
from core.queries import TenantQuery, TokenQuery

ADMIN_NAME = "admin"
"""What events call the bearer of the admin token; no operator token has this name."""

_ADMIN = frozenset({Role.ADMIN})
_READ = frozenset({Role.ADMIN, Role.OPERATOR, Role.AUDITOR})
_WRITE = frozenset({Role.ADMIN, Role.OPERATOR})
_FACTORY = frozenset({Role.FACTORY})

ALLOWED: dict[type, frozenset[Role]] = {
    messages.CreateProfile: _WRITE,
    messages.ListProfiles: _READ,
    messages.ShowProfile: _READ,
    messages.ChangeProfile: _WRITE,
    messages.RotateProfile: _WRITE,
    messages.DeleteProfile: _WRITE,
    messages.DefineDevice: _WRITE | _FACTORY,
    messages.ListDevices: _READ | _FACTORY,
    messages.ExportDevices: _READ,
    messages.ShowDevice: _READ | _FACTORY,
    messages.ChangeDevice: _WRITE,
    messages.DeleteDevice: _WRITE,
    messages.ReadCredentials: _WRITE | _FACTORY,
    messages.RotateCredentials: _WRITE,
    messages.RevokeCredentials: _WRITE,
    messages.ImportDevices: _WRITE | _FACTORY,
    messages.ListEvents: _READ,
    messages.CreateToken: _ADMIN,
    messages.ListTokens: _ADMIN | {Role.AUDITOR},
    messages.DeleteToken: _ADMIN,
    configuring.CreateTenant: _ADMIN,
    configuring.ListTenants: _ADMIN,
    configuring.CreateChannels: _WRITE,
    configuring.ListChannels: _READ,
    configuring.ShowChannel: _READ,
    configuring.ChangeChannel: _WRITE,
    configuring.DeleteChannel: _WRITE,
    configuring.CreateClients: _WRITE,
    configuring.ListClients: _READ,
    configuring.ShowClient: _READ,
    configuring.ChangeClient: _WRITE,
    configuring.DeleteClient: _WRITE,
    configuring.CreateConfig: _WRITE,
    configuring.ShowConfig: _READ,
    configuring.ListConfigs: _READ,
    configuring.ChangeConfig: _WRITE,
    configuring.DeleteConfig: _WRITE,
    configuring.ListUnknown: _READ,
    configuring.ListPermitted: _READ,
    configuring.CreateMapping: _WRITE,
    configuring.ShowMapping: _READ,
}
"""Which roles may give which command."""

SEE_SECRETS = _WRITE
"""Which roles see the secrets of clients and configurations when they read them."""


class Actor(msgspec.Struct, frozen=True):
    """The bearer of a token that is right."""

    name: str
    role: Role
    tenant: TenantId


def bearer_lookup(vault: Vault, bearer: Secret) -> Lookup:
    """Return the keyed digest by which a bearer token is known."""
    return vault.lookup("operator token", bearer.reveal())


class Access(msgspec.Struct, frozen=True):
    """Knows bearers by their digests; only wrong ones count against a source."""

    repository: Repository
    issuer: Issuer
    admin: Lookup
    failures: Buckets

    async def identify(self, bearer: Secret, source: str) -> Actor:
        """Return whose token this is.

        Raises `Refusal` UNAUTHENTICATED, or TOO_MANY after too many wrong tokens from one source.
        """
        require(self.failures.wait(source, self.issuer.clock.monotonic()), "limit.bearer")
        if not bearer.reveal():
            raise Refusal(Reason.UNAUTHENTICATED, "a bearer token is needed", check="bearer.missing")
        lookup = bearer_lookup(self.issuer.vault, bearer)
        if hmac.compare_digest(lookup, self.admin):
            return Actor(ADMIN_NAME, Role.ADMIN, DEFAULT_TENANT)
        token = await self.repository.read(TokenQuery(lookup))
        if token is None:
            self.failures.take(source, self.issuer.clock.monotonic())
            raise Refusal(Reason.UNAUTHENTICATED, "the bearer token is not known", check="bearer.unknown")
        return Actor(token.name, token.role, token.tenant)

    async def admit(self, actor: Actor, command: messages.Command, tenant: TenantId | None) -> TenantId:
        """Return the tenant a command is for. Raises `Refusal` FORBIDDEN, or NOT_FOUND for a tenant that does not exist."""
        if actor.role not in ALLOWED[type(command)]:
            raise Refusal(Reason.FORBIDDEN, f"the role {actor.role.value} does not allow this", check="role")
        if tenant is None or tenant == actor.tenant:
            return actor.tenant
        if actor.role is not Role.ADMIN:
            raise Refusal(Reason.FORBIDDEN, "only an admin may name another tenant", check="tenant.other")
        if await self.repository.read(TenantQuery(tenant)) is None:
            raise Refusal(Reason.NOT_FOUND, "there is no tenant of this id", check="tenant.unknown")
        return tenant
