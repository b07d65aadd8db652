"""Operate: what operators, factories and auditors do, each as far as the role of its bearer token allows."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from core.audit import Audit
from core.errors import Refusal
from core.issuer import Issuer
from core.limits import Buckets
from core.messages import Context
from core.model import EventKind, Lookup
from core.operate import messages
from core.operate.access import Access, bearer_lookup
from core.operate.credentials import Credentials
from core.operate.devices import Devices
from core.operate.events import Events
from core.operate.imports import Imports
from core.operate.messages import Operation
from core.operate.profiles import Profiles
from core.operate.registry import Registry, Scope
from core.operate.tokens import Tokens
from core.ports import Repository

__all__ = ["Operate", "Operation", "bearer_lookup"]

Handler = Callable[[Any, Scope], Awaitable[Any]]


class Operate:
    """The use case: proves who asks and what the role allows, then hands the command over.

    `admin` is `bearer_lookup` of the admin token; `failures` limits wrong bearer tokens by source; `options` are the names
    of the dialect options that profiles may switch on.
    """

    def __init__(
        self,
        repository: Repository,
        issuer: Issuer,
        audit: Audit,
        admin: Lookup,
        failures: Buckets,
        options: frozenset[str],
    ) -> None:
        self._audit = audit
        self._access = Access(repository, issuer, admin, failures)
        self._handlers = _handlers(Registry(repository, issuer, audit), options)

    async def __call__(self, operation: Operation, context: Context) -> Any:
        """Carry out a command and return its result (`core.operate.results`, or an entity of `core.model`).

        Raises `Refusal`, after recording it as an event under the name of who asked.
        """
        command = operation.command
        name = ""
        try:
            actor = await self._access.identify(operation.bearer, context.source)
            name = command.name if isinstance(command, messages.DefineDevice) else ""
            context = msgspec.structs.replace(context, actor=actor.name)
            if isinstance(command, messages.Unreadable):
                raise command.refusal
            tenant = await self._access.admit(actor, command, operation.tenant)
            return await self._handlers[type(command)](command, Scope(tenant, context))
        except Refusal as refusal:
            await self._audit.refused(EventKind.REQUEST_REFUSED, context, refusal, device_name=name)
            raise


def _handlers(registry: Registry, options: frozenset[str]) -> dict[type, Handler]:
    profiles, devices, credentials = Profiles(registry, options), Devices(registry), Credentials(registry)
    imports, events, tokens = Imports(registry), Events(registry), Tokens(registry)
    return {
        messages.CreateProfile: profiles.create,
        messages.ListProfiles: profiles.list,
        messages.ShowProfile: profiles.show,
        messages.ChangeProfile: profiles.change,
        messages.RotateProfile: profiles.rotate,
        messages.DeleteProfile: profiles.delete,
        messages.DefineDevice: devices.define,
        messages.ListDevices: devices.list,
        messages.ExportDevices: devices.list,
        messages.ShowDevice: devices.show,
        messages.ChangeDevice: devices.change,
        messages.DeleteDevice: devices.delete,
        messages.ReadCredentials: credentials.read,
        messages.RotateCredentials: credentials.rotate,
        messages.RevokeCredentials: credentials.revoke,
        messages.ImportDevices: imports.import_devices,
        messages.ListEvents: events.list,
        messages.CreateToken: tokens.create,
        messages.ListTokens: tokens.list,
        messages.DeleteToken: tokens.delete,
    }
