"""What is wrong with a request, and with which of its members: the refusals this dialect makes itself."""

from typing import Final

from core.errors import Reason, Refusal

NO_TARGET: Final = "No target"


class Fault(Refusal):
    """A refusal that names the member or parameter at fault."""

    def __init__(self, reason: Reason, detail: str, *, check: str, target: str) -> None:
        super().__init__(reason, detail, check=check)
        self.target = target


def malformed(detail: str, check: str, target: str = NO_TARGET) -> Fault:
    """Make the refusal of a request that cannot be read."""
    return Fault(Reason.MALFORMED, detail, check=check, target=target)


def missing(member: str) -> Fault:
    """Make the refusal of a request without a member that it needs."""
    return malformed(f"{member} is required", "body.field", member)


def unfit(member: str, needed: str) -> Fault:
    """Make the refusal of a member of another type or range than it needs."""
    return malformed(f"{member} must be {needed}", "body.field", member)


def unfit_parameter(name: str, needed: str) -> Fault:
    """Make the refusal of a query parameter that is not what it has to be."""
    return malformed(f"{name} must be {needed}", "query", name)
