"""What an admin does with tenants."""

import re
from functools import partial

import msgspec

from core.crypto.tokens import new_id
from core.errors import Reason, Refusal
from core.model import EventKind, Tenant, TenantId
from core.operate import values
from core.operate.configuring import CreateTenant, ListTenants
from core.operate.registry import Registry, Scope, paged
from core.operate.results import Page
from core.ports import Changes
from core.queries import TenantPage

_ID = re.compile(r"[A-Za-z0-9_-]{1,36}")


class Tenants(msgspec.Struct, frozen=True):
    """Makes and lists tenants. `reserved` are ids that would hide behind a fixed path."""

    registry: Registry
    reserved: frozenset[str]

    async def create(self, command: CreateTenant, scope: Scope) -> Tenant:
        """Make a tenant. Raises `Refusal` MALFORMED, or CONFLICT where its id is taken or reserved."""
        now = self.registry.issuer.clock.now()
        identity = command.id or new_id(now, self.registry.issuer.entropy)
        if _ID.fullmatch(identity) is None:
            raise values.malformed("id: 1 to 36 characters of [A-Za-z0-9_-]", "tenant.id")
        if identity in self.reserved:
            raise Refusal(Reason.CONFLICT, "the id is the beginning of a path of the gateway's own", check="tenant.id_reserved")
        tenant = Tenant(
            id=TenantId(identity),
            name=values.require_label(command.name, "name"),
            created_at=now,
            secure_bootstrap=command.secure_bootstrap,
        )
        event = self.registry.audit.event(EventKind.TENANT_CREATED, scope.context, tenant=tenant.id, detail=tenant.name)
        await self.registry.settle(partial(self.registry.commit, event, Changes(insert=(tenant,))))
        return tenant

    async def list(self, command: ListTenants, _scope: Scope) -> Page[Tenant]:
        """Return a page of tenants."""
        after = None if command.after is None else TenantId(command.after)
        found = await self.registry.repository.read(TenantPage(after, command.limit + 1))
        return paged(found, command.limit)
