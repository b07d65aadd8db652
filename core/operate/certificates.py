"""Certificates that operators and factories fetch for devices: the first one of a device, made where its key was."""

from functools import partial

import msgspec

from core import lifecycle
from core.certifying import Certified, Certifier, no_authority, require_policy
from core.errors import Reason, Refusal
from core.model import EventKind, Role
from core.operate.access import has_connected
from core.operate.certifying import CertifyDevice, DeviceCertified
from core.operate.credentials import MOST
from core.operate.registry import Registry, Scope
from core.ports import Changes, Delete
from core.queries import DeviceSnapshot


class Certificates(msgspec.Struct, frozen=True):
    """Has them made. `certifier` None: nobody signs."""

    registry: Registry
    certifier: Certifier | None

    async def certify(self, command: CertifyDevice, scope: Scope) -> DeviceCertified:
        """Return a certificate once it is one of the device's credentials. Raises `Refusal` as `CertifyDevice` says."""
        found = await self._found(command, scope)
        policy = require_policy(found.profile)
        if self.certifier is None:
            raise no_authority()
        content = command.request.encode("utf-8", "surrogatepass")
        certified = await self.certifier.certify(content, found.device, policy.lifetime_s)
        return await self.registry.settle(partial(self._give, self.certifier, certified, command, scope))

    async def _give(self, certifier: Certifier, certified: Certified, command: CertifyDevice, scope: Scope) -> DeviceCertified:
        found = await self._found(command, scope)
        require_policy(found.profile)
        credential, record = await certifier.entities(certified, found.device)
        gone = certifier.making_room(found.credentials, None, MOST)
        device = lifecycle.renew(found.device, self.registry.issuer.clock.now())
        event = self.registry.device_event(EventKind.CERTIFICATE_ISSUED, device, scope, record.id)
        changes = Changes(insert=(credential, record), replace=(device,), delete=tuple(map(Delete, gone)))
        await self.registry.commit(event, changes)
        return DeviceCertified(
            device=device, chain=certified.chain, authorities=certified.authorities, not_after=certified.not_after
        )

    async def _found(self, command: CertifyDevice, scope: Scope) -> DeviceSnapshot:
        found = await self.registry.device(command.ref, scope)
        if scope.actor.role is Role.FACTORY and has_connected(found.device):
            raise Refusal(Reason.FORBIDDEN, "the device has left the factory", check="role.factory")
        return found
