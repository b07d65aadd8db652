"""The queue of devices that wait for an operator's approval, as a device meets it that asks for its identity."""

import msgspec

from core.audit import Audit
from core.crypto.tokens import new_id
from core.errors import Conflict, Guard, Reason, Refusal
from core.issuer import Issuer
from core.messages import Context
from core.model import Approval, ApprovalId, Device, DeviceId, EventKind, Profile, Verdict
from core.ports import Changes, Repository
from core.queries import ApprovalQuery

WAITING_MS = 7 * 86_400_000
"""How long a device waits, an answer stands, and a grant is good."""

WAITING, REFUSED, FULL = "approval.waiting", "approval.refused", "approval.full"
"""The checks of a refusal because a device waits, an operator said no, or too many wait already."""

CHECKS = frozenset({WAITING, REFUSED, FULL})


class Approvals(msgspec.Struct, frozen=True):
    """Lets those through who have a grant, and has the others wait. Whoever comes here has proved its claim.

    A device that asks again finds its entry and makes no second one; what it is told is the same whether it waits, was refused
    or found no room.
    """

    repository: Repository
    issuer: Issuer
    audit: Audit

    async def require(self, profile: Profile, name: str, device: Device | None, context: Context) -> Approval:
        """Return the grant of a device, which whoever uses it deletes in the same commit: it is good once.

        Raises `Refusal` FORBIDDEN where there is none, after entering the device; `Conflict` where it changed meanwhile.
        """
        now, identity = self.issuer.clock.now(), device.id if device is not None else None
        known = await self.repository.read(ApprovalQuery(profile.id, name))
        if known is None or known.is_over(now) or known.device != identity:
            await self._enter(known, profile, name, identity, context)
            raise not_yet(WAITING)
        if known.verdict is Verdict.GRANTED:
            return known
        raise not_yet(WAITING if known.verdict is Verdict.WAITING else REFUSED)

    async def _enter(
        self, before: Approval | None, profile: Profile, name: str, device: DeviceId | None, context: Context
    ) -> None:
        """Enter a device, in the place of what was there of its name."""
        now = self.issuer.clock.now()
        entry = Approval(
            id=ApprovalId(new_id(now, self.issuer.entropy)) if before is None else before.id,
            tenant=profile.tenant,
            profile=profile.id,
            name=name,
            device=device,
            source=context.source,
            stranger=context.stranger,
            protocol=context.protocol,
            dialect=context.dialect,
            expires_at=now + WAITING_MS,
            created_at=now,
            updated_at=now,
            version=1 if before is None else before.version + 1,
        )
        kind, detail = EventKind.APPROVAL_REQUESTED, "again" if device is not None else "new"
        event = self.audit.event(
            kind, context, tenant=profile.tenant, profile=profile.id, device=device, device_name=name, detail=detail
        )
        entered = Changes(insert=(entry,), events=(event,)) if before is None else Changes(replace=(entry,), events=(event,))
        try:
            await self.repository.commit(entered)
        except Conflict as conflict:
            if conflict.guard is Guard.APPROVAL_ROOM:
                raise not_yet(FULL) from conflict
            if conflict.guard is not Guard.APPROVAL_NAME:  # else it asked twice at once
                raise


def not_yet(check: str) -> Refusal:
    """Make the refusal of a device that no operator has approved."""
    return Refusal(Reason.FORBIDDEN, "the device has to be approved first", check=check)
