"""Whose security context is a message protected with, under OSCORE (RFC 8613): what a device has as a credential."""

import msgspec

from core.credentials import OSCORE_ID_BYTES, oscore_id
from core.issuer import Issuer
from core.messages import Identity, Oscore, OscoreKnown, OscoreQuestion
from core.ports import Repository
from core.queries import LoginQuery

ID_CONTEXT_BYTES = 64  # no longer one is kept (`credentials.require_valid`)


class OscoreContexts(msgspec.Struct, frozen=True):
    """Finds the context that a device has as a credential.

    Whether the device may come in is not looked at here: that is asked, and recorded, by a `ProvenLogin` once a message was
    found to be protected with it.
    """

    repository: Repository
    issuer: Issuer

    async def find(self, question: OscoreQuestion) -> OscoreKnown | None:
        """Return the context of a `kid` and `kid context`, None where there is none or its time is over."""
        if len(question.device_id) > OSCORE_ID_BYTES or len(question.id_context) > ID_CONTEXT_BYTES:
            return None
        lookup = self.issuer.lookup_id(oscore_id(question.device_id.hex(), question.id_context.hex()))
        (found,) = await self.repository.read(LoginQuery((lookup,)))
        if found is None or found.credential.is_over(self.issuer.clock.now()):
            return None
        value, device = self.issuer.reveal(found.credential), found.device
        if not isinstance(value, Oscore):
            return None
        until = found.credential.expires_at
        return OscoreKnown(value, Identity(device.tenant, device.id, device.name, found.credential.id, until=until))
