"""Announce: a device says that it may be claimed by whoever knows a secret, or its gateway says so for it."""

import msgspec

from core.associate import (
    ClaimingTerms,
    announced_lookup,
    is_behind,
    lifetime,
    merged,
    require_announceable,
    waiting,
)
from core.audit import Audit
from core.authenticate import Authenticate
from core.configuration import is_let_in
from core.errors import Conflict, Reason, Refusal, registry_busy
from core.issuer import Issuer
from core.messages import AnnounceClaims, ClaimNotice, ClaimsAnnounced, Context, Identity
from core.model import Device, EventKind, PendingClaim
from core.ports import Changes, Repository
from core.queries import DeviceClaimQuery, DeviceNamesQuery, DeviceSnapshot
from core.report import prove_device, read_device

ATTEMPTS = 3
NOTICES = 500
SECRET_CHARACTERS = 255


class _Refused(msgspec.Struct, frozen=True):
    """Why a notice counts for nothing, and the device it is about where there is one."""

    refusal: Refusal
    name: str
    device: Device | None = None


class Announce(msgspec.Struct, frozen=True):
    """The use case. A notice that does not count is passed over: the sender is told no more than that it was received.

    It does not count for a device that has its owner or waits for one already, and neither where claiming is not allowed. Why
    is recorded, for the first such notice of a request.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit
    authenticate: Authenticate
    terms: ClaimingTerms

    async def __call__(self, announcement: AnnounceClaims, context: Context) -> ClaimsAnnounced:
        """Keep what counts of an announcement.

        Raises `Refusal` as `prove_device` does, MALFORMED for too many notices or too long secrets, and UNAVAILABLE.
        """
        identity = await prove_device(announcement.who, self.authenticate, context)
        _require_bounds(announcement.notices)
        for _ in range(ATTEMPTS):
            try:
                refused = await self._keep(identity, announcement.notices, context)
            except Conflict:
                continue  # a device or what it waits for is not as it was read
            if refused is not None:
                await self.audit.refused(
                    EventKind.ASSOCIATION_REFUSED, context, refused.refusal, device=refused.device, device_name=refused.name
                )
            return ClaimsAnnounced(identity)
        raise registry_busy()

    async def _keep(self, identity: Identity, notices: tuple[ClaimNotice, ...], context: Context) -> _Refused | None:
        """Write the notices that count; returns why the first other one does not."""
        sender = await read_device(identity, self.repository)
        named = await self._named(sender, notices)
        kept: list[Changes] = []
        refused: list[_Refused] = []
        for notice in notices:
            found = sender if notice.device_name is None else named.get(notice.device_name)
            try:
                kept += await self._kept(notice, found, sender, context)
            except Refusal as refusal:
                refused.append(_Refused(refusal, notice.device_name or "", found.device if found else None))
        if kept:
            await self.repository.commit(merged(kept))
        return refused[0] if refused else None

    async def _named(self, sender: DeviceSnapshot, notices: tuple[ClaimNotice, ...]) -> dict[str, DeviceSnapshot]:
        """Return the devices that a gateway names; those of any other sender count for nothing, and are not looked for."""
        names = tuple({notice.device_name for notice in notices if notice.device_name is not None})
        if not names or sender.device.metadata.get(self.terms.gateway) is not True:
            return {}
        found = await self.repository.read(DeviceNamesQuery(sender.device.tenant, names))
        return {each.device.name: each for each in found if each is not None}

    async def _kept(
        self, notice: ClaimNotice, found: DeviceSnapshot | None, sender: DeviceSnapshot, context: Context
    ) -> tuple[Changes, ...]:
        """Return what a notice changes: nothing where its device waits already. Raises `Refusal` where it does not count."""
        if notice.device_name is not None:
            self._require_gateway(found, sender)
        found = found or sender
        require_announceable(found.device, found.profile, self.terms)
        now = self.issuer.clock.now()
        before = await self.repository.read(DeviceClaimQuery(found.device.tenant, found.device.id))
        if before is not None and before.expires_at > now:
            return ()
        claim = PendingClaim(
            id=found.device.id,
            tenant=found.device.tenant,
            lookup=announced_lookup(found.device.id, notice.secret, self.issuer.vault),
            announced=True,
            expires_at=now + lifetime(notice.duration_ms),
            created_at=now,
        )
        event = self.audit.device_event(EventKind.ASSOCIATION_OFFERED, context, found.device, "announced")
        return (msgspec.structs.replace(waiting(claim, before), events=(event,)),)

    def _require_gateway(self, found: DeviceSnapshot | None, sender: DeviceSnapshot) -> None:
        if sender.device.metadata.get(self.terms.gateway) is not True:
            raise Refusal(Reason.FORBIDDEN, "the device is no gateway", check="announcement.not_gateway")
        if found is None or not is_let_in(found.device) or not is_behind(found.device, sender.device, self.terms):
            raise Refusal(Reason.NOT_FOUND, "the gateway brings no device of this name", check="announcement.device")


def _require_bounds(notices: tuple[ClaimNotice, ...]) -> None:
    if len(notices) > NOTICES:
        raise Refusal(Reason.MALFORMED, f"more than {NOTICES} devices at once", check="announcement.count")
    if any(len(notice.secret.reveal()) > SECRET_CHARACTERS for notice in notices):
        raise Refusal(Reason.MALFORMED, f"a secret has more than {SECRET_CHARACTERS} characters", check="announcement.length")
