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
from core.operate import configuring, messages
from core.operate.access import SEE_SECRETS, Access, bearer_lookup
from core.operate.channels import Channels
from core.operate.clients import Clients
from core.operate.configs import Configs
from core.operate.credentials import Credentials
from core.operate.devices import Devices
from core.operate.events import Events
from core.operate.imports import Imports
from core.operate.mapping import Mappings
from core.operate.messages import Operation
from core.operate.profiles import Profiles
from core.operate.registry import Registry, Scope
from core.operate.tenants import Tenants
from core.operate.tokens import Tokens
from core.ports import Repository

__all__ = ["Operate", "Operation", "bearer_lookup"]

Handler = Callable[[Any, Scope], Awaitable[Any]]


class Operate:
    """The use case: proves who asks and what the role allows, then hands the command over.

    `admin` is `bearer_lookup` of the admin token; `failures` limits wrong bearer tokens by source; `options` are the names
    of the dialect options that profiles may switch on, `reserved` the ids that no tenant may have: paths begin with them.
    """

    def __init__(
        self,
        repository: Repository,
        issuer: Issuer,
        audit: Audit,
        admin: Lookup,
        failures: Buckets,
        options: frozenset[str],
        reserved: frozenset[str] = frozenset(),
    ) -> None:
        self._audit = audit
        self._access = Access(repository, issuer, admin, failures)
        registry = Registry(repository, issuer, audit)
        self._handlers = _handlers(registry, options) | _configuring(registry, reserved)

    async def __call__(self, operation: Operation, context: Context) -> Any:
        """Carry out a command and return its result (`core.operate.results`, or an entity of `core.model`).

        Raises `Refusal`, after recording it as an event under the name of who asked.
        """
        command = operation.command
        name = ""
        try:
            actor = await self._access.identify(operation.bearer, context.stranger)
            name = command.name if isinstance(command, messages.DefineDevice) else ""
            context = msgspec.structs.replace(context, actor=actor.name)
            if isinstance(command, messages.Unreadable):
                raise command.refusal
            tenant = await self._access.admit(actor, command, operation.tenant)
            scope = Scope(tenant, context, reveals=actor.role in SEE_SECRETS)
            return await self._handlers[type(command)](command, scope)
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


def _configuring(registry: Registry, reserved: frozenset[str]) -> dict[type, Handler]:
    tenants, channels, clients = Tenants(registry, reserved), Channels(registry), Clients(registry)
    configs, mappings = Configs(registry, clients), Mappings(registry, clients)
    return {
        configuring.CreateTenant: tenants.create,
        configuring.ListTenants: tenants.list,
        configuring.CreateChannels: channels.create,
        configuring.ListChannels: channels.list,
        configuring.ShowChannel: channels.show,
        configuring.ChangeChannel: channels.change,
        configuring.DeleteChannel: channels.delete,
        configuring.CreateClients: clients.create,
        configuring.ListClients: clients.list,
        configuring.ShowClient: clients.show,
        configuring.ChangeClient: clients.change,
        configuring.DeleteClient: clients.delete,
        configuring.CreateConfig: configs.create,
        configuring.ShowConfig: configs.show,
        configuring.ListConfigs: configs.list,
        configuring.ChangeConfig: configs.change,
        configuring.DeleteConfig: configs.delete,
        configuring.ListUnknown: configs.unknown,
        configuring.ListPermitted: configs.permitted,
        configuring.CreateMapping: mappings.create,
        configuring.ShowMapping: mappings.show,
    }
