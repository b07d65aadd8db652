"""Operate: what operators, factories and auditors do, each as far as the role of its bearer token allows."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from core.associate import ClaimingTerms
from core.audit import Audit
from core.certifying import Certifier
from core.errors import Reason, Refusal
from core.issuer import Issuer
from core.limits import AtOnce, Buckets
from core.lockout import Lockout
from core.messages import Context
from core.model import EventKind, Lookup, Secret
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
from core.operate.access import BEARER_LIMIT, SEE_SECRETS, Access, bearer_lookup
from core.operate.allocation import Allocation
from core.operate.approval_queue import ApprovalQueue
from core.operate.batches import Batches
from core.operate.certificates import Certificates
from core.operate.channels import Channels
from core.operate.claim_keys import ClaimKeys
from core.operate.claims import Claims
from core.operate.clients import Clients
from core.operate.configs import Configs
from core.operate.credentials import Credentials
from core.operate.devices import Devices
from core.operate.directory import Directory
from core.operate.events import Events
from core.operate.firmware import FirmwareDesk
from core.operate.imports import Imports
from core.operate.leaves import Leaves
from core.operate.mapping import Mappings
from core.operate.messages import Operation, Operations
from core.operate.profiles import Profiles
from core.operate.registry import Registry, Scope
from core.operate.secrets import Secrets
from core.operate.serial_scan import SCANS
from core.operate.serial_search import SerialSearch
from core.operate.serials import Serials
from core.operate.templated import Templated
from core.operate.templates import Templates
from core.operate.tenants import Tenants
from core.operate.tokens import Tokens
from core.ports import Presence, Repository

__all__ = ["Operate", "Operation", "bearer_lookup"]

Handler = Callable[[Any, Scope], Awaitable[Any]]


class Operate:
    """The use case: proves who asks and what the role allows, then hands the command over.

    `admin` is `bearer_lookup` of the admin token; `failures` limits wrong bearer tokens by source; `options` are the names
    of the dialect options that profiles may switch on, `reserved` the ids that no tenant may have: paths begin with them.
    `claiming` is how devices announce that they may be claimed; guesses at codes are limited as wrong tokens are.
    `presence` knows who is connected; without it nobody is. `certifier` has certificates made; without it nobody does.
    """

    def __init__(
        self,
        repository: Repository,
        issuer: Issuer,
        audit: Audit,
        admin: Lookup,
        failures: Lockout,
        options: frozenset[str],
        reserved: frozenset[str] = frozenset(),
        claiming: ClaimingTerms | None = None,
        presence: Presence | None = None,
        certifier: Certifier | None = None,
    ) -> None:
        self._audit = audit
        self._access = Access(repository, issuer, admin, failures)
        registry = Registry(repository, issuer, audit)
        self._handlers = _associating(registry, failures.sources, claiming)
        self._handlers |= _handlers(registry, options) | _configuring(registry, reserved, certifier) | _allocating(registry)
        self._handlers |= _directing(registry, presence)

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
            scope = Scope(tenant, context, actor, reveals=actor.role in SEE_SECRETS)
            return await self._handlers[type(command)](command, scope)
        except Refusal as refusal:
            await self._audit.refused(EventKind.REQUEST_REFUSED, context, refusal, device_name=name)
            raise

    async def each(self, operations: Operations, context: Context) -> tuple[Any, ...]:
        """Carry out operations one after the other; where one is refused its `Refusal` stands in place of its result.

        A bearer that is refused is not asked about again: a wrong token counts once, however much comes with it.
        """
        results: list[Any] = []
        refused: dict[Secret, Refusal] = {}
        for operation in operations.items:
            result = refused.get(operation.bearer) or await self._result(operation, context)
            if isinstance(result, Refusal) and _is_of_bearer(result):
                refused[operation.bearer] = result
            results.append(result)
        return tuple(results)

    async def _result(self, operation: Operation, context: Context) -> Any:
        try:
            return await self(operation, context)
        except Refusal as refusal:
            return refusal


def _is_of_bearer(refusal: Refusal) -> bool:
    """Tell whether it is the bearer that is refused, and not what it asks for."""
    return refusal.reason is Reason.UNAUTHENTICATED or refusal.check == BEARER_LIMIT


def _handlers(registry: Registry, options: frozenset[str]) -> dict[type, Handler]:
    profiles, devices, credentials = Profiles(registry, options), Devices(registry), Credentials(registry)
    imports, batches, events, tokens = Imports(registry), Batches(registry), Events(registry), Tokens(registry)
    approvals = ApprovalQueue(registry)
    return {
        messages.CreateProfile: profiles.create,
        messages.ListProfiles: profiles.list,
        messages.ShowProfile: profiles.show,
        messages.ChangeProfile: profiles.change,
        messages.RotateProfile: profiles.rotate,
        claim_rules.BurnProfile: ClaimKeys(registry).burn,
        claim_rules.GiveLeave: Leaves(registry).give,
        claim_rules.ListTombstones: Leaves(registry).list,
        messages.DeleteProfile: profiles.delete,
        messages.DefineDevice: devices.define,
        messages.ListDevices: devices.list,
        messages.ExportDevices: devices.list,
        messages.ShowDevice: devices.show,
        messages.ChangeDevice: devices.change,
        messages.DeleteDevice: devices.delete,
        messages.ReadCredentials: credentials.read,
        messages.AddCredential: credentials.add,
        messages.RotateCredentials: credentials.rotate,
        messages.RevokeCredential: credentials.revoke_one,
        messages.RevokeCredentials: credentials.revoke,
        messages.ImportDevices: imports.import_devices,
        issuing.IssueBatch: batches.issue,
        approving.ListApprovals: approvals.list,
        approving.DecideApproval: approvals.decide,
        approving.DecideApprovals: approvals.decide_all,
        messages.ListEvents: events.list,
        messages.CreateToken: tokens.create,
        messages.ListTokens: tokens.list,
        messages.DeleteToken: tokens.delete,
    }


def _configuring(registry: Registry, reserved: frozenset[str], certifier: Certifier | None) -> dict[type, Handler]:
    tenants, channels, clients = Tenants(registry, reserved), Channels(registry), Clients(registry)
    configs, mappings = Configs(registry, clients), Mappings(registry, clients, certifier)
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
        certifying.CertifyDevice: Certificates(registry, certifier).certify,
    }


def _allocating(registry: Registry) -> dict[type, Handler]:
    serials, allocation = Serials(registry), Allocation(registry)
    search = SerialSearch(registry, AtOnce(SCANS, "search.scans"))
    return {
        allocating.CreateSerials: serials.create,
        allocating.ShowSerial: search.show,
        allocating.SearchSerials: search.search,
        allocating.UpdateSerial: allocation.update,
        allocating.AllocateSerial: allocation.allocate,
        allocating.ResetAllocations: allocation.reset,
        allocating.ReplaceSerial: allocation.replace,
        allocating.DeleteSerials: allocation.delete,
    }


def _associating(registry: Registry, guesses: Buckets, terms: ClaimingTerms | None) -> dict[type, Handler]:
    claims, firmware = Claims(registry, guesses, terms), FirmwareDesk(registry)
    return {
        associating.OfferDevice: claims.offer,
        associating.WithdrawOffer: claims.withdraw,
        associating.AssociateByCode: claims.associate,
        associating.ClaimDevice: claims.claim,
        associating.GiveUpDevice: claims.give_up,
        updating.SetFirmware: firmware.set,
        updating.ListFirmware: firmware.list,
    }


def _directing(registry: Registry, presence: Presence | None) -> dict[type, Handler]:
    directory, templates, secrets = Directory(registry), Templates(registry), Secrets(registry)
    templated = Templated(registry, presence)
    return {
        directing.CreateEntry: directory.create,
        directing.ListEntries: directory.list,
        directing.ShowEntry: directory.show,
        directing.ChangeEntry: directory.change,
        directing.DeleteEntry: directory.delete,
        directing.CreateTemplate: templates.create,
        directing.ListTemplates: templates.list,
        directing.ShowTemplate: templates.show,
        directing.ChangeTemplate: templates.change,
        directing.RegisterDevice: templated.register,
        directing.SearchDevices: templated.search,
        directing.ViewDevice: templated.view,
        directing.EditDevice: templated.edit,
        directing.RemoveDevice: templated.remove,
        directing.IssueSecret: secrets.issue,
        directing.RegisterCertificate: secrets.register,
        directing.IssueUserSecret: secrets.issue_to_user,
    }
