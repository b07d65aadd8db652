"""How operators empty the queue of devices that wait for their approval."""

from functools import partial

import msgspec

from core.approvals import WAITING_MS
from core.errors import Reason, Refusal
from core.model import Approval, ApprovalId, EventKind, Verdict
from core.operate import values
from core.operate.approving import (
    AT_ONCE,
    DecideApproval,
    DecideApprovals,
    Decided,
    ListApprovals,
    UndecidedApproval,
)
from core.operate.registry import Registry, Scope, paged
from core.operate.results import Page
from core.ports import Changes
from core.queries import ApprovalPage, ApprovalsQuery, NamedApprovalsQuery


class ApprovalQueue(msgspec.Struct, frozen=True):
    """Lists those who wait, and answers them. An answer may be changed as long as the device has not come for it."""

    registry: Registry

    async def list(self, command: ListApprovals, scope: Scope) -> Page[Approval]:
        """Return a page of the queue. Raises `Refusal` NOT_FOUND for a profile that does not exist."""
        query = ApprovalPage(
            tenant=scope.tenant,
            profile=None if command.profile is None else (await self.registry.profile(command.profile, scope)).id,
            verdict=command.verdict,
            now=self._now,
            after=None if command.after is None else ApprovalId(command.after),
            limit=command.limit + 1,
        )
        found = await self.registry.repository.read(query)
        return paged(found, command.limit)

    async def decide(self, command: DecideApproval, scope: Scope) -> Approval:
        """Answer a device. Raises `Refusal` MALFORMED, NOT_FOUND or CONFLICT."""
        if command.verdict is Verdict.WAITING:
            raise values.malformed("verdict: granted and refused are answers", "approval.verdict")
        return await self.registry.settle(partial(self._decide, command, scope))

    async def decide_all(self, command: DecideApprovals, scope: Scope) -> Decided:
        """Answer many devices one after the other. Raises `Refusal` MALFORMED for too many, UNAVAILABLE."""
        if not 1 <= len(command.decisions) <= AT_ONCE:
            raise values.malformed(f"decisions: 1 to {AT_ONCE} at once", "approval.decisions")
        decided: list[Approval] = []
        errors: list[UndecidedApproval] = []
        for line, decision in enumerate(command.decisions, 1):
            try:
                decided.append(await self.decide(decision, scope))
            except Refusal as refusal:
                if refusal.reason is Reason.UNAVAILABLE:
                    raise
                errors.append(UndecidedApproval(line, decision.ref, refusal.detail))
        return Decided(tuple(decided), tuple(errors))

    async def _decide(self, command: DecideApproval, scope: Scope) -> Approval:
        before = await self._find(command, scope)
        if before.verdict is command.verdict:
            return before
        now = self._now
        answered = msgspec.structs.replace(
            before, verdict=command.verdict, expires_at=now + WAITING_MS, updated_at=now, version=before.version + 1
        )
        event = self.registry.audit.event(
            EventKind.APPROVAL_DECIDED,
            scope.context,
            tenant=answered.tenant,
            profile=answered.profile,
            device=answered.device,
            device_name=answered.name,
            detail=answered.verdict.value,
        )
        await self.registry.commit(event, Changes(replace=(answered,)))
        return answered

    async def _find(self, command: DecideApproval, scope: Scope) -> Approval:
        """Return the entry that is meant. Raises `Refusal` NOT_FOUND, or CONFLICT where several could be."""
        profile = None if command.profile is None else (await self.registry.profile(command.profile, scope)).id
        by_id = await self.registry.repository.read(ApprovalsQuery(scope.tenant, (ApprovalId(command.ref),)))
        named = await self.registry.repository.read(NamedApprovalsQuery(scope.tenant, command.ref))
        live = [each for each in (*by_id, *named) if each is not None and not each.is_over(self._now)]
        meant = [each for each in live if profile in (None, each.profile)]
        if not meant:
            raise Refusal(Reason.NOT_FOUND, "no device of this id or name waits for approval", check="approval.unknown")
        if len(meant) > 1 and meant[0].id != command.ref:
            detail = "devices of several profiles wait under this name: say which profile is meant"
            raise Refusal(Reason.CONFLICT, detail, check="approval.ambiguous")
        return meant[0]

    @property
    def _now(self) -> int:
        return self.registry.issuer.clock.now()
