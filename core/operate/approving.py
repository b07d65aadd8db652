"""What operators may ask for about devices that wait for their approval: commands and results."""

import msgspec

from core.model import Approval, Verdict

PAGE = 100
AT_ONCE = 1_000
"""Decisions of one command."""


class ListApprovals(msgspec.Struct, frozen=True, kw_only=True):
    """A page of those who wait or were answered, of one profile (id or name) or of all, the oldest first."""

    profile: str | None = None
    verdict: Verdict | None = None
    after: str | None = None
    limit: int = PAGE


class DecideApproval(msgspec.Struct, frozen=True, kw_only=True):
    """Answer a device, by the entry's id or by its name; `profile` (id or name) says which is meant of several of that name."""

    ref: str
    verdict: Verdict
    profile: str | None = None


class DecideApprovals(msgspec.Struct, frozen=True):
    """Answer many devices; those that cannot be answered keep nobody back."""

    decisions: tuple[DecideApproval, ...]


class UndecidedApproval(msgspec.Struct, frozen=True):
    """An answer that was not taken, by its place from 1 on, and why."""

    line: int
    ref: str
    reason: str


class Decided(msgspec.Struct, frozen=True):
    """What became of many answers."""

    decided: tuple[Approval, ...]
    errors: tuple[UndecidedApproval, ...]


ApprovingCommand = ListApprovals | DecideApproval | DecideApprovals
