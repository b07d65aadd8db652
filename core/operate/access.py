"""Who gives a command, and whether the role allows it."""

import hmac

import msgspec

from core.crypto import session_tokens
from core.crypto.session_tokens import Audience
from core.crypto.vault import Vault
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.limits import require
from core.lockout import Lockout
from core.logins import Logins
from core.model import DEFAULT_TENANT, Device, DeviceState, DirectoryEntry, EntryId, Lookup, Role, Secret, TenantId
from core.operate import (
    allocating,
    approving,
    associating,
    certifying,
    claim_rules,
    configuring,
    directing,
    issuing,
    messages,
    updating,
)
from core.ports import Repository
from core.queries import EntryQuery, TenantQuery, TokenQuery

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
    claim_rules.BurnProfile: _WRITE,
    claim_rules.GiveLeave: _WRITE,
    claim_rules.ListTombstones: _READ,
    messages.DeleteProfile: _WRITE,
    messages.DefineDevice: _WRITE | _FACTORY,
    messages.ListDevices: _READ,
    messages.ExportDevices: _READ,
    messages.ShowDevice: _READ,
    messages.ChangeDevice: _WRITE,
    messages.DeleteDevice: _WRITE,
    messages.ReadCredentials: _WRITE | _FACTORY,
    messages.AddCredential: _WRITE,
    messages.RotateCredentials: _WRITE,
    messages.RevokeCredential: _WRITE,
    messages.RevokeCredentials: _WRITE,
    messages.ImportDevices: _WRITE | _FACTORY,
    issuing.IssueBatch: _WRITE | _FACTORY,
    certifying.CertifyDevice: _WRITE | _FACTORY,
    approving.ListApprovals: _READ,
    approving.DecideApproval: _WRITE,
    approving.DecideApprovals: _WRITE,
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
    directing.CreateEntry: _WRITE,
    directing.ListEntries: _READ | {Role.CUSTOMER},
    directing.ShowEntry: _READ | {Role.CUSTOMER},
    directing.ChangeEntry: _WRITE,
    directing.DeleteEntry: _WRITE,
    directing.CreateTemplate: _WRITE,
    directing.ListTemplates: _READ,
    directing.ShowTemplate: _READ,
    directing.ChangeTemplate: _WRITE,
    directing.RegisterDevice: _WRITE | _FACTORY,
    directing.SearchDevices: _READ | {Role.CUSTOMER},
    directing.ViewDevice: _READ | {Role.CUSTOMER},
    directing.EditDevice: _WRITE,
    directing.RemoveDevice: _WRITE,
    directing.IssueSecret: _WRITE | _FACTORY,
    directing.RegisterCertificate: _WRITE | _FACTORY,
    directing.IssueUserSecret: frozenset(Role),  # to itself every user may; `Secrets` looks at all else
    associating.OfferDevice: _WRITE,
    associating.WithdrawOffer: _WRITE,
    associating.AssociateByCode: _WRITE | {Role.CUSTOMER},
    associating.ClaimDevice: _WRITE | {Role.CUSTOMER},
    associating.GiveUpDevice: _WRITE | {Role.CUSTOMER},
    updating.SetFirmware: _WRITE,
    updating.ListFirmware: _READ,
    allocating.CreateSerials: _WRITE,
    allocating.ShowSerial: _READ,
    allocating.SearchSerials: _READ,
    allocating.UpdateSerial: _WRITE,
    allocating.AllocateSerial: _WRITE,
    allocating.ResetAllocations: _WRITE,
    allocating.ReplaceSerial: _WRITE,
    allocating.DeleteSerials: _WRITE,
}
"""Which roles may give which command."""

BEARER_LIMIT = "limit.bearer"
"""The check of a refusal because too many wrong tokens came from a source."""

BEYOND_A_TENANT = frozenset({configuring.CreateTenant, configuring.ListTenants, messages.CreateToken})
"""What no user of a directory may do, whatever its role: it has its own tenant alone, and a token might reach further."""

SEE_SECRETS = _WRITE
"""Which roles see the secrets of clients and configurations when they read them."""


class Actor(msgspec.Struct, frozen=True):
    """The bearer of a token that is right; `user` is its entry of the directory where a login was behind the token."""

    name: str
    role: Role
    tenant: TenantId
    user: DirectoryEntry | None = None


def has_connected(device: Device) -> bool:
    """Tell whether a device has come with its credentials: from then on they are no business of a factory."""
    return device.connected_at is not None or device.state is DeviceState.CONNECTED


def bearer_lookup(vault: Vault, bearer: Secret) -> Lookup:
    """Return the keyed digest by which a bearer token is known."""
    return vault.lookup("operator token", bearer.reveal())


class Access(msgspec.Struct, frozen=True):
    """Knows bearers by their digests; only wrong ones count against a source, and keep out none that came from there before."""

    repository: Repository
    issuer: Issuer
    admin: Lookup
    failures: Lockout

    async def identify(self, bearer: Secret, source: str) -> Actor:
        """Return whose token this is.

        Raises `Refusal` UNAUTHENTICATED, or TOO_MANY after too many wrong or expired tokens from one source.
        """
        name = f"bearer {bearer.reveal()}"
        require(self.failures.wait(source, name, self.issuer.clock.monotonic()), BEARER_LIMIT)
        if not bearer.reveal():
            raise Refusal(Reason.UNAUTHENTICATED, "a bearer token is needed", check="bearer.missing")
        lookup = bearer_lookup(self.issuer.vault, bearer)
        try:
            actor = await self._actor(bearer, lookup)
        except Refusal as refusal:
            if refusal.reason is Reason.UNAUTHENTICATED:
                self.failures.wrong(source, "", self.issuer.clock.monotonic())
            raise
        self.failures.right(source, name)
        return actor

    async def _actor(self, bearer: Secret, lookup: Lookup) -> Actor:
        if hmac.compare_digest(lookup, self.admin):
            return Actor(ADMIN_NAME, Role.ADMIN, DEFAULT_TENANT)
        return await (self._user(bearer) if session_tokens.looks_like_one(bearer.reveal()) else self._operator(lookup))

    async def admit(self, actor: Actor, command: messages.Command, tenant: TenantId | None) -> TenantId:
        """Return the tenant a command is for. Raises `Refusal` FORBIDDEN, or NOT_FOUND for a tenant that does not exist."""
        if actor.role not in ALLOWED[type(command)]:
            raise not_allowed(actor.role)
        if actor.user is not None and type(command) in BEYOND_A_TENANT:
            raise Refusal(Reason.FORBIDDEN, "no user of a tenant may do this", check="role.user")
        if tenant is None or tenant == actor.tenant:
            return actor.tenant
        if actor.role is not Role.ADMIN or actor.user is not None:
            raise Refusal(Reason.FORBIDDEN, "only an admin may name another tenant", check="tenant.other")
        if await self.repository.read(TenantQuery(tenant)) is None:
            raise Refusal(Reason.NOT_FOUND, "there is no tenant of this id", check="tenant.unknown")
        return tenant

    async def _operator(self, lookup: Lookup) -> Actor:
        token = await self.repository.read(TokenQuery(lookup))
        if token is None:
            raise _unknown("bearer.unknown")
        return Actor(token.name, token.role, token.tenant)

    async def _user(self, bearer: Secret) -> Actor:
        """Return the user of a session that is not over, whose password is still the one it was opened with."""
        vault = self.issuer.vault
        session = session_tokens.read(bearer, Audience.OPERATOR, vault, self.issuer.clock.now())
        if session is None:
            is_over = session_tokens.read(bearer, Audience.OPERATOR, vault, 0) is not None
            raise _unknown("bearer.expired" if is_over else "bearer.unknown")
        entry = await self.repository.read(EntryQuery(session.tenant, EntryId(session.subject)))
        if entry is None or entry.role is None or Logins(self.repository, self.issuer).password_mark(entry) != session.mark:
            raise _unknown("bearer.unknown")
        return Actor(entry.login, entry.role, entry.tenant, entry)


def not_allowed(role: Role) -> Refusal:
    """Make the refusal of what a role does not allow."""
    return Refusal(Reason.FORBIDDEN, f"the role {role.value} does not allow this", check="role")


def _unknown(check: str) -> Refusal:
    return Refusal(Reason.UNAUTHENTICATED, "the bearer token is not known", check=check)
