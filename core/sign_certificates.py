"""Sign certificates: a device that proved itself is given a certificate to log in with from now on."""

from typing import Final

import msgspec

from core import lifecycle
from core.audit import Audit
from core.authenticate import Authenticate
from core.certifying import Certified, Certifier, no_authority, no_key_pairs, require_policy
from core.configuration import is_let_in
from core.errors import Conflict, Reason, Refusal, registry_busy
from core.issuer import Issuer
from core.limits import Buckets, require
from core.messages import CertificateSigned, Context, Identity, SignRequest
from core.model import EventKind
from core.operate.credentials import MOST
from core.plain import require_wire
from core.ports import Changes, Delete, Repository
from core.queries import DeviceSnapshot
from core.report import prove_device, read_device

ATTEMPTS: Final = 3


class SignCertificates(msgspec.Struct, frozen=True):
    """The use case. `certifier` None: there is no authority.

    A device renews by asking again, proved by the certificate that it has or by any other credential. That certificate stays
    good until its own end: an answer may be lost, and a device may lose power before it has written what it got, and only the
    device knows which of them it has. So one that renews in time always has one that works; who has reason to shorten this
    revokes the old one. Where a device has no room for another credential, the oldest certificate made here gives way, but not
    the one that it proved itself with.

    Every request counts against its source, and what is to be signed against the device: signing is dear, keys still more.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit
    authenticate: Authenticate
    certifier: Certifier | None
    sources: Buckets
    devices: Buckets

    async def __call__(self, request: SignRequest, context: Context) -> CertificateSigned:
        """Return a certificate once it is the device's credential.

        Raises `Refusal`, recorded as an event: as `prove_device` and `Certifier` do; FORBIDDEN where the profile does not issue
        any, CONFLICT where the device has too many credentials, TOO_MANY.
        """
        require(self.sources.take(context.stranger, self.issuer.clock.monotonic()), "limit.signing_source")
        identity = await prove_device(request.who, self.authenticate, context)
        found = await read_device(identity, self.repository)
        try:
            require_wire(found.profile, context)
            certifier, certified = await self._certify(request, found)
            await self._give(certifier, certified, identity, context)
        except Refusal as refusal:
            await self.audit.refused(EventKind.CERTIFICATE_REFUSED, context, refusal, device=found.device)
            raise
        return CertificateSigned(
            identity=identity,
            chain=certified.chain,
            authorities=certified.authorities,
            not_after=certified.not_after,
            private_key=certified.private_key,
        )

    async def _certify(self, request: SignRequest, found: DeviceSnapshot) -> tuple[Certifier, Certified]:
        """Have the certificate made, where all that is known beforehand speaks for it."""
        policy = require_policy(found.profile)
        if self.certifier is None:
            raise no_authority()
        if request.request is None and not policy.key_pairs:
            raise no_key_pairs()
        require(self.devices.take(found.device.id, self.issuer.clock.monotonic()), "limit.signing_device")
        if request.request is not None:
            return self.certifier, await self.certifier.certify(request.request, found.device, policy.lifetime_s)
        algorithm = request.key_algorithm or ""
        return self.certifier, await self.certifier.certify_new_key(algorithm, found.device, policy.lifetime_s)

    async def _give(self, certifier: Certifier, certified: Certified, identity: Identity, context: Context) -> None:
        """Make the certificate the device's, if the device is still one that may have it: signing may have taken seconds."""
        for _ in range(ATTEMPTS):
            found = await read_device(identity, self.repository)
            require_policy(found.profile)
            _require_standing(found, identity, self.issuer.clock.now())
            try:
                await self._write(certifier, certified, found, identity, context)
            except Conflict:
                continue
            return
        raise registry_busy()

    async def _write(
        self, certifier: Certifier, certified: Certified, found: DeviceSnapshot, identity: Identity, context: Context
    ) -> None:
        credential, record = await certifier.entities(certified, found.device)
        gone = certifier.making_room(found.credentials, identity.credential, MOST)
        device = lifecycle.renew(found.device, self.issuer.clock.now())
        event = self.audit.device_event(EventKind.CERTIFICATE_ISSUED, context, device, record.id)
        changes = Changes(insert=(credential, record), replace=(device,), delete=tuple(map(Delete, gone)), events=(event,))
        await self.repository.commit(changes)


def _require_standing(found: DeviceSnapshot, identity: Identity, now: int) -> None:
    """Refuse a device that was shut out, or whose credential was revoked, since it proved itself."""
    valid = any(each.id == identity.credential and not each.is_over(now) for each in found.credentials)
    if not valid or not is_let_in(found.device):
        raise Refusal(Reason.UNAUTHENTICATED, "the credentials are not known", check="identity.gone")
