"""The rows of the operator API's table about devices that wait for approval, with what is sent and answered."""

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from adapters.dialects.moments import rfc3339
from adapters.dialects.operator import bodies
from adapters.dialects.operator.body import Body
from adapters.dialects.operator.endpoint import Endpoint
from adapters.dialects.operator.objects import Next, Time
from adapters.dialects.operator.reading import choice
from core.model import Approval, Verdict
from core.operate.approving import DecideApproval, DecideApprovals, Decided, ListApprovals
from core.operate.results import Page

_ANSWERS = (Verdict.GRANTED, Verdict.REFUSED)


def _words(members: tuple[enum.Enum, ...], description: str) -> Meta:
    return Meta(description=description, extra_json_schema={"enum": [member.value for member in members]})


VerdictWord = Annotated[str, _words(tuple(Verdict), "What operators said.")]
AnswerWord = Annotated[str, _words(_ANSWERS, "What is said.")]
ProfileRef = Annotated[str, Meta(description="Id or name of the profile; empty: of any.")]


class ApprovalFilter(bodies.Paged, frozen=True):
    """Whom to list."""

    profile: ProfileRef = ""
    verdict: VerdictWord = ""


class ApprovalScope(bodies.Scoped, frozen=True):
    """Which device of a name is meant."""

    profile: ProfileRef = ""


class Decision(Body, frozen=True):
    """An answer to a device: `ref` is the entry's id or the device's name."""

    ref: str
    verdict: AnswerWord
    profile: ProfileRef = ""


class Decisions(Body, frozen=True):
    """At most 1,000 answers."""

    decisions: list[Decision]


class WaitingDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device that waits for approval, or was answered and has not come for it.

    `profile` is an id, `device` that of the device of this name, null where it would be new. `source` is the address that it
    asked from. Its time is over at `expires_at`.
    """

    id: str
    name: str
    profile: str
    device: str | None
    verdict: VerdictWord
    source: str
    protocol: str
    dialect: str
    asked_at: Time
    expires_at: Time


class WaitingPage(msgspec.Struct, frozen=True):
    """Some of those who wait."""

    items: tuple[WaitingDevice, ...]
    next: Next = None


class DecisionError(msgspec.Struct, frozen=True):
    """Why an answer was not taken; `line` is its place, from 1 on."""

    line: int
    ref: str
    reason: str


class DecisionsTaken(msgspec.Struct, frozen=True):
    """Those who were answered, and what is wrong with the other answers."""

    items: tuple[WaitingDevice, ...]
    errors: tuple[DecisionError, ...]


def list_approvals(_ref: str, query: ApprovalFilter, _body: None) -> ListApprovals:
    """GET /v1/approvals."""
    return ListApprovals(
        profile=query.profile or None,
        verdict=choice("verdict", query.verdict, Verdict) if query.verdict else None,
        after=query.after or None,
        limit=query.limit,
    )


def grant_approval(ref: str, query: ApprovalScope, _body: None) -> DecideApproval:
    """POST /v1/approvals/{id}/grant."""
    return DecideApproval(ref=ref, verdict=Verdict.GRANTED, profile=query.profile or None)


def refuse_approval(ref: str, query: ApprovalScope, _body: None) -> DecideApproval:
    """POST /v1/approvals/{id}/refuse."""
    return DecideApproval(ref=ref, verdict=Verdict.REFUSED, profile=query.profile or None)


def decide_approvals(_ref: str, _query: bodies.Scoped, body: Decisions) -> DecideApprovals:
    """POST /v1/approvals:decide."""
    return DecideApprovals(
        tuple(
            DecideApproval(
                ref=each.ref, verdict=choice("verdict", each.verdict, Verdict, _ANSWERS), profile=each.profile or None
            )
            for each in body.decisions
        )
    )


def waiting(result: Approval) -> WaitingDevice:
    """Show one of those who wait."""
    return WaitingDevice(
        id=result.id,
        name=result.name,
        profile=result.profile,
        device=result.device,
        verdict=result.verdict.value,
        source=result.source,
        protocol=result.protocol,
        dialect=result.dialect,
        asked_at=rfc3339(result.created_at),
        expires_at=rfc3339(result.expires_at),
    )


def waiting_page(result: Page[Approval]) -> WaitingPage:
    """Show those who wait."""
    return WaitingPage(tuple(map(waiting, result.items)), result.next)


def taken(result: Decided) -> DecisionsTaken:
    """Show what became of many answers."""
    errors = tuple(DecisionError(each.line, each.ref, each.reason) for each in result.errors)
    return DecisionsTaken(tuple(map(waiting, result.decided)), errors)


APPROVING = (
    Endpoint(
        method="GET",
        path="/v1/approvals",
        operation="list_approvals",
        summary="List devices that wait for approval, or were answered and have not come for it.",
        read=list_approvals,
        query=ApprovalFilter,
        write=waiting_page,
        answer=WaitingPage,
    ),
    Endpoint(
        method="POST",
        path="/v1/approvals/{id}/grant",
        operation="grant_approval",
        summary="Let a device have its credentials, once, by the entry's id or the device's name.",
        read=grant_approval,
        query=ApprovalScope,
        write=waiting,
        answer=WaitingDevice,
    ),
    Endpoint(
        method="POST",
        path="/v1/approvals/{id}/refuse",
        operation="refuse_approval",
        summary="Let a device have no credentials, by the entry's id or the device's name.",
        read=refuse_approval,
        query=ApprovalScope,
        write=waiting,
        answer=WaitingDevice,
    ),
    Endpoint(
        method="POST",
        path="/v1/approvals:decide",
        operation="decide_approvals",
        summary="Answer many devices; good answers are taken whatever the bad ones are.",
        read=decide_approvals,
        body=Decisions,
        write=taken,
        answer=DecisionsTaken,
    ),
)
