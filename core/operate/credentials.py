"""What operators do with the credentials of a device."""

from functools import partial

import msgspec

from core import lifecycle
from core.messages import CredentialValue
from core.model import CredentialKind, EventKind
from core.operate import values
from core.operate.messages import (
    ProposedCredential,
    ProposedSecret,
    ProposedToken,
    ReadCredentials,
    RevokeCredentials,
    RotateCredentials,
)
from core.operate.registry import Registry, Scope
from core.operate.results import Done, Page, ShownCredential
from core.ports import Changes, Delete


class Credentials(msgspec.Struct, frozen=True):
    """Reads, rotates and revokes. Each makes the device's next version, so a device that asks meanwhile asks anew."""

    registry: Registry

    async def read(self, command: ReadCredentials, scope: Scope) -> Page[ShownCredential]:
        """Return a device's credentials once it is recorded that they were read. Raises `Refusal` NOT_FOUND."""
        found = await self.registry.device(command.ref, scope)
        shown = tuple(ShownCredential(each, self.registry.issuer.reveal(each)) for each in found.credentials)
        await self.registry.commit(
            self.registry.device_event(EventKind.CREDENTIAL_READ, found.device, scope),
            Changes(),
        )
        return Page(shown)

    async def rotate(self, command: RotateCredentials, scope: Scope) -> Page[ShownCredential]:
        """Give a device one new credential in place of all it has. Raises `Refusal` MALFORMED, NOT_FOUND or CONFLICT.

        Where none is proposed, a device with a client secret gets another one, any other an access token.
        """
        proposal = command.credential or await self._same_kind(command, scope)
        value = values.complete(proposal, self.registry.issuer)
        return await self.registry.settle(partial(self._rotate, command, value, scope))

    async def revoke(self, command: RevokeCredentials, scope: Scope) -> Done:
        """Take all credentials from a device. Raises `Refusal` NOT_FOUND or CONFLICT."""
        return await self.registry.settle(partial(self._revoke, command, scope))

    async def _same_kind(self, command: RotateCredentials, scope: Scope) -> ProposedCredential:
        found = await self.registry.device(command.ref, scope)
        kinds = {credential.kind for credential in found.credentials}
        return ProposedSecret() if CredentialKind.CLIENT_SECRET in kinds else ProposedToken()

    async def _rotate(self, command: RotateCredentials, value: CredentialValue, scope: Scope) -> Page[ShownCredential]:
        found = await self.registry.device(command.ref, scope)
        device = lifecycle.renew(found.device, self.registry.issuer.clock.now())
        credential = await self.registry.issuer.issue(value, device.id, keep=True)
        event = self.registry.device_event(EventKind.CREDENTIAL_ROTATED, device, scope, credential.kind.value)
        old = tuple(map(Delete, found.credentials))
        await self.registry.commit(event, Changes(insert=(credential,), replace=(device,), delete=old))
        return Page((ShownCredential(credential, value),))

    async def _revoke(self, command: RevokeCredentials, scope: Scope) -> Done:
        found = await self.registry.device(command.ref, scope)
        if found.credentials:
            device = lifecycle.renew(found.device, self.registry.issuer.clock.now())
            event = self.registry.device_event(EventKind.DEVICE_REVOKED, device, scope)
            await self.registry.commit(event, Changes(replace=(device,), delete=tuple(map(Delete, found.credentials))))
        return Done()
