"""Operators who know the directory: the desk with users who log in, and with devices that may be connected."""

import asyncio
from collections.abc import Collection
from typing import Any

from core.errors import Refusal
from core.limits import Rate
from core.lockout import Lockout
from core.login import OperatorLogin
from core.messages import Context
from core.model import (
    DEFAULT_TENANT,
    CredentialKind,
    Device,
    DeviceId,
    DirectoryEntry,
    EntryId,
    EntryKind,
    Profile,
    ProfileId,
    Role,
    Secret,
    Strategy,
)
from core.operate import Operate, bearer_lookup
from core.operate.directing import CreateEntry, CreateTemplate, DeviceView, LoggedIn, LogIn, RegisterDevice, TemplateView
from core.ports import Changes
from core.queries import Query, S
from tests.operating import ADMIN, ContendedRepository, Desk

PASSWORD = Secret("correct horse battery")
LOGIN_CONTEXT = Context("correlation-3", "http", "somebody", "192.0.2.9")


class Connected:
    """Devices that are connected: those that are in the set."""

    def __init__(self) -> None:
        self.devices: set[DeviceId] = set()

    async def connected(self, devices: Collection[DeviceId]) -> frozenset[DeviceId]:
        """Return those that are in the set."""
        return frozenset(self.devices.intersection(devices))


class Yielding(ContendedRepository):
    """A registry that lets other tasks run at every call, as one on disk does."""

    async def read(self, query: Query[S]) -> S:
        """Answer after the others."""
        await asyncio.sleep(0)
        return await super().read(query)

    async def commit(self, changes: Changes) -> None:
        """Write after the others."""
        await asyncio.sleep(0)
        await super().commit(changes)


class Reception(Desk):
    """A desk that users of the directory may come to as well."""

    def __init__(self, failures: Rate | None = None, logins: Rate | None = None, repository: Any = None) -> None:
        super().__init__(repository=repository)
        self.connected = Connected()
        self.operate = Operate(
            self.repository,
            self.issuer,
            self.audit,
            bearer_lookup(self.vault, ADMIN),
            Lockout(failures or Rate(0, 0)),
            frozenset(),
            presence=self.connected,
        )
        self.log_in = OperatorLogin(
            self.repository,
            self.issuer,
            self.audit,
            Lockout(failures or Rate(0, 0), logins or Rate(0, 0)),
        )

    async def entry(self, kind: EntryKind, **fields: Any) -> DirectoryEntry:
        """Make an entry of the directory."""
        made: DirectoryEntry = await self(CreateEntry(kind=kind, **fields))
        return made

    async def organization(self, name: str = "North", **fields: Any) -> DirectoryEntry:
        """Make an organisation."""
        return await self.entry(EntryKind.ORGANIZATION, name=name, **fields)

    async def user(self, login: str = "ann@example.com", role: Role = Role.OPERATOR, **fields: Any) -> DirectoryEntry:
        """Make a user who may give commands; a customer is an end user."""
        kind = EntryKind.END_USER if role is Role.CUSTOMER else EntryKind.ACCOUNT_USER
        return await self.entry(kind, login=login, role=role, password=PASSWORD, **fields)

    async def open(self, login: str = "ann@example.com", password: Secret = PASSWORD, tenant: str = "default") -> LoggedIn:
        """Log in."""
        return await self.log_in(LogIn(tenant, login, password), LOGIN_CONTEXT)

    async def shut_out(self, login: str = "ann@example.com", password: Secret = PASSWORD, tenant: str = "default") -> Refusal:
        """Log in in vain."""
        try:
            answer = await self.open(login, password, tenant)
        except Refusal as refusal:
            return refusal
        raise AssertionError(f"not refused: {answer!r}")

    async def template(self, name: str = "lamps", kind: CredentialKind = CredentialKind.CLIENT_SECRET) -> TemplateView:
        """Make a template."""
        made: TemplateView = await self(CreateTemplate(name=name, credential_kind=kind))
        return made

    async def register(self, template: TemplateView, serial: str = "sn-1", **fields: Any) -> DeviceView:
        """Make a device."""
        made: DeviceView = await self(RegisterDevice(template=template.profile.id, serial=serial, **fields))
        return made


async def stock(desk: Desk) -> None:
    """Put an organisation, a user, a template and a device into the registry under ids that commands may name."""
    made: dict[str, Any] = {"tenant": DEFAULT_TENANT, "created_at": desk.clock.now(), "updated_at": desk.clock.now()}
    profile = Profile(
        id=ProfileId("template"),
        name="lamps",
        strategy=Strategy.DISABLED,
        provision_key="the key of lamps",
        provision_secret=desk.vault.seal(Secret("the secret of lamps"), b"template"),
        **made,
    )
    entities = (
        DirectoryEntry(id=EntryId("north"), kind=EntryKind.ORGANIZATION, name="North", **made),
        DirectoryEntry(id=EntryId("ann"), kind=EntryKind.ACCOUNT_USER, name="Ann", **made),
        profile,
        Device(id=DeviceId("templated"), profile=profile.id, name="templated", **made),
    )
    await desk.repository.commit(Changes(insert=entities))
